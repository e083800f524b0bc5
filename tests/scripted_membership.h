/* scripted_membership.h - a pool of members that does what a test says, on the test's one loop.
 *
 *     struct scripted_membership *pool = scripted_membership_new(loop);
 *     scripted_member(pool, MEMBERSHIP_JOIN, &server_1);    // in the list, and told
 *     options.membership = &pool->pub;                      // who takes it frees it
 *
 * The first member is this agent. A join reaches everybody it names, unless join_error says why
 * not; a leave is done at once. */
#pragma once
#include "base/arena.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "proto/serf.h"
#include "server/membership.h"

struct scripted_membership {
    struct membership pub;
    struct loop *loop;
    struct member_board *board;
    const char *join_error; /* NULL: joins succeed */
    unsigned joins, force_leaves;
    uint64_t events; /* user events fired */
    bool has_left, is_stopped;
    struct membership_join *join; /* under way */
    struct membership_leave *leave;
    struct loop_msg msg;
    bool msg_is_due, self_was_told;
};

static struct scripted_membership *scripted_of(struct membership *m)
{
    return container_of(m, struct scripted_membership, pub);
}

/* Its name decides whether it is a new one. */
static void scripted_member(struct scripted_membership *s, enum membership_event event,
                            const struct member *member)
{
    static const enum member_status statuses[] = {
        [MEMBERSHIP_JOIN] = MEMBER_ALIVE, [MEMBERSHIP_UPDATE] = MEMBER_ALIVE,
        [MEMBERSHIP_LEAVE] = MEMBER_LEFT, [MEMBERSHIP_FAILED] = MEMBER_FAILED,
        [MEMBERSHIP_REAP] = MEMBER_NONE,
    };
    struct member told = *member;
    told.status = statuses[event];
    struct member_ref *r = member_ref_new(&told);
    if (event == MEMBERSHIP_REAP) {
        member_board_remove(s->board, told.name);
    } else {
        member_board_put(s->board, r);
    }
    member_board_publish(s->board);
    membership_tell(&s->pub, event, r->member);
    (void)member_ref_unref(r);
}

static void scripted_run(struct loop_msg *msg)
{
    struct scripted_membership *s = container_of(msg, struct scripted_membership, msg);
    struct membership_join *join = TAKE(s->join);
    struct membership_leave *leave = TAKE(s->leave);
    s->msg_is_due = false;
    if (s->is_stopped) {
        return;
    }
    struct member_list *list = member_board_read(s->board);
    if (!s->self_was_told && list->count > 0) {
        s->self_was_told = true;
        membership_tell(&s->pub, MEMBERSHIP_JOIN, list->v[0]);
    }
    (void)member_list_unref(list);
    if (join != NULL) {
        join->joined = s->join_error == NULL ? (uint32_t)join->addresses.n : 0;
        if (s->join_error != NULL) {
            (void)err_set(&join->err, ERR_FAILED, "%s", s->join_error);
        }
        join->done(join);
    }
    if (leave != NULL) {
        s->has_left = true;
        leave->done(leave);
    }
}

static void scripted_soon(struct scripted_membership *s)
{
    if (!s->msg_is_due) {
        s->msg_is_due = true;
        s->msg.run = scripted_run;
        loop_post(s->loop, &s->msg);
    }
}

static void scripted_start(struct membership *m)
{
    scripted_soon(scripted_of(m));
}

static struct member_list *scripted_list(struct membership *m)
{
    return member_board_read(scripted_of(m)->board);
}

static void scripted_join(struct membership *m, struct membership_join *join)
{
    struct scripted_membership *s = scripted_of(m);
    ASSERT(s->join == NULL);
    s->joins++;
    err_clear(&join->err);
    s->join = join;
    scripted_soon(s);
}

static void scripted_leave(struct membership *m, struct membership_leave *leave)
{
    struct scripted_membership *s = scripted_of(m);
    ASSERT(s->leave == NULL);
    s->leave = leave;
    scripted_soon(s);
}

static int scripted_force_leave(struct membership *m, struct str name, bool prune, struct err *err)
{
    struct scripted_membership *s = scripted_of(m);
    (void)name;
    (void)prune;
    (void)err;
    s->force_leaves++;
    return 0;
}

/* Heard here at once, and nowhere else. */
struct scripted_event {
    struct loop_msg msg;
    struct scripted_membership *pool;
    struct arena arena;
    struct serf_user_event event;
    membership_done_fn done;
    void *data;
};

static void scripted_event_run(struct loop_msg *msg)
{
    struct scripted_event *e = container_of(msg, struct scripted_event, msg);
    const struct err closed = {.code = ERR_CLOSED, .text = "the agent is shutting down"};
    if (!e->pool->is_stopped) {
        membership_tell_user_event(&e->pool->pub, &e->event);
    }
    if (e->done != NULL) {
        e->done(e->data, e->pool->is_stopped ? &closed : NULL);
    }
    arena_deinit(&e->arena);
    mem_free(e);
}

static void scripted_user_event(struct membership *m, struct str name, struct str payload,
                                bool coalesce, membership_done_fn done, void *data)
{
    struct scripted_membership *s = scripted_of(m);
    struct scripted_event *e = xcalloc(1, sizeof(*e));
    e->pool = s;
    e->event = (struct serf_user_event){.ltime = ++s->events,
                                        .name = arena_str(&e->arena, name),
                                        .payload = arena_str(&e->arena, payload),
                                        .coalesce = coalesce};
    e->done = done;
    e->data = data;
    e->msg.run = scripted_event_run;
    loop_post(s->loop, &e->msg);
}

static void scripted_stop(struct membership *m)
{
    struct scripted_membership *s = scripted_of(m);
    struct membership_join *join = TAKE(s->join);
    struct membership_leave *leave = TAKE(s->leave);
    s->is_stopped = true;
    if (join != NULL) {
        (void)err_set(&join->err, ERR_CLOSED, "the agent is shutting down");
        join->done(join);
    }
    if (leave != NULL) {
        leave->done(leave);
    }
}

static struct membership *scripted_free(struct membership *m)
{
    struct scripted_membership *s = scripted_of(m);
    (void)member_board_free(s->board);
    return mem_free(s);
}

static const struct membership_ops scripted_ops = {
    .start = scripted_start,
    .list = scripted_list,
    .join = scripted_join,
    .leave = scripted_leave,
    .force_leave = scripted_force_leave,
    .user_event = scripted_user_event,
    .stop = scripted_stop,
    .free = scripted_free,
};

/* Without a member. */
UNUSED static struct scripted_membership *scripted_membership_new(struct loop *loop)
{
    struct scripted_membership *s = xcalloc(1, sizeof(*s));
    s->pub.ops = &scripted_ops;
    s->board = member_board_new();
    list_init(&s->pub.listeners);
    s->loop = loop;
    return s;
}

/* Of one server alone. rpc_address: "host:port". */
UNUSED static struct scripted_membership *
scripted_membership_of_server(struct loop *loop, struct str name, struct str id,
                              struct str rpc_address, struct str address)
{
    struct scripted_membership *s = scripted_membership_new(loop);
    ptrdiff_t colon = str_rfind_byte(rpc_address, ':');
    struct strpair tags[] = {
        {STR("build"), STR(CONSUL_VERSION)},
        {STR("dc"), STR("dc1")},
        {STR("id"), id},
        {STR("port"), str_from(rpc_address, (size_t)colon + 1)},
        {STR("raft_vsn"), STR("3")},
        {STR("role"), STR("consul")},
        {STR("segment"), STR("")},
        {STR("vsn"), STR("2")},
    };
    const struct member self = {
        .name = name,
        .addr = address,
        .tags = strmap_build(tags, ARRAY_SIZE(tags)),
        .protocol_min = 1,
        .protocol_max = 5,
        .protocol_cur = 2,
        .delegate_min = 2,
        .delegate_max = 5,
        .delegate_cur = 4,
    };
    scripted_member(s, MEMBERSHIP_JOIN, &self);
    return s;
}
