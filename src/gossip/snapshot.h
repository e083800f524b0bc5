/* snapshot.h - the file in which an agent remembers whom it knew, and how late it was: the members
 * that lived and the Lamport clocks. Serf's format, one fact a line, later ones win:
 *
 *     alive: NAME ADDRESS:PORT     not-alive: NAME     leave
 *     clock: N     event-clock: N     query-clock: N     ("coordinate:" and "#" are skipped)
 *
 *     snapshot_read(path, rejoin_after_leave, &arena, &before, &err);
 *     w = snapshot_writer_new(files_loop, path, &before, rejoin_after_leave, &err);
 *     snapshot_writer_put(w, STR("alive: a 127.0.0.1:8301"));     // the gossip loop; never waits
 *
 * Lines wait in a short-locked queue of one fact a subject, so it is bounded by the members, and
 * are written on the loop for files. When the file has grown to twice what it must hold (and over
 * SNAPSHOT_SIZE_MIN) it is written anew beside and renamed over. A crash loses what was not
 * written, which costs a rejoin by another address. */
#pragma once
#include "base/err.h"

struct arena;
struct loop;
struct snapshot_writer;

#define SNAPSHOT_SIZE_MIN (128u * 1024u)
#define SNAPSHOT_NODE_SIZE 128u /* what a member is reckoned to take */
#define SNAPSHOT_SIZE_MAX (256u * 1024u * 1024u)
#define SNAPSHOT_RETRY_MS 30000u /* after a write that failed */

struct snapshot_node {
    struct str name, address; /* "127.0.0.1:8301" */
};

struct snapshot_state {
    struct snapshot_node *nodes; /* as they came to be known */
    size_t count;
    uint64_t clock, event_clock, query_clock;
};

/* No file is an empty state. Lines that cannot be understood are logged and skipped. */
NODISCARD int snapshot_read(struct str path, bool rejoin_after_leave, struct arena *a,
                            struct snapshot_state *ret, struct err *err);

/* Opens the file to append to it, blocking; the rest happens on `files`. */
NODISCARD int snapshot_writer_new(struct loop *files, struct str path,
                                  const struct snapshot_state *before, bool rejoin_after_leave,
                                  struct snapshot_writer **ret_writer, struct err *err);
/* Without newline; what has one inside is dropped. After "leave" nothing more is taken. */
void snapshot_writer_put(struct snapshot_writer *w, struct str line);
/* When neither loop runs any more: what still waits is written, and all is synced. */
struct snapshot_writer *snapshot_writer_free(struct snapshot_writer *w);
