#include "cli/kv.h"

#include "base/gofmt.h"
#include "schema/json.h"

#include <stdio.h>

static const struct cli_flag flags[] = {CLIENT_NAMESPACE_FLAG, CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

/* One entry, indented by tabs as Consul does. */
static void entry_write(struct buf *to, const struct value *entry)
{
    struct str ns = value_member_str(entry, "Namespace");
    buf_lit(to, "\t{\n\t\t\"key\": ");
    json_quote(to, value_member_str(entry, "Key"));
    buf_lit(to, ",\n\t\t\"flags\": ");
    buf_u64(to, value_member_u64(entry, "Flags"));
    buf_lit(to, ",\n\t\t\"value\": ");
    json_quote(to, value_member_str(entry, "Value"));
    if (ns.n > 0) {
        buf_lit(to, ",\n\t\t\"namespace\": ");
        json_quote(to, ns);
    }
    buf_lit(to, "\n\t}");
}

static int export_with(struct client *c, struct str prefix)
{
    struct client_request r;
    struct err err = {0};
    const struct value *entries;
    client_request_init(&r, c, "GET", "/v1/kv/%.*s", STRF(prefix));
    client_param_stale(&r);
    client_param(&r, STR("recurse"), STR(""));
    if (kv_read(&r, &entries, &err) < 0) {
        return cli_error("Error querying Consul agent: %s", err_text(&err));
    }
    struct buf text = {0};
    size_t count = value_count(entries);
    buf_str(&text, count > 0 ? STR("[\n") : STR("["));
    for (size_t i = 0; i < count; i++) {
        entry_write(&text, &entries->list.v[i]);
        buf_str(&text, i + 1 < count ? STR(",\n") : STR("\n"));
    }
    buf_lit(&text, "]\n");
    int code = 0;
    if (text.failed) {
        code = cli_error("Error exporting KV data: it is too large");
    } else {
        (void)fwrite(text.p, 1, text.n, stdout);
    }
    buf_deinit(&text);
    return code;
}

static int kv_export_run(int argc, char **argv)
{
    struct cli_args args;
    struct str prefix;
    int code;
    if (!cli_parse("kv export", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (!kv_key_argument(&args, &prefix)) {
        return 1;
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    return c != NULL ? export_with(c, prefix) : 1;
}

const struct cli_command cli_kv_export_commands[] = {
    {.name = "kv export",
     .synopsis = "Print all below a prefix as JSON",
     .run = kv_export_run,
     .usage = "[KEY_OR_PREFIX]",
     .help = "  Prints all keys below a prefix as JSON that \"consul kv import\" reads."},
};
const size_t cli_kv_export_commands_count = ARRAY_SIZE(cli_kv_export_commands);
