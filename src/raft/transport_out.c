/* Which path a message takes, and who there is to send to.
 *
 * Heartbeats: a server that is slow to answer gets no pile of them. One is under way; of those that
 * come meanwhile only the newest is kept, for it asks what the others asked (the round of a result
 * counts for all rounds before). So a heartbeat is never behind another, and a stalled server is
 * sent one every time it wakes up. Votes and TIMEOUT_NOW are few and go out at once; the ring
 * bounds them. */
#include "raft/transport_internal.h"

#include "base/mem.h"

static void remote_reset(struct remote *s)
{
    for (size_t i = 0; i < PATHS_COUNT; i++) {
        path_lose(&s->paths[i], "its address has changed");
    }
}

static void name_set(char to[RAFT_NAME_SIZE_MAX + 1], struct str name)
{
    ASSERT(name.n <= RAFT_NAME_SIZE_MAX);
    memcpy(to, name.p, name.n);
    to[name.n] = '\0';
}

struct remote *remote_get(struct transport *t, struct str id, struct str address)
{
    struct remote *s = NULL;
    list_for_each (node, &t->servers) {
        struct remote *it = list_entry(node, struct remote, node);
        if (str_eq(str_from_cstr(it->id), id)) {
            s = it;
            break;
        }
    }
    if (s == NULL) {
        s = xcalloc(1, sizeof(*s));
        s->t = t;
        name_set(s->id, id);
        name_set(s->address, address);
        for (uint32_t i = 0; i < PATHS_COUNT; i++) {
            s->paths[i].remote = s;
            s->paths[i].kind = (enum path_kind)i;
        }
        list_push_back(&t->servers, &s->node);
    } else if (!str_eq(str_from_cstr(s->address), address)) {
        remote_reset(s);
        name_set(s->address, address);
    }
    return s;
}

void remote_free(struct remote *s)
{
    for (size_t i = 0; i < PATHS_COUNT; i++) {
        struct path *p = &s->paths[i];
        path_close(p);
        list_remove(&p->lost_node);
        mem_free(p->asked);
    }
    mem_free(s);
}

void transport_configure(struct raft_transport *base, const struct raft_configuration *c)
{
    struct transport *t = container_of(base, struct transport, base);
    list_for_each (node, &t->servers) {
        struct remote *s = list_entry(node, struct remote, node);
        const struct raft_server *now = raft_configuration_find(c, str_from_cstr(s->id));
        if (now == NULL) {
            remote_reset(s);
            list_remove(&s->node);
            list_push_back(&t->dropped, &s->node);
            transport_wake(t);
        } else if (strcmp(now->address, s->address) != 0) {
            remote_reset(s);
            name_set(s->address, str_from_cstr(now->address));
        }
    }
}

/* Encode behind what is gathered. */
static void path_put(struct path *p, const struct raft_wire_request *request)
{
    raft_wire_request_encode(request, &p->out);
    path_gathered(p);
}

void heartbeat_answered(struct path *p)
{
    p->heartbeat_is_out = false;
    if (p->heartbeat_waits) {
        p->heartbeat_waits = false;
        if (path_ask(p, &p->heartbeat)) {
            p->heartbeat_is_out = true;
            buf_str(&p->out, buf_view(&p->heartbeat_bytes));
            path_gathered(p);
        }
    }
}

static bool is_heartbeat(const struct raft_msg *m)
{
    return m->kind == RAFT_MSG_APPEND && m->append.prev_index == 0 && m->append.prev_term == 0 &&
           m->append.commit_index == 0 && m->append.count == 0;
}

static enum path_kind path_kind_of(const struct asked *asked)
{
    if (asked->kind == RAFT_MSG_APPEND && !asked->is_heartbeat) {
        return PATH_ENTRIES;
    }
    return asked->pre ? PATH_PRE_VOTE : PATH_CONTROL;
}

void transport_send(struct raft_transport *base, struct str id, struct str address,
                    const struct raft_msg *msg, const struct raft_entry *entries)
{
    static struct raft_entry none; /* an empty list is not nil; it is never looked at */
    struct transport *t = container_of(base, struct transport, base);
    struct asked asked = {.kind = msg->kind, .token = msg->token, .term = msg->term};
    struct raft_wire_request request = {.protocol = RAFT_WIRE_PROTOCOL, .msg = *msg};
    if (msg->kind == RAFT_MSG_APPEND) {
        asked.is_heartbeat = is_heartbeat(msg);
        asked.index = msg->append.prev_index;
        asked.count = msg->append.count;
        request.msg.append.entries = asked.is_heartbeat ? NULL
                                     : asked.count == 0 ? &none
                                                        : (struct raft_entry *)entries;
    } else {
        ASSERT(msg->kind == RAFT_MSG_VOTE || msg->kind == RAFT_MSG_TIMEOUT_NOW);
        asked.pre = msg->kind == RAFT_MSG_VOTE && msg->vote.pre;
    }
    struct path *p = &remote_get(t, id, address)->paths[path_kind_of(&asked)];
    if (list_is_linked(&p->lost_node)) {
        return; /* the unreachable() on its way speaks for this one, too */
    }
    if (asked.is_heartbeat && p->heartbeat_is_out) {
        p->heartbeat_waits = true;
        p->heartbeat = asked;
        buf_clear(&p->heartbeat_bytes);
        raft_wire_request_encode(&request, &p->heartbeat_bytes);
    } else if (path_ask(p, &asked)) {
        p->heartbeat_is_out |= asked.is_heartbeat;
        path_put(p, &request);
    }
}
