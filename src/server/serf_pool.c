#include "server/serf_pool.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/membership.h"

struct serf_pool {
    struct membership pub; /* pub.pool is the pool */
    struct arena arena;    /* of the rules */
    struct merge_rules rules;
    bool is_wan;
    bool (*allowed)(void *data, const struct gossip_address *address);
    void *allowed_data;
};

static struct serf_pool *serf_pool_of(struct membership *m)
{
    return container_of(m, struct serf_pool, pub);
}

/* --- on the gossip loop: nothing here changes while it runs ------------------------------------
 */

static int pool_merge(void *data, const struct member *members, size_t count, struct err *err)
{
    const struct serf_pool *s = data;
    return s->is_wan ? merge_check_wan(members, count, err)
                     : merge_check_lan(&s->rules, members, count, err);
}

static bool pool_allowed(void *data, const struct gossip_address *address)
{
    const struct serf_pool *s = data;
    return s->allowed == NULL || s->allowed(s->allowed_data, address);
}

static uint64_t pool_reconnect_timeout_ns(void *data, const struct member *m)
{
    struct str text = member_tag(m, SERF_POOL_RECONNECT_TAG);
    int64_t ns = 0;
    (void)data;
    if (text.n > 0 && (duration_parse(text, &ns) < 0 || ns < 0)) {
        log_write(LOG_WARN, "agent", "Member is advertising a malformed reconnect timeout",
                  LOG_STR("member", m->name), LOG_STR("rc_tm", text));
        return 0;
    }
    return (uint64_t)ns;
}

/* --- news --------------------------------------------------------------------------------------
 */

static void pool_member(void *data, enum serf_event_kind kind, const struct member *m)
{
    static const enum membership_event events[] = {
        [SERF_EVENT_MEMBER_JOIN] = MEMBERSHIP_JOIN,
        [SERF_EVENT_MEMBER_UPDATE] = MEMBERSHIP_UPDATE,
        [SERF_EVENT_MEMBER_LEAVE] = MEMBERSHIP_LEAVE,
        [SERF_EVENT_MEMBER_FAILED] = MEMBERSHIP_FAILED,
        [SERF_EVENT_MEMBER_REAP] = MEMBERSHIP_REAP,
    };
    struct serf_pool *s = data;
    membership_tell(&s->pub, events[kind], m);
}

static void pool_told_user_event(void *data, const struct serf_user_event *event)
{
    struct serf_pool *s = data;
    membership_tell_user_event(&s->pub, event);
}

/* --- the interface -----------------------------------------------------------------------------
 */

static void serf_pool_start(struct membership *m)
{
    pool_start(m->pool);
}

static struct member_list *serf_pool_list(struct membership *m)
{
    return pool_members(m->pool);
}

static void joined(struct pool_join *pool_join)
{
    struct membership_join *join = pool_join->data;
    join->joined = pool_join->joined;
    join->err = pool_join->err;
    join->state = NULL;
    mem_free(pool_join);
    join->done(join);
}

static void serf_pool_join(struct membership *m, struct membership_join *join)
{
    struct pool_join *pj = xcalloc(1, sizeof(*pj));
    pj->addresses = join->addresses;
    pj->ignore_old = true;
    pj->done = joined;
    pj->data = join;
    join->joined = 0;
    err_clear(&join->err);
    join->state = pj;
    pool_join(m->pool, pj);
}

static void has_left(struct pool_leave *pl)
{
    struct membership_leave *leave = pl->data;
    if (pl->timed_out || pl->err.code != 0) {
        log_write(LOG_ERROR, "agent.server", "failed to leave Serf cluster",
                  LOG_CSTR("error", pl->err.code != 0
                                        ? err_text(&pl->err)
                                        : "timeout while waiting for graceful leave"));
    }
    mem_free(pl);
    leave->done(leave);
}

static void serf_pool_leave(struct membership *m, struct membership_leave *leave)
{
    struct pool_leave *pl = xcalloc(1, sizeof(*pl));
    pl->done = has_left;
    pl->data = leave;
    pool_leave(m->pool, pl);
}

static int serf_pool_force_leave(struct membership *m, struct str name, bool prune, struct err *err)
{
    (void)err;
    pool_force_leave(m->pool, name, prune, NULL, NULL);
    return 0;
}

static void serf_pool_user_event(struct membership *m, struct str name, struct str payload,
                                 bool coalesce, membership_done_fn done, void *data)
{
    pool_user_event(m->pool, name, payload, coalesce, done, data);
}

static void serf_pool_stop(struct membership *m)
{
    pool_stop(m->pool);
}

static struct membership *serf_pool_free(struct membership *m)
{
    struct serf_pool *s = serf_pool_of(m);
    (void)pool_free(m->pool);
    arena_deinit(&s->arena);
    return mem_free(s);
}

static const struct membership_ops serf_pool_ops = {
    .start = serf_pool_start,
    .list = serf_pool_list,
    .join = serf_pool_join,
    .leave = serf_pool_leave,
    .force_leave = serf_pool_force_leave,
    .user_event = serf_pool_user_event,
    .stop = serf_pool_stop,
    .free = serf_pool_free,
};

int serf_pool_new(const struct serf_pool_options *options, struct membership **ret, struct err *err)
{
    struct serf_pool *s = xcalloc(1, sizeof(*s));
    struct pool_options pool = options->pool;
    s->pub.ops = &serf_pool_ops;
    list_init(&s->pub.listeners);
    s->is_wan = options->is_wan;
    s->rules = (struct merge_rules){
        .datacenter = arena_str(&s->arena, options->datacenter),
        .segment = arena_str(&s->arena, options->segment),
        .node_id = arena_str(&s->arena, options->node_id),
        .node_name = arena_str(&s->arena, options->pool.name),
    };
    s->allowed = options->allowed;
    s->allowed_data = options->allowed_data;
    pool.merge = pool_merge;
    pool.allowed = options->allowed != NULL ? pool_allowed : NULL;
    pool.reconnect_timeout_ns = pool_reconnect_timeout_ns;
    pool.member = pool_member;
    pool.user_event = pool_told_user_event;
    pool.data = s;
    int rc = pool_new(&pool, &s->pub.pool, err);
    if (rc < 0) {
        arena_deinit(&s->arena);
        mem_free(s);
        return rc;
    }
    *ret = &s->pub;
    return 0;
}
