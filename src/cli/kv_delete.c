#include "cli/kv.h"

#include <stdio.h>

static bool is_cas, is_recursive;
static uint64_t modify_index;

static const struct cli_flag flags[] = {
    {"cas", CLI_BOOL, &is_cas, "Delete only if the key has not changed since -modify-index."},
    {"modify-index", CLI_UINT, &modify_index, "The ModifyIndex that -cas compares with."},
    {"recurse", CLI_BOOL, &is_recursive, "Delete all keys that begin so."},
    CLIENT_NAMESPACE_FLAG,
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

static int delete_with(struct client *c, struct str key)
{
    struct client_request r;
    struct err err = {0};
    bool done = false;
    client_request_init(&r, c, "DELETE", "/v1/kv/%.*s", STRF(key));
    if (is_recursive) {
        client_param(&r, STR("recurse"), STR(""));
    } else if (is_cas) {
        client_param(&r, STR("cas"),
                     arena_printf(client_arena(c), "%llu", (unsigned long long)modify_index));
    }
    int rc = kv_write(&r, &done, &err);
    if (is_recursive) {
        if (rc < 0) {
            return cli_error("Error! Did not delete prefix %.*s: %s", STRF(key), err_text(&err));
        }
        printf("Success! Deleted keys with prefix: %.*s\n", STRF(key));
        return 0;
    }
    if (rc < 0) {
        return cli_error(is_cas ? "Error! Did not delete key %.*s: %s"
                                : "Error deleting key %.*s: %s",
                         STRF(key), err_text(&err));
    }
    if (is_cas && !done) {
        return cli_error("Error! Did not delete key %.*s: CAS failed", STRF(key));
    }
    printf("Success! Deleted key: %.*s\n", STRF(key));
    return 0;
}

static int kv_delete_run(int argc, char **argv)
{
    struct cli_args args;
    struct str key;
    int code;
    if (!cli_parse("kv delete", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (!kv_key_argument(&args, &key)) {
        return 1;
    }
    if (key.n == 0 && !is_recursive) {
        return cli_error("Error! Missing KEY argument");
    }
    if (is_cas && modify_index == 0) {
        return cli_error("Cannot delete a key that does not exist. Provide a -modify-index "
                         "greater than than 0.");
    }
    if (modify_index != 0 && !is_cas) {
        return cli_error("Cannot specify -modify-index without -cas!");
    }
    if (is_recursive && is_cas) {
        return cli_error("Cannot specify both -cas and -recurse!");
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    return c != NULL ? delete_with(c, key) : 1;
}

const struct cli_command cli_kv_delete_commands[] = {
    {.name = "kv delete",
     .synopsis = "Delete a key, or all below a prefix",
     .run = kv_delete_run,
     .usage = "[options] KEY_OR_PREFIX",
     .help =
         "  Deletes a key, or with -recurse all keys that begin so (\"app\" is the beginning of "
         "\"apple\", too).\n  What does not exist is deleted already."},
};
const size_t cli_kv_delete_commands_count = ARRAY_SIZE(cli_kv_delete_commands);
