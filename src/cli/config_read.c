#include "cli/api_config.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/config.h"

#include "schema/config_entry.h"
#include "schema/json.h"

#include <stdio.h>

static int config_read(struct client *c)
{
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    client_request_init(&r, c, "GET", "/v1/config/%.*s/%.*s", STRF(config_kind), STRF(config_name));
    client_param_stale(&r);
    if (config_entry_kind_find(config_kind, &err) < 0 || client_send_ok(&r, &response, &err) < 0) {
        return cli_error("Error reading config entry %.*s/%.*s: %s", STRF(config_kind),
                         STRF(config_name), err_text(&err));
    }
    struct value *value;
    struct config_entry *entry;
    if (json_parse(client_arena(c), response.body, &value, &err) < 0 ||
        config_entry_decode(client_arena(c), value, DECODE_FLOATS, &entry, &err) < 0) {
        return cli_error("Error reading config entry %.*s/%.*s: %s", STRF(config_kind),
                         STRF(config_name), err_text(&err));
    }
    struct buf text = {0};
    struct json_writer w = json_writer_make(&text, true);
    json_object(&w, api_config_schema(entry->type), entry);
    printf("%.*s\n", STRF(buf_view(&text)));
    buf_deinit(&text);
    return 0;
}

static int config_read_run(int argc, char **argv)
{
    int code;
    if (!config_parse_named("config read", argc, argv, &code)) {
        return code;
    }
    CLEANUP(client_free) struct client *c = client_open("Error connect to Consul agent");
    return c != NULL ? config_read(c) : 1;
}

const struct cli_command cli_config_read_commands[] = {
    {.name = "config read",
     .synopsis = "Print a configuration entry",
     .run = config_read_run,
     .usage = "[options] -kind <config kind> -name <config name>",
     .help = "  Prints an entry as JSON.\n\n"
             "      $ consul config read -kind proxy-defaults -name global"},
};
const size_t cli_config_read_commands_count = ARRAY_SIZE(cli_config_read_commands);
