/* snapshot_remote.h - a snapshot request that another server carries out: the archive comes from
 * there, or goes there, in pieces, over a connection of its own (kind 5 of port 8300).
 *
 *     r = snapshot_remote_new(worker, address, &request, &my_ops, me, &err);
 *     a save:    my_ops.answered(me, response), then my_ops.bytes(me, piece) ..., then ended(me,
 * NULL) a restore: my_ops.room(me): snapshot_remote_write(r, piece) ... until it says false, and
 * again after each room(); then snapshot_remote_finish(r); then ended(me, NULL)
 *
 * ended() is the last that is heard of it, with an error when something failed, at whichever stage:
 * the request is its owner's until then, or until snapshot_remote_cancel(). Neither callback is
 * made from inside snapshot_remote_new(), _write(), _finish(), _pause() or _resume().
 *
 * What is kept of an archive, in either direction, is the piece that is under way. A saved archive
 * is unpacked as it passes, in slices that do not keep the loop for long, and its sums are checked:
 * one that was cut short or damaged ends with an error, and so must its receiver's, who had the
 * pieces before. Of a restored one the other server checks the whole.
 *
 * Time limits: to connect RPC_POOL_CONNECT_MS; for the answer SNAPSHOT_REMOTE_ANSWER_MS, since
 * archives are made and put in place before it; SNAPSHOT_REMOTE_STALL_MS without a byte of the
 * archive that is to come, or is not taken. On the worker's thread only. */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct router;
struct server;
struct snapshot_remote;
struct snapshot_request;
struct snapshot_response;
struct worker;

#define SNAPSHOT_REMOTE_ANSWER_MS 600000u
#define SNAPSHOT_REMOTE_STALL_MS 120000u
#define SNAPSHOT_ADDRESS_SIZE 64u

struct snapshot_remote_ops {
    void (*answered)(void *data, const struct snapshot_response *response); /* of a save */
    void (*bytes)(void *data, struct str bytes); /* may pause; the next come after it returned */
    void (*room)(void *data);
    void (*ended)(void *data, const struct err *err); /* NULL: it went well */
};

/* To whom a request goes. */
struct snapshot_route {
    char address[SNAPSHOT_ADDRESS_SIZE]; /* "": to nobody, it is carried out here */
    struct router *router;               /* told when it fails; NULL: nobody is */
    uint32_t id;                         /* the router's */
};

/* Where a server has a request carried out, in the reference's order of checks: here, by the
 * leader, or in another data center. On a worker's loop. */
NODISCARD int snapshot_place(struct server *s, const struct snapshot_request *request,
                             struct snapshot_route *ret_route, struct err *err);

/* NULL: connecting could not even be begun. The request is encoded before this returns. */
struct snapshot_remote *snapshot_remote_new(struct worker *w, const struct snapshot_route *to,
                                            const struct snapshot_request *request,
                                            const struct snapshot_remote_ops *ops, void *data,
                                            struct err *err);
/* A piece of the archive to be restored. False: no more before room() was called. */
bool snapshot_remote_write(struct snapshot_remote *r, struct str piece);
void snapshot_remote_finish(struct snapshot_remote *r); /* that was the last one */
/* In place of SNAPSHOT_REMOTE_ANSWER_MS and _STALL_MS, for tests. */
void snapshot_remote_set_limits(struct snapshot_remote *r, uint64_t answer_ms, uint64_t stall_ms);
/* Of a save: no bytes() until resumed. */
void snapshot_remote_pause(struct snapshot_remote *r);
void snapshot_remote_resume(struct snapshot_remote *r);
/* The asker is gone: nothing more is heard of it. A restore whose last piece is there is carried
 * out all the same. */
void snapshot_remote_cancel(struct snapshot_remote *r);
