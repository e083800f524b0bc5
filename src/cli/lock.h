/* lock.h - the two locks of `consul lock`, made of keys and a session as Consul's client library
 * makes them, so that programs of both kinds exclude each other.
 *
 *   lock_key.c        one holder: the key's own lock, by PREFIX/.lock
 *   lock_semaphore.c  some holders: PREFIX/.lock lists them as JSON, changed by check-and-set; a
 * key PREFIX/SESSION for each, locked by its session, says who is alive
 *
 * A session of 15 s is renewed by a thread (in lock.c); when it goes, so does the
 * lock, which a second thread notices. Each thread has a client of its own. */
#pragma once
#include "cli/client.h"

#define LOCK_KEY_NAME ".lock"
#define LOCK_KEY_FLAGS 0x2ddccbc058a50c18ull /* mark keys as of the one kind or the other */
#define LOCK_SEMAPHORE_FLAGS 0xe0f69a2baa414de0ull
#define LOCK_WAIT_MS 15000u
#define LOCK_RETRY_MS 5000u
#define LOCK_SEMAPHORE_HOLDERS_MAX 65536

struct lock {
    struct str prefix;  /* as given, without the first slash */
    struct str key;     /* PREFIX/.lock */
    struct str session; /* its id; empty: none */
    int64_t limit;      /* of holders */
    bool is_once;       /* give up after wait_ms */
    uint64_t wait_ms;
};

enum lock_result {
    LOCK_DONE = 0,
    LOCK_NOT = 1,    /* time is up, or a signal came */
    LOCK_IN_USE = 2, /* by another */
};

struct lock_ops {
    /* enum lock_result, or an error. */
    int (*acquire)(struct lock *l, struct client *c, struct err *err);
    int (*release)(struct lock *l, struct client *c, struct err *err);
    /* Remove the keys when nobody uses them. */
    int (*destroy)(struct lock *l, struct client *c, struct err *err);
    /* Block until the index moves, then: 1 held, 0 lost, or an error. */
    int (*check)(const struct lock *l, struct client *c, uint64_t *index, struct err *err);
    const char *session_behavior; /* NULL: the default */
};
extern const struct lock_ops lock_key_ops, lock_semaphore_ops;

/* An entry of the store. */
struct lock_entry {
    bool exists;
    struct str value, session;
    uint64_t flags, modify_index;
};

struct lock_read {           /* how to read it */
    uint64_t index, wait_ms; /* 0: do not block */
    bool is_consistent, is_prefix;
};

/* Read a key, or all below a prefix, as JSON (NULL: none); *ret_index to block on next. */
NODISCARD int lock_kv_read(struct client *c, struct str key, struct lock_read how,
                           const struct value **ret_entries, uint64_t *ret_index, struct err *err);
struct lock_entry lock_entry_read(struct arena *a, const struct value *entry);

enum lock_write { LOCK_WRITE_ACQUIRE, LOCK_WRITE_RELEASE, LOCK_WRITE_CAS };
/* Write a key with the given flags; *ret_done: whether it was. `session` for acquire and release,
 * `index` for check-and-set. */
NODISCARD int lock_kv_write(struct client *c, struct str key, enum lock_write how,
                            struct str session, uint64_t index, uint64_t flags, struct str value,
                            bool *ret_done, struct err *err);
/* By check-and-set; an index of 0 deletes whatever is there. */
NODISCARD int lock_kv_delete(struct client *c, struct str key, uint64_t index, bool *ret_done,
                             struct err *err);
/* How long acquire() may still wait since `start_ms`; 0: time is up. */
uint64_t lock_wait_left(const struct lock *l, uint64_t start_ms);
