#include "server/peers_json.h"

#include "base/arena.h"
#include "base/log.h"
#include "loop/file.h"
#include "schema/json.h"

#include <errno.h>

/* In our own words: what it is for, and what it looks like. */
static const char peers_info[] =
    "The file peers.json, put here while the server is stopped, replaces the set of servers that\n"
    "take part in Raft when the server starts. It is for recovering from the permanent loss of a\n"
    "majority of the servers, and for nothing else: stop all servers that are left, put the same\n"
    "file on each of them, and start them. It is deleted once it has been used.\n"
    "\n"
    "With Raft protocol version 3 (the default; see raft_protocol in the configuration) it is a "
    "JSON\n"
    "list with the node ID and the RPC address of each server:\n"
    "\n"
    "[\n"
    "  {\"id\": \"6f1e1b0e-6a8c-4ab1-9f1f-0a4a4f3c2b11\", \"address\": \"10.1.0.1:8300\", "
    "\"non_voter\": false},\n"
    "  {\"id\": \"b8c6d6a2-41b5-4f0c-8a4e-5d3d1c0e9f22\", \"address\": \"10.1.0.2:8300\", "
    "\"non_voter\": false}\n"
    "]\n"
    "\n"
    "A server's node ID is in the file node-id of its data directory and among its first log "
    "lines;\n"
    "non_voter may be left out.\n"
    "\n"
    "With Raft protocol version 2 it is a JSON list of the RPC addresses:\n"
    "\n"
    "[\"10.1.0.1:8300\", \"10.1.0.2:8300\"]\n"
    "\n"
    "This file, peers.info, shows that the server knows of this. Do not delete it: without it a\n"
    "peers.json is taken for a leftover of an old version, and is deleted unread.\n";

struct peer_entry {
    struct str id, address;
    bool non_voter;
};

static const struct field entry_fields[] = {
    F_STR(struct peer_entry, id, "id", 0),
    F_STR(struct peer_entry, address, "address", 0),
    F_BOOL(struct peer_entry, non_voter, "non_voter", 0),
    FIELDS_END,
};
static const struct schema entry_schema = SCHEMA("configEntry", struct peer_entry, entry_fields);

static int entry_add(const struct value *v, bool has_ids, struct arena *a,
                     struct raft_configuration *to, struct err *err)
{
    struct peer_entry e = {0};
    if (has_ids) {
        int rc = schema_decode(&entry_schema, v, &e, a, 0, err);
        if (rc < 0) {
            return rc;
        }
    } else if (v->kind != VALUE_STR) {
        return err_set(err, ERR_INVALID, "json: cannot unmarshal %s into Go value of type string",
                       value_kind_text(v->kind));
    } else {
        e.id = e.address = v->s;
    }
    return raft_configuration_add(to, e.non_voter ? RAFT_NONVOTER : RAFT_VOTER, e.id, e.address,
                                  err);
}

int peers_json_parse(struct str text, int64_t protocol,
                     struct raft_configuration *ret_configuration, struct err *err)
{
    struct arena a = {0};
    struct raft_configuration c = {0};
    struct value *v;
    struct str rest = text;
    int rc = json_parse_next(&a, &rest, &v, err);
    if (rc == 0 && v->kind != VALUE_LIST && v->kind != VALUE_NULL) {
        rc = err_set(err, ERR_INVALID, "json: cannot unmarshal %s into a list of servers",
                     value_kind_text(v->kind));
    }
    for (size_t i = 0; rc == 0 && v->kind == VALUE_LIST && i < v->list.n; i++) {
        rc = entry_add(&v->list.v[i], protocol >= 3, &a, &c, err);
    }
    if (rc >= 0) {
        rc = raft_configuration_check(&c, err);
    }
    if (rc >= 0) {
        *ret_configuration = c;
    }
    arena_deinit(&a);
    return rc;
}

/* --- the files ------------------------------------------------------------------------------- */

static struct str path_of(struct str dir, const char *name, struct arena *a)
{
    return arena_printf(a, "%.*s/%s", STRF(dir), name);
}

/* 1 there is one, 0 there is none. */
static int file_find(struct str path, struct arena *a, struct str *ret_bytes, struct err *err)
{
    int rc = file_read(path, PEERS_JSON_SIZE_MAX, a, ret_bytes, err);
    if (rc == -ENOENT) {
        err_clear(err);
        return 0;
    }
    return rc < 0 ? rc : 1;
}

/* No peers.info yet: whatever peers.json there is was not meant for us. */
static int first_time(struct str json, struct str info, bool has_json, struct err *err)
{
    int rc = file_replace(info, str_from_cstr(peers_info), false, err);
    if (rc < 0) {
        return err_wrap(err, "failed to write peers.info file");
    }
    if (has_json) {
        rc = file_remove(json, err);
        if (rc < 0) {
            return err_wrap(err, "failed to delete peers.json, please delete manually (see "
                                 "peers.info for details)");
        }
        log_write(LOG_INFO, "agent.server", "deleted peers.json file (see peers.info for details)");
    }
    return 0;
}

int peers_json_load(struct str dir, int64_t protocol, struct raft_configuration *ret_configuration,
                    struct err *err)
{
    struct arena a = {0};
    struct str json = path_of(dir, "peers.json", &a), info = path_of(dir, "peers.info", &a);
    struct str text, ignored;
    int has_json = file_find(json, &a, &text, err);
    int has_info = has_json < 0 ? has_json : file_find(info, &a, &ignored, err);
    int rc = has_info;
    if (has_info == 0) {
        rc = first_time(json, info, has_json > 0, err);
    } else if (has_info > 0 && has_json > 0) {
        log_write(LOG_INFO, "agent.server",
                  "found peers.json file, recovering Raft configuration...");
        rc = peers_json_parse(text, protocol, ret_configuration, err);
        rc = rc < 0 ? err_wrap(err, "recovery failed to parse peers.json") : 1;
    } else if (has_info > 0) {
        rc = 0;
    }
    arena_deinit(&a);
    return rc;
}

int peers_json_used(struct str dir, struct err *err)
{
    struct arena a = {0};
    int rc = file_remove(path_of(dir, "peers.json", &a), err);
    arena_deinit(&a);
    if (rc < 0) {
        return err_wrap(err, "recovery failed to delete peers.json, please delete manually (see "
                             "peers.info for details)");
    }
    log_write(LOG_INFO, "agent.server", "deleted peers.json file after successful recovery");
    return 0;
}
