#include "cli/client.h"
#include "cli/command.h"
#include "cli/table.h"

#include "base/gofmt.h"

#include <stdio.h>

static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags}};

static int peers_print(struct client *c)
{
    struct err err = {0};
    struct client_request r;
    const struct value *configuration;
    client_request_init(&r, c, "GET", "/v1/operator/raft/configuration");
    client_param_stale(&r);
    if (client_get(&r, &configuration, &err) < 0) {
        return cli_error("Error getting peers: Failed to retrieve raft configuration: %s",
                         err_text(&err));
    }
    const struct value *servers = value_member(configuration, "Servers");
    struct table t = {0};
    table_row(&t, 6,
              (struct str[]){STR("Node"), STR("ID"), STR("Address"), STR("State"), STR("Voter"),
                             STR("RaftProtocol")});
    for (size_t i = 0; i < value_count(servers); i++) {
        const struct value *s = &servers->list.v[i];
        struct str protocol = value_member_str(s, "ProtocolVersion");
        table_row(&t, 6,
                  (struct str[]){
                      value_member_str(s, "Node"),
                      value_member_str(s, "ID"),
                      value_member_str(s, "Address"),
                      value_member_bool(s, "Leader") ? STR("leader") : STR("follower"),
                      value_member_bool(s, "Voter") ? STR("true") : STR("false"),
                      protocol.n > 0 ? protocol : STR("<=1"),
                  });
    }
    table_print(&t);
    table_deinit(&t);
    return 0;
}

static int list_peers_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("operator raft list-peers", argc, argv, groups, ARRAY_SIZE(groups), &args,
                   &code)) {
        return code;
    }
    CLEANUP(client_free) struct client *c = client_open("Error initializing client");
    return c != NULL ? peers_print(c) : 1;
}

/* --- remove-peer ----------------------------------------------------------------------------- */

static struct str address, id;

static const struct cli_flag remove_flags[] = {
    {"address", CLI_STR, &address, "Address of the server, with its port."},
    {"id", CLI_STR, &id, "Id of the server."},
    CLI_FLAGS_END};
static const struct cli_flag_group remove_groups[] = {{CLIENT_TITLE, cli_http_flags},
                                                      {"Command Options", remove_flags}};

static int peer_remove(struct client *c)
{
    struct err err = {0};
    struct client_request r;
    struct client_response response;
    if (address.n == 0 && id.n == 0) {
        return cli_error("Error removing peer: an address or id is required for the peer to "
                         "remove");
    }
    if (address.n > 0 && id.n > 0) {
        return cli_error("Error removing peer: cannot give both an address and id");
    }
    client_request_init(&r, c, "DELETE", "/v1/operator/raft/peer");
    client_param(&r, address.n > 0 ? STR("address") : STR("id"), address.n > 0 ? address : id);
    if (client_send_ok(&r, &response, &err) < 0) {
        return cli_error("Error removing peer: %s", err_text(&err));
    }
    struct buf quoted = {0};
    go_quote(&quoted, address.n > 0 ? address : id);
    printf("Removed peer with %s %.*s\n", address.n > 0 ? "address" : "id",
           STRF(buf_view(&quoted)));
    buf_deinit(&quoted);
    return 0;
}

static int remove_peer_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("operator raft remove-peer", argc, argv, remove_groups,
                   ARRAY_SIZE(remove_groups), &args, &code)) {
        return code;
    }
    CLEANUP(client_free) struct client *c = client_open("Error initializing client");
    return c != NULL ? peer_remove(c) : 1;
}

const struct cli_command cli_operator_commands[] = {
    {.name = "operator",
     .synopsis = "Tools for operators of the servers",
     .usage = "<subcommand> [options]",
     .help = "  Tools for the people who run the servers: their consensus, and how it heals "
             "itself."},
    {.name = "operator raft",
     .synopsis = "Tools for operators of the servers",
     .help = "  The servers that take part in consensus."},
    {.name = "operator raft list-peers",
     .synopsis = "List the servers of Raft",
     .run = list_peers_run,
     .help = "  Lists the servers that take part in consensus."},
    {.name = "operator raft remove-peer",
     .synopsis = "Take a server out of Raft",
     .run = remove_peer_run,
     .help = "  Takes a server out of consensus that is gone for good. For one that \"consul "
             "members\" still\n  shows, \"consul force-leave\" is better."},
};
const size_t cli_operator_commands_count = ARRAY_SIZE(cli_operator_commands);
