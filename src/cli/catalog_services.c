#include "cli/client.h"
#include "cli/command.h"
#include "cli/table.h"

#include "base/vec.h"

#include <stdio.h>
#include <stdlib.h>

static bool wants_tags;
static struct str node;
static struct cli_map node_meta;

static const struct cli_flag flags[] = {
    {"node", CLI_STR, &node, "Only services of this node.", .type = "id or name"},
    {"node-meta", CLI_STRMAP, &node_meta,
     "Only services of nodes with this metadata. May be repeated."},
    {"tags", CLI_BOOL, &wants_tags, "Show the tags that instances of each service have."},
    CLIENT_NAMESPACE_FLAG,
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

struct service_tags {
    struct str name;
    struct str *tags;
    size_t tags_count, tags_cap;
};

struct services {
    struct service_tags *v; /* in the arena */
    size_t n, cap;
};

static struct service_tags *service_named(struct services *services, struct arena *a,
                                          struct str name)
{
    for (size_t i = 0; i < services->n; i++) {
        if (str_eq(services->v[i].name, name)) {
            return &services->v[i];
        }
    }
    avec_push(a, services, (struct service_tags){.name = name});
    return &services->v[services->n - 1];
}

static void tags_add(struct service_tags *s, struct arena *a, const struct value *tags)
{
    struct {
        struct str *v;
        size_t n, cap;
    } list = {s->tags, s->tags_count, s->tags_cap};
    for (size_t i = 0; i < value_count(tags); i++) {
        if (tags->list.v[i].kind == VALUE_STR) {
            avec_push(a, &list, tags->list.v[i].s);
        }
    }
    s->tags = list.v;
    s->tags_count = list.n;
    s->tags_cap = list.cap;
}

/* {"name": ["tag", …]} of the whole datacenter: each name once, so no looking for it. */
static void services_of_all(struct services *services, struct arena *a, const struct value *v)
{
    for (size_t i = 0; v->kind == VALUE_MAP && i < v->map.n; i++) {
        avec_push(a, services, (struct service_tags){.name = v->map.v[i].key});
        tags_add(&services->v[services->n - 1], a, &v->map.v[i].value);
    }
}

/* The instances of one node: {"id": {"Service": "name", "Tags": [...]}}. */
static void services_of_node(struct services *services, struct arena *a, const struct value *v)
{
    const struct value *map = value_member(v, "Services");
    for (size_t i = 0; map != NULL && map->kind == VALUE_MAP && i < map->map.n; i++) {
        const struct value *s = &map->map.v[i].value;
        tags_add(service_named(services, a, value_member_str(s, "Service")), a,
                 value_member(s, "Tags"));
    }
}

static int service_cmp(const void *x, const void *y)
{
    const struct service_tags *a = x, *b = y;
    return str_cmp(a->name, b->name);
}

static int tag_cmp(const void *x, const void *y)
{
    const struct str *a = x, *b = y;
    return str_cmp(*a, *b);
}

static struct str tags_text(struct arena *a, const struct service_tags *s)
{
    struct buf text = {0};
    if (s->tags_count > 0) {
        qsort(s->tags, s->tags_count, sizeof(*s->tags), tag_cmp);
    }
    for (size_t i = 0; i < s->tags_count; i++) {
        buf_str(&text, i > 0 ? STR(",") : STR(""));
        buf_str(&text, s->tags[i]);
    }
    struct str copy = arena_str(a, buf_view(&text));
    buf_deinit(&text);
    return copy;
}

static void services_print(struct arena *a, const struct services *services)
{
    if (!wants_tags) {
        for (size_t i = 0; i < services->n; i++) {
            printf("%.*s\n", STRF(services->v[i].name));
        }
        return;
    }
    struct table t = {0};
    struct buf text = {0};
    for (size_t i = 0; i < services->n; i++) {
        table_row(&t, 2, (struct str[]){services->v[i].name, tags_text(a, &services->v[i])});
    }
    table_render(&t, &text, 6);
    printf("%.*s\n", STRF(str_trim(buf_view(&text))));
    buf_deinit(&text);
    table_deinit(&t);
}

static int services_list(struct client *c)
{
    struct arena *a = client_arena(c);
    struct err err = {0};
    struct client_request r;
    struct services services = {0};
    const struct value *v;
    if (node.n > 0) {
        client_request_init(&r, c, "GET", "/v1/catalog/node/%.*s", STRF(node));
    } else {
        client_request_init(&r, c, "GET", "/v1/catalog/services");
    }
    client_param_pairs(&r, STR("node-meta"), &node_meta);
    if (client_get(&r, &v, &err) < 0) {
        return cli_error("Error listing services%s: %s", node.n > 0 ? " for node" : "",
                         err_text(&err));
    }
    if (node.n > 0) {
        services_of_node(&services, a, v);
    } else {
        services_of_all(&services, a, v);
    }
    if (services.n == 0) {
        (void)cli_error("No services match the given query - try expanding your search.");
        return 0;
    }
    qsort(services.v, services.n, sizeof(*services.v), service_cmp);
    services_print(a, &services);
    return 0;
}

static int services_with_args(const struct cli_args *args)
{
    if (args->argc > 0) {
        return cli_error("Too many arguments (expected 0, got %d)", args->argc);
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    return c != NULL ? services_list(c) : 1;
}

static int catalog_services_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (cli_parse("catalog services", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        code = services_with_args(&args);
    }
    cli_map_deinit(&node_meta);
    return code;
}

const struct cli_command cli_catalog_services_commands[] = {
    {.name = "catalog services",
     .synopsis = "List services",
     .run = catalog_services_run,
     .help = "  Lists the services of a datacenter, or of one of its nodes:\n\n"
             "      $ consul catalog services -node=web1 -tags"},
};
const size_t cli_catalog_services_commands_count = ARRAY_SIZE(cli_catalog_services_commands);
