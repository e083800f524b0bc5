#include "cli/acl.h"

#include "base/buf.h"
#include "base/gofmt.h"
#include "cli/api_time.h"
#include "cli/url.h"
#include "schema/json.h"

#include <ctype.h>
#include <stdio.h>

#define ID_SIZE 36u
#define ANONYMOUS_ID STR("00000000-0000-0000-0000-000000000002")
#define GLOBAL_MANAGEMENT_ID STR("00000000-0000-0000-0000-000000000001")

struct str acl_format = STR_INIT("pretty");
bool acl_shows_meta;

/* --- commands -------------------------------------------------------------------------------- */

#define GROUPS(command)                                              \
    ((const struct cli_flag_group[]){{CLIENT_TITLE, cli_http_flags}, \
                                     {"Command Options", (command)->flags}})

int acl_command_run(const struct acl_command *command, int argc, char **argv)
{
    struct cli_args args;
    int code = 0;
    if (!cli_parse(command->name, argc, argv, GROUPS(command), 2, &args, &code) ||
        (command->check != NULL && (code = command->check()) != 0)) {
        return code;
    }
    CLEANUP(client_free) struct client *c = client_open(ACL_CLIENT_FAILURE);
    return c != NULL ? command->run(c) : 1;
}

int acl_usage_error(const struct acl_command *command, const char *message)
{
    return cli_usage_error(command->name, GROUPS(command), 2, message);
}

/* --- requests -------------------------------------------------------------------------------- */

void acl_body(struct client_request *r, const struct schema *schema, const void *object)
{
    struct buf body = {0};
    struct json_writer w = json_writer_make(&body, false);
    json_object(&w, schema, object);
    client_body(r, arena_str(client_arena(r->client), buf_view(&body)), STR_NULL);
    buf_deinit(&body);
}

static int object_decode(struct arena *a, const struct value *v, const struct schema *schema,
                         void *object, struct err *err)
{
    schema_zero(schema, object);
    int rc = v->kind == VALUE_NULL ? 0 : schema_decode(schema, v, object, a, DECODE_FLOATS, err);
    if (rc == 0 && (schema == &api_token_schema || schema == &api_token_entry_schema)) {
        struct api_token *t = object;
        t->create_time = t->create_time.n > 0 ? t->create_time : API_TIME_NONE;
    }
    return rc;
}

static int answer_decode(struct client_request *r, struct str body, const struct schema *schema,
                         void **ret_object, struct err *err)
{
    struct arena *a = client_arena(r->client);
    struct value *v;
    int rc = json_parse_next(a, &body, &v, err);
    if (rc == 0) {
        *ret_object = arena_zalloc(a, schema->size);
        rc = object_decode(a, v, schema, *ret_object, err);
    }
    return rc;
}

int acl_fetch(struct client_request *r, const struct schema *schema, void **ret_object,
              struct err *err)
{
    struct client_response response;
    int rc = client_send_ok(r, &response, err);
    return rc < 0 ? rc : answer_decode(r, response.body, schema, ret_object, err);
}

int acl_find(struct client_request *r, const struct schema *schema, void **ret_object,
             struct err *err)
{
    struct client_response response;
    int rc = client_send(r, &response, err);
    if (rc < 0) {
        return rc;
    }
    if (response.status == 404) {
        *ret_object = NULL;
        return 0;
    }
    return response.status != 200 ? client_status_error(&response, err)
                                  : answer_decode(r, response.body, schema, ret_object, err);
}

/* --- ids ------------------------------------------------------------------------------------- */

struct noun {
    const char *name, *path, *id; /* "token", its list, the member that is its id */
};

static const struct noun token_noun = {"token", "/v1/acl/tokens", "AccessorID"};
static const struct noun policy_noun = {"policy", "/v1/acl/policies", "ID"};
static const struct noun role_noun = {"role", "/v1/acl/roles", "ID"};
static const struct noun rule_noun = {"rule", "/v1/acl/binding-rules", "ID"};

static int noun_list(struct client *c, const struct noun *noun, const struct value **ret_list,
                     struct err *err)
{
    struct client_request r;
    client_request_init(&r, c, "GET", "%s", noun->path);
    return client_get(&r, ret_list, err);
}

static int id_resolve(struct client *c, const struct noun *noun, struct str partial,
                      struct str *ret_id, struct err *err)
{
    const struct value *list;
    struct str found = STR_NULL;
    if (partial.n == ID_SIZE) {
        *ret_id = partial;
        return 0;
    }
    int rc = noun_list(c, noun, &list, err);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < value_count(list); i++) {
        struct str id = value_member_str(&list->list.v[i], noun->id);
        if (!str_has_prefix(id, partial)) {
            continue;
        }
        if (found.n > 0) {
            return err_set(err, ERR_INVALID, "Partial %s ID is not unique", noun->name);
        }
        found = id;
    }
    if (found.n == 0) {
        return err_set(err, ERR_NOT_FOUND, "No such %s ID with prefix: %.*s", noun->name,
                       STRF(partial));
    }
    *ret_id = found;
    return 0;
}

static int id_named(struct client *c, const struct noun *noun, struct str name, struct str *ret_id,
                    struct err *err)
{
    const struct value *list;
    if (name.n == 0) {
        return err_set(err, ERR_INVALID, "No name specified");
    }
    int rc = noun_list(c, noun, &list, err);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < value_count(list); i++) {
        if (str_eq(value_member_str(&list->list.v[i], "Name"), name)) {
            *ret_id = value_member_str(&list->list.v[i], noun->id);
            return 0;
        }
    }
    return err_set(err, ERR_NOT_FOUND, "No such %s with name %.*s", noun->name, STRF(name));
}

int acl_token_id(struct client *c, struct str partial, struct str *ret_id, struct err *err)
{
    if (str_eq_lit(partial, "anonymous")) {
        *ret_id = ANONYMOUS_ID;
        return 0;
    }
    return id_resolve(c, &token_noun, partial, ret_id, err);
}

int acl_policy_id(struct client *c, struct str partial, struct str *ret_id, struct err *err)
{
    if (str_eq_lit(partial, "global-management")) {
        *ret_id = GLOBAL_MANAGEMENT_ID;
        return 0;
    }
    return id_resolve(c, &policy_noun, partial, ret_id, err);
}

int acl_role_id(struct client *c, struct str partial, struct str *ret_id, struct err *err)
{
    return id_resolve(c, &role_noun, partial, ret_id, err);
}

int acl_rule_id(struct client *c, struct str partial, struct str *ret_id, struct err *err)
{
    return id_resolve(c, &rule_noun, partial, ret_id, err);
}

int acl_policy_id_named(struct client *c, struct str name, struct str *ret_id, struct err *err)
{
    return id_named(c, &policy_noun, name, ret_id, err);
}

int acl_role_id_named(struct client *c, struct str name, struct str *ret_id, struct err *err)
{
    return id_named(c, &role_noun, name, ret_id, err);
}

struct str acl_path_name(struct client *c, struct str name)
{
    struct buf escaped = {0};
    url_query_escape(&escaped, name);
    struct str text = arena_str(client_arena(c), buf_view(&escaped));
    buf_deinit(&escaped);
    return text;
}

int acl_legacy_rules(struct client *c, struct str token, bool is_secret, struct str *ret_rules,
                     struct err *err)
{
    struct client_request r;
    struct str id;
    void *object;
    int rc = acl_token_id(c, token, &id, err);
    if (rc < 0) {
        return rc;
    }
    if (is_secret) {
        client_request_init(&r, c, "GET", "/v1/acl/token/self");
        r.token = id;
    } else {
        client_request_init(&r, c, "GET", "/v1/acl/token/%.*s", STRF(id));
    }
    if (acl_fetch(&r, &api_token_schema, &object, err) < 0) {
        return err_wrap(err, "Error reading token");
    }
    *ret_rules = ((const struct api_token *)object)->rules;
    return ret_rules->n > 0 ? 0
                            : err_set(err, ERR_INVALID, "Token is not a legacy token with rules");
}

/* --- output ---------------------------------------------------------------------------------- */

/* False, and told, when there is no such format. */
static bool format_exists(void)
{
    if (!str_eq_lit(acl_format, "pretty") && !str_eq_lit(acl_format, "json")) {
        (void)cli_error("Unknown format: %.*s", STRF(acl_format));
        return false;
    }
    return true;
}

static void text_print(struct buf *text)
{
    if (text->n > 0) {
        buf_byte(text, '\n');
        (void)fwrite(text->p, 1, text->n, stdout);
    }
    buf_deinit(text);
}

int acl_show(struct client *c, const struct acl_kind *kind, const void *object)
{
    struct buf text = {0};
    if (!format_exists()) {
        return 1;
    }
    if (str_eq_lit(acl_format, "json")) {
        struct json_writer w = json_writer_make(&text, true);
        json_object(&w, kind->schema, object);
    } else {
        kind->put(&text, client_arena(c), object);
    }
    text_print(&text);
    return 0;
}

static int entries_put(struct client *c, const struct acl_kind *kind, const struct value *list,
                       struct buf *to, struct err *err)
{
    struct arena *a = client_arena(c);
    bool is_json = str_eq_lit(acl_format, "json");
    struct json_writer w = json_writer_make(to, true);
    if (is_json && list->kind == VALUE_NULL) {
        json_null(&w);
        return 0;
    }
    if (is_json) {
        json_array_begin(&w);
    }
    for (size_t i = 0; i < value_count(list); i++) {
        void *object = arena_zalloc(a, kind->entry_schema->size);
        int rc = object_decode(a, &list->list.v[i], kind->entry_schema, object, err);
        if (rc < 0) {
            return rc;
        }
        if (is_json) {
            json_object(&w, kind->entry_schema, object);
        } else {
            buf_str(to, str_from_cstr(i > 0 ? kind->separator : ""));
            kind->put_entry(to, a, object);
        }
    }
    if (is_json) {
        json_array_end(&w);
    }
    return 0;
}

int acl_list(struct client_request *r, const struct acl_kind *kind, const char *failure)
{
    const struct value *list;
    struct err err = {0};
    struct buf text = {0};
    if (client_get(r, &list, &err) < 0) {
        return cli_error("%s: %s", failure, err_text(&err));
    }
    if (!format_exists()) {
        return 1;
    }
    if (entries_put(r->client, kind, list, &text, &err) < 0) {
        buf_deinit(&text);
        return cli_error("%s: %s", failure, err_text(&err));
    }
    text_print(&text);
    return 0;
}

int acl_delete(struct client_request *r, const char *noun, struct str which)
{
    struct client_response response;
    struct err err = {0};
    struct str quoted = go_quoted(client_arena(r->client), which);
    if (client_send_ok(r, &response, &err) < 0) {
        return cli_error("Error deleting %s %.*s: %s", noun, STRF(quoted), err_text(&err));
    }
    printf("%c%s %.*s deleted successfully\n", toupper((unsigned char)noun[0]), noun + 1,
           STRF(quoted));
    return 0;
}

/* --- groups ---------------------------------------------------------------------------------- */

const struct cli_command cli_acl_commands[] = {
    {.name = "acl",
     .synopsis = "Tokens, policies, roles: who may do what",
     .help = "  Who may do what: tokens that requests carry, the policies and roles that tokens "
             "have, and\n  ways to log in for a token.\n\n"
             "      $ consul acl bootstrap\n"
             "      $ consul acl policy create -name ops -rules @ops.hcl\n"
             "      $ consul acl token create -policy-name ops\n"
             "      $ consul acl set-agent-token agent 5d3b2c1f-8a40-4c1e-9c71-0f6f3a1d2b9e"},
    {.name = "acl auth-method",
     .synopsis = "Ways to log in",
     .help = "  Ways to log in, by which a proof from elsewhere becomes a token.\n\n"
             "      $ consul acl auth-method create -type jwt -name ci -config @ci.json\n"
             "      $ consul acl auth-method list"},
    {.name = "acl binding-rule",
     .synopsis = "What a login may do",
     .help = "  What who logs in by an auth method may do.\n\n"
             "      $ consul acl binding-rule create -method ci -bind-type role -bind-name deploy\n"
             "      $ consul acl binding-rule list"},
    {.name = "acl policy",
     .synopsis = "Rules that have a name",
     .help = "  Rules under a name.\n\n"
             "      $ consul acl policy create -name ops -rules @ops.hcl\n"
             "      $ consul acl policy read -name ops\n"
             "      $ consul acl policy list"},
    {.name = "acl role",
     .synopsis = "Policies that go together",
     .help = "  Policies and identities under a name, for tokens to have together.\n\n"
             "      $ consul acl role create -name deploy -policy-name ops\n"
             "      $ consul acl role list"},
    {.name = "acl token",
     .synopsis = "What requests carry",
     .help = "  What requests carry to show who they come from. The accessor id names a token, the "
             "secret\n  id is what requests carry.\n\n"
             "      $ consul acl token create -description ci -policy-name ops\n"
             "      $ consul acl token read -self\n"
             "      $ consul acl token list"},
};
const size_t cli_acl_commands_count = ARRAY_SIZE(cli_acl_commands);
