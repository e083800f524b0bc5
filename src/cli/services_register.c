#include "cli/services.h"

#include "agent/config.h"
#include "base/gofmt.h"
#include "cli/client.h"
#include "cli/url.h"
#include "schema/json.h"

#include <stdio.h>

static struct str address, id, kind, name, socket_path;
static int64_t port;
static struct cli_map meta, tagged_addresses;
static struct cli_list tags;

static const struct cli_flag flags[] = {
    {"address", CLI_STR, &address, "Address of the service; by default that of the node."},
    {"id", CLI_STR, &id, "Id of the service; by default its name."},
    {"kind", CLI_STR, &kind, "Kind of the service: connect-proxy, mesh-gateway and so on."},
    {"meta", CLI_STRMAP, &meta, "Metadata of the service. May be repeated."},
    {"name", CLI_STR, &name, "Name of the service, when no file is given."},
    {"port", CLI_INT, &port, "Port of the service."},
    {"socket", CLI_STR, &socket_path, "Path of the service's Unix socket, in place of an address."},
    {"tag", CLI_STRLIST, &tags, "A tag of the service. May be repeated."},
    {"tagged-address", CLI_STRMAP, &tagged_addresses,
     "Address and port by a name like lan or wan. May be repeated."},
    CLIENT_NAMESPACE_FLAG,
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

/* -tagged-address into the definition; false after an error has been told. */
static bool tagged_addresses_parse(struct arena *a, struct service_def *def)
{
    size_t count = tagged_addresses.n;
    struct objmap_pair *pairs = ARENA_ARRAY(a, struct objmap_pair, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct service_address *to = ARENA_NEW(a, struct service_address);
        struct str text = tagged_addresses.v[i].value, port_text;
        if (!url_host_port_split(text, &to->address, &port_text)) {
            (void)cli_error("Invalid Tagged Address: address %.*s: too many colons in address",
                            STRF(text));
            return false;
        }
        if (port_text.p == NULL) {
            (void)cli_error("Invalid Tagged Address: address %.*s: missing port in address",
                            STRF(text));
            return false;
        }
        if (str_parse_i64(port_text, &to->port) < 0) {
            (void)cli_error("Invalid Tagged Address: strconv.Atoi: parsing \"%.*s\": invalid "
                            "syntax",
                            STRF(port_text));
            return false;
        }
        pairs[i] = (struct objmap_pair){tagged_addresses.v[i].key, to};
    }
    def->tagged_addresses = (struct objmap){count > 0 ? pairs : NULL, count};
    return true;
}

/* The definition that the flags make. */
static bool service_from_flags(struct arena *a, struct service_def *ret_def)
{
    struct strpair *pairs = ARENA_ARRAY(a, struct strpair, meta.n + 1);
    for (size_t i = 0; i < meta.n; i++) {
        pairs[i] = (struct strpair){meta.v[i].key, meta.v[i].value};
    }
    *ret_def = (struct service_def){
        .kind = kind,
        .id = id,
        .name = name,
        .tags = {tags.v, tags.n},
        .address = address,
        .port = port,
        .socket_path = socket_path,
        .meta = {meta.n > 0 ? pairs : NULL, meta.n},
    };
    return tagged_addresses_parse(a, ret_def);
}

static int register_one(struct client *c, const struct service_def *given)
{
    struct err err = {0};
    struct client_request r;
    struct client_response response;
    struct service_def def = *given;
    def.token = STR_NULL; /* the request's token counts */
    struct buf body = {0};
    struct json_writer w = json_writer_make(&body, false);
    json_object(&w, &service_def_schema, &def);
    client_request_init(&r, c, "PUT", "/v1/agent/service/register");
    client_body(&r, buf_view(&body), STR_NULL);
    int code = 0;
    if (client_send_ok(&r, &response, &err) < 0) {
        struct buf quoted = {0};
        go_quote(&quoted, def.name);
        code = cli_error("Error registering service %.*s: %s", STRF(buf_view(&quoted)),
                         err_text(&err));
        buf_deinit(&quoted);
    } else {
        printf("Registered service: %.*s\n", STRF(def.name));
    }
    buf_deinit(&body);
    return code;
}

static int register_all(const struct service_def *defs, size_t count)
{
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    if (c == NULL) {
        return 1;
    }
    int code = 0;
    for (size_t i = 0; i < count && code == 0; i++) {
        code = register_one(c, &defs[i]);
    }
    return code;
}

static int register_with_args(const struct cli_args *args, struct arena *a)
{
    struct service_def def;
    if (!service_from_flags(a, &def)) {
        return 1;
    }
    if (args->argc == 0 && name.n == 0) {
        return cli_error("Service registration requires at least one argument or flags.");
    }
    if (args->argc > 0 && name.n > 0) {
        return cli_error("Service registration requires arguments or -id, not both.");
    }
    if (args->argc == 0) {
        return register_all(&def, 1);
    }
    struct agent_config *config = NULL;
    int code = services_from_files(args, a, &config);
    if (code == 0) {
        code = register_all(config->services.v, config->services.n);
    }
    config_unref(config);
    return code;
}

static int services_register_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (cli_parse("services register", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        struct arena a = {0};
        code = register_with_args(&args, &a);
        arena_deinit(&a);
    }
    cli_map_deinit(&meta);
    cli_map_deinit(&tagged_addresses);
    cli_list_deinit(&tags);
    return code;
}

const struct cli_command cli_services_register_commands[] = {
    {.name = "services register",
     .synopsis = "Give services to the local agent",
     .run = services_register_run,
     .usage = "[options] [FILE...]",
     .help = "  Registers services at the local agent: those that configuration files define, or "
             "one that the\n  flags describe. They stay until they are deregistered.\n\n"
             "      $ consul services register web.hcl\n"
             "      $ consul services register -name=web -port=80 -tag=v1"},
};
const size_t cli_services_register_commands_count = ARRAY_SIZE(cli_services_register_commands);
