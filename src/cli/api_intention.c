#include "cli/api_intention.h"

#include "base/arena.h"
#include "cli/api_time.h"
#include "schema/config_intentions.h"

/* clang-format off */
static const struct field fields[] = {
    F_STR(struct api_intention, id, "ID", F_OMITEMPTY),
    F_STR(struct api_intention, description, "Description", F_OMITEMPTY),
    F_STR(struct api_intention, source_ns, "SourceNS", 0),
    F_STR(struct api_intention, source_name, "SourceName", 0),
    F_STR(struct api_intention, destination_ns, "DestinationNS", 0),
    F_STR(struct api_intention, destination_name, "DestinationName", 0),
    F_STR(struct api_intention, source_type, "SourceType", 0),
    F_STR(struct api_intention, action, "Action", F_OMITEMPTY),
    F_PTRLIST(struct api_intention, permissions, "Permissions", F_OMITEMPTY,
              &intention_permission_schema),
    F_STR(struct api_intention, default_addr, "DefaultAddr", F_OMITEMPTY),
    F_INT(struct api_intention, default_port, "DefaultPort", F_OMITEMPTY),
    F_STRMAP(struct api_intention, meta, "Meta", F_OMITEMPTY),
    F_INT(struct api_intention, precedence, "Precedence", 0),
    F_STR(struct api_intention, created_at, "CreatedAt", 0),
    F_STR(struct api_intention, updated_at, "UpdatedAt", 0),
    F_BYTES(struct api_intention, hash, "Hash", F_OMITEMPTY),
    F_UINT(struct api_intention, create_index, "CreateIndex", 0),
    F_UINT(struct api_intention, modify_index, "ModifyIndex", 0),
    FIELDS_END,
};
/* clang-format on */
const struct schema api_intention_schema = SCHEMA("Intention", struct api_intention, fields);

struct api_intention api_intention_make(void)
{
    return (struct api_intention){.created_at = API_TIME_NONE, .updated_at = API_TIME_NONE};
}

static struct str part(struct arena *a, struct str ns, struct str name)
{
    return ns.n > 0 ? arena_printf(a, "%.*s/%.*s", STRF(ns), STRF(name)) : name;
}

static struct str part_text(struct arena *a, struct str ns, struct str name)
{
    return part(a, str_eq_lit(ns, "default") ? STR_NULL : ns, name);
}

struct str api_intention_source(struct arena *a, const struct api_intention *i)
{
    return part(a, i->source_ns, i->source_name);
}

struct str api_intention_destination(struct arena *a, const struct api_intention *i)
{
    return part(a, i->destination_ns, i->destination_name);
}

struct str api_intention_source_text(struct arena *a, const struct api_intention *i)
{
    return part_text(a, i->source_ns, i->source_name);
}

struct str api_intention_destination_text(struct arena *a, const struct api_intention *i)
{
    return part_text(a, i->destination_ns, i->destination_name);
}

struct str api_intention_text(struct arena *a, const struct api_intention *i)
{
    size_t n = i->permissions.n;
    struct str detail = n == 0   ? i->action
                        : n == 1 ? STR("1 permission")
                                 : arena_printf(a, "%zu permissions", n);
    return arena_printf(a, "%.*s => %.*s (%.*s)", STRF(api_intention_source_text(a, i)),
                        STRF(api_intention_destination_text(a, i)), STRF(detail));
}
