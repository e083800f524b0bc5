#include "cli/client.h"
#include "cli/command.h"
#include "cli/file.h"
#include "cli/tls.h"

#include "base/vec.h"

#include <stdio.h>

#define NUMBER_MAX 10000u /* of the files of one name */

static struct str ca = STR_INIT("#DOMAIN#-agent-ca.pem");
static struct str ca_key = STR_INIT("#DOMAIN#-agent-ca-key.pem");
static struct str datacenter = STR_INIT("dc1"), domain = STR_INIT("consul"), node;
static bool is_server, is_client, is_cli;
static int64_t days = 365;
static struct cli_list dns_names, ip_addresses;

static const struct cli_flag flags[] = {
    {"additional-dnsname", CLI_STRLIST, &dns_names,
     "Another DNS name it is good for, besides localhost. May be repeated."},
    {"additional-ipaddress", CLI_STRLIST, &ip_addresses,
     "Another address it is good for, besides 127.0.0.1. May be repeated."},
    {"ca", CLI_STR, &ca,
     "File of the authority's certificate. Default #DOMAIN#-agent-ca.pem, with -domain put in."},
    {"cli", CLI_BOOL, &is_cli, "Make one for the command line."},
    {"client", CLI_BOOL, &is_client, "Make one for a client agent."},
    {"days", CLI_INT, &days, "How many days it is good for. Default 365."},
    {"dc", CLI_STR, &datacenter, "Datacenter in its name. Default dc1."},
    {"domain", CLI_STR, &domain, "Domain in its name. Default consul."},
    {"key", CLI_STR, &ca_key, "File of the authority's key. Default #DOMAIN#-agent-ca-key.pem."},
    {"node", CLI_STR, &node,
     "With -server, the name of the one node it is for: NODE.server.DC.DOMAIN is among its names."},
    {"server", CLI_BOOL, &is_server, "Make one for a server."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{"Command Options", flags}};

static bool flags_make_sense(void)
{
    if (ca.n == 0) {
        (void)cli_error("Please provide the ca");
    } else if (ca_key.n == 0) {
        (void)cli_error("Please provide the key");
    } else if (is_server + is_client + is_cli != 1) {
        (void)cli_error("Please provide either -server, -client, or -cli");
    } else if (node.n > 0 && !is_server) {
        (void)cli_error("-node requires -server");
    } else {
        return true;
    }
    return false;
}

typedef VEC(struct str) str_vec;

static void trimmed_push(struct arena *a, str_vec *to, const struct cli_list *from)
{
    for (size_t i = 0; i < from->n; i++) {
        if (from->v[i].n > 0) {
            avec_push(a, to, str_trim(from->v[i]));
        }
    }
}

/* What the flags say the certificate shall be, but for the authority. */
static struct tls_cert_options options_make(struct arena *a, const char *kind)
{
    str_vec names = {0}, ips = {0};
    struct tls_cert_options options = {
        .days = days,
        .name = arena_printf(a, "%s.%.*s.%.*s", kind, STRF(datacenter), STRF(domain))};
    if (!is_cli) {
        trimmed_push(a, &names, &dns_names);
        trimmed_push(a, &ips, &ip_addresses);
        avec_push(a, &ips, STR("127.0.0.1"));
        options.usages = is_server ? "serverAuth,clientAuth" : "clientAuth,serverAuth";
    } else {
        /* Names are for servers; addresses are kept, as Consul does. */
        trimmed_push(a, &ips, &ip_addresses);
    }
    if (node.n > 0) {
        avec_push(a, &names, arena_printf(a, "%.*s.%.*s", STRF(node), STRF(options.name)));
    }
    avec_push(a, &names, options.name);
    avec_push(a, &names, STR("localhost"));
    options.dns_names = (struct strlist){names.v, names.n};
    options.ip_addresses = (struct strlist){ips.v, ips.n};
    return options;
}

/* The first pair of names that is free: PREFIX-0.pem, PREFIX-0-key.pem… */
static bool files_choose(struct arena *a, const char *kind, struct str *ret_cert,
                         struct str *ret_key)
{
    for (unsigned i = 0; i < NUMBER_MAX; i++) {
        *ret_cert = arena_printf(a, "%.*s-%s-%.*s-%u.pem", STRF(datacenter), kind, STRF(domain), i);
        *ret_key =
            arena_printf(a, "%.*s-%s-%.*s-%u-key.pem", STRF(datacenter), kind, STRF(domain), i);
        if (!cli_file_may_exist(*ret_cert) && !cli_file_may_exist(*ret_key)) {
            return true;
        }
    }
    (void)cli_error("Could not find a filename that doesn't already exist");
    return false;
}

static struct str domain_put(struct arena *a, struct str path)
{
    struct str mark = STR("#DOMAIN#");
    ptrdiff_t at = str_find(path, mark);
    return at < 0 ? path
                  : arena_printf(a, "%.*s%.*s%.*s", STRF(str_first(path, (size_t)at)), STRF(domain),
                                 STRF(str_from(path, (size_t)at + mark.n)));
}

static int authority_read(struct arena *a, struct tls_cert_options *options)
{
    struct err err = {0};
    struct str ca_path = domain_put(a, ca), key_path = domain_put(a, ca_key);
    if (cli_file_read(a, ca_path, &options->ca, &err) < 0) {
        return cli_error("Error reading CA: %s", err_text(&err));
    }
    if (cli_file_read(a, key_path, &options->ca_key, &err) < 0) {
        return cli_error("Error reading CA key: %s", err_text(&err));
    }
    if (is_server) {
        puts("==> WARNING: Server Certificates grants authority to become a\n"
             "    server and access all state in the cluster including root keys\n"
             "    and all ACL tokens. Do not distribute them to production hosts\n"
             "    that are not server nodes. Store them as securely as CA keys.");
    }
    printf("==> Using %.*s and %.*s\n", STRF(ca_path), STRF(key_path));
    return 0;
}

static int cert_create(struct arena *a)
{
    const char *kind = is_server ? "server" : is_client ? "client" : "cli";
    struct str cert_path, key_path;
    struct err err = {0};
    struct tls_pair pair;
    if (!flags_make_sense() || !files_choose(a, kind, &cert_path, &key_path)) {
        return 1;
    }
    struct tls_cert_options options = options_make(a, kind);
    int code = authority_read(a, &options);
    if (code != 0) {
        return code;
    }
    if (tls_cert_make(a, &options, &pair, &err) < 0) {
        return cli_error("%s", err_text(&err));
    }
    return tls_pair_save(cert_path, key_path, &pair);
}

static int tls_cert_create_run(int argc, char **argv)
{
    struct cli_args args;
    struct arena a = {0};
    int code;
    if (cli_parse("tls cert create", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        code = cert_create(&a);
    }
    arena_deinit(&a);
    cli_list_deinit(&dns_names);
    cli_list_deinit(&ip_addresses);
    return code;
}

const struct cli_command cli_tls_cert_commands[] = {
    {.name = "tls cert create",
     .synopsis = "Make a certificate and its key",
     .run = tls_cert_create_run,
     .help = "  Makes a certificate and its key, signed by the authority in this directory:\n\n"
             "      $ consul tls cert create -server -dc=dc1\n"
             "      $ consul tls cert create -client\n"
             "      $ consul tls cert create -cli\n\n"
             "  Whoever has a server's certificate can become a server, and so read everything; "
             "keep it\n  on servers."},
};
const size_t cli_tls_cert_commands_count = ARRAY_SIZE(cli_tls_cert_commands);
