/* The shape of the log: which index is of which term. */
#include "raft/core/internal.h"

uint64_t core_term_at(const struct core_log *l, uint64_t index)
{
    if (index == l->snapshot_index) {
        return l->snapshot_term;
    }
    if (index < l->first_index || index > l->last_index) {
        return 0;
    }
    size_t low = 0, high = l->runs.n;
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (l->runs.v[mid].first_index <= index) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return l->runs.v[low].term;
}

uint64_t core_last_term(const struct core_log *l)
{
    return core_term_at(l, l->last_index);
}

uint64_t core_run_start(const struct core_log *l, uint64_t index)
{
    uint64_t start = index;
    for (size_t i = 0; i < l->runs.n && l->runs.v[i].first_index <= index; i++) {
        start = l->runs.v[i].first_index;
    }
    return start;
}

void core_log_append(struct core_log *l, uint64_t index, uint64_t term)
{
    ASSERT(index == l->last_index + 1 && term >= core_last_term(l));
    if (l->runs.n == 0 || l->runs.v[l->runs.n - 1].term != term) {
        vec_push(&l->runs, ((struct raft_term_run){index, term}));
    }
    l->last_index = index;
}

void core_log_truncate(struct core_log *l, uint64_t index)
{
    ASSERT(index >= l->first_index);
    while (l->runs.n > 0 && l->runs.v[l->runs.n - 1].first_index >= index) {
        l->runs.n--;
    }
    l->last_index = MIN(l->last_index, index - 1);
    l->durable_index = MIN(l->durable_index, l->last_index);
}

void core_log_compact(struct core_log *l, uint64_t first_index)
{
    ASSERT(first_index >= l->first_index && first_index <= l->last_index + 1);
    size_t i = 0;
    while (i + 1 < l->runs.n && l->runs.v[i + 1].first_index <= first_index) {
        i++;
    }
    if (first_index > l->last_index) {
        i = l->runs.n; /* nothing is left */
    }
    if (i > 0) {
        memmove(l->runs.v, l->runs.v + i, (l->runs.n - i) * sizeof(l->runs.v[0]));
        l->runs.n -= i;
    }
    if (l->runs.n > 0 && l->runs.v[0].first_index < first_index) {
        l->runs.v[0].first_index = first_index;
    }
    l->first_index = first_index;
}

void core_log_reset(struct core_log *l, uint64_t snapshot_index, uint64_t snapshot_term)
{
    vec_clear(&l->runs);
    l->snapshot_index = snapshot_index;
    l->snapshot_term = snapshot_term;
    l->first_index = snapshot_index + 1;
    l->last_index = l->durable_index = snapshot_index;
}
