/* service_def.h - the definition of a service: in configuration files and as the body of PUT
 * /v1/agent/service/register.
 *
 *     struct service_def def;
 *     if (service_def_decode(value, &def, arena, &err) == 0 &&
 *         service_def_validate(&def, &err) == 0) {
 *         struct node_service ns;
 *         service_def_to_node_service(&def, arena, &ns);
 *
 * Strings and lists are borrowed from the arena of the value that was decoded. */
#pragma once
#include "agent/check_def.h"
#include "schema/catalog.h"

struct service_def;

struct service_def_connect {
    bool native;
    struct service_def *sidecar_service; /* NULL: none */
};

struct service_def {
    struct str kind;
    struct str id;
    struct str name;
    struct strlist tags;
    struct str address;
    struct objmap tagged_addresses; /* struct service_address */
    struct strmap meta;
    int64_t port;
    struct str socket_path;
    struct check_def *check; /* NULL: none */
    struct ptrlist checks;   /* struct check_def */
    struct weights *weights; /* NULL: none given */
    struct str token;
    bool enable_tag_override;
    struct connect_proxy_config *proxy;  /* NULL: none */
    struct service_def_connect *connect; /* NULL: none */
};

extern const struct schema service_def_schema;

/* From a JSON or HCL map; keys in either style. err is what the API answers. */
NODISCARD int service_def_decode(const struct value *value, struct service_def *ret_def,
                                 struct arena *a, struct err *err);
/* The catalog's view of it: id from the name when there is none, upstream defaults. Borrows;
 * `a` gets what has to be changed on the way. */
void service_def_to_node_service(const struct service_def *def, struct arena *a,
                                 struct node_service *ret_service);
/* The definition as a whole: its node_service, and the rules about sidecars. */
NODISCARD int service_def_validate(const struct service_def *def, struct err *err);
/* Consul's NodeService.Validate: every fault, as one multi-line sentence. */
NODISCARD int node_service_validate(const struct node_service *service, struct err *err);
/* The checks of a definition, check before checks, each validated; made in `a`. */
NODISCARD int service_def_checks(const struct service_def *def, struct arena *a,
                                 struct ptrlist *ret_checks, struct err *err);
/* Consul's rules for metadata; `kind` may allow reserved keys. err names the pair. */
NODISCARD int service_meta_validate(struct str kind, struct strmap meta, struct err *err);
NODISCARD int node_meta_validate(struct strmap meta, bool allow_consul_prefix, struct err *err);
NODISCARD int weights_validate(const struct weights *weights, struct err *err);
