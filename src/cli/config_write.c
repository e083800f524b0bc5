#include "cli/client.h"
#include "cli/command.h"
#include "cli/config.h"

#include "schema/config_entry.h"
#include "schema/hcl.h"
#include "schema/json.h"

#include <stdio.h>

static bool is_cas;
static uint64_t modify_index;

static const struct cli_flag flags[] = {
    {"cas", CLI_BOOL, &is_cas,
     "Write only if the entry is as it was: with -modify-index, which says when."},
    {"modify-index", CLI_UINT, &modify_index,
     "ModifyIndex of the entry that -cas expects; 0 expects that there is none."},
    CLIENT_NAMESPACE_FLAG,
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

/* A file's content, or standard input's. */
static int data_load(struct arena *a, struct str argument, struct str *ret_data, struct err *err)
{
    if (argument.n == 0) {
        return err_set(err, ERR_INVALID,
                       "Failed to load data: must specify a file path or '-' for stdin");
    }
    if (str_eq_lit(argument, "-")) {
        return cli_data_read(a, argument, ret_data, err) < 0 ? err_wrap(err, "Failed to read stdin")
                                                             : 0;
    }
    return cli_file_read(a, argument, ret_data, err) < 0 ? err_wrap(err, "Failed to read file") : 0;
}

static int entry_parse(struct arena *a, struct str data, struct config_entry **ret_entry,
                       struct err *err)
{
    struct value *value;
    if (hcl_parse(a, data, &value, err) < 0) {
        return err_wrap(err, "Failed to decode config entry input");
    }
    return config_entry_decode(a, value, 0, ret_entry, err);
}

static int entry_write(struct client *c, const struct config_entry *entry)
{
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    struct buf body = {0};
    struct json_writer w = json_writer_make(&body, false);
    json_object(&w, &config_entry_schema, entry);
    client_request_init(&r, c, "PUT", "/v1/config");
    if (is_cas) {
        client_param(&r, STR("cas"),
                     arena_printf(client_arena(c), "%llu", (unsigned long long)modify_index));
    }
    client_body(&r, buf_view(&body), STR_NULL);
    int code = 0;
    if (client_send_ok(&r, &response, &err) < 0) {
        code = cli_error("Error writing config entry %.*s/%.*s: %s", STRF(entry->kind),
                         STRF(entry->name), err_text(&err));
    } else if (!str_contains(response.body, STR("true"))) {
        code =
            cli_error("Config entry not updated: %.*s/%.*s", STRF(entry->kind), STRF(entry->name));
    } else {
        printf("Config entry written: %.*s/%.*s\n", STRF(entry->kind), STRF(entry->name));
    }
    buf_deinit(&body);
    return code;
}

static int config_write(struct arena *a, struct str argument)
{
    struct err err = {0};
    struct str data;
    struct config_entry *entry;
    if (data_load(a, argument, &data, &err) < 0) {
        return cli_error("Failed to load data: %s", err_text(&err));
    }
    if (entry_parse(a, data, &entry, &err) < 0) {
        return cli_error("Failed to decode config entry input: %s", err_text(&err));
    }
    CLEANUP(client_free) struct client *c = client_open("Error connect to Consul agent");
    return c != NULL ? entry_write(c, entry) : 1;
}

static int config_write_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("config write", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (args.argc != 1) {
        return cli_error("Must provide exactly one positional argument to specify the config "
                         "entry to write");
    }
    struct arena a = {0};
    code = config_write(&a, str_from_cstr(args.argv[0]));
    arena_deinit(&a);
    return code;
}

const struct cli_command cli_config_write_commands[] = {
    {.name = "config write",
     .synopsis = "Write a configuration entry from a file",
     .run = config_write_run,
     .usage = "[options] <configuration>",
     .help = "  Writes an entry from a file, or from standard input with -, as HCL or JSON.\n\n"
             "      $ consul config write web.hcl\n"
             "      $ consul config write -"},
};
const size_t cli_config_write_commands_count = ARRAY_SIZE(cli_config_write_commands);
