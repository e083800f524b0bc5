#include "raft/configuration.h"

#include "schema/msgpack.h"

static struct str server_id(const struct raft_server *s)
{
    return str_from_cstr(s->id);
}

static bool name_put(char to[RAFT_NAME_SIZE_MAX + 1], struct str name)
{
    if (name.n > RAFT_NAME_SIZE_MAX || str_find_byte(name, '\0') >= 0) {
        return false;
    }
    memset(to, 0, RAFT_NAME_SIZE_MAX + 1);
    if (name.n > 0) {
        memcpy(to, name.p, name.n);
    }
    return true;
}

int raft_configuration_add(struct raft_configuration *c, enum raft_suffrage suffrage, struct str id,
                           struct str address, struct err *err)
{
    if (c->count == RAFT_SERVERS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "raft configuration: more than %u servers",
                       RAFT_SERVERS_MAX);
    }
    struct raft_server *s = &c->servers[c->count];
    s->suffrage = suffrage;
    if (!name_put(s->id, id) || !name_put(s->address, address)) {
        return err_set(err, ERR_TOO_LARGE,
                       "raft configuration: the id or address of server %u is over %u bytes",
                       c->count, RAFT_NAME_SIZE_MAX);
    }
    c->count++;
    return 0;
}

const struct raft_server *raft_configuration_find(const struct raft_configuration *c, struct str id)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (str_eq(server_id(&c->servers[i]), id)) {
            return &c->servers[i];
        }
    }
    return NULL;
}

bool raft_configuration_is_voter(const struct raft_configuration *c, struct str id)
{
    const struct raft_server *s = raft_configuration_find(c, id);
    return s != NULL && s->suffrage == RAFT_VOTER;
}

uint32_t raft_configuration_voters(const struct raft_configuration *c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        n += c->servers[i].suffrage == RAFT_VOTER;
    }
    return n;
}

bool raft_configuration_eq(const struct raft_configuration *a, const struct raft_configuration *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        const struct raft_server *x = &a->servers[i], *y = &b->servers[i];
        if (x->suffrage != y->suffrage || strcmp(x->id, y->id) != 0 ||
            strcmp(x->address, y->address) != 0) {
            return false;
        }
    }
    return true;
}

/* As Go prints one: {[{Voter id address} {Nonvoter id address}]} */
static void put_servers(struct buf *to, const struct raft_configuration *c)
{
    static const char *const suffrages[] = {
        [RAFT_VOTER] = "Voter", [RAFT_NONVOTER] = "Nonvoter", [RAFT_STAGING] = "Staging"};
    buf_lit(to, "{[");
    for (uint32_t i = 0; i < c->count; i++) {
        const struct raft_server *s = &c->servers[i];
        buf_printf(to, "%s{%s %s %s}", i > 0 ? " " : "", suffrages[s->suffrage], s->id, s->address);
    }
    buf_lit(to, "]}");
}

int raft_configuration_check(const struct raft_configuration *c, struct err *err)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const struct raft_server *s = &c->servers[i];
        if (s->id[0] == '\0' || s->address[0] == '\0') {
            return err_set(
                err, ERR_INVALID,
                "raft configuration: server %u (\"%s\", \"%s\") lacks an id or an address", i,
                s->id, s->address);
        }
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(s->id, c->servers[k].id) == 0 ||
                strcmp(s->address, c->servers[k].address) == 0) {
                return err_set(
                    err, ERR_INVALID,
                    "raft configuration: servers %u and %u share id \"%s\" or address \"%s\"", k, i,
                    s->id, s->address);
            }
        }
    }
    if (raft_configuration_voters(c) == 0) {
        struct buf text = {0};
        put_servers(&text, c);
        (void)err_set(err, ERR_INVALID, "need at least one voter in configuration: %.*s",
                      STRF(buf_view(&text)));
        buf_deinit(&text);
        return -ERR_INVALID;
    }
    return 0;
}

int raft_configuration_change(const struct raft_configuration *from, enum raft_change change,
                              struct str id, struct str address, struct raft_configuration *ret,
                              struct err *err)
{
    struct raft_configuration c = *from;
    const struct raft_server *found = raft_configuration_find(&c, id);
    struct raft_server *s = found != NULL ? &c.servers[found - c.servers] : NULL;
    int r = 0;
    switch (change) {
    case RAFT_ADD_VOTER:
    case RAFT_ADD_NONVOTER:
        if (s == NULL) {
            r = raft_configuration_add(&c, change == RAFT_ADD_VOTER ? RAFT_VOTER : RAFT_NONVOTER,
                                       id, address, err);
        } else if (!name_put(s->address, address)) {
            r = err_set(err, ERR_TOO_LARGE, "raft configuration: address over %u bytes",
                        RAFT_NAME_SIZE_MAX);
        } else if (change == RAFT_ADD_VOTER) {
            s->suffrage = RAFT_VOTER; /* a voter added as non-voter keeps its vote */
        }
        break;
    case RAFT_DEMOTE_VOTER:
        if (s != NULL) {
            s->suffrage = RAFT_NONVOTER;
        }
        break;
    case RAFT_REMOVE_SERVER:
        if (s != NULL) {
            size_t i = (size_t)(s - c.servers);
            memmove(s, s + 1, (c.count - i - 1) * sizeof(*s));
            c.count--;
        }
        break;
    }
    if (r == 0) {
        r = raft_configuration_check(&c, err);
    }
    if (r == 0) {
        *ret = c;
    }
    return r;
}

/* go-msgpack writes the fields of a struct in the order of their names. */
void raft_configuration_encode(const struct raft_configuration *c, struct buf *to)
{
    msgpack_map(to, 1);
    msgpack_raw(to, STR("Servers"));
    msgpack_array(to, c->count);
    for (uint32_t i = 0; i < c->count; i++) {
        const struct raft_server *s = &c->servers[i];
        msgpack_map(to, 3);
        msgpack_raw(to, STR("Address"));
        msgpack_raw(to, str_from_cstr(s->address));
        msgpack_raw(to, STR("ID"));
        msgpack_raw(to, str_from_cstr(s->id));
        msgpack_raw(to, STR("Suffrage"));
        msgpack_i64(to, s->suffrage);
    }
}

static int server_decode(struct cur *c, struct raft_configuration *to, struct err *err)
{
    struct str id = STR_NULL, address = STR_NULL;
    int64_t suffrage = RAFT_VOTER;
    for (size_t n = msgpack_read_map(c); n > 0 && !c->failed; n--) {
        struct str key = msgpack_read_raw(c);
        if (str_eq_lit(key, "ID")) {
            id = msgpack_read_raw(c);
        } else if (str_eq_lit(key, "Address")) {
            address = msgpack_read_raw(c);
        } else if (str_eq_lit(key, "Suffrage")) {
            suffrage = msgpack_read_i64(c);
        } else if (msgpack_skip(c) < 0) {
            break;
        }
    }
    if (c->failed) {
        return err_set(err, ERR_INVALID, "raft configuration: server %u is malformed", to->count);
    }
    if (suffrage < RAFT_VOTER || suffrage > RAFT_STAGING) {
        return err_set(err, ERR_INVALID, "raft configuration: server %u has suffrage %lld",
                       to->count, (long long)suffrage);
    }
    return raft_configuration_add(to, (enum raft_suffrage)suffrage, id, address, err);
}

int raft_configuration_decode(struct str bytes, struct raft_configuration *ret, struct err *err)
{
    struct raft_configuration to = {0};
    struct cur c = cur_make(bytes);
    for (size_t n = msgpack_read_map(&c); n > 0 && !c.failed; n--) {
        if (!str_eq_lit(msgpack_read_raw(&c), "Servers")) {
            if (msgpack_skip(&c) < 0) {
                break;
            }
            continue;
        }
        to.count = 0;
        for (size_t k = msgpack_read_array(&c); k > 0; k--) {
            int r = server_decode(&c, &to, err);
            if (r < 0) {
                return r;
            }
        }
    }
    if (c.failed || cur_left(&c) > 0) {
        return err_set(err, ERR_INVALID, "raft configuration: malformed");
    }
    *ret = to;
    return 0;
}
