/* Opening a node: the newest good snapshot, the log behind it, the configuration, and whether all
 * of it fits together. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "raft/node.h"

#include <inttypes.h>

#define MEMORY_SEGMENT_SIZE (1024u * 1024u)

static void configuration_found(struct raft *r, uint64_t index, const struct raft_configuration *c)
{
    if (r->configuration.count > 0) {
        r->committed = r->configuration; /* a next one was made, so the one before was committed */
        r->committed_index = r->configuration_index;
    }
    node_configuration_set(r, index, c);
}

/* The configuration is the last such entry of the log (or the snapshot's, which is set before). */
static int find_configuration(struct raft *r, struct err *err)
{
    uint64_t index = raft_log_first_index(r->log), last = raft_log_last_index(r->log);
    index = MAX(index, r->configuration_index + 1); /* older ones may be kept behind a snapshot */
    while (index <= last) {
        int n = raft_log_read(r->log, index, APPLY_BATCH_MAX, APPLY_READ_SIZE_MAX, r->entries, err);
        if (n < 0) {
            return n;
        }
        for (int i = 0; i < n; i++) {
            const struct raft_entry *e = &r->entries[i];
            struct raft_configuration c;
            if (e->type != RAFT_ENTRY_CONFIGURATION) {
                continue;
            }
            int k = raft_configuration_decode(e->data, &c, err);
            if (k < 0) {
                return err_wrap(err, "entry %llu", (unsigned long long)e->index);
            }
            configuration_found(r, e->index, &c);
        }
        index += (uint64_t)n;
    }
    return 0;
}

int node_bootstrap(struct raft *r, const struct raft_configuration *c, struct err *err)
{
    int k = raft_configuration_check(c, err);
    if (k < 0) {
        return k;
    }
    struct buf bytes = {0};
    raft_configuration_encode(c, &bytes);
    struct raft_entry e = {.index = 1,
                           .term = 1,
                           .type = RAFT_ENTRY_CONFIGURATION,
                           .appended_ns = r->env->ops->wall_ns(r->env),
                           .data = buf_view(&bytes)};
    k = raft_log_append_sync(r->log, &e, err);
    buf_deinit(&bytes);
    if (k == 0) {
        configuration_found(r, 1, c);
    }
    return k;
}

static int bootstrap_alone(struct raft *r, struct err *err)
{
    struct raft_configuration c = {0};
    int k = raft_configuration_add(&c, RAFT_VOTER, str_from_cstr(r->id), str_from_cstr(r->address),
                                   err);
    return k < 0 ? k : node_bootstrap(r, &c, err);
}

/* The newest snapshot that can be read and restored. */
static int restore_newest(struct raft *r, struct err *err)
{
    struct raft_snapshot_meta *metas = xcalloc(RAFT_SNAPSHOTS_KEPT + 2, sizeof(*metas));
    int n = raft_snapshots_list(r->snapshots, metas, RAFT_SNAPSHOTS_KEPT + 2, err);
    int k = n < 0 ? n : 0;
    for (int i = 0; i < n; i++) {
        struct str bytes = STR_NULL;
        void *state = NULL;
        k = raft_snapshot_read(r->snapshots, &metas[i], &bytes, err);
        if (k == 0) {
            k = node_state_new(r, bytes, &state, err);
            mem_free((void *)bytes.p);
        }
        if (k == 0) {
            r->ops->state_take(r->fsm, state);
            r->snapshot_index = r->commit_index = r->applied_index = metas[i].index;
            r->snapshot_term = metas[i].term;
            node_configuration_set(r, metas[i].configuration_index, &metas[i].configuration);
            r->committed = metas[i].configuration;
            r->committed_index = metas[i].configuration_index;
            log_write(LOG_INFO, LOG_MODULE, "restored from snapshot", LOG_CSTR("id", metas[i].id));
            break;
        }
        log_write(LOG_ERROR, LOG_MODULE, "failed to restore snapshot", LOG_CSTR("id", metas[i].id),
                  LOG_CSTR("error", err_text(err)));
    }
    mem_free(metas);
    return k < 0 ? err_wrap(err, "raft: none of the snapshots can be restored") : 0;
}

/* The log must continue where the snapshot ends, or begin no later. */
static int join_log(struct raft *r, const char *dir, struct err *err)
{
    uint64_t first = raft_log_first_index(r->log), last = raft_log_last_index(r->log);
    uint64_t term = raft_log_term(r->log, r->snapshot_index);
    if (last < r->snapshot_index || (term != 0 && term != r->snapshot_term)) {
        /* A snapshot that came from the leader, and a crash before the log was cleared. */
        return raft_log_reset(r->log, r->snapshot_index + 1, err);
    }
    if (first > r->snapshot_index + 1) {
        return err_set(err, ERR_CORRUPT,
                       "raft: the log in %s begins at entry %" PRIu64
                       ", but the snapshot that could "
                       "be restored ends at %" PRIu64 ". If this server has peers, remove its data "
                       "directory and let it join them again; else restore a backup",
                       dir, first, r->snapshot_index);
    }
    return 0;
}

/* Every entry of the log, for good: whoever recovers a cluster has nobody else to ask. */
static int apply_all(struct raft *r, struct err *err)
{
    uint64_t last = raft_log_last_index(r->log);
    while (r->applied_index < last) {
        int n = raft_log_read(r->log, r->applied_index + 1, APPLY_BATCH_MAX, APPLY_READ_SIZE_MAX,
                              r->entries, err);
        if (n < 0) {
            return n;
        }
        for (int i = 0; i < n; i++) {
            const struct raft_entry *e = &r->entries[i];
            int k = e->type != RAFT_ENTRY_COMMAND
                        ? 0
                        : r->ops->apply(r->fsm, e->index, e->term, e->data, e->extensions, NULL);
            if (k < 0) {
                return err_set(err, -k, "raft: cannot apply entry %llu: %s",
                               (unsigned long long)e->index, err_code_text(-k));
            }
            r->applied_index = e->index;
        }
        node_batch_end(r);
    }
    return 0;
}

/* Another configuration by hand (peers.json). As HashiCorp's RecoverCluster: everything in the log
 * counts as committed, and a snapshot of that with the new configuration takes its place. A
 * configuration entry would not do: on servers whose logs differ it would stand at the same index
 * and term behind different entries. */
static int recover(struct raft *r, const struct raft_configuration *c, struct err *err)
{
    uint64_t last = raft_log_last_index(r->log), term = raft_log_term(r->log, last);
    int k = raft_configuration_check(c, err);
    if (k == 0 && last == 0 && r->snapshot_index == 0) {
        k = err_set(
            err, ERR_NOT_FOUND,
            "refused to recover cluster with no initial state, this is probably an operator "
            "error");
    }
    k = k < 0 ? k : apply_all(r, err);
    if (k < 0) {
        return k;
    }
    struct raft_snapshot_meta *meta = xcalloc(1, sizeof(*meta));
    struct raft_snapshot_sink *sink = NULL;
    meta->index = MAX(last, r->snapshot_index);
    meta->term = term != 0 ? term : r->snapshot_term;
    meta->configuration = *c;
    meta->configuration_index = meta->index;
    void *handle = r->ops->snapshot_begin(r->fsm, meta->index);
    k = raft_snapshot_create(r->snapshots, meta, (uint64_t)r->env->ops->wall_ns(r->env) / NS_PER_MS,
                             &sink, err);
    k = k < 0 ? k : r->ops->snapshot_write(handle, sink, err);
    if (k < 0) {
        raft_snapshot_cancel(sink);
    } else {
        k = raft_snapshot_close(sink, NULL, err);
    }
    r->ops->snapshot_end(handle);
    k = k < 0 ? k : raft_log_reset(r->log, meta->index + 1, err);
    if (k == 0) {
        r->snapshot_index = r->commit_index = meta->index;
        r->snapshot_term = meta->term;
        r->committed = *c;
        r->committed_index = meta->index;
        node_configuration_set(r, meta->index, c);
        log_write(LOG_INFO, LOG_MODULE, "recovered with another configuration",
                  LOG_UINT("servers", c->count), LOG_UINT("index", meta->index));
    }
    mem_free(meta);
    return k;
}

static int check_commit_index(struct raft *r, const char *data_dir, struct err *err)
{
    const struct raft_stable_state *state = raft_stable_get(r->stable);
    uint64_t last = raft_log_last_index(r->log); /* not below the snapshot's */
    if (last >= state->commit_index) {
        return 0;
    }
    return err_set(err, ERR_CORRUPT,
                   "raft: entry %llu was committed, but log and snapshot in %s end at %llu: "
                   "files are missing or were cut. If this server has peers, remove its data "
                   "directory and let it join them again; else restore a backup, or remove "
                   "the file \"state\" there to go on without the missing entries",
                   (unsigned long long)state->commit_index, data_dir, (unsigned long long)last);
}

int node_open(struct raft *r, const struct raft_options *o, struct err *err)
{
    const char *data_dir = o->in_memory ? "memory" : o->data_dir;
    char log_dir[RAFT_PATH_SIZE_MAX];
    int k = raft_io_path(log_dir, data_dir, "log");
    if (k < 0) {
        return err_from_errno(err, k, data_dir);
    }
    struct raft_log_options log_options = {.io = r->io,
                                           .dir = log_dir,
                                           .segment_size = o->log_segment_size,
                                           .salt_seed = o->salt_seed};
    if (o->in_memory) {
        log_options.segment_size =
            o->log_segment_size != 0 ? o->log_segment_size : MEMORY_SEGMENT_SIZE;
        log_options.cache_size_max = 1; /* the files are memory already */
    }
    k = raft_log_open(&log_options, &r->log, err); /* makes data_dir, too */
    k = k < 0 ? k : raft_stable_open(r->io, data_dir, &r->stable, err);
    k = k < 0 ? k : raft_snapshots_open(r->io, data_dir, &r->snapshots, err);
    k = k < 0 ? k : restore_newest(r, err);
    k = k < 0 ? k : join_log(r, log_dir, err);
    k = k < 0 ? k : check_commit_index(r, data_dir, err);
    k = k < 0 ? k : find_configuration(r, err);
    if (k == 0 && o->recover != NULL) {
        k = recover(r, o->recover, err);
    }
    bool is_empty = k == 0 && r->configuration.count == 0 && raft_log_last_index(r->log) == 0;
    if (is_empty && o->bootstrap) {
        k = bootstrap_alone(r, err);
    }
    return k;
}
