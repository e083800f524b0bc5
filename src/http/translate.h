/* translate.h - addresses in answers of another data center: with translate_wan_addrs the wan ones
 * take the place of the plain ones (Consul's TranslateAddresses).
 *
 * Nothing is done to what is of this data center: such structs may be rows of the store. Those of
 * others are the call's own copies, which are changed in place. */
#pragma once
#include "http/http.h"
#include "schema/catalog.h"

bool http_translates(const struct http_req *req, struct str datacenter);
void http_translate_node(const struct node *node);
void http_translate_service(const struct node_service *service);
/* struct check_service_node */
void http_translate_instances(const struct http_req *req, struct str datacenter,
                              struct objlist instances);
