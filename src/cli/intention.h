/* intention.h - what the `intention` commands share. */
#pragma once
#include "cli/api_intention.h"
#include "cli/client.h"
#include "cli/command.h"

#define INTENTION_CLIENT_FAILURE "Error connecting to Consul agent"

/* The flags every one of them has, and no others. */
extern const struct cli_flag_group intention_groups[];
#define INTENTION_GROUPS_COUNT 2u

/* "namespace/name" or "name". False, with `err` saying why, when there is more than one slash. */
NODISCARD int intention_target_parse(struct str text, struct str *ret_ns, struct str *ret_name,
                                     struct err *err);
/* Send, and decode what comes: NULL when there is no such intention. */
NODISCARD int intention_fetch(struct client_request *r, struct api_intention **ret_intention,
                              struct err *err);
/* The request for the intention of one pair of names. */
void intention_exact_init(struct client_request *r, struct client *c, const char *method,
                          struct str source, struct str destination);
NODISCARD int intention_decode(struct arena *a, const struct value *v,
                               struct api_intention *ret_intention, struct err *err);
/* Its JSON as the request's content. */
void intention_body(struct client_request *r, const struct api_intention *intention);
