#include "cli/command.h"
#include "cli/file.h"
#include "cli/tls.h"

static int64_t days = 1825;
static bool has_constraint;
static struct str domain = STR_INIT("consul"), cluster_id, common_name;
static struct cli_list constraints;

static const struct cli_flag flags[] = {
    {"additional-name-constraint", CLI_STRLIST, &constraints,
     "With -name-constraint, another DNS name below which it may sign. May be repeated."},
    {"cluster-id", CLI_STR, &cluster_id,
     "Id of the cluster: the certificate then carries the SPIFFE id made of it and -domain."},
    {"common-name", CLI_STR, &common_name,
     "Common name of the authority. By default \"Consul Agent CA\" and its serial number."},
    {"days", CLI_INT, &days, "How many days it is good for. Default 1825, five years."},
    {"domain", CLI_STR, &domain,
     "Domain of the cluster, which begins the names of the files. Default consul."},
    {"name-constraint", CLI_BOOL, &has_constraint,
     "Let it sign only for names below -domain, for localhost, and for those of "
     "-additional-name-constraint. This cannot be changed afterwards."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{"Command Options", flags}};

static struct strlist constraints_list(struct arena *a)
{
    struct str *v = ARENA_ARRAY(a, struct str, constraints.n + 2);
    if (!has_constraint) {
        return (struct strlist){0};
    }
    for (size_t i = 0; i < constraints.n; i++) {
        v[i] = constraints.v[i];
    }
    v[constraints.n] = domain;
    v[constraints.n + 1] = STR("localhost");
    return (struct strlist){v, constraints.n + 2};
}

static int ca_create(struct arena *a)
{
    struct str files[] = {arena_printf(a, "%.*s-agent-ca.pem", STRF(domain)),
                          arena_printf(a, "%.*s-agent-ca-key.pem", STRF(domain))};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        if (cli_file_may_exist(files[i])) {
            return cli_error("%.*s already exists.", STRF(files[i]));
        }
    }
    struct tls_ca_options options = {.name = common_name,
                                     .days = days,
                                     .cluster_id = cluster_id,
                                     .domain = domain,
                                     .constraints = constraints_list(a)};
    struct tls_pair pair;
    struct err err = {0};
    if (tls_ca_make(a, &options, &pair, &err) < 0) {
        return cli_error("%s", err_text(&err));
    }
    return tls_pair_save(files[0], files[1], &pair);
}

static int tls_ca_create_run(int argc, char **argv)
{
    struct cli_args args;
    struct arena a = {0};
    int code;
    if (cli_parse("tls ca create", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        code = ca_create(&a);
    }
    arena_deinit(&a);
    cli_list_deinit(&constraints);
    return code;
}

const struct cli_command cli_tls_ca_commands[] = {
    {.name = "tls ca create",
     .synopsis = "Make an authority",
     .run = tls_ca_create_run,
     .help = "  Makes an authority: DOMAIN-agent-ca.pem is its certificate, which every agent "
             "gets;\n  DOMAIN-agent-ca-key.pem its key, which stays with you."},
};
const size_t cli_tls_ca_commands_count = ARRAY_SIZE(cli_tls_ca_commands);
