/* Who may be in a pool together. */
#include "server/serf_pool.h"

#include "base/arena.h"
#include "base/map.h"
#include "server/server_info.h"

/* Node ids are unique among agents of this version on. */
static bool has_unique_id(const struct member *m)
{
    struct str version;
    uint64_t part[3] = {0};
    size_t n = 0;
    if (!build_version(member_tag(m, STR("build")), &version)) {
        return false;
    }
    struct str piece;
    while (n < ARRAY_SIZE(part) && str_split_next(&version, '.', &piece)) {
        if (str_parse_u64(piece, &part[n++]) < 0) {
            return false;
        }
    }
    return part[0] > 0 || part[1] > 8 || (part[1] == 8 && part[2] >= 5);
}

/* ids: of the members before, to their names. */
static int check_id(const struct merge_rules *rules, const struct member *m, struct map *ids,
                    struct err *err)
{
    struct str id = member_tag(m, STR("id"));
    if (id.n == 0) {
        return 0;
    }
    if (str_eq(id, rules->node_id) && !str_eq(m->name, rules->node_name)) {
        return err_set(err, ERR_CONFLICT,
                       "Member '%.*s' has conflicting node ID '%.*s' with this agent's ID",
                       STRF(m->name), STRF(id));
    }
    const struct member *other = map_get(ids, id);
    if (other != NULL) {
        return err_set(err, ERR_CONFLICT,
                       "Member '%.*s' has conflicting node ID '%.*s' with member '%.*s'",
                       STRF(m->name), STRF(id), STRF(other->name));
    }
    if (has_unique_id(m)) {
        (void)map_put(ids, id, (void *)(uintptr_t)m);
    }
    return 0;
}

static int check_lan(const struct merge_rules *rules, const struct member *m, struct map *ids,
                     struct arena *a, struct err *err)
{
    struct server_info info;
    struct str dc = member_tag(m, STR("dc")), segment = member_tag(m, STR("segment"));
    if (member_tag(m, STR("id")).n > 0 && m->status == MEMBER_LEFT) {
        return 0;
    }
    int rc = check_id(rules, m, ids, err);
    if (rc < 0) {
        return rc;
    }
    bool is_agent = str_eq_lit(member_tag(m, STR("role")), "node") || server_info_of(m, a, &info);
    if (is_agent && !str_eq(dc, rules->datacenter)) {
        return err_set(err, ERR_CONFLICT, "Member '%.*s' part of wrong datacenter '%.*s'",
                       STRF(m->name), STRF(dc));
    }
    if (!str_eq(segment, rules->segment)) {
        return err_set(err, ERR_CONFLICT,
                       "Member '%.*s' part of wrong segment '%.*s' (expected '%.*s')",
                       STRF(m->name), STRF(segment), STRF(rules->segment));
    }
    return 0;
}

int merge_check_lan(const struct merge_rules *rules, const struct member *members, size_t count,
                    struct err *err)
{
    struct map ids = {0};
    struct arena a = {0};
    int rc = 0;
    map_init(&ids, MAP_KEYS_BORROWED);
    for (size_t i = 0; i < count && rc >= 0; i++) {
        rc = check_lan(rules, &members[i], &ids, &a, err);
        arena_reset(&a);
    }
    arena_deinit(&a);
    map_deinit(&ids);
    return rc;
}

int merge_check_wan(const struct member *members, size_t count, struct err *err)
{
    struct arena a = {0};
    int rc = 0;
    for (size_t i = 0; i < count && rc >= 0; i++) {
        struct server_info info;
        if (!server_info_of(&members[i], &a, &info)) {
            rc = err_set(err, ERR_CONFLICT, "Member '%.*s' is not a server", STRF(members[i].name));
        }
        arena_reset(&a);
    }
    arena_deinit(&a);
    return rc;
}
