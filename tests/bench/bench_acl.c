/* bench_acl.c - what a known token costs: finding out what its holder may do, and a decision.
 *
 *     ninja -C build-release tests/bench/bench_acl && build-release/tests/bench/bench_acl [rules]
 *
 * One thread, one server in memory that has the tables. */
#include "server_fixture.h"

#include "base/clock.h"
#include "schema/acl_request.h"
#include "server/acl_log.h"
#include "server/acl_resolver.h"

#include <stdio.h>
#include <stdlib.h>

#define POLICY_ID STR("11111111-1111-1111-1111-111111111111")
#define SECRET STR("22222222-2222-2222-2222-222222222222")
#define ACCESSOR STR("33333333-3333-3333-3333-333333333333")
#define ROUNDS 1000000u

struct bench {
    struct server_fixture base;
    unsigned rules;
    bool is_done;
};

static void note_done(struct rpc_call *call)
{
    struct bench *b = call->data;
    b->is_done = true;
    if (call->err != NULL) {
        (void)fprintf(stderr, "%s\n", err_text(call->err));
        exit(1);
    }
    rpc_call_free(call);
}

static bool is_done(void *data)
{
    return ((struct bench *)data)->is_done;
}

static void run(struct bench *b, struct rpc_call *call)
{
    call->done = note_done;
    call->data = b;
    call->is_duty = true;
    b->is_done = false;
    server_fixture_call(&b->base, call);
    server_fixture_run_until(&b->base, is_done, b);
}

static void policy_set(struct bench *b)
{
    struct rpc_call *call = rpc_call_new(&b->base.main, &acl_log_policy_set);
    struct acl_policy_batch_set_request *args = call->args;
    struct acl_policy_row *row = ARENA_NEW(&call->arena, struct acl_policy_row);
    struct buf text = {0};
    for (unsigned i = 0; i < b->rules; i++) {
        buf_printf(&text, "key_prefix \"team%u/app\" { policy = \"%s\" }\n", i,
                   i % 2 == 0 ? "read" : "write");
    }
    *row = (struct acl_policy_row){
        .id = POLICY_ID, .name = STR("test"), .rules = arena_str(&call->arena, buf_view(&text))};
    buf_deinit(&text);
    acl_policy_hash_set(&call->arena, row);
    args->policies.v = ARENA_ARRAY(&call->arena, void *, 1);
    args->policies.v[args->policies.n++] = row;
    run(b, call);
}

static void token_set(struct bench *b)
{
    struct rpc_call *call = rpc_call_new(&b->base.main, &acl_log_token_set);
    struct acl_token_batch_set_request *args = call->args;
    struct acl_token *token = ARENA_NEW(&call->arena, struct acl_token);
    struct acl_link *link = ARENA_NEW(&call->arena, struct acl_link);
    link->id = POLICY_ID;
    *token = (struct acl_token){.accessor_id = ACCESSOR,
                                .secret_id = SECRET,
                                .policies = {link, 1},
                                .create_time = clock_wall_ns(),
                                .expiration_time = TIME_ZERO};
    acl_token_hash_set(&call->arena, token);
    args->tokens.v = ARENA_ARRAY(&call->arena, void *, 1);
    args->tokens.v[args->tokens.n++] = token;
    run(b, call);
}

/* In a turn of the loop. */
static bool measure(void *data)
{
    struct bench *b = data;
    struct err err = {0};
    struct acl_who *who;
    unsigned allowed = 0;
    char name[32];
    int n = snprintf(name, sizeof(name), "team%u/app/config", b->rules / 2);
    uint64_t begin = clock_mono_ns();
    if (acl_resolve(b->base.main.acl, SECRET, NULL, &who, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err_text(&err));
        exit(1);
    }
    uint64_t first = clock_mono_ns() - begin;
    begin = clock_mono_ns();
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct acl_who *again;
        allowed += acl_resolve(b->base.main.acl, SECRET, NULL, &again, &err) == 0;
        acl_who_unref(again);
    }
    uint64_t resolved = clock_mono_ns() - begin;
    begin = clock_mono_ns();
    for (unsigned i = 0; i < ROUNDS; i++) {
        allowed += acl_allows(who->rights, ACL_KEY_READ, str_make(name, (size_t)n));
    }
    uint64_t decided = clock_mono_ns() - begin;
    (void)printf(
        "%u of %u; %u rules: a token for the first time %.1f us, a known one %.0f ns, a decision "
        "%.0f ns, %zu bytes\n",
        allowed, 2 * ROUNDS, b->rules, (double)first / 1000, (double)resolved / ROUNDS,
        (double)decided / ROUNDS, acl_authorizer_size(who->rights));
    acl_who_unref(who);
    return true;
}

int main(int argc, char **argv)
{
    struct bench b = {.rules = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10};
    struct server_options options = SERVER_FIXTURE_OPTIONS;
    options.acl.enabled = true;
    server_fixture_init(&b.base, &options);
    server_fixture_start(&b.base);
    policy_set(&b);
    token_set(&b);
    server_fixture_run_until(&b.base, measure, &b);
    server_fixture_deinit(&b.base);
    return 0;
}
