/* catalog_json.h - rows of the catalog as JSON.
 *
 * Rows carry their rendered JSON (store/row.h), so that an answer of a hundred instances is copied
 * together. The carried form is that of /v1/catalog and /v1/health, where a list of tags is never
 * null; the other places of the API that show null there must not use it.
 *
 * `rows`: the structs are rows of this server's store. It is false for what was decoded from a
 * peer's answer, which is rendered afresh. */
#pragma once
#include "schema/catalog.h"
#include "schema/json.h"

void catalog_json_node(struct json_writer *w, const struct node *node, bool rows);
void catalog_json_service(struct json_writer *w, const struct node_service *service, bool rows);
void catalog_json_check(struct json_writer *w, const struct health_check *check, bool rows);
/* {"Node": …, "Service": …, "Checks": […]} */
void catalog_json_instance(struct json_writer *w, const struct check_service_node *instance,
                           bool rows);
/* The flat form of /v1/catalog/service. */
void catalog_json_service_node(struct json_writer *w, const struct service_node *sn);
/* […], also when nil. */
void catalog_json_checks(struct json_writer *w, struct ptrlist checks, bool rows);
