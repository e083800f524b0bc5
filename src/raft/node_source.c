/* Sending the newest snapshot to a server that needs entries the log has no more.
 *
 * A source is opened and read on a thread of its own (RAFT_LANE_READ), one piece at a time, as the
 * transport asks for them; several take turns. When no stored snapshot reaches the log's first
 * entry (in memory none is kept) one is asked for, and the server counts as unreachable until then:
 * the core comes back to it. */
#include "base/log.h"
#include "base/mem.h"
#include "raft/node.h"

#include <errno.h>

enum source_state {
    SOURCE_OPENING, /* wants to be opened */
    SOURCE_IDLE,
    SOURCE_WANTED,  /* a piece is */
    SOURCE_DROPPED, /* nobody wants it any more; freed when its job is back */
};

struct node_source {
    struct raft_snapshot_source base; /* first: what the transport has */
    struct list node;
    struct raft_job job;
    struct raft *raft;
    enum source_state state;
    char id[RAFT_NAME_SIZE_MAX + 1], address[RAFT_NAME_SIZE_MAX + 1];
    struct raft_msg msg;
    uint64_t first_index; /* of the log: the snapshot must reach up to it */
    struct raft_snapshot_reader *reader;
    void (*piece)(struct raft_snapshot_source *s, struct str bytes, int code);
    ptrdiff_t result;
    struct err err;
    char bytes[RAFT_SNAPSHOT_PIECE_SIZE_MAX];
};

static void source_destroy(struct node_source *s)
{
    list_remove(&s->node);
    raft_snapshot_reader_free(s->reader);
    mem_free(s);
}

/* --- on the reading thread --- */

static int source_open(struct node_source *s)
{
    struct raft_snapshots *store = s->raft->snapshots;
    struct raft_snapshot_meta *meta = xcalloc(1, sizeof(*meta));
    int k = raft_snapshots_list(store, meta, 1, &s->err);
    if (k >= 0 && (k == 0 || meta->index + 1 < s->first_index)) {
        k = -ERR_NOT_FOUND;
    }
    k = k < 0 ? k : raft_snapshot_reader_open(store, meta, &s->reader, &s->err);
    if (k == 0) {
        s->base.size = meta->size;
        s->msg.install.index = meta->index;
        s->msg.install.term = meta->term;
        s->msg.install.configuration = meta->configuration;
        s->msg.install.configuration_index = meta->configuration_index;
    }
    mem_free(meta);
    return k;
}

static void source_run(struct raft_job *job)
{
    struct node_source *s = container_of(job, struct node_source, job);
    err_clear(&s->err);
    s->result = s->reader == NULL
                    ? source_open(s)
                    : raft_snapshot_reader_next(s->reader, s->bytes, sizeof(s->bytes), &s->err);
}

/* --- the transport's side --- */

static void source_next(struct raft_snapshot_source *base,
                        void (*piece)(struct raft_snapshot_source *s, struct str bytes, int code))
{
    struct node_source *s = (struct node_source *)base;
    ASSERT(s->state == SOURCE_IDLE);
    s->state = SOURCE_WANTED;
    s->piece = piece;
    node_wake(s->raft);
}

static struct raft_snapshot_source *source_free(struct raft_snapshot_source *base)
{
    struct node_source *s = (struct node_source *)base;
    s->state = SOURCE_DROPPED;
    if (s->raft->reading != s) {
        source_destroy(s);
    }
    return NULL;
}

static const struct raft_snapshot_source_ops source_ops = {
    .next = source_next,
    .free = source_free,
};

/* --- the node's side --- */

void node_send_snapshot(struct raft *r, const struct raft_core_output *o)
{
    struct node_source *s = xcalloc(1, sizeof(*s));
    s->base.ops = &source_ops;
    s->raft = r;
    s->state = SOURCE_OPENING;
    s->job.run = source_run;
    memcpy(s->id, o->server.p, MIN(o->server.n, sizeof(s->id) - 1));
    memcpy(s->address, o->address.p, MIN(o->address.n, sizeof(s->address) - 1));
    s->msg = o->msg;
    s->msg.install.leader = str_from_cstr(r->address);
    s->first_index = raft_log_first_index(r->log);
    node_stage_lost(r, o->server); /* they would go the same way */
    list_push_back(&r->sources, &s->node);
    node_wake(r);
}

static void source_opened(struct raft *r, struct node_source *s)
{
    if (s->result < 0) {
        if (s->result == -ERR_NOT_FOUND) {
            r->snapshot_wanted = true;
        } else {
            log_write(LOG_ERROR, LOG_MODULE, "failed to open snapshot", LOG_CSTR("peer", s->id),
                      LOG_CSTR("error", err_text(&s->err)));
        }
        node_unreachable_soon(r, str_from_cstr(s->id));
        source_destroy(s);
        return;
    }
    s->state = SOURCE_IDLE;
    s->msg.install.stage = node_stage_use(r, str_from_cstr(s->id), s->msg.install.index);
    if (s->msg.install.stage != 0) {
        s->base.size = 0; /* it has it */
    }
    log_write(LOG_INFO, LOG_MODULE, "sending snapshot", LOG_CSTR("peer", s->id),
              LOG_UINT("index", s->msg.install.index), LOG_UINT("size", s->base.size));
    r->transport->ops->send_snapshot(r->transport, str_from_cstr(s->id), str_from_cstr(s->address),
                                     &s->msg, &s->base);
}

static void source_done(struct raft *r, struct node_source *s)
{
    r->env->ops->finish(r->env, &s->job);
    r->reading = NULL;
    switch (s->state) {
    case SOURCE_OPENING:
        source_opened(r, s);
        break;
    case SOURCE_WANTED:
        s->state = SOURCE_IDLE;
        s->piece(&s->base, str_make(s->bytes, (size_t)MAX(s->result, (ptrdiff_t)0)),
                 s->result < 0 ? (int)s->result : 0);
        break;
    case SOURCE_IDLE:
    case SOURCE_DROPPED:
        source_destroy(s);
        break;
    }
}

bool node_sources(struct raft *r)
{
    bool progress = false;
    if (r->reading != NULL && raft_job_is_done(&r->reading->job)) {
        source_done(r, r->reading);
        progress = true;
    }
    for (struct list *at = r->sources.next; at != &r->sources && r->reading == NULL;
         at = at->next) {
        struct node_source *s = list_entry(at, struct node_source, node);
        if (s->state != SOURCE_OPENING && s->state != SOURCE_WANTED) {
            continue;
        }
        list_remove(&s->node);
        list_push_back(&r->sources, &s->node); /* the others are next */
        r->reading = s;
        if (r->env->ops->job(r->env, r, RAFT_LANE_READ, &s->job) < 0) {
            s->result = -EAGAIN;
            atomic_store(&s->job.state, RAFT_JOB_DONE);
        }
        return true;
    }
    return progress;
}

void node_sources_stop(struct raft *r)
{
    if (r->reading != NULL) {
        struct node_source *s = r->reading;
        r->env->ops->finish(r->env, &s->job);
        r->reading = NULL;
        s->state = s->state == SOURCE_WANTED ? SOURCE_IDLE : s->state;
    }
    for (struct list *at = r->sources.next, *next; at != &r->sources; at = next) {
        struct node_source *s = list_entry(at, struct node_source, node);
        next = at->next;
        if (s->state == SOURCE_OPENING || s->state == SOURCE_DROPPED) {
            source_destroy(s); /* the others are the transport's to free */
        }
    }
}
