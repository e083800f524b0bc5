#include "cli/lock.h"

#include "base/clock.h"

static int entry_get(struct client *c, struct str key, struct lock_read how,
                     struct lock_entry *ret_entry, uint64_t *ret_index, struct err *err)
{
    const struct value *entries;
    int rc = lock_kv_read(c, key, how, &entries, ret_index, err);
    if (rc == 0) {
        *ret_entry =
            lock_entry_read(client_arena(c), value_count(entries) > 0 ? &entries->list.v[0] : NULL);
    }
    return rc;
}

static int conflict(struct err *err)
{
    return err_set(err, ERR_CONFLICT, "Existing key does not match lock use");
}

static int key_acquire(struct lock *l, struct client *c, struct err *err)
{
    uint64_t start_ms = clock_mono_ms(), index = 0, next_index;
    for (;;) {
        struct lock_entry e;
        uint64_t wait_ms = lock_wait_left(l, start_ms);
        if (wait_ms == 0) {
            return LOCK_NOT;
        }
        int rc = entry_get(c, l->key, (struct lock_read){.index = index, .wait_ms = wait_ms}, &e,
                           &next_index, err);
        if (rc < 0) {
            return rc == -ERR_CANCELED ? LOCK_NOT : err_wrap(err, "failed to read lock");
        }
        if (e.exists && e.flags != LOCK_KEY_FLAGS) {
            return conflict(err);
        }
        if (e.exists && str_eq(e.session, l->session)) {
            return LOCK_DONE;
        }
        if (e.session.n > 0) {
            index = next_index;
            client_reset(c);
            continue;
        }
        bool done;
        rc = lock_kv_write(c, l->key, LOCK_WRITE_ACQUIRE, l->session, 0, LOCK_KEY_FLAGS, STR_NULL,
                           &done, err);
        if (rc < 0) {
            return rc == -ERR_CANCELED ? LOCK_NOT : err_wrap(err, "failed to acquire lock");
        }
        if (done) {
            return LOCK_DONE;
        }
        /* Another was quicker; or nobody holds it and its last holder's delay is still on. */
        rc = entry_get(c, l->key, (struct lock_read){0}, &e, &next_index, err);
        if (rc < 0) {
            return rc == -ERR_CANCELED ? LOCK_NOT : rc;
        }
        index = e.session.n > 0 ? next_index : 0;
        if (index == 0 && client_sleep(c, LOCK_RETRY_MS) < 0) {
            return LOCK_NOT;
        }
        client_reset(c);
    }
}

static int key_release(struct lock *l, struct client *c, struct err *err)
{
    bool done;
    int rc = lock_kv_write(c, l->key, LOCK_WRITE_RELEASE, l->session, 0, LOCK_KEY_FLAGS, STR_NULL,
                           &done, err);
    return rc < 0 ? err_wrap(err, "failed to release lock") : LOCK_DONE;
}

static int key_destroy(struct lock *l, struct client *c, struct err *err)
{
    struct lock_entry e;
    uint64_t index;
    bool done;
    if (entry_get(c, l->key, (struct lock_read){0}, &e, &index, err) < 0) {
        return err_wrap(err, "failed to read lock");
    }
    if (!e.exists) {
        return LOCK_DONE;
    }
    if (e.flags != LOCK_KEY_FLAGS) {
        return conflict(err);
    }
    if (e.session.n > 0) {
        return LOCK_IN_USE;
    }
    if (lock_kv_delete(c, l->key, e.modify_index, &done, err) < 0) {
        return err_wrap(err, "failed to remove lock");
    }
    return done ? LOCK_DONE : LOCK_IN_USE;
}

static int key_check(const struct lock *l, struct client *c, uint64_t *index, struct err *err)
{
    struct lock_entry e;
    int rc = entry_get(c, l->key, (struct lock_read){.index = *index, .is_consistent = true}, &e,
                       index, err);
    return rc < 0 ? rc : str_eq(e.session, l->session);
}

const struct lock_ops lock_key_ops = {
    .acquire = key_acquire,
    .release = key_release,
    .destroy = key_destroy,
    .check = key_check,
};
