/* member_make.h - members for tests: server n is "s<n>" with id "id<n>" at 10.0.0.<n>:8300. */
#pragma once
#include "base/arena.h"
#include "schema/member.h"

#include <stdio.h>

struct extra_tag {
    const char *key, *value; /* a known key replaces its value */
};

UNUSED static struct member member_make(struct arena *a, int n, enum member_status status,
                                        const struct extra_tag *extra, size_t extra_count)
{
    struct strpair *tags = ARENA_ARRAY(a, struct strpair, 10 + extra_count);
    size_t count = 0;
    for (size_t i = 0; i < extra_count; i++) {
        tags[count++] =
            (struct strpair){str_from_cstr(extra[i].key), str_from_cstr(extra[i].value)};
    }
    const struct strpair usual[] = {
        {STR("build"), STR("1.10.3:c976ffd2")},
        {STR("dc"), STR("dc1")},
        {STR("id"), arena_printf(a, "id%d", n)},
        {STR("port"), STR("8300")},
        {STR("raft_vsn"), STR("3")},
        {STR("role"), STR("consul")},
        {STR("segment"), STR("")},
        {STR("vsn"), STR("2")},
    };
    for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
        bool is_given = false;
        for (size_t k = 0; k < extra_count; k++) {
            is_given |= str_eq(tags[k].key, usual[i].key);
        }
        if (!is_given) {
            tags[count++] = usual[i];
        }
    }
    return (struct member){
        .name = arena_printf(a, "s%d", n),
        .addr = arena_printf(a, "10.0.0.%d", n),
        .port = 8301,
        .tags = strmap_build(tags, count),
        .status = status,
        .protocol_min = 1,
        .protocol_max = 5,
        .protocol_cur = 2,
    };
}
