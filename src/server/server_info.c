#include "server/server_info.h"

#include "base/arena.h"

/* A tag that is not there leaves *number alone. */
static bool number_tag(const struct member *m, struct str name, int64_t *number)
{
    struct str text;
    return !strmap_get(m->tags, name, &text) || str_parse_i64(text, number) == 0;
}

static size_t digits(struct str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9') {
        n++;
    }
    return n;
}

bool build_version(struct str build, struct str *ret_version)
{
    for (size_t i = 0; i < build.n; i++) {
        size_t end = i;
        int parts = 0;
        while (parts < 3) {
            size_t n = digits(str_from(build, end));
            if (n == 0) {
                break;
            }
            end += n;
            if (++parts < 3) {
                if (end >= build.n || build.p[end] != '.') {
                    break;
                }
                end++;
            }
        }
        if (parts == 3) {
            *ret_version = str_make(build.p + i, end - i);
            return true;
        }
    }
    return false;
}

struct str server_address(struct arena *a, struct str host, int64_t port)
{
    bool is_v6 = str_find_byte(host, ':') >= 0;
    return arena_printf(a, "%s%.*s%s:%lld", is_v6 ? "[" : "", STRF(host), is_v6 ? "]" : "",
                        (long long)port);
}

static bool has_tag(const struct member *m, struct str name)
{
    struct str value;
    return strmap_get(m->tags, name, &value);
}

bool server_info_of(const struct member *m, struct arena *a, struct server_info *ret_info)
{
    struct server_info info = {
        .name = m->name,
        .id = member_tag(m, STR("id")),
        .datacenter = member_tag(m, STR("dc")),
        .segment = member_tag(m, STR("segment")),
        .host = m->addr,
        .port = -1,
        .protocol = -1,
        .is_bootstrap = has_tag(m, STR("bootstrap")),
        .is_read_replica = has_tag(m, STR("nonvoter")) || has_tag(m, STR("read_replica")),
        .uses_tls = has_tag(m, STR("use_tls")),
        .has_federation_states = str_eq_lit(member_tag(m, STR("ft_fs")), "1"),
        .status = (enum member_status)m->status,
    };
    if (!str_eq_lit(member_tag(m, STR("role")), "consul") ||
        !number_tag(m, STR("port"), &info.port) || info.port < 0 || info.port > 65535 ||
        !number_tag(m, STR("vsn"), &info.protocol) || info.protocol < 0 ||
        !number_tag(m, STR("expect"), &info.expect) ||
        !number_tag(m, STR("raft_vsn"), &info.raft_version) ||
        !number_tag(m, STR("wan_join_port"), &info.wan_join_port) ||
        !build_version(member_tag(m, STR("build")), &info.version)) {
        return false;
    }
    info.address = server_address(a, m->addr, info.port);
    *ret_info = info;
    return true;
}

struct str server_info_text(const struct server_info *info, struct arena *a)
{
    return arena_printf(a, "%.*s (Addr: tcp/%.*s) (DC: %.*s)", STRF(info->name),
                        STRF(info->address), STRF(info->datacenter));
}
