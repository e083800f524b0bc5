/* config_check.h - what is done to a config entry before it is written: defaults are filled in, and
 * it is judged by itself. How it fits the others is judged where it is stored
 * (store/config_entry.h).
 *
 *     r = config_entry_normalize(a, e);
 *     r = config_entry_validate(a, e, &err);
 *
 * Both work on an entry in an arena; what normalizing makes anew is in `a`. Sentences are Consul's.
 */
#pragma once
#include "schema/config_entry.h"

struct err;

void config_entry_normalize(struct arena *a, struct config_entry *entry);
NODISCARD int config_entry_validate(struct arena *a, const struct config_entry *entry,
                                    struct err *err);

/* --- of single kinds, for config_check.c ------------------------------------------------------ */

struct ingress_gateway;
struct service_intentions;
struct service_resolver;
struct service_router;
struct service_splitter;
struct terminating_gateway;

void config_normalize_router(struct arena *a, struct service_router *e);
void config_normalize_splitter(struct service_splitter *e);
double config_normalize_weight(double weight); /* of a split, to the hundredth */
void config_normalize_ingress(struct arena *a, struct ingress_gateway *e);
/* Of an entry whose every source belongs to the old API of intentions, or of another. */
void config_normalize_intentions(struct arena *a, struct service_intentions *e, bool is_legacy);
int config_validate_router(struct arena *a, const struct service_router *e, struct err *err);
int config_validate_splitter(struct arena *a, const struct service_splitter *e, struct err *err);
int config_validate_resolver(struct arena *a, const struct service_resolver *e, struct err *err);
int config_validate_ingress(struct arena *a, const struct ingress_gateway *e, struct err *err);
int config_validate_terminating(struct arena *a, const struct terminating_gateway *e,
                                struct err *err);
int config_validate_intentions(struct arena *a, const struct service_intentions *e, bool is_legacy,
                               struct err *err);

/* What routes and permissions have in common. `where` comes before what is said: "Route[0]". */
struct objlist;
int config_validate_headers(struct objlist headers, struct str where, const char *each,
                            struct err *err);
int config_validate_methods(struct arena *a, struct strlist methods, struct str where,
                            struct err *err);
struct strlist config_upper_methods(struct arena *a, struct strlist methods);
int config_validate_meta(struct arena *a, struct strmap meta, struct err *err);

#define CONFIG_META_COUNT_MAX 64u
#define CONFIG_META_KEY_SIZE_MAX 128u
#define CONFIG_META_VALUE_SIZE_MAX 512u
