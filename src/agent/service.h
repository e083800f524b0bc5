/* service.h - what can be done to the agent's services and checks: the rules between a request (or
 * a definition in the configuration) and the local state. Main loop only. */
#pragma once
#include "agent/service_def.h"
#include "agent/state.h"

/* On one agent. Registrations beyond are refused. */
#define AGENT_SERVICES_MAX 131072u
#define AGENT_CHECKS_MAX 262144u

/* One service with the checks of its definition. */
struct service_addition {
    struct node_service *service; /* in `arena`; completed on the way (weights, tagged addresses) */
    struct ptrlist checks;        /* struct check_def, validated */
    struct str token;
    enum source source;
    bool persist;
    bool replace_existing_checks;
    /* The state to give to checks that it knows of, over their definition's: a reload's. May be
     * NULL. */
    const struct map *snapshot; /* check id to struct health_check */
    struct arena *arena;        /* of the request */
};

/* On failure nothing is left of it. */
NODISCARD int service_add(struct agent *a, struct service_addition *req, struct err *err);
/* The service, its checks, and a sidecar that was registered with it. An unknown one is logged and
 * fine; an empty id is an error. */
NODISCARD int service_remove(struct agent *a, struct str id, bool persist, struct err *err);

/* The same without the check of the id. */
void service_drop(struct agent *a, struct str id, bool persist);

struct check_addition {
    struct health_check *check;
    const struct check_def *def; /* NULL: maintenance */
    struct str token;
    enum source source;
    bool persist;
    struct arena *arena;
};
NODISCARD int check_register(struct agent *a, struct check_addition *req, struct err *err);
/* An unknown one is fine; an empty id is an error. */
NODISCARD int check_deregister(struct agent *a, struct str id, bool persist, struct err *err);
void check_drop(struct agent *a, struct str id, bool persist);
/* A client of a TTL check reports. *ret_changed: the catalog has to hear of it. */
NODISCARD int check_ttl_report(struct agent *a, struct str id, struct str status, struct str output,
                               bool *ret_changed, struct err *err);

/* Behind a service's id and its name: its sidecar's. */
#define SIDECAR_SUFFIX "-sidecar-proxy"

/* The sidecar of a definition as a service of its own; *ret_sidecar is NULL when there is none.
 * Finds a port if none is given. */
NODISCARD int sidecar_from_service(struct agent *a, const struct service_def *def,
                                   const struct node_service *parent, struct str token,
                                   struct arena *arena, struct node_service **ret_sidecar,
                                   struct ptrlist *ret_checks, struct str *ret_token,
                                   struct err *err);

/* Maintenance. -ERR_NOT_FOUND for an unknown service; on or off twice is fine. */
NODISCARD int service_maintenance(struct agent *a, struct str id, bool enable, struct str reason,
                                  struct str token, struct err *err);
void node_maintenance(struct agent *a, bool enable, struct str reason, struct str token);
