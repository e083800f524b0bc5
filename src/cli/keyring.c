#include "cli/client.h"
#include "cli/command.h"

#include "schema/json.h"

#include <stdio.h>
#include <stdlib.h>

#define RELAY_FACTOR_MAX 5

static bool wants_list, wants_primary, is_local;
static struct str install_key, use_key, remove_key;
static int64_t relay_factor;

static const struct cli_flag flags[] = {
    {"install", CLI_STR, &install_key, "Add this key to all members."},
    {"list", CLI_BOOL, &wants_list, "List the keys that members have."},
    {"list-primary", CLI_BOOL, &wants_primary, "List the keys that members encrypt with."},
    {"local-only", CLI_BOOL, &is_local, "Ask this datacenter alone; for lists."},
    {"relay-factor", CLI_INT, &relay_factor,
     "Let answers come by way of so many other members, too; 5 at most."},
    {"remove", CLI_STR, &remove_key, "Remove this key from all members; not the primary one."},
    {"use", CLI_STR, &use_key, "Encrypt with this key from now on; it has to be installed."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_client_flags},
                                               {"Command Options", flags}};

static void request_init(struct client_request *r, struct client *c, const char *method)
{
    client_request_init(r, c, method, "/v1/operator/keyring");
    if (relay_factor != 0) {
        client_param(r, STR("relay-factor"),
                     arena_printf(client_arena(c), "%lld", (long long)relay_factor));
    }
    if (is_local) {
        client_param(r, STR("local-only"), STR("true"));
    }
}

static void pool_print(const struct value *pool, const char *keys_name)
{
    const struct value *messages = value_member(pool, "Messages");
    const struct value *keys = value_member(pool, keys_name);
    struct str segment = value_member_str(pool, "Segment");
    if (value_member_bool(pool, "WAN")) {
        printf("\nWAN");
    } else {
        printf("\n%.*s (LAN)", STRF(value_member_str(pool, "Datacenter")));
    }
    if (segment.n > 0) {
        printf(" [%.*s]", STRF(segment));
    }
    puts(":");
    for (size_t i = 0; messages != NULL && messages->kind == VALUE_MAP && i < messages->map.n;
         i++) {
        const struct value_pair *m = &messages->map.v[i];
        printf("  ===> %.*s: %.*s\n", STRF(m->key),
               STRF(m->value.kind == VALUE_STR ? m->value.s : STR_NULL));
    }
    for (size_t i = 0; keys != NULL && keys->kind == VALUE_MAP && i < keys->map.n; i++) {
        const struct value_pair *k = &keys->map.v[i];
        printf("  %.*s [%lld/%lld]\n", STRF(k->key),
               (long long)(k->value.kind == VALUE_INT ? k->value.i : 0),
               (long long)value_member_i64(pool, "NumNodes"));
    }
}

static int keyring_list(struct client *c)
{
    struct err err = {0};
    struct client_request r;
    const struct value *pools;
    printf("==> Gathering installed %sencryption keys...\n", wants_primary ? "primary " : "");
    (void)fflush(stdout);
    request_init(&r, c, "GET");
    if (client_get(&r, &pools, &err) < 0) {
        return cli_error("error: %s", err_text(&err));
    }
    for (size_t i = 0; i < value_count(pools); i++) {
        pool_print(&pools->list.v[i], wants_primary ? "PrimaryKeys" : "Keys");
    }
    return 0;
}

static int keyring_change(struct client *c)
{
    struct err err = {0};
    struct client_request r;
    struct client_response response;
    bool installs = install_key.n > 0, uses = use_key.n > 0;
    struct str key = installs ? install_key : uses ? use_key : remove_key;
    struct buf body = {0};
    struct json_writer w = json_writer_make(&body, false);
    json_object_begin(&w);
    json_key(&w, STR("Key"));
    json_str(&w, key);
    json_object_end(&w);
    printf("==> %s gossip encryption key...\n", installs ? "Installing new"
                                                : uses   ? "Changing primary"
                                                         : "Removing");
    (void)fflush(stdout);
    request_init(&r, c, installs ? "POST" : uses ? "PUT" : "DELETE");
    client_body(&r, buf_view(&body), STR_NULL);
    int code = 0;
    if (client_send_ok(&r, &response, &err) < 0) {
        code = cli_error("error: %s", err_text(&err));
    }
    buf_deinit(&body);
    return code;
}

static int keyring_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("keyring", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    int actions =
        wants_list + wants_primary + (install_key.n > 0) + (use_key.n > 0) + (remove_key.n > 0);
    if (actions == 0) {
        cli_help(stderr, "keyring", groups, ARRAY_SIZE(groups));
        return 1;
    }
    if (actions > 1) {
        return cli_error("Only a single action is allowed");
    }
    if (relay_factor < 0 || relay_factor > RELAY_FACTOR_MAX) {
        return cli_error("Error parsing relay factor: Relay factor must be in range: [0, %d]",
                         RELAY_FACTOR_MAX);
    }
    if (is_local && !wants_list) {
        return cli_error("Error validating local-only: local-only can only be set for list "
                         "requests");
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    return c != NULL ? (wants_list || wants_primary ? keyring_list(c) : keyring_change(c)) : 1;
}

const struct cli_command cli_keyring_commands[] = {
    {.name = "keyring",
     .synopsis = "The keys of gossip",
     .run = keyring_run,
     .help = "  Lists, adds, changes and removes the keys that gossip is encrypted with, at all "
             "members of the\n  LAN and the WAN. The exit code is 1 when a member did not answer "
             "or refused."},
};
const size_t cli_keyring_commands_count = ARRAY_SIZE(cli_keyring_commands);
