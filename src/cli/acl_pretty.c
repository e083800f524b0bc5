#include "cli/acl.h"
#include "cli/api_time.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/encode.h"
#include "schema/json.h"

/* "Name:        value"; `width` of the label with its colon. */
static void line(struct buf *to, const char *indent, int width, const char *label, struct str text)
{
    buf_printf(to, "%s%-*s", indent, width, label);
    buf_str(to, text);
    buf_byte(to, '\n');
}

static void line_if(struct buf *to, const char *indent, int width, const char *label,
                    struct str text)
{
    if (text.n > 0) {
        line(to, indent, width, label, text);
    }
}

static void meta_put(struct buf *to, const char *indent, int width, const struct str *hash,
                     uint64_t create_index, uint64_t modify_index)
{
    if (!acl_shows_meta) {
        return;
    }
    if (hash != NULL) {
        buf_printf(to, "%s%-*s", indent, width, "Hash:");
        hex_encode(to, *hash);
        buf_byte(to, '\n');
    }
    buf_printf(to, "%s%-*s%llu\n", indent, width,
               "Create Index:", (unsigned long long)create_index);
    buf_printf(to, "%s%-*s%llu\n", indent, width,
               "Modify Index:", (unsigned long long)modify_index);
}

static void joined_put(struct buf *to, struct strlist list)
{
    for (size_t i = 0; i < list.n; i++) {
        buf_str(to, i > 0 ? STR(", ") : STR(""));
        buf_str(to, list.v[i]);
    }
}

static void links_put(struct buf *to, const char *indent, const char *title, struct objlist links)
{
    const struct api_link *v = links.v;
    if (links.n > 0) {
        buf_printf(to, "%s%s:\n", indent, title);
    }
    for (size_t i = 0; i < links.n; i++) {
        buf_printf(to, "%s   %.*s - %.*s\n", indent, STRF(v[i].id), STRF(v[i].name));
    }
}

static void services_put(struct buf *to, const char *indent, struct objlist identities)
{
    const struct api_service_identity *v = identities.v;
    for (size_t i = 0; i < identities.n; i++) {
        buf_printf(to, "%s   %.*s (Datacenters: ", indent, STRF(v[i].service_name));
        if (v[i].datacenters.n > 0) {
            joined_put(to, v[i].datacenters);
        } else {
            buf_lit(to, "all");
        }
        buf_lit(to, ")\n");
    }
}

static void service_identities_put(struct buf *to, const char *indent, struct objlist identities)
{
    if (identities.n > 0) {
        buf_printf(to, "%sService Identities:\n", indent);
        services_put(to, indent, identities);
    }
}

static void node_identities_put(struct buf *to, const char *indent, struct objlist identities)
{
    const struct api_node_identity *v = identities.v;
    if (identities.n > 0) {
        buf_printf(to, "%sNode Identities:\n", indent);
    }
    for (size_t i = 0; i < identities.n; i++) {
        buf_printf(to, "%s   %.*s (Datacenter: %.*s)\n", indent, STRF(v[i].node_name),
                   STRF(v[i].datacenter));
    }
}

/* --- tokens ---------------------------------------------------------------------------------- */

#define TOKEN_WIDTH 18

static void token_head_put(struct buf *to, struct arena *a, const struct api_token *t)
{
    line(to, "", TOKEN_WIDTH, "AccessorID:", t->accessor_id);
    line(to, "", TOKEN_WIDTH, "SecretID:", t->secret_id);
    line_if(to, "", TOKEN_WIDTH, "Namespace:", t->ns);
    line(to, "", TOKEN_WIDTH, "Description:", t->description);
    line(to, "", TOKEN_WIDTH, "Local:", t->local ? STR("true") : STR("false"));
    line_if(to, "", TOKEN_WIDTH, "Auth Method:", t->auth_method);
    line(to, "", TOKEN_WIDTH, "Create Time:", api_time_text(a, t->create_time));
    if (t->expiration_time.n > 0 && !str_eq(t->expiration_time, API_TIME_NONE)) {
        line(to, "", TOKEN_WIDTH, "Expiration Time:", api_time_text(a, t->expiration_time));
    }
}

static void token_grants_put(struct buf *to, const struct api_token *t)
{
    meta_put(to, "", TOKEN_WIDTH, &t->hash, t->create_index, t->modify_index);
    links_put(to, "", "Policies", t->policies);
    links_put(to, "", "Roles", t->roles);
    service_identities_put(to, "", t->service_identities);
}

static void token_put(struct buf *to, struct arena *a, const void *object)
{
    const struct api_token *t = object;
    token_head_put(to, a, t);
    token_grants_put(to, t);
    node_identities_put(to, "", t->node_identities);
    if (t->rules.n > 0) {
        buf_printf(to, "Rules:\n%.*s\n", STRF(t->rules));
    }
}

static void token_entry_put(struct buf *to, struct arena *a, const void *object)
{
    const struct api_token *t = object;
    token_head_put(to, a, t);
    line(to, "", TOKEN_WIDTH, "Legacy:", t->legacy ? STR("true") : STR("false"));
    token_grants_put(to, t);
    /* A list does not name the nodes: it says the services once more. So does 1.10.3, whose output
     * scripts read; the scenario acl_token pins it. */
    if (t->node_identities.n > 0) {
        buf_lit(to, "Service Identities:\n");
        services_put(to, "", t->service_identities);
    }
}

const struct acl_kind acl_token_kind = {&api_token_schema, &api_token_entry_schema, token_put,
                                        token_entry_put, "\n"};

/* --- policies -------------------------------------------------------------------------------- */

#define WIDTH 14 /* of all the others */
#define ENTRY "   "

static void policy_lines_put(struct buf *to, const char *indent, const struct api_policy *p)
{
    line_if(to, indent, WIDTH, "Namespace:", p->ns);
    line(to, indent, WIDTH, "Description:", p->description);
    buf_printf(to, "%s%-*s", indent, WIDTH, "Datacenters:");
    joined_put(to, p->datacenters);
    buf_byte(to, '\n');
    meta_put(to, indent, WIDTH, &p->hash, p->create_index, p->modify_index);
}

static void policy_put(struct buf *to, struct arena *a, const void *object)
{
    const struct api_policy *p = object;
    (void)a;
    line(to, "", WIDTH, "ID:", p->id);
    line(to, "", WIDTH, "Name:", p->name);
    policy_lines_put(to, "", p);
    buf_lit(to, "Rules:\n");
    buf_str(to, p->rules);
}

static void policy_entry_put(struct buf *to, struct arena *a, const void *object)
{
    const struct api_policy *p = object;
    (void)a;
    buf_printf(to, "%.*s:\n", STRF(p->name));
    line(to, ENTRY, WIDTH, "ID:", p->id);
    policy_lines_put(to, ENTRY, p);
}

const struct acl_kind acl_policy_kind = {&api_policy_schema, &api_policy_entry_schema, policy_put,
                                         policy_entry_put, ""};

/* --- roles ----------------------------------------------------------------------------------- */

static void role_lines_put(struct buf *to, const char *indent, const struct api_role *r)
{
    line_if(to, indent, WIDTH, "Namespace:", r->ns);
    line(to, indent, WIDTH, "Description:", r->description);
    meta_put(to, indent, WIDTH, &r->hash, r->create_index, r->modify_index);
    links_put(to, indent, "Policies", r->policies);
    service_identities_put(to, indent, r->service_identities);
    node_identities_put(to, indent, r->node_identities);
}

static void role_put(struct buf *to, struct arena *a, const void *object)
{
    const struct api_role *r = object;
    (void)a;
    line(to, "", WIDTH, "ID:", r->id);
    line(to, "", WIDTH, "Name:", r->name);
    role_lines_put(to, "", r);
}

static void role_entry_put(struct buf *to, struct arena *a, const void *object)
{
    const struct api_role *r = object;
    (void)a;
    buf_printf(to, "%.*s:\n", STRF(r->name));
    line(to, ENTRY, WIDTH, "ID:", r->id);
    role_lines_put(to, ENTRY, r);
}

const struct acl_kind acl_role_kind = {&api_role_schema, &api_role_schema, role_put, role_entry_put,
                                       ""};

/* --- methods of logging in ------------------------------------------------------------------- */

#define METHOD_WIDTH 15

/* JSON with an indent of two. */
static void config_put(struct buf *to, const struct value *config)
{
    struct buf json = {0};
    struct json_writer w = json_writer_make(&json, true);
    json_value(&w, config);
    struct str rest = buf_view(&json), text;
    while (str_split_next(&rest, '\n', &text)) {
        size_t depth = 0;
        while (str_has_prefix(str_from(text, 4 * depth), STR("    "))) {
            depth++;
        }
        buf_fill(to, ' ', 2 * depth);
        buf_str(to, str_from(text, 4 * depth));
        buf_str(to, rest.p != NULL ? STR("\n") : STR(""));
    }
    buf_deinit(&json);
}

static void auth_method_put(struct buf *to, struct arena *a, const void *object)
{
    const struct api_auth_method *m = object;
    const struct api_namespace_rule *rules = m->namespace_rules.v;
    line(to, "", METHOD_WIDTH, "Name:", m->name);
    line(to, "", METHOD_WIDTH, "Type:", m->type);
    line_if(to, "", METHOD_WIDTH, "Namespace:", m->ns);
    line_if(to, "", METHOD_WIDTH, "DisplayName:", m->display_name);
    line(to, "", METHOD_WIDTH, "Description:", m->description);
    if (m->max_token_ttl > 0) {
        line(to, "", METHOD_WIDTH, "MaxTokenTTL:", duration_format(a, m->max_token_ttl));
    }
    line_if(to, "", METHOD_WIDTH, "TokenLocality:", m->token_locality);
    if (m->namespace_rules.n > 0) {
        buf_lit(to, "NamespaceRules:\n");
    }
    for (size_t i = 0; i < m->namespace_rules.n; i++) {
        line(to, ENTRY, METHOD_WIDTH, "Selector:", rules[i].selector);
        line(to, ENTRY, METHOD_WIDTH, "BindNamespace:", rules[i].bind_namespace);
    }
    meta_put(to, "", METHOD_WIDTH, NULL, m->create_index, m->modify_index);
    buf_lit(to, "Config:\n");
    config_put(to, m->config);
}

static void auth_method_entry_put(struct buf *to, struct arena *a, const void *object)
{
    const struct api_auth_method *m = object;
    (void)a;
    buf_printf(to, "%.*s:\n", STRF(m->name));
    line(to, ENTRY, WIDTH, "Type:", m->type);
    line_if(to, ENTRY, WIDTH, "Namespace:", m->ns);
    line_if(to, ENTRY, WIDTH, "DisplayName:", m->display_name);
    line(to, ENTRY, WIDTH, "Description:", m->description);
    meta_put(to, ENTRY, WIDTH, NULL, m->create_index, m->modify_index);
}

const struct acl_kind acl_auth_method_kind = {&api_auth_method_schema,
                                              &api_auth_method_entry_schema, auth_method_put,
                                              auth_method_entry_put, ""};

/* --- binding rules --------------------------------------------------------------------------- */

static void binding_rule_lines_put(struct buf *to, const char *indent,
                                   const struct api_binding_rule *r)
{
    line_if(to, indent, WIDTH, "Namespace:", r->ns);
    line(to, indent, WIDTH, "AuthMethod:", r->auth_method);
    line(to, indent, WIDTH, "Description:", r->description);
    line(to, indent, WIDTH, "BindType:", r->bind_type);
    line(to, indent, WIDTH, "BindName:", r->bind_name);
    line(to, indent, WIDTH, "Selector:", r->selector);
    meta_put(to, indent, WIDTH, NULL, r->create_index, r->modify_index);
}

static void binding_rule_put(struct buf *to, struct arena *a, const void *object)
{
    const struct api_binding_rule *r = object;
    (void)a;
    line(to, "", WIDTH, "ID:", r->id);
    binding_rule_lines_put(to, "", r);
}

static void binding_rule_entry_put(struct buf *to, struct arena *a, const void *object)
{
    const struct api_binding_rule *r = object;
    (void)a;
    buf_printf(to, "%.*s:\n", STRF(r->id));
    binding_rule_lines_put(to, ENTRY, r);
}

const struct acl_kind acl_binding_rule_kind = {&api_binding_rule_schema, &api_binding_rule_schema,
                                               binding_rule_put, binding_rule_entry_put, ""};
