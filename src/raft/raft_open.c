/* Opening a node: the newest good snapshot, the log behind it, the configuration, and whether all
 * of it fits together. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "raft/node.h"

#include <inttypes.h>

#define MEMORY_SEGMENT_SIZE (1024u * 1024u)

void node_configuration_set(struct raft *r, uint64_t index, const struct raft_configuration *c)
{
    pthread_mutex_lock(&r->configuration_lock);
    r->configuration = *c;
    r->configuration_index = index;
    pthread_mutex_unlock(&r->configuration_lock);
}

/* The configuration is the last such entry of the log (or the snapshot's, which is set before). */
static int node_find_configuration(struct raft *r, struct err *err)
{
    uint64_t index = raft_log_first_index(r->log), last = raft_log_last_index(r->log);
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
            node_configuration_set(r, e->index, &c);
        }
        index += (uint64_t)n;
    }
    return 0;
}

static int node_bootstrap(struct raft *r, struct err *err)
{
    struct raft_configuration c = {0};
    int k = raft_configuration_add(&c, RAFT_VOTER, str_from_cstr(r->id), str_from_cstr(r->address),
                                   err);
    k = k < 0 ? k : raft_configuration_check(&c, err);
    if (k < 0) {
        return k;
    }
    struct buf bytes = {0};
    raft_configuration_encode(&c, &bytes);
    struct raft_entry e = {.index = 1,
                           .term = 1,
                           .type = RAFT_ENTRY_CONFIGURATION,
                           .appended_ns = clock_wall_ns(),
                           .data = buf_view(&bytes)};
    k = raft_log_append_sync(r->log, &e, err);
    buf_deinit(&bytes);
    if (k == 0) {
        r->term = 1;
        node_configuration_set(r, 1, &c);
    }
    return k;
}

/* The newest snapshot that can be read and restored. */
static int node_restore(struct raft *r, struct err *err)
{
    struct raft_snapshot_meta *metas = xcalloc(RAFT_SNAPSHOTS_KEPT + 2, sizeof(*metas));
    int n = raft_snapshots_list(r->snapshots, metas, RAFT_SNAPSHOTS_KEPT + 2, err);
    int k = n < 0 ? n : 0;
    for (int i = 0; i < n; i++) {
        struct str bytes = STR_NULL;
        k = raft_snapshot_read(r->snapshots, &metas[i], &bytes, err);
        if (k == 0) {
            k = r->ops->restore(r->fsm, bytes, err);
            mem_free((void *)bytes.p);
        }
        if (k == 0) {
            r->snapshot_index = r->commit_index = r->applied_index = metas[i].index;
            r->snapshot_term = metas[i].term;
            node_configuration_set(r, metas[i].configuration_index, &metas[i].configuration);
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
static int node_join_log(struct raft *r, const char *dir, struct err *err)
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

int node_open(struct raft *r, const struct raft_options *o, struct err *err)
{
    const char *data_dir = o->in_memory ? "memory" : o->data_dir;
    char log_dir[RAFT_PATH_SIZE_MAX];
    int k = raft_io_path(log_dir, data_dir, "log");
    if (k < 0) {
        return err_from_errno(err, k, data_dir);
    }
    struct raft_log_options log_options = {.io = r->io, .dir = log_dir};
    if (o->in_memory) {
        log_options.segment_size = MEMORY_SEGMENT_SIZE;
        log_options.cache_size_max = 1; /* the files are memory already */
    }
    k = raft_log_open(&log_options, &r->log, err); /* makes data_dir, too */
    k = k < 0 ? k : raft_stable_open(r->io, data_dir, &r->stable, err);
    if (k == 0 && !o->in_memory) {
        k = raft_snapshots_open(r->io, data_dir, &r->snapshots, err);
        k = k < 0 ? k : node_restore(r, err);
        k = k < 0 ? k : node_join_log(r, log_dir, err);
    }
    if (k < 0) {
        return k;
    }
    const struct raft_stable_state *state = raft_stable_get(r->stable);
    uint64_t last = raft_log_last_index(r->log); /* not below the snapshot's */
    if (last < state->commit_index) {
        return err_set(err, ERR_CORRUPT,
                       "raft: entry %llu was committed, but log and snapshot in %s end at %llu: "
                       "files are missing or were cut. If this server has peers, remove its data "
                       "directory and let it join them again; else restore a backup, or remove "
                       "the file \"state\" there to go on without the missing entries",
                       (unsigned long long)state->commit_index, data_dir, (unsigned long long)last);
    }
    r->term = MAX(state->term, r->snapshot_term);
    r->term = MAX(r->term, raft_log_term(r->log, last));
    k = node_find_configuration(r, err);
    if (k == 0 && o->bootstrap && r->configuration.count == 0 && last == 0) {
        k = node_bootstrap(r, err);
    }
    if (k == 0 && raft_configuration_voters(&r->configuration) > 1) {
        k = err_set(err, ERR_UNSUPPORTED, "raft: the log in %s is of a cluster of %u servers",
                    data_dir, raft_configuration_voters(&r->configuration));
    }
    return k;
}
