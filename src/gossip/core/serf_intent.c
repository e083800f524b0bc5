/* Who says that he joins or leaves. The happy path of leaving: the intent is gossiped, then swim
 * says that this member is gone, then we stay a while to answer probes of those who have not heard.
 * Others see alive, leaving, left.
 *
 * The intent is lost: swim's own word arrives nevertheless, but then we count as failed, until a
 * push/pull tells of it. It comes late, after we are back: we refute it by joining anew. It comes
 * before the member does: it is kept for a while. It is about somebody who failed: somebody else
 * wants him forgotten (force-leave). */
#include "gossip/core/serf_internal.h"

/* --- intents of who is no member -------------------------------------------------------------- */

const struct serf_recent_intent *serf_intent_recent(const struct serf *s, struct str name)
{
    return map_get(&s->intents, name);
}

static void intent_drop(struct serf *s, struct serf_recent_intent *i)
{
    (void)map_remove(&s->intents, i->name);
    list_remove(&i->link);
    (void)mem_free(i);
}

static bool intent_keep(struct serf *s, const struct serf_intent *intent, bool is_leave)
{
    struct serf_recent_intent *i = map_get(&s->intents, intent->node);
    if (i != NULL && intent->ltime <= i->ltime) {
        return false;
    }
    if (i == NULL) {
        if (s->intents.n >= s->members_max) {
            intent_drop(s, list_entry(s->intents_by_age.next, struct serf_recent_intent, link));
        }
        i = xcalloc(1, sizeof(*i) + intent->node.n);
        i->name = str_make(i + 1, intent->node.n);
        if (intent->node.n > 0) {
            memcpy(i + 1, intent->node.p, intent->node.n);
        }
        (void)map_put(&s->intents, i->name, i);
    }
    list_remove(&i->link);
    list_push_back(&s->intents_by_age, &i->link);
    i->is_leave = is_leave;
    i->ltime = intent->ltime;
    i->seen_ns = serf_now(s);
    return true;
}

void serf_intents_reap(struct serf *s)
{
    while (!list_is_empty(&s->intents_by_age)) {
        struct serf_recent_intent *i =
            list_entry(s->intents_by_age.next, struct serf_recent_intent, link);
        if (serf_now(s) - i->seen_ns <= s->config.recent_intent_timeout_ns) {
            return;
        }
        intent_drop(s, i);
    }
}

void serf_intents_free(struct serf *s)
{
    while (!list_is_empty(&s->intents_by_age)) {
        intent_drop(s, list_entry(s->intents_by_age.next, struct serf_recent_intent, link));
    }
    map_deinit(&s->intents);
}

/* --- intents of members ----------------------------------------------------------------------- */

static void status_change(struct serf *s, struct serf_member *m, int64_t status)
{
    m->member->status = status;
    if (s->ops->status != NULL) {
        s->ops->status(s->data, m->member);
    }
}

bool serf_on_join_intent(struct serf *s, const struct serf_intent *intent)
{
    serf_clock_witness(&s->clock, intent->ltime);
    struct serf_member *m = serf_member_find(s, intent->node);
    if (m == NULL) {
        return intent_keep(s, intent, false);
    }
    if (intent->ltime <= m->status_ltime) {
        return false;
    }
    m->status_ltime = intent->ltime;
    m->prune = false;
    if (m->member->status == MEMBER_LEAVING) { /* what he said before is older */
        status_change(s, m, MEMBER_ALIVE);
    }
    return true;
}

bool serf_on_leave_intent(struct serf *s, const struct serf_intent *intent)
{
    serf_clock_witness(&s->clock, intent->ltime);
    struct serf_member *m = serf_member_find(s, intent->node);
    if (m == NULL) {
        return intent_keep(s, intent, true);
    }
    if (intent->ltime <= m->status_ltime) {
        return false;
    }
    if (s->phase == SERF_ALIVE && str_eq(intent->node, s->name)) {
        serf_log(s, SWIM_LOG_DEBUG, "Refuting an older leave intent");
        serf_broadcast_join(s);
        return false;
    }
    /* Also where the status stays: else two such intents would be passed on for good. */
    m->status_ltime = intent->ltime;
    m->prune = m->prune || (intent->prune && !str_eq(intent->node, s->name));
    if (m->member->status == MEMBER_ALIVE) {
        status_change(s, m, MEMBER_LEAVING);
    } else if (m->member->status == MEMBER_FAILED) {
        serf_member_forced_left(s, m);
    }
    if (m->prune && m->member->status == MEMBER_LEFT) {
        serf_member_erase(s, m);
    } /* who is leaving is forgotten when swim says that he is gone, unless he refutes it */
    return true;
}

static void intent_broadcast(struct serf *s, enum serf_type type, const struct serf_intent *intent,
                             void (*done)(void *data))
{
    struct buf message = {0};
    serf_intent_encode(type, intent, &message);
    serf_broadcast(s, s->intent_queue, buf_view(&message), done);
    buf_deinit(&message);
}

/* That we are here, later than anything that was heard of us. */
void serf_broadcast_join(struct serf *s)
{
    const struct serf_intent intent = {.ltime = s->clock, .node = s->name};
    (void)serf_on_join_intent(s, &intent);
    intent_broadcast(s, SERF_JOIN, &intent, NULL);
}

void serf_remove_failed(struct serf *s, uint64_t now_ns, struct str name, bool prune)
{
    s->now_ns = now_ns;
    const struct serf_intent intent = {.ltime = s->clock, .node = name, .prune = prune};
    (void)serf_on_leave_intent(s, &intent);
    if (serf_has_others_alive(s)) {
        intent_broadcast(s, SERF_LEAVE, &intent, NULL);
    }
}

/* --- leaving ---------------------------------------------------------------------------------- */

static void leave_intent_sent(void *data)
{
    struct serf *s = data;
    if (s->leave_step == SERF_LEAVE_INTENT) {
        s->leave_step = SERF_LEAVE_SENT;
        s->leave_ns = 0;
    }
}

void serf_leave(struct serf *s, uint64_t now_ns)
{
    s->now_ns = now_ns;
    if (s->phase == SERF_LEFT) {
        serf_todo_token(s, SERF_TODO_LEFT, false);
    }
    if (s->phase != SERF_ALIVE) {
        return;
    }
    s->phase = SERF_LEAVING;
    if (s->ops->snapshot != NULL) {
        s->snapshot_is_over = true;
        s->ops->snapshot(s->data, STR("leave"));
    }
    const struct serf_intent intent = {.ltime = s->clock, .node = s->name};
    (void)serf_on_leave_intent(s, &intent);
    s->leave_step = SERF_LEAVE_INTENT;
    s->leave_ns = serf_after(now_ns, s->config.broadcast_timeout_ns);
    if (serf_has_others_alive(s)) {
        intent_broadcast(s, SERF_LEAVE, &intent, leave_intent_sent);
    } else {
        leave_intent_sent(s);
    }
}

void serf_on_left(struct serf *s, bool timed_out)
{
    if (s->phase != SERF_LEAVING || s->leave_step != SERF_LEAVE_SWIM) {
        return;
    }
    bool is_alone = swim_members_count(s->swim) == 0;
    s->leave_step = timed_out ? SERF_LEAVE_FAILED : SERF_LEAVE_DELAY;
    s->leave_ns =
        timed_out || is_alone ? 0 : serf_after(serf_now(s), s->config.leave_propagate_delay_ns);
}

/* In a tick: what is due. */
void serf_leave_step(struct serf *s)
{
    uint64_t now_ns = s->now_ns;
    if (now_ns < s->leave_ns) {
        return;
    }
    if (s->leave_step == SERF_LEAVE_INTENT) {
        s->leave_step = SERF_LEAVE_FAILED;
    } else if (s->leave_step == SERF_LEAVE_SENT) {
        s->leave_step = SERF_LEAVE_SWIM;
        s->leave_ns = UINT64_MAX; /* swim watches the time */
        swim_leave(s->swim, now_ns, s->config.broadcast_timeout_ns);
    }
    if (s->leave_step == SERF_LEAVE_FAILED || s->leave_step == SERF_LEAVE_DELAY) {
        if (now_ns < s->leave_ns) {
            return;
        }
        s->phase = SERF_LEFT;
        s->leave_ns = UINT64_MAX;
        if (s->leave_step == SERF_LEAVE_FAILED) {
            serf_log(s, SWIM_LOG_WARN, "timeout while waiting for graceful leave");
        }
        s->io->left(s->io_data, s->leave_step == SERF_LEAVE_FAILED);
    }
}
