/* Plays the transcripts of tests/data/raft: commands, a line of dashes, what the cores put out.
 *
 *     timeouts 5000          heartbeat and election, for servers made from now on (1000)
 *     reference c            c knows no pre-vote and says nothing of its pace
 *     servers a b c          cores with that configuration at index 1, durable, term 1
 *     elect a                time passes for a until it campaigns (others stand still)
 *     tick a 100             100 ms pass for a
 *     wait a 100             so long a was busy with what it did last, a vote for example
 *     deliver                all messages, and what they cause, until none is left (disks: see
 * sync) deliver a b            only those from a to b that wait now drop a b               they are
 * lost; a learns that b is unreachable sync a                 the disk of a is done auto-sync
 * on|off       whether every append is durable at once propose a 3 [large]    three commands (of 1
 * MB) change a add d | nonvoter d | demote d | remove d transfer a [b]         verify a fail-disk a
 * crash a (and start again) compact a 5            a snapshot up to 5, log from 6 on quiet on|off
 * whether outputs are printed state                  one line a server
 *
 * test_core --rewrite replaces the expected output by what is put out. */
#include "test.h"

#include "base/mem.h"
#include "base/vec.h"
#include "raft/core/core.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NODES 6
#define LOG_MAX 256u

static char large[1 << 20];

struct node {
    char id[2], address[3];
    bool is_up, is_reference;
    struct raft_core *core;
    uint64_t now_ms;
    /* The disk. */
    struct raft_entry log[LOG_MAX]; /* by index; data in bytes */
    char *bytes[LOG_MAX];
    uint64_t first, last, durable, term;
    uint64_t snapshot_index, snapshot_term;
    struct raft_configuration snapshot_configuration;
    char vote[8];
    uint64_t token, applied;
    const struct raft_entry *proposed; /* in the step that is under way */
    size_t proposed_count;
};

struct letter {
    int from, to;
    bool is_result;
    struct raft_msg msg, request; /* a result carries its request */
};

struct play {
    struct node nodes[NODES];
    VEC(struct letter) mail;
    VEC(struct letter) open; /* requests being served; msg.token is the server's */
    struct buf out;
    bool auto_sync, is_quiet;
    uint64_t timeout_ms;
};

static int node_of(struct str name)
{
    return name.n == 1 && name.p[0] >= 'a' && name.p[0] < 'a' + NODES ? name.p[0] - 'a' : -1;
}

static void say(struct play *p, const char *format, ...) PRINTF(2, 3);
static void say(struct play *p, const char *format, ...)
{
    if (!p->is_quiet) {
        va_list args;
        va_start(args, format);
        buf_vprintf(&p->out, format, args);
        va_end(args);
    }
}

static const char *state_text(enum raft_state s)
{
    return s == RAFT_LEADER ? "leader" : s == RAFT_CANDIDATE ? "candidate" : "follower";
}

static void say_msg(struct play *p, const struct raft_msg *m)
{
    switch (m->kind) {
    case RAFT_MSG_APPEND:
        if (m->append.prev_index + m->append.count == 0) {
            say(p, "heartbeat term %" PRIu64, m->term);
        } else {
            say(p,
                "append term %" PRIu64 " after %" PRIu64 "/%" PRIu64 " count %" PRIu64
                " commit %" PRIu64,
                m->term, m->append.prev_index, m->append.prev_term, m->append.count,
                m->append.commit_index);
        }
        break;
    case RAFT_MSG_APPEND_RESULT:
        say(p, "append %s term %" PRIu64 " last %" PRIu64,
            m->append_result.success ? "done" : "refused", m->term, m->append_result.last_index);
        if (m->append_result.conflict_index != 0) {
            say(p, " conflict %" PRIu64, m->append_result.conflict_index);
        }
        break;
    case RAFT_MSG_VOTE:
        say(p, "%s term %" PRIu64 " last %" PRIu64 "/%" PRIu64 "%s",
            m->vote.pre ? "pre-vote" : "vote", m->term, m->vote.last_index, m->vote.last_term,
            m->vote.transfer ? " transfer" : "");
        break;
    case RAFT_MSG_VOTE_RESULT:
        say(p, "%s %s term %" PRIu64, m->vote_result.pre ? "pre-vote" : "vote",
            m->vote_result.granted ? "granted" : "refused", m->term);
        break;
    case RAFT_MSG_INSTALL:
        say(p, "install term %" PRIu64 " snapshot %" PRIu64 "/%" PRIu64, m->term, m->install.index,
            m->install.term);
        break;
    case RAFT_MSG_INSTALL_RESULT:
        say(p, "install %s term %" PRIu64, m->install_result.success ? "done" : "refused", m->term);
        break;
    case RAFT_MSG_TIMEOUT_NOW:
        say(p, "timeout-now");
        break;
    }
    say(p, "\n");
}

static void say_configuration(struct play *p, const struct raft_configuration *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        say(p, " %s%s", c->servers[i].id, c->servers[i].suffrage == RAFT_VOTER ? "" : "(no vote)");
    }
}

static void disk_put(struct node *n, const struct raft_entry *e)
{
    assert_true(e->index == n->last + 1 && e->index < LOG_MAX);
    mem_free(n->bytes[e->index]);
    n->bytes[e->index] = xmalloc(e->data.n + 1);
    if (e->data.n > 0) {
        memcpy(n->bytes[e->index], e->data.p, e->data.n);
    }
    n->log[e->index] = *e;
    n->log[e->index].data.p = n->bytes[e->index];
    n->last = e->index;
}

static int step(struct play *p, struct node *n, struct raft_core_event e);

static void send_request(struct play *p, struct node *n, const struct raft_core_output *o)
{
    struct letter l = {.from = (int)(n - p->nodes), .to = node_of(o->server), .msg = o->msg};
    if (l.msg.kind == RAFT_MSG_INSTALL) {
        l.msg.install.configuration = n->snapshot_configuration;
        l.msg.install.configuration_index = 1;
    }
    vec_push(&p->mail, l);
}

static void send_result(struct play *p, struct node *n, const struct raft_msg *m)
{
    for (size_t i = 0; i < p->open.n; i++) {
        struct letter l = p->open.v[i];
        if (l.to != (int)(n - p->nodes) || l.msg.token != m->token) {
            continue;
        }
        p->open.v[i] = p->open.v[--p->open.n];
        struct letter back = {.from = l.to, .to = l.from, .is_result = true, .msg = *m};
        back.msg.token = l.request.token;
        if (m->kind == RAFT_MSG_APPEND_RESULT) {
            back.msg.append_result.prev_index = l.request.append.prev_index;
            back.msg.append_result.count = l.request.append.count;
            back.msg.append_result.round = l.request.token;
        } else if (m->kind == RAFT_MSG_INSTALL_RESULT) {
            back.msg.install_result.index = l.request.install.index;
        }
        vec_push(&p->mail, back);
        return;
    }
    fail_msg("a reply to no request");
}

static void install(struct play *p, struct node *n, const struct raft_msg *m)
{
    n->snapshot_index = n->applied = m->install.index;
    n->snapshot_term = m->install.term;
    n->snapshot_configuration = m->install.configuration;
    (void)step(p, n,
               (struct raft_core_event){.kind = RAFT_EVENT_INSTALLED,
                                        .ok = true,
                                        .index = m->install.index,
                                        .term = m->install.term,
                                        .configuration = &m->install.configuration,
                                        .configuration_index = m->install.configuration_index});
}

/* Carry out one output; whether a snapshot is to be received is remembered for after the step. */
static void carry_out(struct play *p, struct node *n, const struct raft_core_output *o)
{
    say(p, "%s: ", n->id);
    uint64_t index;
    switch (o->kind) {
    case RAFT_OUT_PERSIST:
        say(p, "persist term %" PRIu64 " vote %.*s\n", o->term,
            STRF(o->server.n > 0 ? o->server : STR("-")));
        n->term = o->term;
        memset(n->vote, 0, sizeof(n->vote));
        memcpy(n->vote, o->server.p, MIN(o->server.n, sizeof(n->vote) - 1));
        break;
    case RAFT_OUT_TRUNCATE:
        say(p, "cut log from %" PRIu64 "\n", o->index);
        n->last = o->index - 1;
        n->durable = MIN(n->durable, n->last);
        break;
    case RAFT_OUT_APPEND:
        say(p, "log");
        for (size_t i = 0; i < o->count; i++) {
            static const char *const kinds[] = {"", " noop", "", "", " barrier", " configuration"};
            say(p, " %" PRIu64 "/%" PRIu64 "%s", o->entries[i].index, o->entries[i].term,
                kinds[o->entries[i].type]);
            disk_put(n, &o->entries[i]);
        }
        say(p, "\n");
        break;
    case RAFT_OUT_RESET:
        say(p, "empty log, next %" PRIu64 "\n", o->index);
        n->first = o->index;
        n->last = n->durable = o->index - 1;
        break;
    case RAFT_OUT_SEND:
        say(p, "-> %.*s: ", STRF(o->server));
        say_msg(p, &o->msg);
        send_request(p, n, o);
        break;
    case RAFT_OUT_REPLY:
        say(p, "reply: ");
        say_msg(p, &o->msg);
        send_result(p, n, &o->msg);
        break;
    case RAFT_OUT_COMMIT:
        say(p, "commit %" PRIu64 "\n", o->index);
        assert_true(o->index > n->applied && o->index <= n->durable);
        n->applied = o->index;
        break;
    case RAFT_OUT_ROLE:
        say(p, "%s term %" PRIu64 " leader %.*s\n", state_text(o->state), o->term,
            STRF(o->server.n > 0 ? o->server : STR("-")));
        break;
    case RAFT_OUT_CONFIGURATION:
        say(p, "servers of %" PRIu64 ":", o->index);
        say_configuration(p, raft_core_configuration(n->core, &index));
        say(p, "\n");
        break;
    case RAFT_OUT_INSTALL:
        say(p, "receive snapshot %" PRIu64 "/%" PRIu64 "\n", o->msg.install.index,
            o->msg.install.term);
        break;
    case RAFT_OUT_VERIFIED:
        say(p, "verified %" PRIu64 ": %s\n", o->token,
            o->code == 0 ? "yes" : err_code_text(-o->code));
        break;
    case RAFT_OUT_TRANSFERRED:
        say(p, "transferred: %s\n", o->code == 0 ? "yes" : err_code_text(-o->code));
        break;
    }
}

static void sync_disk(struct play *p, struct node *n)
{
    if (n->durable < n->last) {
        n->durable = n->last;
        (void)step(p, n,
                   (struct raft_core_event){
                       .kind = RAFT_EVENT_DURABLE, .index = n->last, .term = n->log[n->last].term});
    }
}

static int step(struct play *p, struct node *n, struct raft_core_event e)
{
    struct raft_core_out out = {0};
    struct err err = {0};
    e.now_ms = n->now_ms;
    int r = raft_core_step(n->core, &e, &out, &err);
    bool installs = false;
    struct raft_msg msg;
    for (size_t i = 0; i < out.n; i++) {
        carry_out(p, n, &out.v[i]);
        if (out.v[i].kind == RAFT_OUT_INSTALL) {
            msg = out.v[i].msg;
            installs = true;
        }
    }
    raft_core_out_deinit(&out);
    if (r < 0) {
        say(p, "%s: refused: %s\n", n->id, err.code != 0 ? err_text(&err) : err_code_text(-r));
    }
    if (installs) {
        install(p, n, &msg);
    }
    if (p->auto_sync) {
        sync_disk(p, n);
    }
    return r;
}

static void deliver(struct play *p, struct letter l)
{
    struct node *n = &p->nodes[l.to];
    if (!n->is_up) {
        return;
    }
    if (l.is_result) {
        (void)step(p, n,
                   (struct raft_core_event){.kind = RAFT_EVENT_MESSAGE,
                                            .server = str_from_cstr(p->nodes[l.from].id),
                                            .msg = &l.msg});
        return;
    }
    l.request = l.msg;
    if (n->is_reference && l.msg.kind == RAFT_MSG_VOTE && l.msg.vote.pre) {
        struct raft_msg result = {.kind = RAFT_MSG_VOTE_RESULT,
                                  .token = l.msg.token,
                                  .vote_result = {.pre = true, .unsupported = true}};
        vec_push(&p->mail, ((struct letter){l.to, l.from, true, result, l.msg}));
        return;
    }
    if (p->nodes[l.from].is_reference && l.msg.kind == RAFT_MSG_APPEND) {
        l.msg.append.interval_ms = 0;
    }
    l.msg.token = ++n->token;
    struct raft_entry entries[RAFT_APPEND_COUNT_MAX];
    if (l.msg.kind == RAFT_MSG_APPEND) {
        for (uint64_t i = 0; i < l.msg.append.count; i++) {
            entries[i] = p->nodes[l.from].log[l.msg.append.prev_index + 1 + i];
        }
        l.msg.append.entries = entries;
    }
    if (l.msg.kind != RAFT_MSG_TIMEOUT_NOW) {
        vec_push(&p->open, l);
    }
    (void)step(p, n, (struct raft_core_event){.kind = RAFT_EVENT_MESSAGE, .msg = &l.msg});
}

/* Those that wait now (from, to: -1 any), oldest first; whether there were any. */
static bool deliver_waiting(struct play *p, int from, int to, bool drop)
{
    size_t n = p->mail.n, kept = 0;
    struct letter *now = xmalloc((n + 1) * sizeof(*now));
    bool any = false;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        struct letter l = p->mail.v[i];
        if ((from < 0 || l.from == from) && (to < 0 || l.to == to)) {
            now[count++] = l;
        } else {
            p->mail.v[kept++] = l;
        }
    }
    p->mail.n = kept;
    for (size_t i = 0; i < count; i++) {
        any = true;
        if (!drop) {
            deliver(p, now[i]);
        } else {
            struct node *who = &p->nodes[now[i].is_result ? now[i].to : now[i].from];
            struct node *whom = &p->nodes[now[i].is_result ? now[i].from : now[i].to];
            if (who->is_up) {
                (void)step(p, who,
                           (struct raft_core_event){.kind = RAFT_EVENT_UNREACHABLE,
                                                    .server = str_from_cstr(whom->id)});
            }
        }
    }
    mem_free(now);
    return any;
}

static uint64_t node_fit(void *data, uint64_t index, uint64_t count_max, uint64_t size_max,
                         uint64_t *ret_size)
{
    const struct node *n = data;
    uint64_t count = 0;
    *ret_size = 0;
    while (count < count_max) {
        uint64_t at = index + count;
        bool is_new = at > n->last;
        bool is_known = !is_new || (n->proposed_count > 0 && at >= n->proposed[0].index &&
                                    at - n->proposed[0].index < n->proposed_count);
        size_t size = !is_known ? 0
                      : is_new  ? n->proposed[at - n->proposed[0].index].data.n
                                : n->log[at].data.n;
        if (count > 0 && (!is_known || *ret_size + size > size_max)) {
            break;
        }
        *ret_size += size;
        count++;
    }
    return count;
}

static void node_start(struct play *p, struct node *n)
{
    struct raft_configuration latest = n->snapshot_configuration, committed = latest;
    uint64_t latest_index = latest.count > 0, committed_index = latest_index;
    VEC(struct raft_term_run) runs = {0};
    n->last = n->durable; /* what was not synced is gone */
    for (uint64_t i = n->first; i <= n->last; i++) {
        const struct raft_entry *e = &n->log[i];
        if (runs.n == 0 || runs.v[runs.n - 1].term != e->term) {
            vec_push(&runs, ((struct raft_term_run){i, e->term}));
        }
        if (e->type == RAFT_ENTRY_CONFIGURATION) {
            committed = latest;
            committed_index = latest_index;
            assert_ok(raft_configuration_decode(e->data, &latest, NULL));
            latest_index = i;
        }
    }
    n->core = raft_core_new(&(struct raft_core_options){.id = str_from_cstr(n->id),
                                                        .address = str_from_cstr(n->address),
                                                        .heartbeat_timeout_ms = p->timeout_ms,
                                                        .election_timeout_ms = p->timeout_ms,
                                                        .lease_timeout_ms = p->timeout_ms / 2,
                                                        .commit_timeout_ms = 50,
                                                        .pre_vote = true,
                                                        .fit = node_fit,
                                                        .fit_data = n,
                                                        .seed = 1 + (uint64_t)(n - p->nodes),
                                                        .now_ms = n->now_ms,
                                                        .term = n->term,
                                                        .voted_for = str_from_cstr(n->vote),
                                                        .snapshot_index = n->snapshot_index,
                                                        .snapshot_term = n->snapshot_term,
                                                        .log_first_index = n->first,
                                                        .log_last_index = n->last,
                                                        .runs = runs.v,
                                                        .runs_count = runs.n,
                                                        .committed = &committed,
                                                        .committed_index = committed_index,
                                                        .latest = &latest,
                                                        .latest_index = latest_index});
    n->applied = n->snapshot_index;
    n->is_up = true;
    vec_deinit(&runs);
}

static void node_crash(struct play *p, struct node *n)
{
    n->core = raft_core_free(n->core);
    n->is_up = false;
    size_t kept = 0;
    for (size_t i = 0; i < p->open.n; i++) {
        if (p->open.v[i].to != (int)(n - p->nodes)) {
            p->open.v[kept++] = p->open.v[i];
        }
    }
    p->open.n = kept;
}

static void make_servers(struct play *p, struct str *args, size_t count)
{
    struct raft_configuration c = {0};
    struct buf b = {0};
    for (size_t i = 0; i < count; i++) {
        char address[3] = {'@', args[i].p[0], '\0'};
        assert_ok(raft_configuration_add(&c, RAFT_VOTER, args[i], str_from_cstr(address), NULL));
    }
    raft_configuration_encode(&c, &b);
    for (size_t i = 0; i < NODES; i++) {
        struct node *n = &p->nodes[i];
        n->id[0] = n->address[1] = (char)('a' + i);
        n->address[0] = '@';
        n->first = 1;
        if (raft_configuration_find(&c, str_from_cstr(n->id)) != NULL) {
            disk_put(n, &(struct raft_entry){.index = 1,
                                             .term = 1,
                                             .type = RAFT_ENTRY_CONFIGURATION,
                                             .data = buf_view(&b)});
            n->durable = n->term = 1;
            node_start(p, n);
        } else {
            node_start(p, n); /* knows nothing yet */
        }
    }
    buf_deinit(&b);
}

static void say_states(struct play *p)
{
    for (size_t i = 0; i < NODES; i++) {
        struct node *n = &p->nodes[i];
        if (!n->is_up || n->last + n->first + n->term <= 1) {
            continue;
        }
        say(p, "%s: %s term %" PRIu64 " log", n->id, state_text(raft_core_state(n->core)),
            raft_core_term(n->core));
        if (n->first > 1) {
            say(p, " (%" PRIu64 "/%" PRIu64 ")", n->snapshot_index, n->snapshot_term);
        }
        for (uint64_t k = n->first, run = 1; k <= n->last; k++, run++) { /* terms, with repeats */
            if (k == n->last || n->log[k + 1].term != n->log[k].term) {
                say(p, " %" PRIu64, n->log[k].term);
                if (run > 1) {
                    say(p, "x%" PRIu64, run);
                }
                run = 0;
            }
        }
        say(p, " durable %" PRIu64 " applied %" PRIu64 "\n", n->durable, n->applied);
    }
}

static void command(struct play *p, struct str *args, size_t count)
{
    struct str verb = args[0];
    int who = count > 1 ? node_of(args[1]) : -1;
    int whom = count > 2 ? node_of(args[2]) : -1;
    struct node *n = who >= 0 ? &p->nodes[who] : NULL;
    uint64_t number = 0;
    if (count > 2) {
        number = str_parse_u64(args[2], &number) == 0 ? number : 0;
    }
    if (str_eq_lit(verb, "timeouts")) {
        assert_ok(str_parse_u64(args[1], &p->timeout_ms));
    } else if (str_eq_lit(verb, "reference")) {
        n->is_reference = true;
    } else if (str_eq_lit(verb, "servers")) {
        make_servers(p, args + 1, count - 1);
    } else if (str_eq_lit(verb, "elect")) {
        n->now_ms = MAX(n->now_ms, raft_core_deadline_ms(n->core));
        (void)step(p, n, (struct raft_core_event){.kind = RAFT_EVENT_TICK});
    } else if (str_eq_lit(verb, "tick")) {
        n->now_ms += number;
        (void)step(p, n, (struct raft_core_event){.kind = RAFT_EVENT_TICK});
    } else if (str_eq_lit(verb, "wait")) {
        n->now_ms += number;
        (void)step(p, n, (struct raft_core_event){.kind = RAFT_EVENT_WAITED});
    } else if (str_eq_lit(verb, "deliver")) {
        if (count == 1) {
            for (int rounds = 0; deliver_waiting(p, -1, -1, false); rounds++) {
                assert_true(rounds < 100);
            }
        } else {
            (void)deliver_waiting(p, who, whom, false);
        }
    } else if (str_eq_lit(verb, "drop")) {
        (void)deliver_waiting(p, who, whom, true);
    } else if (str_eq_lit(verb, "sync")) {
        sync_disk(p, n);
    } else if (str_eq_lit(verb, "auto-sync")) {
        p->auto_sync = str_eq_lit(args[1], "on");
    } else if (str_eq_lit(verb, "quiet")) {
        p->is_quiet = str_eq_lit(args[1], "on");
    } else if (str_eq_lit(verb, "propose")) {
        struct raft_entry entries[LOG_MAX] = {0};
        assert_true(number < LOG_MAX);
        for (uint64_t i = 0; i < number; i++) {
            entries[i].data = count > 3 && str_eq_lit(args[3], "large")
                                  ? str_make(large, sizeof(large))
                                  : STR("command");
        }
        n->proposed = entries;
        n->proposed_count = number;
        (void)step(p, n,
                   (struct raft_core_event){
                       .kind = RAFT_EVENT_PROPOSE, .entries = entries, .count = number});
        n->proposed_count = 0;
    } else if (str_eq_lit(verb, "change")) {
        enum raft_change change = str_eq_lit(args[2], "add")        ? RAFT_ADD_VOTER
                                  : str_eq_lit(args[2], "nonvoter") ? RAFT_ADD_NONVOTER
                                  : str_eq_lit(args[2], "demote")   ? RAFT_DEMOTE_VOTER
                                                                    : RAFT_REMOVE_SERVER;
        char address[3] = {'@', args[3].p[0], '\0'};
        (void)step(p, n,
                   (struct raft_core_event){.kind = RAFT_EVENT_CHANGE,
                                            .change = change,
                                            .server = args[3],
                                            .address = str_from_cstr(address)});
    } else if (str_eq_lit(verb, "transfer")) {
        (void)step(p, n,
                   (struct raft_core_event){.kind = RAFT_EVENT_TRANSFER,
                                            .server = count > 2 ? args[2] : STR_NULL});
    } else if (str_eq_lit(verb, "verify")) {
        (void)step(p, n, (struct raft_core_event){.kind = RAFT_EVENT_VERIFY, .token = ++n->token});
    } else if (str_eq_lit(verb, "fail-disk")) {
        n->last = n->durable;
        (void)step(p, n, (struct raft_core_event){.kind = RAFT_EVENT_LOG_FAILED, .index = n->last});
    } else if (str_eq_lit(verb, "crash")) {
        node_crash(p, n);
        node_start(p, n);
    } else if (str_eq_lit(verb, "compact")) {
        n->snapshot_index = number;
        n->snapshot_term = n->log[number].term;
        uint64_t index;
        n->snapshot_configuration = *raft_core_committed_configuration(n->core, &index);
        n->first = number + 1;
        (void)step(p, n,
                   (struct raft_core_event){.kind = RAFT_EVENT_COMPACTED,
                                            .index = number,
                                            .term = n->snapshot_term,
                                            .first_index = n->first});
    } else if (str_eq_lit(verb, "state")) {
        say_states(p);
    } else {
        fail_msg("no such command: %.*s", STRF(verb));
    }
}

static void play_command(struct play *p, struct str line)
{
    struct str args[16], rest = line, word;
    size_t count = 0;
    while (count < 16 && str_split_next(&rest, ' ', &word)) {
        if (word.n > 0) {
            args[count++] = word;
        }
    }
    if (count > 0) {
        command(p, args, count);
    }
}

static void play_free(struct play *p)
{
    for (size_t i = 0; i < NODES; i++) {
        raft_core_free(p->nodes[i].core);
        for (size_t k = 0; k < LOG_MAX; k++) {
            mem_free(p->nodes[i].bytes[k]);
        }
    }
    vec_deinit(&p->mail);
    vec_deinit(&p->open);
    buf_deinit(&p->out);
    mem_free(p);
}

static bool rewrite;

/* Blocks of commands, "----", output, an empty line; "#" lines are comments. */
static void play_file(const char *path)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    struct buf text = {0}, made = {0};
    char chunk[4096];
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), f)) > 0;) {
        buf_put(&text, chunk, n);
    }
    fclose(f);
    struct play *p = xcalloc(1, sizeof(*p));
    p->timeout_ms = 1000;
    p->auto_sync = true;
    struct str rest = buf_view(&text), line;
    bool in_output = false;
    struct buf want = {0};
    size_t number = 0;
    while (rest.p != NULL) {
        bool more = str_split_next(&rest, '\n', &line);
        number++;
        if (in_output && (!more || line.n == 0)) {
            if (!rewrite && !str_eq(buf_view(&want), buf_view(&p->out))) {
                print_error("%s:%zu: got\n%.*s", path, number, STRF(buf_view(&p->out)));
                assert_str_equal(buf_view(&p->out), buf_view(&want));
            }
            buf_str(&made, buf_view(&p->out));
            buf_clear(&p->out);
            buf_clear(&want);
            in_output = false;
        } else if (in_output) {
            buf_str(&want, line);
            buf_byte(&want, '\n');
            continue;
        } else if (str_eq_lit(line, "----")) {
            in_output = true;
        } else if (line.n > 0 && line.p[0] != '#') {
            play_command(p, line);
        }
        if (rest.p != NULL) {
            buf_str(&made, line);
            buf_byte(&made, '\n');
        }
    }
    assert_int_equal(p->out.n, 0); /* each block ends with its output */
    if (rewrite) {
        f = fopen(path, "w");
        assert_non_null(f);
        fwrite(made.p, 1, made.n, f);
        fclose(f);
    }
    play_free(p);
    buf_deinit(&text);
    buf_deinit(&made);
    buf_deinit(&want);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void test_transcripts(void **state)
{
    (void)state;
    const char *data = getenv("TEST_DATA");
    char dir[4096], path[8192];
    snprintf(dir, sizeof(dir), "%s/raft", data != NULL ? data : "tests/data");
    DIR *d = opendir(dir);
    assert_non_null(d);
    VEC(char *) names = {0};
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t n = strlen(e->d_name);
        if (n > 4 && strcmp(e->d_name + n - 4, ".txt") == 0) {
            vec_push(&names, xmemdup(e->d_name, n + 1));
        }
    }
    closedir(d);
    assert_true(names.n > 0);
    qsort(names.v, names.n, sizeof(names.v[0]), by_name);
    for (size_t i = 0; i < names.n; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names.v[i]);
        play_file(path);
        mem_free(names.v[i]);
    }
    vec_deinit(&names);
}

int main(int argc, char **argv)
{
    rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_transcripts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
