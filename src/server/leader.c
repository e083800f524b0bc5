/* leader_gained() and its siblings post to the main loop; there the duties are taken up (the timers
 * of sessions and tombstones, autopilot, the CA, reconciling the catalog) and laid down. */
#include "server/leader.h"

#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "server/autopilot.h"
#include "server/ca_manager.h"
#include "server/leader_config_entries.h"
#include "server/leader_parts.h"
#include "server/server.h"
#include "server/user_events.h"

struct leader {
    struct server *server;
    bool is_leading;
    bool is_stopped; /* the server ends: no duties any more */
    struct leader_acl *acl;
    struct leader_sessions *sessions;
    struct leader_tombstones *tombstones;
    struct leader_reconcile *reconcile;
    struct ca_manager *ca;
    struct leader_replication *replication;
    struct leader_acl_replication *acl_replication;
    struct leader_federation *federation;
    struct membership_listener listener;
};

enum leader_note {
    NOTE_GAINED,
    NOTE_LOST,
    NOTE_RESTORED,
    NOTE_TOUCH,
    NOTE_FORGET,
    NOTE_TOMBSTONES,
    NOTE_LEGACY_TOKEN,
};

/* A notification on its way to the main loop. */
struct leader_msg {
    struct loop_msg msg;
    struct leader *leader;
    enum leader_note note;
    uint64_t number; /* ttl_ms or a Raft index */
    size_t id_size;
    char id[];
};

static void leader_msg_run(struct loop_msg *msg);

static void leader_note(struct leader *l, enum leader_note note, struct str id, uint64_t number)
{
    struct leader_msg *m = xmalloc(sizeof(*m) + id.n);
    *m = (struct leader_msg){.leader = l, .note = note, .number = number, .id_size = id.n};
    m->msg.run = leader_msg_run;
    memcpy(m->id, id.p, id.n);
    loop_post(l->server->main->loop, &m->msg);
}

void leader_restored(struct leader *l)
{
    leader_note(l, NOTE_RESTORED, STR(""), 0);
}

void leader_gained(struct leader *l)
{
    leader_note(l, NOTE_GAINED, STR(""), 0);
}

void leader_lost(struct leader *l)
{
    leader_note(l, NOTE_LOST, STR(""), 0);
}

void leader_session_touch(struct leader *l, struct str session_id, uint64_t ttl_ms)
{
    leader_note(l, NOTE_TOUCH, session_id, ttl_ms);
}

void leader_session_forget(struct leader *l, struct str session_id)
{
    leader_note(l, NOTE_FORGET, session_id, 0);
}

void leader_tombstones_made(struct leader *l, uint64_t raft_index)
{
    leader_note(l, NOTE_TOMBSTONES, STR(""), raft_index);
}

void leader_legacy_token_made(struct leader *l)
{
    leader_note(l, NOTE_LEGACY_TOKEN, STR(""), 0);
}

void leader_acl_status(const struct leader *l, struct acl_replication_status *ret)
{
    leader_acl_replication_status(l->acl_replication, ret);
}

/* --- duties ---------------------------------------------------------------------------------- */

static void duties_go_on(void *data)
{
    struct leader *l = data;
    leader_config_entries(l->server);
    leader_reconcile_start(l->reconcile);
}

/* Who sees a leader sees the CA's roots: reconciling, which ends with that, comes after them. */
static void duties_start(struct leader *l)
{
    leader_acl_start(l->acl);
    leader_sessions_start(l->sessions);
    autopilot_start(l->server->autopilot);
    leader_replication_start(l->replication);
    leader_acl_replication_start(l->acl_replication);
    leader_federation_start(l->federation);
    leader_tombstones_start(l->tombstones);
    ca_manager_start(l->ca, duties_go_on, l);
}

static void leader_announced(void *data, const struct err *err)
{
    (void)data;
    if (err != NULL && err->code != ERR_CLOSED) {
        log_write(LOG_ERROR, "agent.server", "failed to broadcast new leader event",
                  LOG_CSTR("error", err_text(err)));
    }
}

static void leader_step_up(struct leader *l)
{
    if (l->is_leading || l->is_stopped) {
        return;
    }
    l->is_leading = true;
    log_write(LOG_INFO, "agent.server", "cluster leadership acquired");
    membership_user_event(l->server->delegate.membership, NEW_LEADER_EVENT,
                          l->server->options.node_name, false, leader_announced, NULL);
    duties_start(l);
}

static void duties_end(struct leader *l)
{
    l->is_leading = false;
    atomic_store(&l->server->is_established, false);
    leader_acl_stop(l->acl);
    leader_sessions_stop(l->sessions);
    autopilot_stop(l->server->autopilot);
    ca_manager_stop(l->ca);
    leader_replication_stop(l->replication);
    leader_acl_replication_stop(l->acl_replication);
    leader_federation_stop(l->federation);
    leader_tombstones_stop(l->tombstones);
    leader_reconcile_stop(l->reconcile);
}

static void leader_step_down(struct leader *l)
{
    if (l->is_leading) {
        log_write(LOG_INFO, "agent.server", "cluster leadership lost");
        duties_end(l);
    }
}

void leader_stop(struct leader *l)
{
    l->is_stopped = true;
    if (l->is_leading) {
        duties_end(l);
    }
}

/* As under a new leader, but for the log lines. */
static void leader_take_up_again(struct leader *l)
{
    if (!l->is_leading) {
        return;
    }
    leader_acl_stop(l->acl);
    leader_sessions_stop(l->sessions);
    ca_manager_stop(l->ca);
    leader_replication_stop(l->replication);
    leader_acl_replication_stop(l->acl_replication);
    leader_federation_stop(l->federation);
    duties_start(l);
}

static void leader_msg_run(struct loop_msg *msg)
{
    struct leader_msg *m = container_of(msg, struct leader_msg, msg);
    struct str id = str_make(m->id, m->id_size);
    switch (m->note) {
    case NOTE_GAINED:
        leader_step_up(m->leader);
        break;
    case NOTE_LOST:
        leader_step_down(m->leader);
        break;
    case NOTE_RESTORED:
        leader_take_up_again(m->leader);
        break;
    case NOTE_TOUCH:
        leader_sessions_touch(m->leader->sessions, id, m->number);
        break;
    case NOTE_FORGET:
        leader_sessions_forget(m->leader->sessions, id);
        break;
    case NOTE_TOMBSTONES:
        leader_tombstones_add(m->leader->tombstones, m->number);
        break;
    case NOTE_LEGACY_TOKEN:
        leader_acl_legacy_token(m->leader->acl);
        break;
    }
    mem_free(m);
}

static void leader_member_event(struct membership_listener *listener, enum membership_event event,
                                const struct member *member)
{
    struct leader *l = container_of(listener, struct leader, listener);
    if (l->is_leading) {
        leader_reconcile_event(l->reconcile, event, member);
    }
}

struct leader *leader_new(struct server *s)
{
    struct leader *l = xcalloc(1, sizeof(*l));
    l->server = s;
    l->acl = leader_acl_new(s);
    l->sessions = leader_sessions_new(s);
    l->tombstones = leader_tombstones_new(s);
    l->reconcile = leader_reconcile_new(s);
    l->ca = ca_manager_new(s);
    l->replication = leader_replication_new(s);
    l->acl_replication = leader_acl_replication_new(s);
    l->federation = leader_federation_new(s);
    l->listener.event = leader_member_event;
    membership_listen(s->delegate.membership, &l->listener);
    return l;
}

struct leader *leader_free(struct leader *l)
{
    if (l != NULL) {
        l->acl = leader_acl_free(l->acl);
        l->sessions = leader_sessions_free(l->sessions);
        l->tombstones = leader_tombstones_free(l->tombstones);
        l->reconcile = leader_reconcile_free(l->reconcile);
        l->ca = ca_manager_free(l->ca);
        l->replication = leader_replication_free(l->replication);
        l->acl_replication = leader_acl_replication_free(l->acl_replication);
        l->federation = leader_federation_free(l->federation);
    }
    return mem_free(l);
}
