#include "cli/kv.h"

#include "base/encode.h"

#include <stdio.h>

static bool is_base64, is_detailed, wants_keys, is_recursive;
static struct str separator;

static const struct cli_flag flags[] = {
    {"base64", CLI_BOOL, &is_base64, "Print values in base64."},
    {"detailed", CLI_BOOL, &is_detailed,
     "Print what is known about each key: its flags, indexes and lock, and the value."},
    {"keys", CLI_BOOL, &wants_keys,
     "Print the names of the keys below the prefix, up to the next "
     "-separator."},
    {"recurse", CLI_BOOL, &is_recursive, "Print all keys below the prefix."},
    {"separator", CLI_STR, &separator, "What -keys lists up to; \"/\" when not given."},
    CLIENT_NAMESPACE_FLAG,
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

static void out(struct str text)
{
    (void)fwrite(text.p != NULL ? text.p : "", 1, text.n, stdout);
}

/* The value as it is to be shown. */
static struct str entry_value(struct arena *a, const struct value *entry)
{
    return is_base64 ? value_member_str(entry, "Value") : kv_value(a, entry);
}

static void print_detailed(struct arena *a, const struct value *entry)
{
    struct str session = value_member_str(entry, "Session");
    struct str ns = value_member_str(entry, "Namespace");
    printf("%-17s%llu\n", "CreateIndex",
           (unsigned long long)value_member_u64(entry, "CreateIndex"));
    printf("%-17s%llu\n", "Flags", (unsigned long long)value_member_u64(entry, "Flags"));
    printf("%-17s%.*s\n", "Key", STRF(value_member_str(entry, "Key")));
    printf("%-17s%llu\n", "LockIndex", (unsigned long long)value_member_u64(entry, "LockIndex"));
    printf("%-17s%llu\n", "ModifyIndex",
           (unsigned long long)value_member_u64(entry, "ModifyIndex"));
    printf("%-17s%.*s\n", "Session", STRF(session.n > 0 ? session : STR("-")));
    if (ns.n > 0) {
        printf("%-17s%.*s\n", "Namespace", STRF(ns));
    }
    printf("%-17s", "Value");
    out(entry_value(a, entry));
    putchar('\n');
}

static int get_keys(struct client_request *r)
{
    const struct value *keys;
    struct err err = {0};
    client_param(r, STR("keys"), STR(""));
    if (separator.n > 0) {
        client_param(r, STR("separator"), separator);
    }
    if (kv_read(r, &keys, &err) < 0) {
        return cli_error("Error querying Consul agent: %s", err_text(&err));
    }
    for (size_t i = 0; i < value_count(keys); i++) {
        if (keys->list.v[i].kind == VALUE_STR) {
            out(keys->list.v[i].s);
            putchar('\n');
        }
    }
    return 0;
}

static int get_tree(struct client_request *r, struct arena *a)
{
    const struct value *entries;
    struct err err = {0};
    client_param(r, STR("recurse"), STR(""));
    if (kv_read(r, &entries, &err) < 0) {
        return cli_error("Error querying Consul agent: %s", err_text(&err));
    }
    size_t count = value_count(entries);
    for (size_t i = 0; i < count; i++) {
        const struct value *entry = &entries->list.v[i];
        if (is_detailed) {
            print_detailed(a, entry);
            fputs(i + 1 < count ? "\n" : "", stdout);
        } else {
            out(value_member_str(entry, "Key"));
            putchar(':');
            out(entry_value(a, entry));
            putchar('\n');
        }
    }
    return 0;
}

static int get_one(struct client_request *r, struct arena *a, struct str key)
{
    const struct value *entries;
    struct err err = {0};
    if (kv_read(r, &entries, &err) < 0) {
        return cli_error("Error querying Consul agent: %s", err_text(&err));
    }
    if (value_count(entries) == 0) {
        return cli_error("Error! No key exists at: %.*s", STRF(key));
    }
    if (is_detailed) {
        print_detailed(a, &entries->list.v[0]);
    } else {
        out(entry_value(a, &entries->list.v[0]));
        putchar('\n');
    }
    return 0;
}

static int kv_get_run(int argc, char **argv)
{
    struct cli_args args;
    struct str key;
    int code;
    separator = STR("/");
    if (!cli_parse("kv get", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (!kv_key_argument(&args, &key)) {
        return 1;
    }
    if (key.n == 0 && !is_recursive && !wants_keys) {
        return cli_error("Error! Missing KEY argument");
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    if (c == NULL) {
        return 1;
    }
    struct client_request r;
    client_request_init(&r, c, "GET", "/v1/kv/%.*s", STRF(key));
    client_param_stale(&r);
    return wants_keys     ? get_keys(&r)
           : is_recursive ? get_tree(&r, client_arena(c))
                          : get_one(&r, client_arena(c), key);
}

const struct cli_command cli_kv_get_commands[] = {
    {.name = "kv get",
     .synopsis = "Print the value of a key, or list keys",
     .run = kv_get_run,
     .usage = KV_KEY_USAGE,
     .help = "  Prints the value of a key, or with -recurse or -keys what is below a prefix. "
             "A key that does\n  not exist is an error; a prefix nothing is below is not."},
};
const size_t cli_kv_get_commands_count = ARRAY_SIZE(cli_kv_get_commands);
