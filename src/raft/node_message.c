/* Messages to and from the other servers. What comes is a step of the core each; what the steps
 * have gathered for the disk goes there with the next turn, when all that came has been read. */
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "raft/node.h"

static struct metric metric_append = METRIC_SAMPLE("raft.rpc.appendEntries");
static struct metric metric_heartbeat = METRIC_SAMPLE("raft.rpc.processHeartbeat");
static struct metric metric_vote = METRIC_SAMPLE("raft.rpc.requestVote");

static void message_step(struct raft *r, struct str id, struct raft_msg *msg)
{
    struct raft_core_event e = {.kind = RAFT_EVENT_MESSAGE, .server = id, .msg = msg};
    (void)node_step(r, &e, NULL);
    node_wake(r);
}

/* A server that takes no part does not answer either: the asker's time limit ends it. One whose log
 * is broken must not be made to lead. */
static void on_request(void *data, struct raft_msg *msg)
{
    struct raft *r = data;
    if (r->halted || r->closed) {
        return;
    }
    if (msg->kind == RAFT_MSG_TIMEOUT_NOW && r->log_broken) {
        return;
    }
    if (msg->kind == RAFT_MSG_INSTALL && msg->install.pre) {
        node_stage_request(r, msg);
        return;
    }
    uint64_t began_ns = clock_mono_ns();
    enum raft_msg_kind kind = msg->kind;
    bool is_empty = kind == RAFT_MSG_APPEND && msg->append.count == 0;
    bool is_heartbeat = is_empty && msg->append.prev_index == 0 && msg->append.commit_index == 0;
    bool is_vote = kind == RAFT_MSG_VOTE && !msg->vote.pre;
    message_step(r, STR_NULL, msg);
    double ms = node_ms_since(began_ns);
    if (kind == RAFT_MSG_APPEND) {
        metric_observe(&metric_append, ms);
    }
    if (is_heartbeat) {
        metric_observe(&metric_heartbeat, ms);
    }
    if (is_vote) {
        metric_observe(&metric_vote, ms);
    }
}

static void on_result(void *data, struct str id, const struct raft_msg *msg)
{
    struct raft *r = data;
    struct raft_msg m = *msg;
    if (msg->kind == RAFT_MSG_INSTALL_RESULT && msg->install_result.pre) {
        node_stage_result(r, id, msg);
        return;
    }
    message_step(r, id, &m);
}

static void on_unreachable(void *data, struct str id)
{
    struct raft *r = data;
    struct raft_core_event e = {.kind = RAFT_EVENT_UNREACHABLE, .server = id};
    node_stage_lost(r, id);
    (void)node_step(r, &e, NULL);
    node_wake(r);
}

/* From inside a step the core cannot be told. */
void node_unreachable_soon(struct raft *r, struct str id)
{
    if (r->unreachable_count < RAFT_SERVERS_MAX && id.n <= RAFT_NAME_SIZE_MAX) {
        char *to = r->unreachable[r->unreachable_count++];
        memcpy(to, id.p, id.n);
        to[id.n] = '\0';
        node_wake(r);
    }
}

bool node_take_unreachable(struct raft *r)
{
    bool progress = r->unreachable_count > 0;
    while (r->unreachable_count > 0) {
        on_unreachable(r, str_from_cstr(r->unreachable[--r->unreachable_count]));
    }
    return progress;
}

static void on_snapshot_data(void *data, uint64_t token, struct str bytes)
{
    node_install_data(data, token, bytes);
}

static void on_snapshot_end(void *data, uint64_t token, int code)
{
    node_install_end(data, token, code);
}

const struct raft_transport_events node_transport_events = {
    .request = on_request,
    .result = on_result,
    .unreachable = on_unreachable,
    .snapshot_data = on_snapshot_data,
    .snapshot_end = on_snapshot_end,
};

/* --- out --- */

/* The log may have lost or compacted them meanwhile. */
static int send_entries(struct raft *r, const struct raft_core_output *o)
{
    struct raft_entry *entries = NULL;
    struct raft_msg msg = o->msg;
    if (msg.append.count > 0) {
        struct err err = {0};
        entries = r->entries;
        int n = raft_log_read(r->log, msg.append.prev_index + 1,
                              MIN((size_t)msg.append.count, (size_t)APPLY_BATCH_MAX),
                              SEND_READ_SIZE_MAX, entries, &err);
        if (n <= 0) {
            log_write(LOG_ERROR, LOG_MODULE, "failed to get log", LOG_STR("peer", o->server),
                      LOG_UINT("index", msg.append.prev_index + 1),
                      LOG_CSTR("error", err_text(&err)));
            return n < 0 ? n : -ERR_NOT_FOUND;
        }
        msg.append.count = (uint64_t)n;
    }
    r->transport->ops->send(r->transport, o->server, o->address, &msg, entries);
    return 0;
}

void node_send(struct raft *r, const struct raft_core_output *o)
{
    int k = 0;
    if (r->transport == NULL) {
        return;
    }
    switch (o->msg.kind) {
    case RAFT_MSG_APPEND:
        k = send_entries(r, o);
        break;
    case RAFT_MSG_INSTALL:
        node_send_snapshot(r, o);
        break;
    default:
        r->transport->ops->send(r->transport, o->server, o->address, &o->msg, NULL);
        break;
    }
    if (k < 0) {
        node_unreachable_soon(r, o->server);
    }
}
