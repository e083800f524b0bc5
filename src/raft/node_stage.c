/* Giving the others, in advance, the state that is about to take the place of everything
 * (node_restore.c): then the switch takes them as long as a sync, and not as long as receiving and
 * making it.
 *
 * Each server that is no more than a little behind is sent the bytes, as an INSTALL that is to be
 * kept (install.pre), under a number of this restore. Those that say they have it are sent the
 * number in the place of the bytes when the INSTALL is due. It is no more than an attempt: who does
 * not know it (a server of the reference hangs up), fails or is slow gets the snapshot whole,
 * later.
 *
 * Slow is who takes twice as long as the majority did, and a second more. */
#include "base/log.h"
#include "base/mem.h"
#include "raft/node.h"

#define STAGES_MS_MAX 300000u
#define STAGES_GRACE_MS 1000u

enum stage_state {
    STAGE_SENDING,
    STAGE_SENT, /* its answer is to come */
    STAGE_READY,
    STAGE_FAILED, /* or made use of */
};

struct node_stage {
    struct raft_snapshot_source base; /* first: what the transport has */
    struct list node;                 /* of r->stages */
    struct raft *raft;                /* NULL: over; freed with the source */
    bool has_source;                  /* the transport has it */
    enum stage_state state;
    char id[RAFT_NAME_SIZE_MAX + 1], address[RAFT_NAME_SIZE_MAX + 1];
    size_t at;
};

/* --- the transport's side --- */

static void stage_next(struct raft_snapshot_source *base,
                       void (*piece)(struct raft_snapshot_source *s, struct str bytes, int code))
{
    struct node_stage *s = (struct node_stage *)base;
    if (s->raft == NULL || s->state != STAGE_SENDING) {
        piece(base, STR_NULL, -ERR_CLOSED);
        return;
    }
    struct str bytes =
        str_first(str_from(s->raft->stage_bytes, s->at), RAFT_SNAPSHOT_PIECE_SIZE_MAX);
    s->at += bytes.n;
    piece(base, bytes, 0);
}

static struct raft_snapshot_source *stage_free(struct raft_snapshot_source *base)
{
    struct node_stage *s = (struct node_stage *)base;
    s->has_source = false;
    if (s->raft == NULL) {
        mem_free(s);
        return NULL;
    }
    if (s->state == STAGE_SENDING) {
        s->state = s->at == s->raft->stage_bytes.n ? STAGE_SENT : STAGE_FAILED;
    }
    node_wake(s->raft);
    return NULL;
}

static const struct raft_snapshot_source_ops stage_ops = {
    .next = stage_next,
    .free = stage_free,
};

/* --- the node's side --- */

static struct node_stage *stage_find(struct raft *r, struct str id)
{
    list_for_each (node, &r->stages) {
        struct node_stage *s = list_entry(node, struct node_stage, node);
        if (str_eq(str_from_cstr(s->id), id)) {
            return s;
        }
    }
    return NULL;
}

static bool is_snapshotting(const struct raft *r, struct str id)
{
    struct raft_peer_status p;
    for (size_t i = 0; raft_core_peer(r->core, i, &p); i++) {
        if (str_eq(p.id, id)) {
            return p.is_snapshotting;
        }
    }
    return true; /* not known yet */
}

static void stage_send(struct raft *r, const struct raft_server *server)
{
    struct node_stage *s = xcalloc(1, sizeof(*s));
    s->base.ops = &stage_ops;
    s->base.size = r->stage_bytes.n;
    s->raft = r;
    s->has_source = true;
    memcpy(s->id, server->id, sizeof(s->id));
    memcpy(s->address, server->address, sizeof(s->address));
    list_push_back(&r->stages, &s->node);
    const struct raft_msg msg = {.kind = RAFT_MSG_INSTALL,
                                 .term = raft_core_term(r->core),
                                 .token = r->stage,
                                 .install = {.leader = str_from_cstr(r->address),
                                             .pre = true,
                                             .stage = r->stage,
                                             .configuration = r->configuration,
                                             .configuration_index = r->configuration_index}};
    r->transport->ops->send_snapshot(r->transport, str_from_cstr(s->id), str_from_cstr(s->address),
                                     &msg, &s->base);
}

void node_stages_begin(struct raft *r, struct str bytes)
{
    ASSERT(list_is_empty(&r->stages));
    r->stage = r->env->ops->random(r->env) | 1;
    r->stage_bytes = bytes;
    r->stage_index = 0;
    r->stage_began_ms = node_now_ms(r);
    r->stage_until_ms = r->stage_began_ms + STAGES_MS_MAX;
    r->stage_has_majority = false;
    for (uint32_t i = 0; i < r->configuration.count; i++) {
        const struct raft_server *server = &r->configuration.servers[i];
        if (r->transport != NULL && strcmp(server->id, r->id) != 0 &&
            !is_snapshotting(r, str_from_cstr(server->id))) {
            stage_send(r, server);
        }
    }
}

bool node_stages_are_done(struct raft *r)
{
    bool is_waiting = false;
    uint32_t ready = raft_configuration_is_voter(&r->configuration, str_from_cstr(r->id));
    list_for_each (node, &r->stages) {
        const struct node_stage *s = list_entry(node, struct node_stage, node);
        is_waiting |= s->state == STAGE_SENDING || s->state == STAGE_SENT;
        ready += s->state == STAGE_READY &&
                 raft_configuration_is_voter(&r->configuration, str_from_cstr(s->id));
    }
    uint64_t now_ms = node_now_ms(r);
    if (!r->stage_has_majority && ready > raft_configuration_voters(&r->configuration) / 2) {
        r->stage_has_majority = true;
        r->stage_until_ms = now_ms + (now_ms - r->stage_began_ms) + STAGES_GRACE_MS;
    }
    return !is_waiting || now_ms >= r->stage_until_ms;
}

void node_stages_settle(struct raft *r, uint64_t index)
{
    r->stage_index = index;
}

uint64_t node_stage_use(struct raft *r, struct str id, uint64_t index)
{
    struct node_stage *s = stage_find(r, id);
    if (s == NULL || s->state != STAGE_READY || r->stage_index != index) {
        return 0;
    }
    s->state = STAGE_FAILED; /* if that does not do, it is sent whole */
    return r->stage;
}

void node_stage_lost(struct raft *r, struct str id)
{
    struct node_stage *s = stage_find(r, id);
    if (s != NULL && (s->state == STAGE_SENDING || s->state == STAGE_SENT)) {
        s->state = STAGE_FAILED;
        node_wake(r);
    }
}

void node_stage_result(struct raft *r, struct str id, const struct raft_msg *msg)
{
    struct node_stage *s = stage_find(r, id);
    if (s != NULL && msg->token == r->stage && s->state != STAGE_FAILED) {
        s->state = msg->install_result.success ? STAGE_READY : STAGE_FAILED;
        node_wake(r);
    }
}

void node_stages_end(struct raft *r)
{
    for (struct list *node; (node = list_pop_front(&r->stages)) != NULL;) {
        struct node_stage *s = list_entry(node, struct node_stage, node);
        s->raft = NULL;
        if (!s->has_source) {
            mem_free(s);
        }
    }
    r->stage_bytes = STR_NULL;
    r->stage_index = 0;
}
