/* Maps have the field names of Go's structs for keys, sorted; the header that all embed shows as
 * ProtocolVersion among them. Later versions add ID and Addr to it, which replace Leader and
 * Candidate. Unknown keys are skipped. */
#include "raft/wire.h"

#include "base/clock.h"
#include "schema/msgpack.h"

void raft_wire_request_scan(struct msgpack_scan *s)
{
    msgpack_scan_begin(s, 1, 1, RAFT_WIRE_SIZE_MAX);
}

void raft_wire_reply_scan(struct msgpack_scan *s)
{
    msgpack_scan_begin(s, 0, 2, RAFT_WIRE_REPLY_SIZE_MAX);
}

/* --- out ------------------------------------------------------------------------------------ */

static void put_u64(struct buf *to, struct str key, uint64_t value)
{
    msgpack_raw(to, key);
    msgpack_u64(to, value);
}

static void put_bool(struct buf *to, struct str key, bool value)
{
    msgpack_raw(to, key);
    msgpack_bool(to, value);
}

/* A byte slice: nil differs from empty. */
static void put_bytes(struct buf *to, struct str key, struct str value)
{
    msgpack_raw(to, key);
    if (value.p == NULL) {
        msgpack_nil(to);
    } else {
        msgpack_raw(to, value);
    }
}

/* Go tells UTC (an offset of -1) from a local zone that happens to be at 0. A leader stamps its
 * entries with local time; ours keeps its clock at offset 0. */
static void put_time(struct buf *to, struct str key, int64_t wall_ns)
{
    msgpack_raw(to, key);
    msgpack_time(to, wall_ns != 0 ? wall_ns : TIME_ZERO);
    if (wall_ns != 0 && !to->failed) {
        put_be16(to->p + to->n - 2, 0);
    }
}

static void append_put(const struct raft_wire_request *r, struct buf *to)
{
    const struct raft_msg *m = &r->msg;
    msgpack_map(to, m->append.interval_ms > 0 ? 8 : 7);
    msgpack_raw(to, STR("Entries"));
    if (m->append.entries == NULL) {
        ASSERT(m->append.count == 0);
        msgpack_nil(to);
    } else {
        msgpack_array(to, m->append.count);
    }
    for (uint64_t i = 0; i < m->append.count; i++) {
        const struct raft_entry *e = &m->append.entries[i];
        msgpack_map(to, 6);
        put_time(to, STR("AppendedAt"), e->appended_ns);
        put_bytes(to, STR("Data"), e->data);
        put_bytes(to, STR("Extensions"), e->extensions);
        put_u64(to, STR("Index"), e->index);
        put_u64(to, STR("Term"), e->term);
        put_u64(to, STR("Type"), e->type);
    }
    if (m->append.interval_ms > 0) {
        put_u64(to, STR("HeartbeatInterval"), m->append.interval_ms);
    }
    put_bytes(to, STR("Leader"), m->append.leader);
    put_u64(to, STR("LeaderCommitIndex"), m->append.commit_index);
    put_u64(to, STR("PrevLogEntry"), m->append.prev_index);
    put_u64(to, STR("PrevLogTerm"), m->append.prev_term);
    put_u64(to, STR("ProtocolVersion"), r->protocol);
    put_u64(to, STR("Term"), m->term);
}

static void vote_put(const struct raft_wire_request *r, struct buf *to)
{
    const struct raft_msg *m = &r->msg;
    msgpack_map(to, m->vote.pre ? 5 : 6);
    put_bytes(to, m->vote.pre ? STR("Addr") : STR("Candidate"), m->vote.candidate);
    put_u64(to, STR("LastLogIndex"), m->vote.last_index);
    put_u64(to, STR("LastLogTerm"), m->vote.last_term);
    if (!m->vote.pre) {
        put_bool(to, STR("LeadershipTransfer"), m->vote.transfer);
    }
    put_u64(to, STR("ProtocolVersion"), r->protocol);
    put_u64(to, STR("Term"), m->term);
}

static void install_put(const struct raft_wire_request *r, struct buf *to)
{
    const struct raft_msg *m = &r->msg;
    struct buf configuration = {0};
    raft_configuration_encode(&m->install.configuration, &configuration);
    msgpack_map(to, m->install.stage != 0 ? 11 : 10);
    put_bytes(to, STR("Configuration"), buf_view(&configuration));
    put_u64(to, STR("ConfigurationIndex"), m->install.configuration_index);
    put_u64(to, STR("LastLogIndex"), m->install.index);
    put_u64(to, STR("LastLogTerm"), m->install.term);
    put_bytes(to, STR("Leader"), m->install.leader);
    put_bytes(to, STR("Peers"), STR_NULL); /* what there was before Configuration */
    put_u64(to, STR("ProtocolVersion"), r->protocol);
    put_u64(to, STR("Size"), r->snapshot_size);
    put_u64(to, STR("SnapshotVersion"), RAFT_WIRE_SNAPSHOT_VERSION);
    if (m->install.stage != 0) {
        put_u64(to, STR("Stage"), m->install.stage);
    }
    put_u64(to, STR("Term"), m->term);
    buf_deinit(&configuration);
}

void raft_wire_request_encode(const struct raft_wire_request *r, struct buf *to)
{
    switch (r->msg.kind) {
    case RAFT_MSG_APPEND:
        buf_byte(to, RAFT_WIRE_APPEND);
        append_put(r, to);
        return;
    case RAFT_MSG_VOTE:
        buf_byte(to, r->msg.vote.pre ? RAFT_WIRE_PRE_VOTE : RAFT_WIRE_VOTE);
        vote_put(r, to);
        return;
    case RAFT_MSG_INSTALL:
        buf_byte(to, r->msg.install.pre ? RAFT_WIRE_PRE_INSTALL : RAFT_WIRE_INSTALL);
        install_put(r, to);
        return;
    case RAFT_MSG_TIMEOUT_NOW:
        buf_byte(to, RAFT_WIRE_TIMEOUT_NOW);
        msgpack_map(to, 1);
        put_u64(to, STR("ProtocolVersion"), r->protocol);
        return;
    case RAFT_MSG_APPEND_RESULT:
    case RAFT_MSG_VOTE_RESULT:
    case RAFT_MSG_INSTALL_RESULT:
        break;
    }
    ASSERT(false); /* an answer */
}

void raft_wire_reply_encode(const struct raft_wire_reply *r, struct buf *to)
{
    const struct raft_msg *m = &r->msg;
    msgpack_raw(to, r->error);
    switch (m->kind) {
    case RAFT_MSG_APPEND_RESULT:
        msgpack_map(to, m->append_result.conflict_index > 0 ? 6 : 5);
        if (m->append_result.conflict_index > 0) {
            put_u64(to, STR("ConflictIndex"), m->append_result.conflict_index);
        }
        put_u64(to, STR("LastLog"), m->append_result.last_index);
        put_bool(to, STR("NoRetryBackoff"), m->append_result.no_backoff);
        put_u64(to, STR("ProtocolVersion"), r->protocol);
        put_bool(to, STR("Success"), m->append_result.success);
        put_u64(to, STR("Term"), m->term);
        return;
    case RAFT_MSG_VOTE_RESULT:
        msgpack_map(to, m->vote_result.pre ? 3 : 4);
        put_bool(to, STR("Granted"), m->vote_result.granted);
        if (!m->vote_result.pre) {
            put_bytes(to, STR("Peers"), STR_NULL);
        }
        put_u64(to, STR("ProtocolVersion"), r->protocol);
        put_u64(to, STR("Term"), m->term);
        return;
    case RAFT_MSG_INSTALL_RESULT:
        msgpack_map(to, 3);
        put_u64(to, STR("ProtocolVersion"), r->protocol);
        put_bool(to, STR("Success"), m->install_result.success);
        put_u64(to, STR("Term"), m->term);
        return;
    case RAFT_MSG_TIMEOUT_NOW:
        msgpack_map(to, 1);
        put_u64(to, STR("ProtocolVersion"), r->protocol);
        return;
    case RAFT_MSG_APPEND:
    case RAFT_MSG_VOTE:
    case RAFT_MSG_INSTALL:
        break;
    }
    ASSERT(false); /* a request */
}

/* --- in ------------------------------------------------------------------------------------- */

/* Every key of every message; which of them a message has is seen when it is made. */
struct fields {
    uint64_t protocol, term, prev_index, prev_term, commit_index, last_index, last_term;
    uint64_t configuration_index, snapshot_version, last_log, conflict_index, interval_ms;
    uint64_t size, stage;
    struct str leader, candidate, address, configuration, peers;
    bool transfer, no_backoff, success, granted;
    struct raft_entry *entries;
    uint64_t count;
};

static int entry_read(struct cur *c, struct raft_entry *e, struct err *err)
{
    uint64_t type = RAFT_ENTRY_COMMAND;
    for (size_t n = msgpack_read_map(c); n > 0 && !c->failed; n--) {
        struct str key = msgpack_read_raw(c);
        if (str_eq_lit(key, "AppendedAt")) {
            int64_t at = msgpack_read_time(c);
            e->appended_ns = at != TIME_ZERO ? at : 0;
        } else if (str_eq_lit(key, "Data")) {
            e->data = msgpack_read_raw(c);
        } else if (str_eq_lit(key, "Extensions")) {
            e->extensions = msgpack_read_raw(c);
        } else if (str_eq_lit(key, "Index")) {
            e->index = msgpack_read_u64(c);
        } else if (str_eq_lit(key, "Term")) {
            e->term = msgpack_read_u64(c);
        } else if (str_eq_lit(key, "Type")) {
            type = msgpack_read_u64(c);
        } else if (msgpack_skip(c) < 0) {
            break;
        }
    }
    if (c->failed) {
        return err_set(err, ERR_INVALID, "malformed log entry");
    }
    if (e->data.n > RAFT_ENTRY_SIZE_MAX || e->extensions.n > RAFT_ENTRY_SIZE_MAX) {
        return err_set(err, ERR_TOO_LARGE, "log entry %llu is too large",
                       (unsigned long long)e->index);
    }
    switch (type) {
    case RAFT_ENTRY_COMMAND:
    case RAFT_ENTRY_NOOP:
    case RAFT_ENTRY_BARRIER:
    case RAFT_ENTRY_CONFIGURATION:
        e->type = (enum raft_entry_type)type;
        return 0;
    default: /* 2 and 3 changed the voters before protocol 2 */
        return err_set(err, ERR_UNSUPPORTED, "log entry %llu has the unknown type %llu",
                       (unsigned long long)e->index, (unsigned long long)type);
    }
}

static int entries_read(struct cur *c, struct arena *a, struct fields *f, struct err *err)
{
    if (msgpack_peek(c) == MSGPACK_NIL) {
        return msgpack_skip(c);
    }
    size_t n = msgpack_read_array(c);
    if (c->failed || a == NULL) {
        return err_set(err, ERR_INVALID, "malformed list of log entries");
    }
    if (n > RAFT_WIRE_ENTRIES_MAX) {
        return err_set(err, ERR_TOO_LARGE, "%zu log entries in a message, more than %u", n,
                       RAFT_WIRE_ENTRIES_MAX);
    }
    /* One at least: nil differs from empty. */
    f->entries = arena_zalloc(a, (n > 0 ? n : 1) * sizeof(*f->entries));
    f->count = n;
    for (size_t i = 0; i < n; i++) {
        int r = entry_read(c, &f->entries[i], err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int fields_read(struct cur *c, struct arena *a, struct fields *f, struct err *err)
{
    /* clang-format off */
    const struct { struct str key; uint64_t *to; } numbers[] = {
        {STR("ProtocolVersion"), &f->protocol}, {STR("Term"), &f->term},
        {STR("PrevLogEntry"), &f->prev_index}, {STR("PrevLogTerm"), &f->prev_term},
        {STR("LeaderCommitIndex"), &f->commit_index}, {STR("LastLogIndex"), &f->last_index},
        {STR("LastLogTerm"), &f->last_term}, {STR("ConfigurationIndex"), &f->configuration_index},
        {STR("SnapshotVersion"), &f->snapshot_version}, {STR("LastLog"), &f->last_log},
        {STR("ConflictIndex"), &f->conflict_index}, {STR("Size"), &f->size},
        {STR("HeartbeatInterval"), &f->interval_ms}, {STR("Stage"), &f->stage},
    };
    const struct { struct str key; struct str *to; } strings[] = {
        {STR("Leader"), &f->leader}, {STR("Candidate"), &f->candidate}, {STR("Addr"), &f->address},
        {STR("Configuration"), &f->configuration}, {STR("Peers"), &f->peers},
    };
    const struct { struct str key; bool *to; } bools[] = {
        {STR("Success"), &f->success}, {STR("NoRetryBackoff"), &f->no_backoff},
        {STR("Granted"), &f->granted}, {STR("LeadershipTransfer"), &f->transfer},
    };
    /* clang-format on */
    for (size_t n = msgpack_read_map(c); n > 0 && !c->failed; n--) {
        struct str key = msgpack_read_raw(c);
        bool found = false;
        for (size_t i = 0; i < ARRAY_SIZE(numbers) && !found; i++) {
            if ((found = str_eq(key, numbers[i].key))) {
                *numbers[i].to = msgpack_read_u64(c);
            }
        }
        for (size_t i = 0; i < ARRAY_SIZE(strings) && !found; i++) {
            if ((found = str_eq(key, strings[i].key))) {
                *strings[i].to = msgpack_read_raw(c);
            }
        }
        for (size_t i = 0; i < ARRAY_SIZE(bools) && !found; i++) {
            if ((found = str_eq(key, bools[i].key))) {
                *bools[i].to = msgpack_read_bool(c);
            }
        }
        if (!found && str_eq_lit(key, "Entries")) {
            int r = entries_read(c, a, f, err);
            if (r < 0) {
                return r;
            }
        } else if (!found && msgpack_skip(c) < 0) {
            c->failed = true;
        }
        if (c->failed) {
            return err_set(err, ERR_INVALID, "malformed %.*s",
                           STRF(str_first(key, RAFT_NAME_SIZE_MAX)));
        }
    }
    if (c->failed || cur_left(c) > 0) {
        return err_set(err, ERR_INVALID, "not one map of fields");
    }
    return 0;
}

static int name_check(struct str name, const char *what, struct err *err)
{
    return name.n <= RAFT_NAME_SIZE_MAX
               ? 0
               : err_set(err, ERR_TOO_LARGE, "address of the %s is longer than %u", what,
                         RAFT_NAME_SIZE_MAX);
}

static int install_make(const struct fields *f, struct raft_wire_request *r, struct err *err)
{
    struct raft_msg *m = &r->msg;
    m->kind = RAFT_MSG_INSTALL;
    m->install.leader = f->leader;
    m->install.index = f->last_index;
    m->install.term = f->last_term;
    m->install.configuration_index = f->configuration_index;
    m->install.stage = f->stage;
    r->snapshot_size = f->size;
    if (f->snapshot_version != RAFT_WIRE_SNAPSHOT_VERSION) {
        return err_set(err, ERR_UNSUPPORTED, "snapshot version %llu",
                       (unsigned long long)f->snapshot_version);
    }
    if (f->size > INT64_MAX) {
        return err_set(err, ERR_TOO_LARGE, "snapshot size");
    }
    return raft_configuration_decode(f->configuration, &m->install.configuration, err);
}

static int request_make(uint8_t type, const struct fields *f, struct raft_wire_request *r,
                        struct err *err)
{
    struct raft_msg *m = &r->msg;
    r->protocol = f->protocol;
    m->term = f->term;
    switch (type) {
    case RAFT_WIRE_APPEND:
        m->kind = RAFT_MSG_APPEND;
        m->append.leader = f->leader;
        m->append.prev_index = f->prev_index;
        m->append.prev_term = f->prev_term;
        m->append.commit_index = f->commit_index;
        m->append.entries = f->entries;
        m->append.count = f->count;
        m->append.interval_ms = f->interval_ms;
        /* The core counts on it that entries follow one another. */
        for (uint64_t i = 0; i < f->count; i++) {
            if (f->entries[i].index - f->prev_index != i + 1) {
                return err_set(err, ERR_INVALID, "log entries do not follow one another");
            }
        }
        return 0;
    case RAFT_WIRE_VOTE:
    case RAFT_WIRE_PRE_VOTE:
        m->kind = RAFT_MSG_VOTE;
        m->vote.candidate = f->candidate;
        m->vote.last_index = f->last_index;
        m->vote.last_term = f->last_term;
        m->vote.transfer = f->transfer;
        m->vote.pre = type == RAFT_WIRE_PRE_VOTE;
        return 0;
    case RAFT_WIRE_INSTALL:
    case RAFT_WIRE_PRE_INSTALL:
        m->install.pre = type == RAFT_WIRE_PRE_INSTALL;
        return install_make(f, r, err);
    default:
        m->kind = RAFT_MSG_TIMEOUT_NOW;
        return 0;
    }
}

int raft_wire_request_decode(struct str bytes, struct arena *a, struct raft_wire_request *ret,
                             struct err *err)
{
    static const char *const names[] = {
        [RAFT_WIRE_APPEND] = "AppendEntries",    [RAFT_WIRE_VOTE] = "RequestVote",
        [RAFT_WIRE_INSTALL] = "InstallSnapshot", [RAFT_WIRE_TIMEOUT_NOW] = "TimeoutNow",
        [RAFT_WIRE_PRE_VOTE] = "RequestPreVote", [RAFT_WIRE_PRE_INSTALL] = "snapshot in advance",
    };
    struct cur c = cur_make(bytes);
    uint8_t type = cur_u8(&c);
    if (c.failed || !raft_wire_type_is_known(type)) {
        return err_set(err, ERR_UNSUPPORTED, "unknown rpc type %u", type);
    }
    struct fields f = {0};
    int r = fields_read(&c, a, &f, err);
    /* Later versions say who they are in the header they all share. */
    f.leader = f.leader.n > 0 || f.address.n == 0 ? f.leader : f.address;
    f.candidate = f.candidate.n > 0 || f.address.n == 0 ? f.candidate : f.address;
    r = r < 0 ? r : name_check(f.leader, "leader", err);
    r = r < 0 ? r : name_check(f.candidate, "candidate", err);
    struct raft_wire_request out = {0};
    r = r < 0 ? r : request_make(type, &f, &out, err);
    if (r < 0) {
        return err_wrap(err, "%s", names[type]);
    }
    *ret = out;
    return 0;
}

int raft_wire_reply_decode(struct str bytes, const struct raft_msg *request,
                           struct raft_wire_reply *ret, struct err *err)
{
    struct cur c = cur_make(bytes);
    struct raft_wire_reply out = {.error = msgpack_read_raw(&c)};
    struct fields f = {0};
    if (c.failed || out.error.n > RAFT_WIRE_ERROR_SIZE_MAX) {
        return err_set(err, ERR_INVALID, "malformed error of a raft reply");
    }
    if (fields_read(&c, NULL, &f, err) < 0) {
        return err_wrap(err, "raft reply");
    }
    struct raft_msg *m = &out.msg;
    out.protocol = f.protocol;
    m->term = f.term;
    switch (request->kind) {
    case RAFT_MSG_APPEND:
        m->kind = RAFT_MSG_APPEND_RESULT;
        m->append_result.success = f.success;
        m->append_result.no_backoff = f.no_backoff;
        m->append_result.last_index = f.last_log;
        m->append_result.conflict_index = f.conflict_index;
        break;
    case RAFT_MSG_VOTE:
        m->kind = RAFT_MSG_VOTE_RESULT;
        m->vote_result.granted = f.granted;
        m->vote_result.pre = request->vote.pre;
        break;
    case RAFT_MSG_INSTALL:
        m->kind = RAFT_MSG_INSTALL_RESULT;
        m->install_result.success = f.success;
        m->install_result.pre = request->install.pre;
        break;
    case RAFT_MSG_TIMEOUT_NOW:
        m->kind = RAFT_MSG_TIMEOUT_NOW;
        break;
    case RAFT_MSG_APPEND_RESULT:
    case RAFT_MSG_VOTE_RESULT:
    case RAFT_MSG_INSTALL_RESULT:
        ASSERT(false); /* nobody answers an answer */
    }
    *ret = out;
    return 0;
}
