/* Any bytes as what another server tells of the members. Whatever it was, this server still is the
 * first of its list, alive, and what it would tell can be told. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "schema/msgpack.h"
#include "server/exchange_core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct exchange_core *core_make(struct arena *a)
{
    const struct strpair pairs[] = {
        {STR("build"), STR("1.10.3")}, {STR("dc"), STR("dc1")},      {STR("id"), STR("id0")},
        {STR("port"), STR("8300")},    {STR("role"), STR("consul")}, {STR("vsn"), STR("2")},
    };
    struct strpair *tags = ARENA_ARRAY(a, struct strpair, ARRAY_SIZE(pairs));
    memcpy(tags, pairs, sizeof(pairs));
    const struct member self = {
        .name = STR("s0"), .addr = STR("10.0.0.1"), .tags = strmap_build(tags, ARRAY_SIZE(pairs))};
    const struct exchange_options options = {&self, 100, STR("dc1")};
    return exchange_core_new(&options);
}

static void core_check(struct exchange_core *c, struct arena *a)
{
    struct member *members;
    struct exchange_message told;
    struct exchange_event event;
    struct exchange_ask *asks;
    size_t n = exchange_core_members(c, a, &members);
    ASSERT(n >= 1 && n <= EXCHANGE_MEMBERS_MAX);
    ASSERT(str_eq_lit(members[0].name, "s0") && members[0].status == 1);
    ASSERT(exchange_core_due(c, 2000, a, &asks) < n);
    while (exchange_core_next_event(c, &event)) {
        mem_free(event.member);
    }
    exchange_core_message(c, a, &told);
    struct err err = {0};
    struct exchange_core *other = core_make(a);
    /* It may be refused there (its own id under another name), but only for a reason. */
    ASSERT(exchange_core_merge(other, &told, 1000, &err) == 0 || err.code != 0);
    exchange_core_free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct err err = {0};
    struct cur cur = cur_make(str_make(data, size));
    struct exchange_core *c = core_make(&a);
    struct exchange_message message = {0};
    while (cur_left(&cur) > 0 &&
           msgpack_decode(&cur, &exchange_message_schema, &message, &a, &err) >= 0) {
        int rc = exchange_core_merge(c, &message, 1000, &err);
        ASSERT(rc == 0 || err.code != 0);
        err_clear(&err);
        message = (struct exchange_message){0};
    }
    core_check(c, &a);
    exchange_core_tick(c, 1000 + EXCHANGE_REAP_FAILED_AFTER_MS);
    core_check(c, &a);
    exchange_core_free(c);
    arena_deinit(&a);
    return 0;
}
