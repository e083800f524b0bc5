#include "cli/intention.h"

#include "base/gofmt.h"
#include "base/vec.h"
#include "schema/config_intentions.h"
#include "schema/json.h"

#include <stdio.h>

#define KIND "ingress-gateway"

static struct str gateway, service;
static struct str protocol = STR_INIT("tcp");
static int64_t port;
static struct cli_list hosts;

static const struct cli_flag flags[] = {
    {"host", CLI_STRLIST, &hosts,
     "Another host name under which the service is reached. May be repeated."},
    {"ingress-gateway", CLI_STR, &gateway, "Name of the gateway; has to be given."},
    {"port", CLI_INT, &port, "Port of the gateway's listener; has to be given."},
    {"protocol", CLI_STR, &protocol, "Protocol of the service. Default tcp."},
    {"service", CLI_STR, &service, "Name of the service to expose; has to be given."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

struct name {
    struct str ns, name;
};

/* What the flags name. The exit code. */
static int names_parse(struct name *ret_gateway, struct name *ret_service)
{
    struct err err = {0};
    if (service.n == 0) {
        return cli_error("A service name must be given via the -service flag.");
    }
    if (intention_target_parse(service, &ret_service->ns, &ret_service->name, &err) < 0) {
        return cli_error("Invalid service name: %s", err_text(&err));
    }
    if (gateway.n == 0) {
        return cli_error("An ingress gateway service must be given via the -ingress-gateway flag.");
    }
    if (intention_target_parse(gateway, &ret_gateway->ns, &ret_gateway->name, &err) < 0) {
        return cli_error("Invalid ingress gateway name: %s", err_text(&err));
    }
    return port == 0 ? cli_error("A port must be provided via the -port flag.") : 0;
}

/* --- the gateway's entry, as free-form JSON: what this does not know of it stays ----------------
 */

static struct value text_value(struct str s)
{
    return (struct value){.kind = VALUE_STR, .s = s};
}

static void member_set(struct arena *a, struct value *map, struct str key, struct value v)
{
    struct value_pair *pairs = ARENA_ARRAY(a, struct value_pair, map->map.n + 1);
    size_t n = map->map.n, at = n;
    for (size_t i = 0; i < n; i++) {
        pairs[i] = map->map.v[i];
        at = str_eq(pairs[i].key, key) ? i : at;
    }
    pairs[at] = (struct value_pair){key, v};
    map->map.v = pairs;
    map->map.n = MAX(n, at + 1);
}

/* The list of that name, made to have one more place than it has. */
static struct value *list_open(struct arena *a, struct value *map, struct str key)
{
    const struct value *old = value_get(map, key);
    struct value list = {.kind = VALUE_LIST};
    list.list.n = value_count(old);
    list.list.v = ARENA_ARRAY(a, struct value, list.list.n + 1);
    for (size_t i = 0; i < list.list.n; i++) {
        list.list.v[i] = old->list.v[i];
    }
    member_set(a, map, key, list);
    return (struct value *)(uintptr_t)value_get(map, key);
}

static struct value service_value(struct arena *a, const struct name *name)
{
    struct value v = {.kind = VALUE_MAP}, list = {.kind = VALUE_NULL};
    if (hosts.n > 0) {
        list = (struct value){.kind = VALUE_LIST};
        list.list.v = ARENA_ARRAY(a, struct value, hosts.n);
        list.list.n = hosts.n;
        for (size_t i = 0; i < hosts.n; i++) {
            list.list.v[i] = text_value(hosts.v[i]);
        }
    }
    member_set(a, &v, STR("Name"), text_value(name->name));
    member_set(a, &v, STR("Hosts"), list);
    if (name->ns.n > 0) {
        member_set(a, &v, STR("Namespace"), text_value(name->ns));
    }
    return v;
}

static struct str ns_or_default(struct str ns)
{
    return ns.n > 0 ? ns : STR("default");
}

/* The service is put into the listener, in place of one of its name. */
static void listener_expose(struct arena *a, struct value *listener, const struct name *name)
{
    struct value *services = list_open(a, listener, STR("Services"));
    size_t at = services->list.n;
    for (size_t i = 0; i < services->list.n; i++) {
        const struct value *s = &services->list.v[i];
        if (str_eq(value_member_str(s, "Name"), name->name) &&
            str_eq(ns_or_default(value_member_str(s, "Namespace")), ns_or_default(name->ns))) {
            printf("Updating service definition for %.*s on listener with port %lld\n",
                   STRF(go_quoted(a, service)), (long long)port);
            at = i;
            break;
        }
    }
    services->list.v[at] = service_value(a, name);
    services->list.n = MAX(services->list.n, at + 1);
}

/* The exit code. */
static int entry_expose(struct arena *a, struct value *entry, const struct name *name)
{
    struct value *listeners = list_open(a, entry, STR("Listeners"));
    for (size_t i = 0; i < listeners->list.n; i++) {
        struct value *listener = &listeners->list.v[i];
        if (value_member_i64(listener, "Port") != port) {
            continue;
        }
        struct str its = value_member_str(listener, "Protocol");
        if (!str_eq(its, protocol)) {
            return cli_error("Listener on port %lld already configured with conflicting protocol "
                             "%.*s",
                             (long long)port, STRF(go_quoted(a, its)));
        }
        listener_expose(a, listener, name);
        return 0;
    }
    struct value *added = &listeners->list.v[listeners->list.n++];
    *added = (struct value){.kind = VALUE_MAP};
    member_set(a, added, STR("Port"), (struct value){.kind = VALUE_INT, .i = port});
    member_set(a, added, STR("Protocol"), text_value(protocol));
    listener_expose(a, added, name);
    return 0;
}

/* The gateway's entry, or a new one. The exit code. */
static int entry_get(struct client *c, const struct name *name, struct value *ret_entry)
{
    struct client_request r;
    struct err err = {0};
    const struct value *v;
    struct arena *a = client_arena(c);
    client_request_init(&r, c, "GET", "/v1/config/" KIND "/%.*s", STRF(name->name));
    if (client_get(&r, &v, &err) == 0 && v->kind == VALUE_MAP) {
        *ret_entry = *v;
        return 0;
    }
    if (err.code != 0 && strstr(err_text(&err), "Config entry not found") == NULL) {
        return cli_error("Error fetching existing ingress gateway configuration: %s",
                         err_text(&err));
    }
    *ret_entry = (struct value){.kind = VALUE_MAP};
    member_set(a, ret_entry, STR("Kind"), text_value(STR(KIND)));
    member_set(a, ret_entry, STR("Name"), text_value(name->name));
    if (name->ns.n > 0) {
        member_set(a, ret_entry, STR("Namespace"), text_value(name->ns));
    }
    return 0;
}

/* Written only if nobody else has written it meanwhile. */
static int entry_put(struct client *c, const struct name *name, const struct value *entry)
{
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    struct arena *a = client_arena(c);
    struct buf body = {0};
    struct json_writer w = json_writer_make(&body, false);
    json_value(&w, entry);
    client_request_init(&r, c, "PUT", "/v1/config");
    client_param(
        &r, STR("cas"),
        arena_printf(a, "%llu", (unsigned long long)value_member_u64(entry, "ModifyIndex")));
    client_body(&r, arena_str(a, buf_view(&body)), STR_NULL);
    buf_deinit(&body);
    if (client_send_ok(&r, &response, &err) < 0) {
        return cli_error("Error writing ingress config entry: %s", err_text(&err));
    }
    if (!str_contains(response.body, STR("true"))) {
        return cli_error("Ingress config entry was changed while attempting to update, please try "
                         "again.");
    }
    printf("Successfully updated config entry for ingress service %.*s\n",
           STRF(go_quoted(a, name->name)));
    return 0;
}

/* --- the intention --------------------------------------------------------------------------- */

static int allow(struct client *c, const struct name *from, const struct name *to)
{
    struct client_request r;
    struct client_response response;
    struct api_intention *old;
    struct err err = {0};
    struct arena *a = client_arena(c);
    struct str source = go_quoted(a, gateway), destination = go_quoted(a, service);
    intention_exact_init(&r, c, "GET", gateway, service);
    if (intention_fetch(&r, &old, &err) < 0) {
        return cli_error("Error looking up existing intention: %s", err_text(&err));
    }
    if (old != NULL && str_eq(old->action, INTENTION_ALLOW)) {
        printf("Intention already exists for %.*s -> %.*s\n", STRF(source), STRF(destination));
        return 0;
    }
    struct api_intention i = api_intention_make();
    i.source_ns = from->ns;
    i.source_name = from->name;
    i.destination_ns = to->ns;
    i.destination_name = to->name;
    i.source_type = INTENTION_SOURCE_CONSUL;
    i.action = INTENTION_ALLOW;
    intention_exact_init(&r, c, "PUT", api_intention_source(a, &i),
                         api_intention_destination(a, &i));
    intention_body(&r, &i);
    if (client_send_ok(&r, &response, &err) < 0) {
        return cli_error("Error upserting intention: %s", err_text(&err));
    }
    printf("Successfully set up intention for %.*s -> %.*s\n", STRF(source), STRF(destination));
    return 0;
}

static int expose(struct client *c)
{
    struct name from, to;
    struct value entry;
    int code = names_parse(&from, &to);
    if (code != 0 || (code = entry_get(c, &from, &entry)) != 0 ||
        (code = entry_expose(client_arena(c), &entry, &to)) != 0 ||
        (code = entry_put(c, &from, &entry)) != 0) {
        return code;
    }
    return allow(c, &from, &to);
}

static int connect_expose_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (cli_parse("connect expose", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        CLEANUP(client_free) struct client *c = client_open("Error initializing client");
        code = c != NULL ? expose(c) : 1;
    }
    cli_list_deinit(&hosts);
    return code;
}

const struct cli_command cli_connect_expose_commands[] = {
    {.name = "connect expose",
     .synopsis = "Let an ingress gateway serve a service",
     .run = connect_expose_run,
     .help = "  Lets an ingress gateway listen for a service and allows the gateway to connect to "
             "it.\n\n"
             "      $ consul connect expose -service=web -ingress-gateway=edge -port=8443 "
             "-protocol=http"},
};
const size_t cli_connect_expose_commands_count = ARRAY_SIZE(cli_connect_expose_commands);
