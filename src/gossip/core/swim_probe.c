/* Is it there? One member is probed each probe interval.
 *
 * The happy path: a ping, its ack within the probe timeout. Its round trip is told, and what the
 * ack carries.
 *
 * No ack by then (the datagram was lost, the member or this agent is slow, the path is broken):
 * some others are asked to ping it (and to say so, a nack, when they have no answer either), and it
 * is pinged over TCP. An ack by any way until the interval ends is good, but if TCP was the only
 * one, that is worth a warning. Otherwise the member is suspected. Who was asked and did not even
 * send a nack shows that it may be this agent that is deaf: its health gets worse, and with it its
 * probe interval longer.
 *
 * A nack is sent after four fifths of the probe timeout, as the paper has it. (memberlist sends it
 * at its end. That is when, with the usual settings, the one who asked has given up already, and
 * thinks ill of itself whenever another dies.) An ack is passed on even after that.
 *
 * A suspected member is told so in the ping: it can refute at once.
 *
 * Who is pinged by a member that he holds to be dead says so with his ack. So one that was declared
 * dead wrongly, or starts again with the incarnation in which it left, refutes it after its first
 * probe. (The reference leaves that to gossip to the dead, and for those that left to push/pull.)
 *
 * memberlist's state.go (probeNode), net.go (handleIndirectPing). Lifeguard, sections III and IV.
 */
#include "gossip/core/swim_internal.h"

#include "base/mem.h"

static void probe_end(struct swim *s);

static uint32_t seq_next(struct swim *s)
{
    s->seq++;
    return s->seq != 0 ? s->seq : ++s->seq; /* 0 is nobody's */
}

/* --- probes of ours --- */

static void probe_fail(struct swim *s)
{
    struct swim_probe *p = &s->probe;
    struct str name = p->node->pub.name;
    uint32_t missing = p->nacks_wanted - MIN(p->nacks, p->nacks_wanted);
    swim_health_change(s, p->nacks_wanted > 0 ? missing : 1);
    swim_log(s, SWIM_LOG_INFO, "Suspect %.*s has failed, no acks received", STRF(name));
    swim_on_suspect(s, &(struct memberlist_suspect){
                           .incarnation = p->incarnation, .node = name, .from = s->self->pub.name});
}

static void probe_deadline(struct swim *s, struct swim_timer *t)
{
    struct swim_probe *p = &s->probe;
    if (s->now_ns < s->spared_until_ns) {
        swim_timer_set(s, t, s->spared_until_ns, probe_deadline);
        return;
    }
    if (p->is_contacted) {
        swim_log(s, SWIM_LOG_WARN,
                 "Was able to connect to %.*s but other probes failed, network may be "
                 "misconfigured",
                 STRF(p->node->pub.name));
        swim_health_change(s, -1);
    } else {
        probe_fail(s);
    }
    probe_end(s);
}

static bool may_ask(const struct swim *s, const struct swim_node *n, const void *data)
{
    return n != s->self && n != data && n->pub.state == MEMBERLIST_STATE_ALIVE;
}

static void probe_ask_others(struct swim *s)
{
    struct swim_probe *p = &s->probe;
    struct memberlist_indirect_ping m = {.seq = p->seq,
                                         .target = p->node->pub.address,
                                         .node = p->node->pub.name,
                                         .source = s->address,
                                         .source_node = s->self->pub.name};
    swim_pick(s, s->config.indirect_checks, &s->picks, may_ask, p->node);
    for (size_t i = 0; i < s->picks.n; i++) {
        const struct swim_node *n = s->picks.v[i];
        m.nack = n->pub.vsn[1] >= 4;
        p->nacks_wanted += m.nack;
        swim_packet_begin(s);
        memberlist_indirect_ping_encode(&m, &s->out.messages);
        (void)swim_packet_send_message(s, &n->pub.address, true, swim_node_is_summed(n));
    }
}

static void probe_timeout(struct swim *s, struct swim_timer *t)
{
    struct swim_probe *p = &s->probe;
    const struct swim_node *n = p->node;
    swim_timer_set(s, t, p->deadline_ns, probe_deadline);
    swim_log(s, SWIM_LOG_DEBUG, "Failed ping: %.*s (timeout reached)", STRF(n->pub.name));
    probe_ask_others(s);
    if (!s->config.disable_tcp_pings && n->pub.vsn[1] >= 3) {
        p->stream =
            swim_stream_dial(s, SWIM_STREAM_PING, &n->pub.address, n->pub.name, p->deadline_ns);
        if (p->stream != NULL) {
            p->stream->seq = p->seq;
        }
    }
}

static void probe_begin(struct swim *s, struct swim_node *n)
{
    struct swim_probe *p = &s->probe;
    uint64_t interval_ns = s->config.probe_interval_ns * (s->health + 1);
    s->stats.degraded_probe += s->health > 0;
    *p = (struct swim_probe){.node = n,
                             .seq = seq_next(s),
                             .incarnation = n->pub.incarnation,
                             .sent_ns = s->now_ns,
                             .deadline_ns = s->now_ns + interval_ns};
    struct memberlist_ping ping = {
        .seq = p->seq, .node = n->pub.name, .source = s->address, .source_node = s->self->pub.name};
    swim_timer_set(s, &p->timer, s->now_ns + MIN(s->config.probe_timeout_ns, interval_ns),
                   probe_timeout);
    swim_packet_begin(s);
    memberlist_ping_encode(&ping, &s->out.messages);
    if (n->pub.state == MEMBERLIST_STATE_ALIVE) {
        (void)swim_packet_send_message(s, &n->pub.address, true, swim_node_is_summed(n));
    } else {
        swim_packet_part(s);
        memberlist_suspect_encode(&(struct memberlist_suspect){.incarnation = n->pub.incarnation,
                                                               .node = n->pub.name,
                                                               .from = s->self->pub.name},
                                  &s->out.messages);
        swim_packet_part(s);
        (void)swim_packet_send(s, &n->pub.address, true, swim_node_is_summed(n));
    }
}

/* The next one in the ring. Each is looked at once, then there is nobody. */
static void probe_next(struct swim *s)
{
    size_t looked = 0;
    while (looked < s->ring.n) {
        if (s->probe_place >= s->ring.n) {
            swim_ring_renew(s);
            s->probe_place = 0;
            looked++;
            continue;
        }
        struct swim_node *n = s->ring.v[s->probe_place++];
        if (n != s->self && swim_node_is_live(n)) {
            probe_begin(s, n);
            return;
        }
        looked++;
    }
}

static void probe_end(struct swim *s)
{
    struct swim_probe *p = &s->probe;
    swim_timer_stop(s, &p->timer);
    p->node = NULL;
    if (p->stream != NULL) {
        swim_stream_end(p->stream);
    }
    if (s->is_probe_due) {
        s->is_probe_due = false;
        probe_next(s);
    }
}

/* One that takes longer than the interval, in ill health, is waited for. */
static void probe_fire(struct swim *s, struct swim_timer *t)
{
    uint64_t interval_ns = s->config.probe_interval_ns;
    uint64_t late_ns = (s->now_ns - t->at_ns) / interval_ns * interval_ns;
    swim_timer_set(s, t, t->at_ns + late_ns + interval_ns, probe_fire);
    if (s->probe.node != NULL) {
        s->is_probe_due = true;
    } else {
        probe_next(s);
    }
}

void swim_probe_start(struct swim *s)
{
    uint64_t interval_ns = s->config.probe_interval_ns;
    if (interval_ns > 0) {
        swim_timer_set(s, &s->probe_timer, s->now_ns + 1 + rng_below(s->rng, interval_ns),
                       probe_fire);
    }
}

void swim_probe_stop(struct swim *s)
{
    swim_timer_stop(s, &s->probe_timer);
    s->is_probe_due = false;
    if (s->probe.node != NULL) {
        probe_end(s);
    }
    for (size_t i = 0; s->relays != NULL && i < SWIM_RELAYS_MAX; i++) {
        swim_timer_stop(s, &s->relays[i].timer);
        s->relays[i].seq = 0;
    }
}

/* --- those of others --- */

/* Where an answer goes: to whom it says, or where it came from. */
static const struct gossip_address *answer_to(const struct gossip_address *source,
                                              const struct gossip_address *from)
{
    return source->size > 0 && source->port > 0 ? source : from;
}

/* Who is held to be dead, or to have left, and asks: it shall know, to refute it. */
static void tell_dead(struct swim *s, const struct swim_node *n)
{
    struct memberlist_suspect m = {
        .incarnation = n->pub.incarnation,
        .node = n->pub.name,
        .from = n->pub.state == MEMBERLIST_STATE_LEFT ? n->pub.name : s->self->pub.name};
    memberlist_dead_encode(&m, &s->out.messages);
}

void swim_on_ping(struct swim *s, const struct memberlist_ping *m,
                  const struct gossip_address *from)
{
    if (m->node.n > 0 && !str_eq(m->node, s->self->pub.name)) {
        swim_log(s, SWIM_LOG_WARN, "Got ping for unexpected node '%.*s' from=%s",
                 STRF(str_first(m->node, MEMBERLIST_NAME_SIZE_MAX)), ADDRESS(from));
        return;
    }
    struct memberlist_ack ack = {.seq = m->seq};
    if (s->delegate.ack_payload != NULL) {
        buf_clear(&s->note);
        s->delegate.ack_payload(s->delegate_data, &s->note);
        ack.payload = s->note.n > 0 ? buf_view(&s->note) : STR_NULL;
    }
    const struct swim_node *asker = swim_node_find(s, m->source_node);
    swim_packet_begin(s);
    memberlist_ack_encode(&ack, &s->out.messages);
    if (asker != NULL && !swim_node_is_live(asker) &&
        gossip_address_eq(&asker->pub.address, &m->source)) {
        swim_packet_part(s);
        tell_dead(s, asker);
    }
    if (!swim_packet_send_message(s, answer_to(&m->source, from), m->source_node.n > 0,
                                  swim_node_is_summed(asker))) {
        swim_log(s, SWIM_LOG_ERROR, "Failed to send ack: " SWIM_NO_NAME " from=%s", ADDRESS(from));
    }
}

static struct swim_relay *relay_of(const struct swim *s, uint32_t seq)
{
    return s->relays != NULL ? &s->relays[seq % SWIM_RELAYS_MAX] : NULL;
}

static void relay_end(struct swim *s, struct swim_relay *r)
{
    swim_timer_stop(s, &r->timer);
    r->seq = 0;
}

static void relay_timeout(struct swim *s, struct swim_timer *t)
{
    relay_end(s, container_of(t, struct swim_relay, timer));
}

/* No answer so far: say so, and wait on. */
static void relay_nack(struct swim *s, struct swim_timer *t)
{
    struct swim_relay *r = container_of(t, struct swim_relay, timer);
    swim_timer_set(s, t, r->end_ns, relay_timeout);
    swim_packet_begin(s);
    memberlist_nack_encode(r->asked_seq, &s->out.messages);
    if (!swim_packet_send_message(s, &r->to, r->is_named, r->is_summed)) {
        swim_log(s, SWIM_LOG_ERROR, "Failed to send nack: " SWIM_NO_NAME " from=%s",
                 ADDRESS(&r->to));
    }
}

void swim_on_indirect_ping(struct swim *s, const struct memberlist_indirect_ping *m,
                           const struct gossip_address *from)
{
    struct gossip_address target = m->target;
    uint32_t seq = seq_next(s);
    if (target.port == 0) {
        target.port = s->address.port; /* of the first version of the protocol */
    }
    if (s->relays == NULL) {
        s->relays = xcalloc(SWIM_RELAYS_MAX, sizeof(*s->relays));
    }
    struct swim_relay *r = relay_of(s, seq);
    if (r->seq != 0) {
        swim_log(s, SWIM_LOG_WARN, "Too many indirect pings under way, dropping one from=%s",
                 ADDRESS(from));
        return;
    }
    r->seq = seq;
    r->asked_seq = m->seq;
    r->to = *answer_to(&m->source, from);
    r->is_named = m->source_node.n > 0;
    r->is_summed = swim_node_is_summed(swim_node_find(s, m->source_node));
    r->end_ns = s->now_ns + s->config.probe_timeout_ns;
    if (m->nack) {
        swim_timer_set(s, &r->timer, s->now_ns + s->config.probe_timeout_ns / 5 * 4, relay_nack);
    } else {
        swim_timer_set(s, &r->timer, r->end_ns, relay_timeout);
    }
    struct memberlist_ping ping = {
        .seq = seq, .node = m->node, .source = s->address, .source_node = s->self->pub.name};
    swim_packet_begin(s);
    memberlist_ping_encode(&ping, &s->out.messages);
    if (!swim_packet_send_message(s, &target, m->node.n > 0,
                                  swim_node_is_summed(swim_node_find(s, m->node)))) {
        swim_log(s, SWIM_LOG_ERROR, "Failed to send indirect ping: " SWIM_NO_NAME " from=%s",
                 ADDRESS(from));
    }
}

/* --- answers --- */

static void probe_acked(struct swim *s, const struct memberlist_ack *m)
{
    struct swim_probe *p = &s->probe;
    const struct swim_node *n = p->node;
    uint64_t rtt_ns = s->now_ns - p->sent_ns;
    /* Later, it may be the answer to another's ping. */
    bool is_direct = p->timer.fire == probe_timeout && rtt_ns <= s->config.probe_timeout_ns;
    swim_health_change(s, -1);
    p->seq = 0;
    if (is_direct && s->delegate.ping_complete != NULL) {
        s->delegate.ping_complete(s->delegate_data, &n->pub, rtt_ns, m->payload);
    }
    probe_end(s);
}

void swim_on_ack(struct swim *s, const struct memberlist_ack *m)
{
    struct swim_relay *r = relay_of(s, m->seq);
    if (s->probe.node != NULL && m->seq == s->probe.seq) {
        probe_acked(s, m);
    } else if (r != NULL && m->seq != 0 && r->seq == m->seq) {
        relay_end(s, r);
        swim_packet_begin(s);
        memberlist_ack_encode(&(struct memberlist_ack){.seq = r->asked_seq}, &s->out.messages);
        if (!swim_packet_send_message(s, &r->to, r->is_named, r->is_summed)) {
            swim_log(s, SWIM_LOG_ERROR, "Failed to forward ack: " SWIM_NO_NAME " from=%s",
                     ADDRESS(&r->to));
        }
    }
}

void swim_on_nack(struct swim *s, uint32_t seq)
{
    if (s->probe.node != NULL && seq == s->probe.seq) {
        s->probe.nacks++;
    }
}
