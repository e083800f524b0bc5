#include "cli/client.h"
#include "cli/command.h"

#include "schema/json.h"

#include <stdio.h>

static bool is_forced;
static struct str config_file;

static const struct cli_flag_group get_groups[] = {{CLIENT_TITLE, cli_http_flags}};
static const struct cli_flag set_flags[] = {
    {"config-file", CLI_STR, &config_file, "File with the configuration, as JSON.",
     .type = "value"},
    {"force-without-cross-signing", CLI_BOOL, &is_forced,
     "Go on even if the present authority cannot vouch for the next. Connections may fail until "
     "every proxy has heard of it."},
    CLI_FLAGS_END};
static const struct cli_flag_group set_groups[] = {{CLIENT_TITLE, cli_http_flags},
                                                   {"Command Options", set_flags}};

/* The members of Consul's CAConfig, in its order. */
static void config_write(struct json_writer *w, const struct value *v, bool is_force)
{
    json_object_begin(w);
    json_key(w, STR("Provider"));
    json_str(w, value_member_str(v, "Provider"));
    json_key(w, STR("Config"));
    json_value(w, value_member(v, "Config"));
    json_key(w, STR("State"));
    json_value(w, value_member(v, "State"));
    json_key(w, STR("ForceWithoutCrossSigning"));
    json_bool(w, is_force);
    json_key(w, STR("CreateIndex"));
    json_u64(w, value_member_u64(v, "CreateIndex"));
    json_key(w, STR("ModifyIndex"));
    json_u64(w, value_member_u64(v, "ModifyIndex"));
    json_object_end(w);
}

static int get_config(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    const struct value *v;
    client_request_init(&r, c, "GET", "/v1/connect/ca/configuration");
    client_param_stale(&r);
    if (client_get(&r, &v, &err) < 0) {
        return cli_error("Error querying CA configuration: %s", err_text(&err));
    }
    struct buf text = {0};
    struct json_writer w = json_writer_make(&text, true);
    config_write(&w, v, value_member_bool(v, "ForceWithoutCrossSigning"));
    buf_byte(&text, '\n');
    cli_print_tabs(stdout, buf_view(&text));
    buf_deinit(&text);
    return 0;
}

static int set_config(struct client *c)
{
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    struct str text;
    struct value *v = NULL;
    if (config_file.n == 0) {
        return cli_error("The -config-file flag is required");
    }
    if (cli_file_read(client_arena(c), config_file, &text, &err) < 0) {
        return cli_error("Error reading config file: %s", err_text(&err));
    }
    if (json_parse(client_arena(c), text, &v, &err) < 0) {
        return cli_error("Error parsing config file: %s", err_text(&err));
    }
    if (v->kind != VALUE_MAP && v->kind != VALUE_NULL) {
        return cli_error("Error parsing config file: json: cannot unmarshal %s into Go value of "
                         "type api.CAConfig",
                         value_kind_text(v->kind));
    }
    struct buf body = {0};
    struct json_writer w = json_writer_make(&body, false);
    config_write(&w, v, is_forced);
    client_request_init(&r, c, "PUT", "/v1/connect/ca/configuration");
    client_body(&r, buf_view(&body), STR_NULL);
    int code = 0;
    if (client_send_ok(&r, &response, &err) < 0) {
        code = cli_error("Error setting CA configuration: %s", err_text(&err));
    } else {
        puts("Configuration updated!");
    }
    buf_deinit(&body);
    return code;
}

static int get_config_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("connect ca get-config", argc, argv, get_groups, ARRAY_SIZE(get_groups), &args,
                   &code)) {
        return code;
    }
    CLEANUP(client_free) struct client *c = client_open("Error initializing client");
    return c != NULL ? get_config(c) : 1;
}

static int set_config_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("connect ca set-config", argc, argv, set_groups, ARRAY_SIZE(set_groups), &args,
                   &code)) {
        return code;
    }
    CLEANUP(client_free) struct client *c = client_open("Error initializing client");
    return c != NULL ? set_config(c) : 1;
}

const struct cli_command cli_connect_ca_commands[] = {
    {.name = "connect",
     .synopsis = "The service mesh",
     .help = "  What services that talk to each other through TLS of their own need."},
    {.name = "connect ca",
     .synopsis = "The mesh's certificate authority",
     .help = "  The authority that signs the certificates of services."},
    {.name = "connect ca get-config",
     .synopsis = "Print the authority's configuration",
     .run = get_config_run,
     .help = "  Prints the authority's configuration as JSON."},
    {.name = "connect ca set-config",
     .synopsis = "Change the authority's configuration",
     .run = set_config_run,
     .help = "  Replaces the authority's configuration by that of a file."},
};
const size_t cli_connect_ca_commands_count = ARRAY_SIZE(cli_connect_ca_commands);
