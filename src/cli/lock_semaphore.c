#include "cli/lock.h"

#include "base/clock.h"
#include "base/vec.h"
#include "cli/kv.h"
#include "schema/json.h"

/* What PREFIX/.lock says. */
struct holders {
    int64_t limit;
    struct str *v; /* sessions, in the client's arena */
    size_t n, cap;
};

struct state {
    struct lock_entry entry; /* PREFIX/.lock */
    struct holders holders;
};

static int holders_decode(struct lock *l, struct client *c, struct str text,
                          struct holders *ret_holders, struct err *err)
{
    struct value *v = NULL;
    struct holders h = {.limit = l->limit};
    if (text.n > 0) {
        int rc = json_parse(client_arena(c), text, &v, err);
        if (rc < 0) {
            return err_wrap(err, "lock decoding failed");
        }
        h.limit = value_member_i64(v, "Limit");
        const struct value *map = value_member(v, "Holders");
        for (size_t i = 0; map != NULL && map->kind == VALUE_MAP && i < map->map.n &&
                           i < LOCK_SEMAPHORE_HOLDERS_MAX;
             i++) {
            avec_push(client_arena(c), &h, map->map.v[i].key);
        }
    }
    *ret_holders = h;
    return 0;
}

static struct str holders_encode(struct client *c, const struct holders *h)
{
    struct buf text = {0};
    struct json_writer w = json_writer_make(&text, false);
    json_object_begin(&w);
    json_key(&w, STR("Limit"));
    json_i64(&w, h->limit);
    json_key(&w, STR("Holders"));
    json_object_begin(&w);
    for (size_t i = 0; i < h->n; i++) {
        json_key(&w, h->v[i]);
        json_bool(&w, true);
    }
    json_object_end(&w);
    json_object_end(&w);
    struct str copy = arena_str(client_arena(c), buf_view(&text));
    buf_deinit(&text);
    return copy;
}

static ptrdiff_t holder_find(const struct holders *h, struct str session)
{
    for (size_t i = 0; i < h->n; i++) {
        if (str_eq(h->v[i], session)) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

static bool is_alive(const struct value *entries, struct str session)
{
    for (size_t i = 0; i < value_count(entries); i++) {
        if (str_eq(value_member_str(&entries->list.v[i], "Session"), session)) {
            return true;
        }
    }
    return false;
}

/* Leave out holders whose sessions have gone. */
static void holders_prune(struct holders *h, const struct value *entries)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->n; i++) {
        if (is_alive(entries, h->v[i])) {
            h->v[kept++] = h->v[i];
        }
    }
    h->n = kept;
}

static int state_read(struct lock *l, struct client *c, const struct value *entries,
                      struct state *ret_state, struct err *err)
{
    const struct value *found = NULL;
    for (size_t i = 0; i < value_count(entries); i++) {
        if (str_eq(value_member_str(&entries->list.v[i], "Key"), l->key)) {
            found = &entries->list.v[i];
        }
    }
    ret_state->entry = lock_entry_read(client_arena(c), found);
    if (ret_state->entry.exists && ret_state->entry.flags != LOCK_SEMAPHORE_FLAGS) {
        return err_set(err, ERR_CONFLICT, "Existing key does not match semaphore use");
    }
    int rc = holders_decode(l, c, ret_state->entry.value, &ret_state->holders, err);
    if (rc == 0) {
        holders_prune(&ret_state->holders, entries);
    }
    return rc;
}

static int holders_write(struct lock *l, struct client *c, const struct state *s, bool *ret_done,
                         struct err *err)
{
    int rc = lock_kv_write(c, l->key, LOCK_WRITE_CAS, STR_NULL, s->entry.modify_index,
                           LOCK_SEMAPHORE_FLAGS, holders_encode(c, &s->holders), ret_done, err);
    return rc < 0 && rc != -ERR_CANCELED ? err_wrap(err, "failed to update lock") : rc;
}

/* The key by which our session shows that it is alive. */
static struct str contender_key(const struct lock *l, struct client *c)
{
    return kv_key_join(client_arena(c), l->prefix, l->session);
}

/* One look at the semaphore: LOCK_DONE, or LOCK_NOT with an index to wait for (0: at once). */
static int semaphore_try(struct lock *l, struct client *c, uint64_t wait_ms, uint64_t *index,
                         struct err *err)
{
    const struct value *entries;
    struct state s;
    bool done;
    struct lock_read how = {.index = *index, .wait_ms = wait_ms, .is_prefix = true};
    int rc = lock_kv_read(c, l->prefix, how, &entries, index, err);
    if (rc < 0) {
        return rc == -ERR_CANCELED ? rc : err_wrap(err, "failed to read prefix");
    }
    rc = state_read(l, c, entries, &s, err);
    if (rc < 0) {
        return rc;
    }
    if (s.holders.limit != l->limit) {
        return err_set(err, ERR_CONFLICT, "semaphore limit conflict (lock: %lld, local: %lld)",
                       (long long)s.holders.limit, (long long)l->limit);
    }
    if ((int64_t)s.holders.n >= s.holders.limit) {
        return LOCK_NOT;
    }
    avec_push(client_arena(c), &s.holders, l->session);
    rc = holders_write(l, c, &s, &done, err);
    *index = 0;
    return rc < 0 ? rc : done ? LOCK_DONE : LOCK_NOT;
}

static int semaphore_acquire(struct lock *l, struct client *c, struct err *err)
{
    bool done = false;
    int rc = lock_kv_write(c, contender_key(l, c), LOCK_WRITE_ACQUIRE, l->session, 0,
                           LOCK_SEMAPHORE_FLAGS, STR_NULL, &done, err);
    if (rc == -ERR_CANCELED) {
        return LOCK_NOT;
    }
    if (rc < 0 || !done) {
        if (rc == 0) {
            (void)err_set(err, ERR_FAILED, "%s", "<nil>");
        }
        return err_wrap(err, "failed to make contender entry");
    }
    uint64_t start_ms = clock_mono_ms(), index = 0;
    for (;;) {
        uint64_t wait_ms = lock_wait_left(l, start_ms);
        if (wait_ms == 0) {
            return LOCK_NOT;
        }
        rc = semaphore_try(l, c, wait_ms, &index, err);
        if (rc != LOCK_NOT) {
            return rc == -ERR_CANCELED ? LOCK_NOT : rc;
        }
        client_reset(c);
    }
}

static int semaphore_release(struct lock *l, struct client *c, struct err *err)
{
    bool done = false;
    while (!done) {
        const struct value *entries;
        struct state s = {0};
        uint64_t index;
        int rc = lock_kv_read(c, l->key, (struct lock_read){0}, &entries, &index, err);
        if (rc < 0) {
            return rc;
        }
        s.entry =
            lock_entry_read(client_arena(c), value_count(entries) > 0 ? &entries->list.v[0] : NULL);
        rc = holders_decode(l, c, s.entry.value, &s.holders, err);
        if (rc < 0) {
            return rc;
        }
        ptrdiff_t at = holder_find(&s.holders, l->session);
        if (at < 0) {
            break;
        }
        s.holders.v[at] = s.holders.v[--s.holders.n];
        rc = holders_write(l, c, &s, &done, err);
        if (rc < 0) {
            return rc;
        }
    }
    return lock_kv_delete(c, contender_key(l, c), 0, &done, err);
}

static int semaphore_destroy(struct lock *l, struct client *c, struct err *err)
{
    const struct value *entries;
    struct state s;
    uint64_t index;
    bool done;
    int rc =
        lock_kv_read(c, l->prefix, (struct lock_read){.is_prefix = true}, &entries, &index, err);
    if (rc < 0) {
        return err_wrap(err, "failed to read prefix");
    }
    rc = state_read(l, c, entries, &s, err);
    if (rc < 0 || !s.entry.exists) {
        return rc;
    }
    if (s.holders.n > 0) {
        return LOCK_IN_USE;
    }
    if (lock_kv_delete(c, l->key, s.entry.modify_index, &done, err) < 0) {
        return err_wrap(err, "failed to remove semaphore");
    }
    return done ? LOCK_DONE : LOCK_IN_USE;
}

static int semaphore_check(const struct lock *l, struct client *c, uint64_t *index, struct err *err)
{
    const struct value *entries;
    struct state s;
    struct lock copy = *l; /* the thread's own view of it */
    struct lock_read how = {.index = *index, .is_consistent = true, .is_prefix = true};
    int rc = lock_kv_read(c, l->prefix, how, &entries, index, err);
    if (rc == 0) {
        rc = state_read(&copy, c, entries, &s, err);
    }
    return rc < 0 ? rc : holder_find(&s.holders, l->session) >= 0;
}

const struct lock_ops lock_semaphore_ops = {
    .acquire = semaphore_acquire,
    .release = semaphore_release,
    .destroy = semaphore_destroy,
    .check = semaphore_check,
    .session_behavior = "delete",
};
