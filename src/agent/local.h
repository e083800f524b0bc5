/* local.h - the local state: the services and checks this agent answers for, and how far the
 * catalog is known to agree.
 *
 * Two halves. What readers see is a struct local_root: persistent trees of immutable rows,
 * published atomically and freed through an epoch, so that HTTP workers read without locks or
 * waiting. What the main loop alone knows are the entries: token, whether the catalog has it,
 * whether it was removed here and must be removed there.
 *
 *     local_put_service(l, &service, token);  local_put_check(l, &check, token);
 *     local_publish(l);                        // readers see both, or neither
 *
 * Every change costs O(log n). Entries that are out of step with the catalog are linked in a list,
 * so that nobody has to look for them. Removed entries stay (is_deleted, unpublished) until the
 * catalog has followed. */
#pragma once
#include "base/list.h"
#include "base/map.h"
#include "loop/loop.h"
#include "schema/catalog.h"
#include "store/tree.h"

struct check;
struct epoch;
struct rng;

/* A published service: immutable. */
struct local_service {
    struct node_service service;
    uint64_t version; /* of this row; no two rows have the same */
};

struct local_meta {
    struct strmap meta;
};

struct local_root {
    struct tree services;       /* by id: struct local_service */
    struct tree checks;         /* by id: struct health_check */
    struct tree service_names;  /* by local_key(name, id): struct local_service */
    struct tree service_checks; /* by local_key(service id or "", check id): struct health_check */
    const struct local_meta *meta;
};

/* The key of `second` in the group of `first`, in the buffer; with an empty second the prefix of
 * the whole group. Ids may hold any byte, so the group's length stands in front. */
struct buf;
struct str local_key(struct buf *to, struct str first, struct str second);

const struct node_service *local_root_service(const struct local_root *root, struct str id);
const struct health_check *local_root_check(const struct local_root *root, struct str id);

struct service_entry {
    struct str id;                   /* the entry's own */
    const struct local_service *row; /* NULL: only the catalog knows of it */
    struct str token;
    bool in_sync, is_deleted;
    uint64_t changes;           /* counts; tells whether it changed while it was being sent */
    struct list dirty;          /* in local.dirty_services while !in_sync and not being sent */
    struct list waiters;        /* struct agent_call: wait for a change */
    struct list removed_checks; /* removed with it: the catalog drops them along with the service */
};

struct check_entry {
    struct str id;
    const struct health_check *row;
    struct str token;
    bool in_sync, is_deleted;
    uint64_t changes;
    struct list dirty;
    struct list of_service; /* in service_entry.removed_checks */
    struct local *local;
    struct loop_timer defer;    /* while active the output is newer than the catalog's */
    uint64_t critical_since_ms; /* 0: it is not critical */
    struct check *runner;       /* checks.c's */
};

struct local_options {
    struct loop *loop;
    struct epoch *epoch;
    struct rng *rng;
    struct str node_name;
    uint64_t check_update_interval_ms; /* 0: every change of output is sent */
    bool discard_output;
    /* Something is out of step with the catalog now. */
    void (*out_of_step)(void *data);
    /* The checks of this service ("": of the node) or the service itself have changed. */
    void (*changed)(void *data, struct str service_id);
    /* These wait for a change of the service that has happened. */
    void (*wake)(void *data, struct list *waiters);
    void *data;
};

struct local {
    struct local_options options;
    _Atomic(const struct local_root *) root;
    struct local_root next; /* the running change, when is_changing */
    struct tree_txn txn;
    bool is_changing;
    struct map services; /* id to struct service_entry; borrowed keys */
    struct map checks;   /* id to struct check_entry */
    struct list dirty_services, dirty_checks;
    bool node_in_sync;
    uint64_t versions;
    void **retired; /* rows replaced by the running change */
    size_t retired_count, retired_cap;
};

struct local *local_new(const struct local_options *options);
/* Its timers end; nothing is changed any more. The loop may go after this. */
void local_stop(struct local *l);
struct local *local_free(struct local *l); /* no readers any more */

/* Make everything since the last publication visible. */
void local_publish(struct local *l);
const struct local_root *local_root(const struct local *l); /* the published */
/* With what is not published yet; main loop only. */
const struct local_root *local_newest(const struct local *l);

/* Entries that exist; NULL when there is none or it is_deleted. */
struct service_entry *local_service(struct local *l, struct str id);
struct check_entry *local_check(struct local *l, struct str id);

/* Insert or replace; everything is copied. An equal row stays in step if it was. */
struct service_entry *local_put_service(struct local *l, const struct node_service *service,
                                        struct str token);
struct check_entry *local_put_check(struct local *l, const struct health_check *check,
                                    struct str token);
/* Not there: false. The check's runner must be gone. */
bool local_remove_service(struct local *l, struct str id);
bool local_remove_check(struct local *l, struct str id);
/* The result of a check. Output alone reaches the catalog late. False: nothing has changed. */
bool local_update_check(struct local *l, struct check_entry *e, struct str status,
                        struct str output);
/* Where a proxy exposes the check; 0: nowhere. */
void local_set_exposed_port(struct local *l, struct check_entry *e, int64_t port);
void local_set_meta(struct local *l, struct strmap meta);

/* The ids of a service's checks (""; of the node's), allocated in `a`. Of the running change. */
struct arena;
struct strlist local_check_ids(const struct local *l, struct str service_id, struct arena *a);
size_t local_service_count(const struct local *l);
size_t local_check_count(const struct local *l);

/* --- for sync --------------------------------------------------------------------------------- */

/* An entry for what only the catalog has, so that it gets removed there. */
void local_add_foreign_service(struct local *l, struct str id);
void local_add_foreign_check(struct local *l, struct str id);
void local_service_set_sync(struct local *l, struct service_entry *e, bool in_sync);
void local_check_set_sync(struct local *l, struct check_entry *e, bool in_sync);
/* The catalog has followed a removal. A service takes the checks removed with it along. */
void local_forget_service(struct local *l, struct service_entry *e);
void local_forget_check(struct local *l, struct check_entry *e);
