#include "cli/intention.h"

#include "base/gofmt.h"
#include "base/vec.h"
#include "schema/config_intentions.h"
#include "schema/json.h"

#include <stdio.h>

static bool is_allow, is_deny, is_file, is_replace;
static struct cli_map meta;

static const struct cli_flag flags[] = {
    {"allow", CLI_BOOL, &is_allow, "Allow the connections; the default."},
    {"deny", CLI_BOOL, &is_deny, "Deny the connections."},
    {"file", CLI_BOOL, &is_file, "The arguments are files, each with one intention as JSON."},
    {"meta", CLI_STRMAP, &meta, "Metadata of the intention. May be repeated."},
    CLIENT_NAMESPACE_FLAG,
    {"replace", CLI_BOOL, &is_replace, "Replace an intention of the same names."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

typedef VEC(struct api_intention) intentions;

static int from_file(struct arena *a, struct str path, struct api_intention *ret_intention,
                     struct err *err)
{
    struct str text;
    struct value *v;
    int rc = cli_file_read(a, path, &text, err);
    if (rc == 0) {
        rc = json_parse_next(a, &text, &v, err);
    }
    if (rc == 0) {
        rc = intention_decode(a, v, ret_intention, err);
    }
    if (rc == 0 && ret_intention->permissions.n > 0) {
        rc = err_set(err, ERR_INVALID,
                     "cannot create L7 intention from file %.*s using this CLI; use 'consul config "
                     "write' instead",
                     STRF(go_quoted(a, path)));
    }
    return rc;
}

static struct strmap meta_map(struct arena *a)
{
    struct strpair *pairs = ARENA_ARRAY(a, struct strpair, meta.n + 1);
    for (size_t i = 0; i < meta.n; i++) {
        pairs[i] = (struct strpair){meta.v[i].key, meta.v[i].value};
    }
    return (struct strmap){meta.n > 0 ? pairs : NULL, meta.n};
}

static int from_names(struct arena *a, const struct cli_args *args,
                      struct api_intention *ret_intention, struct err *err)
{
    struct api_intention i = api_intention_make();
    if (args->argc != 2) {
        return err_set(err, ERR_INVALID, "Must specify two arguments: source and destination");
    }
    if (intention_target_parse(str_from_cstr(args->argv[0]), &i.source_ns, &i.source_name, err) <
        0) {
        return err_wrap(err, "Invalid intention source");
    }
    if (intention_target_parse(str_from_cstr(args->argv[1]), &i.destination_ns, &i.destination_name,
                               err) < 0) {
        return err_wrap(err, "Invalid intention destination");
    }
    i.source_type = INTENTION_SOURCE_CONSUL;
    i.action = is_deny ? INTENTION_DENY : INTENTION_ALLOW;
    i.meta = meta_map(a);
    *ret_intention = i;
    return 0;
}

static int from_arguments(struct arena *a, const struct cli_args *args, intentions *list,
                          struct err *err)
{
    struct api_intention i;
    int rc = 0;
    if (!is_file) {
        rc = from_names(a, args, &i, err);
        if (rc == 0) {
            avec_push(a, list, i);
        }
        return rc;
    }
    for (int n = 0; n < args->argc && rc == 0; n++) {
        rc = from_file(a, str_from_cstr(args->argv[n]), &i, err);
        if (rc == 0) {
            avec_push(a, list, i);
        }
    }
    return rc;
}

static int names_error(struct arena *a, const char *what, const struct api_intention *i,
                       const struct err *err)
{
    return cli_error("%s with source %.*s and destination %.*s: %s", what,
                     STRF(go_quoted(a, api_intention_source(a, i))),
                     STRF(go_quoted(a, api_intention_destination(a, i))), err_text(err));
}

/* Where there is one of these names already, its place is taken. Nonzero: the exit code. */
static int replace(struct client *c, struct api_intention *i, bool *ret_done)
{
    struct client_request r;
    struct client_response response;
    struct api_intention *old;
    struct err err = {0};
    struct arena *a = client_arena(c);
    intention_exact_init(&r, c, "GET", api_intention_source(a, i), api_intention_destination(a, i));
    if (intention_fetch(&r, &old, &err) < 0) {
        return names_error(a, "Error looking up intention for replacement", i, &err);
    }
    *ret_done = old != NULL;
    if (old == NULL) {
        return 0;
    }
    i->id = old->id;
    client_request_init(&r, c, "PUT", "/v1/connect/intentions/%.*s", STRF(i->id));
    intention_body(&r, i);
    return client_send_ok(&r, &response, &err) < 0
               ? names_error(a, "Error replacing intention", i, &err)
               : 0;
}

static int create(struct client *c, struct api_intention *i)
{
    struct client_request r;
    struct err err = {0};
    const struct value *answer;
    struct arena *a = client_arena(c);
    bool is_done = false;
    int code = is_replace ? replace(c, i, &is_done) : 0;
    if (code != 0 || is_done) {
        return code;
    }
    client_request_init(&r, c, "POST", "/v1/connect/intentions");
    intention_body(&r, i);
    struct str text = api_intention_text(a, i);
    if (client_get(&r, &answer, &err) < 0) {
        return cli_error("Error creating intention %.*s: %s", STRF(go_quoted(a, text)),
                         err_text(&err));
    }
    printf("Created: %.*s\n", STRF(text));
    return 0;
}

static int create_all(struct arena *a, const struct cli_args *args)
{
    struct err err = {0};
    intentions list = {0};
    if (is_allow && is_deny) {
        return cli_error("Only one of -allow or -deny may be specified.");
    }
    if (from_arguments(a, args, &list, &err) < 0) {
        return cli_error("Error: %s", err_text(&err));
    }
    CLEANUP(client_free) struct client *c = client_open(INTENTION_CLIENT_FAILURE);
    int code = c != NULL ? 0 : 1;
    for (size_t i = 0; i < list.n && code == 0; i++) {
        code = create(c, &list.v[i]);
    }
    return code;
}

static int intention_create_run(int argc, char **argv)
{
    struct cli_args args;
    struct arena a = {0};
    int code;
    if (cli_parse("intention create", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        code = create_all(&a, &args);
    }
    arena_deinit(&a);
    cli_map_deinit(&meta);
    return code;
}

const struct cli_command cli_intention_create_commands[] = {
    {.name = "intention create",
     .synopsis = "Allow or deny connections",
     .run = intention_create_run,
     .usage = "[options] SRC DST",
     .help = "  Creates an intention: whether SRC may connect to DST. Either may be \"*\", for all "
             "services.\n\n"
             "      $ consul intention create web db\n"
             "      $ consul intention create -deny '*' db\n"
             "      $ consul intention create -file web-to-db.json"},
};
const size_t cli_intention_create_commands_count = ARRAY_SIZE(cli_intention_create_commands);
