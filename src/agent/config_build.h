/* config_build.h - a configuration in the making: what the parts of the loader share.
 *
 * Internal to src/agent/config*.c. The way of a load:
 *   config_source.c  reads files and directories and parses them,
 *   config_merge.c   checks each tree against the key table and merges it into `slots`,
 *   config_build.c   turns the slots into struct agent_config, derived values included,
 *   config_addr.c    expands addresses (config_template.c: {{ GetPrivateIP }} and the like),
 *   config_check.c   checks the result.
 *
 * Two kinds of failure, as in Consul: some end the load at once (a function returns negative),
 * others are collected with builder_error() and reported together when the whole is checked. */
#pragma once
#include "agent/config_keys.h"
#include "base/err.h"
#include "base/vec.h"

#include <stdio.h>

struct config_text { /* a source that has been read */
    struct str name, format, text;
};

struct config_builder {
    const struct config_sources *sources;
    VEC(struct config_text) texts; /* files, in the order they apply */
    struct agent_config *config;   /* its arena holds everything that stays */
    struct arena *a;               /* that arena */
    struct value *slots;           /* merged values by key index; VALUE_NULL: not given */
    struct arena *warnings_arena;
    VEC(struct str) warnings; /* in warnings_arena */
    VEC(struct str) errors;   /* in a */
};

void builder_warn(struct config_builder *b, const char *format, ...) PRINTF(2, 3);
void builder_error(struct config_builder *b, const char *format, ...) PRINTF(2, 3);
/* As builder_error, but what was collected before is forgotten: Consul has this oddity for bad
 * durations and service definitions, and its error texts show it. */
void builder_error_alone(struct config_builder *b, const char *format, ...) PRINTF(2, 3);

/* The merged value of a key, NULL when not given. */
const struct value *builder_get(const struct config_builder *b, const char *path);
struct str builder_str(const struct config_builder *b, const char *path);
bool builder_is_set(const struct config_builder *b, const char *path);

/* config_source.c: a file or a directory of files into b->texts. */
NODISCARD int config_path_read(struct config_builder *b, struct str path, struct err *err);

/* config_merge.c: one parsed source. from_json: numbers are called float64 in errors. */
NODISCARD int config_merge(struct config_builder *b, const struct value *tree, bool from_json,
                           struct err *err);
/* Into one slot, by the kind of its key: scalars replace, lists append, maps overlay. */
void slot_merge(struct config_builder *b, size_t index, const struct value *v);

/* config_addr.c */
struct ip { /* size 0: none */
    uint8_t bytes[16];
    uint8_t size;
};
NODISCARD int ip_parse(struct str text, struct ip *ret_ip);
struct str ip_format(struct arena *a, const struct ip *ip);
bool ip_is_any(const struct ip *ip);
bool ip_text_is_any(struct str text); /* 0.0.0.0, :: or [::] */
bool ip_is_private(const struct ip *ip);
NODISCARD int cidr_parse(struct arena *a, struct str text, struct config_cidr *ret_cidr);
bool cidr_contains(const struct config_cidr *cidr, const struct ip *ip);

struct iface_addr {
    struct str name; /* of the interface */
    struct ip ip;
    unsigned bits;   /* of the network */
    unsigned flags;  /* IFF_x */
    bool is_default; /* the interface has the default route */
};
struct iface_list {
    struct iface_addr *v;
    size_t n;
};
NODISCARD int iface_list_read(struct arena *a, struct iface_list *ret_list, struct err *err);
NODISCARD int config_addresses_build(struct config_builder *b, struct err *err);
/* Each may hold templates that give several; not checked to be addresses. */
struct strlist config_expand_optional(struct config_builder *b, const char *name,
                                      struct strlist texts);

/* config_template.c: "{{ GetPrivateIP }}" and the like replaced; text without {{ as it is. */
NODISCARD int template_expand(struct arena *a, struct str text, struct str *ret_text,
                              struct err *err);

/* config_check.c */
NODISCARD int config_check(struct config_builder *b, struct err *err);

/* config_build.c: slots to the struct, with everything that is derived */
NODISCARD int config_build(struct config_builder *b, struct err *err);

/* config_defs.c: services and checks */
NODISCARD int config_defs_build(struct config_builder *b, struct err *err);
