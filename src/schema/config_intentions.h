/* config_intentions.h - config entries of kind service-intentions: who may talk to a service. */
#pragma once
#include "schema/config_chain.h"
#include "schema/config_entry.h"

#define INTENTION_ALLOW STR("allow")
#define INTENTION_DENY STR("deny")
#define INTENTION_SOURCE_CONSUL STR("consul")

struct intention_http_permission {
    struct str path_exact, path_prefix, path_regex;
    struct objlist header; /* struct http_match_header */
    struct strlist methods;
};

struct intention_permission {
    struct str action;
    struct intention_http_permission *http;
};

struct source_intention {
    struct str name; /* or "*" */
    struct str action;
    struct ptrlist permissions; /* struct intention_permission; then there is no action */
    int64_t precedence;         /* worked out when it is written */
    struct str legacy_id;
    struct str type;
    struct str description;
    struct strmap legacy_meta;
    int64_t legacy_create_time; /* TIME_ZERO: none */
    int64_t legacy_update_time;
};

struct service_intentions {   /* ServiceIntentionsConfigEntry */
    struct config_entry head; /* the name is the destination's, or "*" */
    struct ptrlist sources;   /* struct source_intention; highest precedence first */
};

extern const struct schema intention_http_permission_schema, intention_permission_schema,
    source_intention_schema, service_intentions_schema;
