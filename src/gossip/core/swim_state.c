/* What is said of members, and what follows.
 *
 * A member's state belongs to an incarnation, a number that only the member itself raises. What is
 * said of an older one is nothing new. Of the same: alive is overruled by suspect, both by dead.
 * So who is wrongly suspected needs a higher number to be believed again (to refute), and whoever
 * hears of something in whatever order ends in the same state. What was news is passed on.
 *
 * Suspect becomes dead when its time is over. It is long at first, and each other member that
 * suspects as well makes it shorter: who alone sees another fail may be the one that fails. Shortly
 * before the end the suspected member itself is told: gossip may have missed it, or this agent its
 * refutation. (The reference does not ask.)
 *
 * What can go wrong: somebody has heard of a suspicion, but not of how it was refuted (who tells
 * the accused of it is answered directly; the reference ignores what it has refuted already, and
 * gossips what it refutes now); a name comes with another address (refused, and told as a
 * conflict, unless its owner left, or has been dead for dead_node_reclaim); an agent starts again
 * with its number at 1 (it hears of the higher one in the push/pull of its join, and refutes it); a
 * dead member's own state is told in a push/pull (as a suspicion, so that it may still refute).
 *
 * memberlist's state.go, suspicion.go. */
#include "gossip/core/swim_internal.h"

#include "base/mem.h"

#include <inttypes.h>

/* --- incarnations --- */

uint32_t swim_incarnation_next(struct swim *s)
{
    return ++s->incarnation;
}

static void alive_of(const struct swim_node *n, struct memberlist_alive *ret)
{
    *ret = (struct memberlist_alive){.incarnation = n->pub.incarnation,
                                     .node = n->pub.name,
                                     .address = n->pub.address,
                                     .meta = n->pub.meta,
                                     .has_vsn = true};
    memcpy(ret->vsn, n->pub.vsn, MEMBERLIST_VSN_SIZE);
}

static void note_alive(struct swim *s, const struct memberlist_alive *a)
{
    buf_clear(&s->note);
    memberlist_alive_encode(a, &s->note);
    swim_note_put(s, a->node, NULL);
}

static void note_suspect(struct swim *s, const struct memberlist_suspect *m)
{
    buf_clear(&s->note);
    memberlist_suspect_encode(m, &s->note);
    swim_note_put(s, m->node, NULL);
}

/* Somebody says of this agent what is not so, in an incarnation that it may not even have had yet.
 * To be accused is a sign of ill health. */
static void refute(struct swim *s, uint32_t accused)
{
    struct memberlist_alive a;
    uint32_t incarnation = swim_incarnation_next(s);
    if (accused >= incarnation) {
        incarnation = s->incarnation = accused + 1;
    }
    s->self->pub.incarnation = incarnation;
    s->stats.refuted++;
    swim_health_change(s, 1);
    alive_of(s->self, &a);
    note_alive(s, &a);
}

void swim_answer_accuser(struct swim *s, const struct memberlist_suspect *m,
                         const struct gossip_address *from)
{
    struct memberlist_alive a;
    if (s->is_leaving || m->incarnation >= s->self->pub.incarnation ||
        !str_eq(m->node, s->self->pub.name)) {
        return;
    }
    alive_of(s->self, &a);
    swim_packet_begin(s);
    memberlist_alive_encode(&a, &s->out.messages);
    swim_packet_part(s);
    (void)swim_packet_send(s, from, false, false);
}

/* --- suspicion --- */

void swim_suspicion_end(struct swim *s, struct swim_node *n)
{
    struct swim_suspicion *p = n->suspicion;
    if (p != NULL) {
        swim_timer_stop(s, &p->timer);
        for (uint32_t i = 0; i <= p->confirmed; i++) {
            mem_free((void *)p->from[i].p);
        }
        mem_free(p);
        n->suspicion = NULL;
    }
}

static void suspicion_fire(struct swim *s, struct swim_timer *t);

static void suspicion_ask(struct swim *s, struct swim_timer *t)
{
    struct swim_suspicion *p = container_of(t, struct swim_suspicion, timer);
    const struct swim_node *n = p->node;
    p->asked_ns = s->now_ns;
    swim_timer_set(s, t, MAX(p->end_ns, s->now_ns + s->config.probe_timeout_ns), suspicion_fire);
    swim_packet_begin(s);
    memberlist_suspect_encode(&(struct memberlist_suspect){.incarnation = n->pub.incarnation,
                                                           .node = n->pub.name,
                                                           .from = s->self->pub.name},
                              &s->out.messages);
    swim_packet_part(s); /* and no news, which it may not hear */
    (void)swim_packet_send(s, &n->pub.address, true, swim_node_is_summed(n));
}

static void suspicion_fire(struct swim *s, struct swim_timer *t)
{
    struct swim_suspicion *p = container_of(t, struct swim_suspicion, timer);
    struct swim_node *n = p->node;
    if (s->now_ns < s->spared_until_ns) {
        suspicion_ask(s, t); /* again: this agent was away */
        swim_timer_set(s, t, MAX(s->spared_until_ns, t->at_ns), suspicion_fire);
        return;
    }
    s->stats.degraded_timeout += p->confirmed < p->wanted;
    swim_log(s, SWIM_LOG_INFO,
             "Marking %.*s as failed, suspect timeout reached (%" PRIu32 " peer confirmations)",
             STRF(n->pub.name), p->confirmed);
    swim_on_dead(s, &(struct memberlist_suspect){.incarnation = n->pub.incarnation,
                                                 .node = n->pub.name,
                                                 .from = s->self->pub.name});
}

/* Its end, given what is confirmed; the question before that. */
static void suspicion_arm(struct swim *s, struct swim_suspicion *p)
{
    uint64_t timeout_ns = s->config.probe_timeout_ns;
    uint64_t span_ns = swim_suspicion_span(p->confirmed, p->wanted, p->min_ns, p->max_ns);
    p->end_ns = p->started_ns + span_ns;
    if (p->asked_ns == 0) {
        uint64_t ask_ns = p->end_ns - MIN(timeout_ns, span_ns);
        swim_timer_set(s, &p->timer, MAX(ask_ns, s->now_ns), suspicion_ask);
    } else {
        swim_timer_set(s, &p->timer, MAX(p->end_ns, p->asked_ns + timeout_ns), suspicion_fire);
    }
}

static struct str name_copy(struct str name)
{
    return str_make(xmemdup(name.p, name.n), name.n);
}

/* Whether that is something new. */
static bool suspicion_confirm(struct swim *s, struct swim_suspicion *p, struct str from)
{
    if (p->confirmed >= p->wanted) {
        return false;
    }
    for (uint32_t i = 0; i <= p->confirmed; i++) {
        if (str_eq(p->from[i], from)) {
            return false;
        }
    }
    p->from[++p->confirmed] = name_copy(from);
    suspicion_arm(s, p);
    return true;
}

/* Two probe intervals short of what the multiplier says, since nobody's probes are in step; none
 * when there are too few that could confirm (less this one and the one that is suspected). */
static uint32_t confirmations_wanted(const struct swim *s)
{
    uint32_t mult = s->config.suspicion_mult;
    uint32_t wanted = mult > 2 ? mult - 2 : 0;
    return s->ring.n < (size_t)wanted + 2 ? 0 : wanted;
}

static void suspicion_begin(struct swim *s, struct swim_node *n, struct str from)
{
    uint32_t wanted = confirmations_wanted(s);
    struct swim_suspicion *p = xcalloc(1, sizeof(*p) + (wanted + 1) * sizeof(p->from[0]));
    p->node = n;
    p->wanted = wanted;
    p->started_ns = s->now_ns;
    p->min_ns =
        swim_suspicion_timeout(s->config.suspicion_mult, s->ring.n, s->config.probe_interval_ns);
    p->max_ns = p->min_ns * s->config.suspicion_max_timeout_mult;
    p->from[0] = name_copy(from);
    n->suspicion = p;
    suspicion_arm(s, p);
}

void swim_on_suspect(struct swim *s, const struct memberlist_suspect *m)
{
    struct swim_node *n = swim_node_find(s, m->node);
    if (n == NULL || m->incarnation < n->pub.incarnation) {
        return;
    }
    if (n->suspicion != NULL) {
        if (suspicion_confirm(s, n->suspicion, m->from)) {
            note_suspect(s, m);
        }
        return;
    }
    if (n->pub.state != MEMBERLIST_STATE_ALIVE) {
        return;
    }
    if (n == s->self) {
        refute(s, m->incarnation);
        swim_log(s, SWIM_LOG_WARN, "Refuting a suspect message (from: %.*s)", STRF(m->from));
        return;
    }
    note_suspect(s, m);
    s->stats.msg_suspect++;
    n->pub.incarnation = m->incarnation;
    swim_node_set_state(s, n, MEMBERLIST_STATE_SUSPECT);
    suspicion_begin(s, n, m->from);
}

/* --- dead --- */

void swim_on_dead(struct swim *s, const struct memberlist_suspect *m)
{
    struct swim_node *n = swim_node_find(s, m->node);
    if (n == NULL || m->incarnation < n->pub.incarnation) {
        return;
    }
    swim_suspicion_end(s, n);
    if (!swim_node_is_live(n)) {
        return;
    }
    if (n == s->self && !s->is_leaving) {
        refute(s, m->incarnation);
        swim_log(s, SWIM_LOG_WARN, "Refuting a dead message (from: %.*s)", STRF(m->from));
        return;
    }
    buf_clear(&s->note);
    memberlist_dead_encode(m, &s->note);
    swim_note_put(s, n->pub.name, n == s->self ? swim_leave_sent : NULL);
    s->stats.msg_dead++;
    n->pub.incarnation = m->incarnation;
    /* Who says it of himself has left. */
    swim_node_set_state(s, n,
                        str_eq(m->node, m->from) ? MEMBERLIST_STATE_LEFT : MEMBERLIST_STATE_DEAD);
    if (s->delegate.member_leave != NULL) {
        s->delegate.member_leave(s->delegate_data, &n->pub);
    }
}

/* --- alive --- */

static struct swim_member member_of(const struct memberlist_alive *a)
{
    struct swim_member m = {.name = a->node,
                            .address = a->address,
                            .meta = a->meta,
                            .incarnation = a->incarnation,
                            .state = MEMBERLIST_STATE_ALIVE};
    memcpy(m.vsn, a->vsn, MEMBERLIST_VSN_SIZE);
    return m;
}

static bool is_allowed(const struct swim *s, const struct gossip_address *a)
{
    return s->delegate.allowed == NULL || s->delegate.allowed(s->delegate_data, a);
}

/* What no member may be, whatever else is known of it. */
static bool is_well_formed(struct swim *s, const struct memberlist_alive *a)
{
    const char *reason = NULL;
    if (a->node.n == 0 || a->node.n > MEMBERLIST_NAME_SIZE_MAX) {
        reason = "its name is empty or too long";
    } else if (a->address.size == 0) {
        reason = "it has no address";
    } else if (a->meta.n > MEMBERLIST_META_SIZE_MAX) {
        reason = "its meta data is too long";
    } else if (!a->has_vsn && s->delegate.alive != NULL) {
        reason = "Vsn is not present";
    }
    if (reason != NULL) {
        swim_log(s, SWIM_LOG_WARN, "ignoring alive message for '%.*s' (%s) because %s",
                 STRF(str_first(a->node, MEMBERLIST_NAME_SIZE_MAX)), ADDRESS(&a->address), reason);
        return false;
    }
    if (a->has_vsn && (a->vsn[0] == 0 || a->vsn[1] == 0 || a->vsn[0] > a->vsn[1])) {
        swim_log(s, SWIM_LOG_WARN,
                 "Ignoring an alive message for '%.*s' (%s) because protocol version(s) are "
                 "wrong: %u <= %u <= %u should be >0",
                 STRF(a->node), ADDRESS(&a->address), a->vsn[0], a->vsn[2], a->vsn[1]);
        return false;
    }
    return true;
}

static bool is_agreed(struct swim *s, const struct memberlist_alive *a)
{
    struct err err = {0};
    struct swim_member m = member_of(a);
    if (s->delegate.alive == NULL || s->delegate.alive(s->delegate_data, &m, &err) >= 0) {
        return true;
    }
    swim_log(s, SWIM_LOG_WARN, "ignoring alive message for '%.*s': %s", STRF(a->node),
             err_text(&err));
    return false;
}

static struct swim_node *alive_add(struct swim *s, const struct memberlist_alive *a)
{
    if (!is_allowed(s, &a->address)) {
        swim_log(s, SWIM_LOG_WARN, "Rejected node %.*s (%s): the address is not allowed",
                 STRF(a->node), ADDRESS(&a->address));
        return NULL;
    }
    if (a->incarnation == 0) {
        return NULL; /* nobody's */
    }
    if (s->ring.n >= s->members_max) {
        swim_log(s, SWIM_LOG_WARN, "Rejected node %.*s (%s): there are %" PRIu32 " members already",
                 STRF(a->node), ADDRESS(&a->address), s->members_max);
        return NULL;
    }
    return swim_node_add(s, a->node, &a->address);
}

static const char *state_text(enum memberlist_state state)
{
    return state == MEMBERLIST_STATE_ALIVE     ? "alive"
           : state == MEMBERLIST_STATE_SUSPECT ? "suspect"
           : state == MEMBERLIST_STATE_DEAD    ? "dead"
                                               : "left";
}

/* Another address under a known name: taken when its owner left, or has been dead long enough. */
static bool may_move(struct swim *s, const struct swim_node *n, const struct memberlist_alive *a)
{
    uint64_t reclaim_ns = s->config.dead_node_reclaim_ns;
    if (!is_allowed(s, &a->address)) {
        swim_log(s, SWIM_LOG_WARN,
                 "Rejected IP update from %s to %s for node %.*s: the address is not allowed",
                 ADDRESS(&n->pub.address), ADDRESS(&a->address), STRF(a->node));
        return false;
    }
    if (n->pub.state == MEMBERLIST_STATE_LEFT ||
        (n->pub.state == MEMBERLIST_STATE_DEAD && reclaim_ns > 0 &&
         s->now_ns - n->pub.state_changed_ns > reclaim_ns)) {
        swim_log(s, SWIM_LOG_INFO, "Updating address for left or failed node %.*s from %s to %s",
                 STRF(n->pub.name), ADDRESS(&n->pub.address), ADDRESS(&a->address));
        return true;
    }
    swim_log(s, SWIM_LOG_ERROR, "Conflicting address for %.*s. Mine: %s Theirs: %s Old state: %s",
             STRF(n->pub.name), ADDRESS(&n->pub.address), ADDRESS(&a->address),
             state_text(n->pub.state));
    if (s->delegate.conflict != NULL) {
        struct swim_member other = member_of(a);
        s->delegate.conflict(s->delegate_data, &n->pub, &other);
    }
    return false;
}

/* Of this agent, by others: right, or to be put right. The same incarnation with other contents is
 * one of before a restart. */
static bool is_own_view(const struct swim *s, const struct memberlist_alive *a)
{
    const struct swim_member *self = &s->self->pub;
    return a->incarnation == self->incarnation && str_eq(a->meta, self->meta) &&
           memcmp(a->vsn, self->vsn, MEMBERLIST_VSN_SIZE) == 0;
}

static void alive_take(struct swim *s, struct swim_node *n, const struct memberlist_alive *a)
{
    bool was_live = swim_node_is_live(n);
    bool is_updated = !str_eq(n->pub.meta, a->meta);
    note_alive(s, a);
    if (a->has_vsn) {
        memcpy(n->pub.vsn, a->vsn, MEMBERLIST_VSN_SIZE);
    }
    n->pub.incarnation = a->incarnation;
    n->pub.address = a->address;
    swim_node_set_meta(n, a->meta);
    if (n->pub.state != MEMBERLIST_STATE_ALIVE) {
        swim_node_set_state(s, n, MEMBERLIST_STATE_ALIVE);
    }
    s->stats.msg_alive++;
    if (!was_live && s->delegate.member_join != NULL) {
        s->delegate.member_join(s->delegate_data, &n->pub);
    } else if (was_live && is_updated && s->delegate.member_update != NULL) {
        s->delegate.member_update(s->delegate_data, &n->pub);
    }
}

void swim_on_alive(struct swim *s, const struct memberlist_alive *a, bool is_own)
{
    struct swim_node *n = swim_node_find(s, a->node);
    bool is_moved = false;
    if (n == s->self && s->is_leaving) {
        return; /* it would be a return */
    }
    if (!is_own && (!is_well_formed(s, a) || !is_agreed(s, a))) {
        return;
    }
    if (n == NULL) {
        n = alive_add(s, a);
        if (n == NULL) {
            return;
        }
    } else if (!gossip_address_eq(&n->pub.address, &a->address)) {
        if (!may_move(s, n, a)) {
            return;
        }
        is_moved = true;
    }
    if (n == s->self ? a->incarnation < n->pub.incarnation
                     : a->incarnation <= n->pub.incarnation && !is_moved) {
        return;
    }
    swim_suspicion_end(s, n);
    if (n == s->self && !is_own) {
        if (!is_own_view(s, a)) {
            refute(s, a->incarnation);
            swim_log(s, SWIM_LOG_WARN, "Refuting an alive message for '%.*s' (%s)", STRF(a->node),
                     ADDRESS(&a->address));
        }
        return;
    }
    alive_take(s, n, a);
}
