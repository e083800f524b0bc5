#include "cli/intention.h"

#include "base/gofmt.h"
#include "cli/api_time.h"
#include "cli/table.h"
#include "schema/config_intentions.h"
#include "schema/json.h"

#include <stdio.h>

static const struct cli_flag namespace_flags[] = {CLIENT_NAMESPACE_FLAG, CLI_FLAGS_END};
const struct cli_flag_group intention_groups[INTENTION_GROUPS_COUNT] = {
    {CLIENT_TITLE, cli_http_flags}, {"Command Options", namespace_flags}};

/* --- what they share ------------------------------------------------------------------------- */

int intention_target_parse(struct str text, struct str *ret_ns, struct str *ret_name,
                           struct err *err)
{
    struct str ns, name;
    if (!str_cut(text, '/', &ns, &name)) {
        *ret_ns = STR_NULL;
        *ret_name = text;
        return 0;
    }
    if (str_find_byte(name, '/') >= 0) {
        return err_set(err, ERR_INVALID, "target can contain at most one '/'");
    }
    *ret_ns = ns;
    *ret_name = name;
    return 0;
}

int intention_decode(struct arena *a, const struct value *v, struct api_intention *ret_intention,
                     struct err *err)
{
    *ret_intention = api_intention_make();
    if (v->kind == VALUE_NULL) {
        return 0;
    }
    if (v->kind != VALUE_MAP) {
        return err_set(err, ERR_INVALID,
                       "json: cannot unmarshal %s into Go value of type api.Intention",
                       value_kind_text(v->kind));
    }
    return schema_decode(&api_intention_schema, v, ret_intention, a, 0, err);
}

int intention_fetch(struct client_request *r, struct api_intention **ret_intention, struct err *err)
{
    struct arena *a = client_arena(r->client);
    struct client_response response;
    struct value *v;
    int rc = client_send(r, &response, err);
    if (rc < 0) {
        return rc;
    }
    *ret_intention = NULL;
    if (response.status == 404) {
        return 0;
    }
    if (response.status != 200) {
        return err_set(err, ERR_FAILED, "Unexpected response %d: %.*s", response.status,
                       STRF(response.body));
    }
    rc = json_parse_next(a, &response.body, &v, err);
    if (rc < 0) {
        return rc;
    }
    *ret_intention = ARENA_NEW(a, struct api_intention);
    return intention_decode(a, v, *ret_intention, err);
}

void intention_exact_init(struct client_request *r, struct client *c, const char *method,
                          struct str source, struct str destination)
{
    client_request_init(r, c, method, "/v1/connect/intentions/exact");
    client_param(r, STR("source"), source);
    client_param(r, STR("destination"), destination);
}

void intention_body(struct client_request *r, const struct api_intention *intention)
{
    struct arena *a = client_arena(r->client);
    struct buf body = {0};
    struct json_writer w = json_writer_make(&body, false);
    json_object(&w, &api_intention_schema, intention);
    client_body(r, arena_str(a, buf_view(&body)), STR_NULL);
    buf_deinit(&body);
}

static struct str argument(const struct cli_args *args, int i)
{
    return str_from_cstr(args->argv[i]);
}

/* --- check ----------------------------------------------------------------------------------- */

/* Exit codes: 0 allowed, 1 denied, 2 unknown. */
static int check(struct client *c, struct str source, struct str destination)
{
    struct client_request r;
    struct err err = {0};
    const struct value *answer;
    client_request_init(&r, c, "GET", "/v1/connect/intentions/check");
    client_param(&r, STR("source"), source);
    client_param(&r, STR("destination"), destination);
    client_param(&r, STR("source-type"), INTENTION_SOURCE_CONSUL);
    if (client_get(&r, &answer, &err) < 0) {
        (void)cli_error("Error checking the connection: %s", err_text(&err));
        return 2;
    }
    bool is_allowed = value_member_bool(answer, "Allowed");
    puts(is_allowed ? "Allowed" : "Denied");
    return is_allowed ? 0 : 1;
}

static int intention_check_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("intention check", argc, argv, intention_groups, INTENTION_GROUPS_COUNT, &args,
                   &code)) {
        return code == 0 ? 0 : 2;
    }
    if (args.argc != 2) {
        (void)cli_error("Error: command requires exactly two arguments: src and dst");
        return 2;
    }
    CLEANUP(client_free) struct client *c = client_open(INTENTION_CLIENT_FAILURE);
    return c != NULL ? check(c, argument(&args, 0), argument(&args, 1)) : 2;
}

/* --- get and delete -------------------------------------------------------------------------- */

static void cell(struct table *t, struct str name, struct str value)
{
    if (value.n > 0) {
        table_row(t, 2, (struct str[]){name, value});
    }
}

static void permissions_print(const struct api_intention *i)
{
    struct buf text = {0};
    struct json_writer w = json_writer_make(&text, true);
    json_array_begin(&w);
    for (size_t p = 0; p < i->permissions.n; p++) {
        json_object(&w, &intention_permission_schema, i->permissions.v[p]);
    }
    json_array_end(&w);
    buf_byte(&text, '\n');
    puts("Permissions:");
    cli_print_indented(stdout, buf_view(&text), "  ");
    buf_deinit(&text);
}

static void intention_print(struct arena *a, const struct api_intention *i)
{
    struct table t = {0};
    table_row(&t, 2, (struct str[]){STR("Source:"), api_intention_source_text(a, i)});
    table_row(&t, 2, (struct str[]){STR("Destination:"), api_intention_destination_text(a, i)});
    cell(&t, STR("Action:"), i->action);
    cell(&t, STR("ID:"), i->id);
    cell(&t, STR("Description:"), i->description);
    for (size_t m = 0; m < i->meta.n; m++) {
        struct str name = arena_printf(a, "Meta[%.*s]:", STRF(i->meta.v[m].key));
        table_row(&t, 2, (struct str[]){name, i->meta.v[m].value});
    }
    table_row(&t, 2, (struct str[]){STR("Created At:"), api_time_rfc850(a, i->created_at)});
    table_print(&t);
    table_deinit(&t);
    if (i->permissions.n > 0) {
        permissions_print(i);
    }
}

static int get(struct client *c, const struct cli_args *args)
{
    struct client_request r;
    struct err err = {0};
    struct api_intention *i;
    struct arena *a = client_arena(c);
    if (args->argc != 1 && args->argc != 2) {
        return cli_error("command requires exactly 1 or 2 arguments");
    }
    if (args->argc == 1) {
        client_request_init(&r, c, "GET", "/v1/connect/intentions/%s", args->argv[0]);
    } else {
        intention_exact_init(&r, c, "GET", argument(args, 0), argument(args, 1));
    }
    if (intention_fetch(&r, &i, &err) < 0) {
        return cli_error("Error reading the intention: %s", err_text(&err));
    }
    if (i == NULL && args->argc == 1) {
        return cli_error("Intention not found with ID %.*s", STRF(go_quoted(a, argument(args, 0))));
    }
    if (i == NULL) {
        return cli_error("Intention not found with source %.*s and destination %.*s",
                         STRF(go_quoted(a, argument(args, 0))),
                         STRF(go_quoted(a, argument(args, 1))));
    }
    intention_print(a, i);
    return 0;
}

static int intention_get_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("intention get", argc, argv, intention_groups, INTENTION_GROUPS_COUNT, &args,
                   &code)) {
        return code;
    }
    CLEANUP(client_free) struct client *c = client_open(INTENTION_CLIENT_FAILURE);
    return c != NULL ? get(c, &args) : 1;
}

static int delete (struct client *c, const struct cli_args *args)
{
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    if (args->argc != 1 && args->argc != 2) {
        return cli_error("command requires exactly 1 or 2 arguments");
    }
    if (args->argc == 1) {
        client_request_init(&r, c, "DELETE", "/v1/connect/intentions/%s", args->argv[0]);
    } else {
        intention_exact_init(&r, c, "DELETE", argument(args, 0), argument(args, 1));
    }
    if (client_send_ok(&r, &response, &err) < 0) {
        return cli_error("Error deleting the intention: %s", err_text(&err));
    }
    puts("Intention deleted.");
    return 0;
}

static int intention_delete_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("intention delete", argc, argv, intention_groups, INTENTION_GROUPS_COUNT, &args,
                   &code)) {
        return code;
    }
    CLEANUP(client_free) struct client *c = client_open(INTENTION_CLIENT_FAILURE);
    return c != NULL ? delete (c, &args) : 1;
}

/* --- list ------------------------------------------------------------------------------------ */

static int list(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    const struct value *v;
    struct arena *a = client_arena(c);
    client_request_init(&r, c, "GET", "/v1/connect/intentions");
    if (client_get(&r, &v, &err) < 0) {
        return cli_error("Failed to retrieve the intentions list: %s", err_text(&err));
    }
    if (value_count(v) == 0) {
        (void)cli_error("There are no intentions.");
        return 2;
    }
    struct table t = {0};
    table_row(&t, 5,
              (struct str[]){STR("ID"), STR("Source"), STR("Action"), STR("Destination"),
                             STR("Precedence")});
    for (size_t n = 0; n < v->list.n; n++) {
        struct api_intention i;
        if (intention_decode(a, &v->list.v[n], &i, &err) < 0) {
            table_deinit(&t);
            return cli_error("Failed to retrieve the intentions list: %s", err_text(&err));
        }
        table_row(&t, 5,
                  (struct str[]){i.id, i.source_name, i.action, i.destination_name,
                                 arena_printf(a, "%lld", (long long)i.precedence)});
    }
    table_print(&t);
    table_deinit(&t);
    return 0;
}

static int intention_list_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("intention list", argc, argv, intention_groups, INTENTION_GROUPS_COUNT, &args,
                   &code)) {
        return code;
    }
    CLEANUP(client_free) struct client *c = client_open(INTENTION_CLIENT_FAILURE);
    return c != NULL ? list(c) : 1;
}

/* --- match ----------------------------------------------------------------------------------- */

static bool is_by_source, is_by_destination;
static const struct cli_flag match_flags[] = {
    {"destination", CLI_BOOL, &is_by_destination,
     "Those that hold for a connection to this service; the default."},
    CLIENT_NAMESPACE_FLAG,
    {"source", CLI_BOOL, &is_by_source, "Those that hold for a connection from this service."},
    CLI_FLAGS_END};
static const struct cli_flag_group match_groups[] = {{CLIENT_TITLE, cli_http_flags},
                                                     {"Command Options", match_flags}};

static int match(struct client *c, struct str name)
{
    struct client_request r;
    struct err err = {0};
    const struct value *answer;
    struct arena *a = client_arena(c);
    client_request_init(&r, c, "GET", "/v1/connect/intentions/match");
    client_param(&r, STR("by"), is_by_source ? STR("source") : STR("destination"));
    client_param(&r, STR("name"), name);
    if (client_get(&r, &answer, &err) < 0) {
        return cli_error("Error matching the connection: %s", err_text(&err));
    }
    const struct value *matches = value_get(answer, name);
    for (size_t n = 0; n < value_count(matches); n++) {
        struct api_intention i;
        if (intention_decode(a, &matches->list.v[n], &i, &err) < 0) {
            return cli_error("Error matching the connection: %s", err_text(&err));
        }
        printf("%.*s\n", STRF(api_intention_text(a, &i)));
    }
    return 0;
}

static int intention_match_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("intention match", argc, argv, match_groups, ARRAY_SIZE(match_groups), &args,
                   &code)) {
        return code == 0 ? 0 : 2;
    }
    if (args.argc != 1) {
        return cli_error("Error: command requires exactly one argument: src or dst");
    }
    if (is_by_source && is_by_destination) {
        return cli_error("Error: only one of -source or -destination may be specified");
    }
    CLEANUP(client_free) struct client *c = client_open(INTENTION_CLIENT_FAILURE);
    return c != NULL ? match(c, argument(&args, 0)) : 1;
}

const struct cli_command cli_intention_commands[] = {
    {.name = "intention",
     .synopsis = "Which service may connect to which",
     .help = "  Which service may open connections to which:\n\n"
             "      $ consul intention create -deny web db\n"
             "      $ consul intention check web db\n"
             "      $ consul intention match db\n"
             "      $ consul intention delete web db"},
    {.name = "intention check",
     .synopsis = "Tell whether a connection is allowed",
     .run = intention_check_run,
     .usage = "[options] SRC DST",
     .help = "  Says whether SRC may connect to DST. Exits with 0 when it may, with 1 when not, "
             "and with 2\n  after an error."},
    {.name = "intention delete",
     .synopsis = "Delete an intention",
     .run = intention_delete_run,
     .usage = "[options] SRC DST",
     .help = "  Deletes the intention of a source and a destination, or that of an id."},
    {.name = "intention get",
     .synopsis = "Show an intention",
     .run = intention_get_run,
     .usage = "[options] SRC DST",
     .help = "  Shows the intention of a source and a destination, or that of an id."},
    {.name = "intention list",
     .synopsis = "List the intentions",
     .run = intention_list_run,
     .usage = "[options]",
     .help = "  Lists all intentions."},
    {.name = "intention match",
     .synopsis = "Show what holds for a service",
     .run = intention_match_run,
     .usage = "[options] SRC|DST",
     .help = "  Shows the intentions that hold for connections to a service, or from it, in the "
             "order in\n  which they are tried."},
};
const size_t cli_intention_commands_count = ARRAY_SIZE(cli_intention_commands);
