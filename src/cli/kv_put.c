#include "cli/kv.h"

#include "base/encode.h"

#include <stdio.h>

static bool is_acquire, is_base64, is_cas, is_release;
static uint64_t user_flags, modify_index;
static struct str session;

static const struct cli_flag flags[] = {
    {"acquire", CLI_BOOL, &is_acquire, "Take the key's lock for -session while writing."},
    {"base64", CLI_BOOL, &is_base64, "The data is base64; what it stands for is written."},
    {"cas", CLI_BOOL, &is_cas,
     "Write only if the key has not changed since -modify-index; 0 is a key that does not exist."},
    {"flags", CLI_UINT, &user_flags, "A number to keep with the key; Consul does not look at it."},
    {"modify-index", CLI_UINT, &modify_index, "The ModifyIndex that -cas compares with."},
    {"release", CLI_BOOL, &is_release, "Give the key's lock by -session up while writing."},
    {"session", CLI_STR, &session, "Id of the session of -acquire and -release."},
    CLIENT_NAMESPACE_FLAG,
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

/* Key and data; false after an error has been told. */
static bool put_arguments(const struct cli_args *args, struct arena *a, struct str *ret_key,
                          struct str *ret_data)
{
    struct err err = {0};
    if (args->argc == 0) {
        cli_error("Error! Missing KEY argument");
        return false;
    }
    if (args->argc > 2) {
        cli_error("Error! Too many arguments (expected 1 or 2, got %d)", args->argc);
        return false;
    }
    *ret_key = str_from_cstr(args->argv[0]);
    *ret_data = STR("");
    if (args->argc == 2 && cli_data_read(a, str_from_cstr(args->argv[1]), ret_data, &err) < 0) {
        cli_error("Error! %s", err_text(&err));
        return false;
    }
    struct str decoded;
    if (is_base64 && base64_decode(a, *ret_data, &decoded) < 0) {
        /* Consul goes on to write what it could decode: the whole groups before the fault. */
        struct str good = str_first(*ret_data, base64_fault(*ret_data));
        cli_error("Error! Cannot base 64 decode data: illegal base64 data at input byte %zu",
                  good.n);
        while (base64_decode(a, good, ret_data) < 0) {
            good.n--;
        }
    } else if (is_base64) {
        *ret_data = decoded;
    }
    if ((is_release || is_acquire) && session.n == 0) {
        cli_error("Error! Missing -session (required with -acquire and -release)");
        return false;
    }
    return true;
}

static int put_send(struct client_request *r, struct str key)
{
    struct str k = key;
    struct err err = {0};
    bool done;
    int rc = key.n > 0 && key.p[0] == '/'
                 ? err_set(&err, ERR_INVALID, "Invalid key. Key must not begin with a '/': %.*s",
                           STRF(key))
                 : kv_write(r, &done, &err);
    if (rc < 0 && is_cas) {
        return cli_error("Error! Did not write to %.*s: %s", STRF(k), err_text(&err));
    }
    if (rc < 0 && is_release && !is_acquire) {
        return cli_error("Error! Failed writing data: %.*s", STRF(k));
    }
    if (rc < 0) {
        return cli_error("Error! Failed writing data: %s", err_text(&err));
    }
    if (is_cas && !done && modify_index == 0) {
        return cli_error(
            "Error! Did not write to %.*s: CAS performed with index=0 and key already exists.",
            STRF(k));
    }
    if (is_cas && !done) {
        return cli_error("Error! Did not write to %.*s: CAS failed", STRF(k));
    }
    if (!is_cas && is_acquire && !done) {
        return cli_error("Error! Did not acquire lock");
    }
    if (!is_cas && !is_acquire && is_release && !done) {
        return cli_error("Error! Did not release lock");
    }
    const char *what = !is_cas && is_acquire   ? "Lock acquired on"
                       : !is_cas && is_release ? "Lock released on"
                                               : "Data written to";
    printf("Success! %s: %.*s\n", what, STRF(k));
    return 0;
}

static int put_with(struct client *c, struct str key, struct str data)
{
    struct arena *a = client_arena(c);
    struct client_request r;
    client_request_init(&r, c, "PUT", "/v1/kv/%.*s", STRF(key));
    if (user_flags != 0) {
        client_param(&r, STR("flags"), arena_printf(a, "%llu", (unsigned long long)user_flags));
    }
    if (is_cas) {
        client_param(&r, STR("cas"), arena_printf(a, "%llu", (unsigned long long)modify_index));
    } else if (is_acquire) {
        client_param(&r, STR("acquire"), session);
    } else if (is_release) {
        client_param(&r, STR("release"), session);
    }
    client_body(&r, data, STR("application/octet-stream"));
    return put_send(&r, key);
}

static int put_arguments_with(const struct cli_args *args, struct arena *a)
{
    struct str key, data;
    if (!put_arguments(args, a, &key, &data)) {
        return 1;
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    return c != NULL ? put_with(c, key, data) : 1;
}

static int kv_put_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("kv put", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    struct arena a = {0};
    code = put_arguments_with(&args, &a);
    arena_deinit(&a);
    return code;
}

const struct cli_command cli_kv_put_commands[] = {
    {.name = "kv put",
     .synopsis = "Write a key",
     .run = kv_put_run,
     .usage = "[options] KEY [DATA]",
     .help = "  Writes a key. DATA is the value itself, @ and the path of a file, or - for "
             "standard input;\n  without it the value is empty.\n\n"
             "      $ consul kv put app/limit 5\n"
             "      $ consul kv put app/license @license.txt"},
};
const size_t cli_kv_put_commands_count = ARRAY_SIZE(cli_kv_put_commands);
