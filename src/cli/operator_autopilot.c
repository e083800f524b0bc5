#include "cli/client.h"
#include "cli/command.h"

#include "base/clock.h"
#include "base/gofmt.h"
#include "schema/json.h"

#include <stdio.h>
#include <stdlib.h>

static const struct cli_flag_group get_groups[] = {{CLIENT_TITLE, cli_http_flags}};

/* What set-config was given; the rest stays as the servers have it. */
static struct {
    struct {
        bool is_set, value;
    } cleanup, no_migration;
    struct {
        bool is_set;
        uint64_t value;
    } trailing, quorum;
    struct str contact, stabilization; /* durations as text; p NULL: not given */
    struct str zone_tag, version_tag;
} set;

struct settings {
    bool cleanup, no_migration;
    uint64_t trailing, quorum, modify_index;
    struct str contact, stabilization, zone_tag, version_tag;
};

static void settings_read(const struct value *v, struct settings *ret_settings)
{
    *ret_settings = (struct settings){
        .cleanup = value_member_bool(v, "CleanupDeadServers"),
        .no_migration = value_member_bool(v, "DisableUpgradeMigration"),
        .trailing = value_member_u64(v, "MaxTrailingLogs"),
        .quorum = value_member_u64(v, "MinQuorum"),
        .modify_index = value_member_u64(v, "ModifyIndex"),
        .contact = value_member_str(v, "LastContactThreshold"),
        .stabilization = value_member_str(v, "ServerStabilizationTime"),
        .zone_tag = value_member_str(v, "RedundancyZoneTag"),
        .version_tag = value_member_str(v, "UpgradeVersionTag"),
    };
}

static int settings_get(struct client *c, bool may_be_stale, struct settings *ret_settings)
{
    struct err err = {0};
    struct client_request r;
    const struct value *v;
    client_request_init(&r, c, "GET", "/v1/operator/autopilot/configuration");
    if (may_be_stale) {
        client_param_stale(&r);
    }
    if (client_get(&r, &v, &err) < 0) {
        return cli_error("Error querying Autopilot configuration: %s", err_text(&err));
    }
    settings_read(v, ret_settings);
    return 0;
}

static void print_quoted(const char *format, struct str text)
{
    struct buf quoted = {0};
    go_quote(&quoted, text);
    printf("%s = %.*s\n", format, STRF(buf_view(&quoted)));
    buf_deinit(&quoted);
}

/* --- get-config ------------------------------------------------------------------------------ */

static int get_config(struct client *c)
{
    struct settings s;
    int code = settings_get(c, true, &s);
    if (code != 0) {
        return code;
    }
    printf("CleanupDeadServers = %s\n", s.cleanup ? "true" : "false");
    printf("LastContactThreshold = %.*s\n", STRF(s.contact));
    printf("MaxTrailingLogs = %llu\n", (unsigned long long)s.trailing);
    printf("MinQuorum = %llu\n", (unsigned long long)s.quorum);
    printf("ServerStabilizationTime = %.*s\n", STRF(s.stabilization));
    print_quoted("RedundancyZoneTag", s.zone_tag);
    printf("DisableUpgradeMigration = %s\n", s.no_migration ? "true" : "false");
    print_quoted("UpgradeVersionTag", s.version_tag);
    return 0;
}

/* --- set-config ------------------------------------------------------------------------------ */

static int invalid(const struct cli_flag *flag, struct str text, struct str why, struct err *err)
{
    struct buf quoted = {0};
    go_quote(&quoted, text);
    (void)err_set(err, ERR_INVALID, "invalid value %.*s for flag -%s: %.*s",
                  STRF(buf_view(&quoted)), flag->name, STRF(why));
    buf_deinit(&quoted);
    return -ERR_INVALID;
}

static int set_bool(void *data, const struct cli_flag *flag, struct str text, struct err *err)
{
    __typeof__(set.cleanup) *to = data;
    to->is_set = true;
    return str_parse_bool(text, &to->value) < 0
               ? err_set(err, ERR_INVALID,
                         "invalid boolean value \"%.*s\" for -%s: strconv.ParseBool: parsing "
                         "\"%.*s\": invalid syntax",
                         STRF(text), flag->name, STRF(text))
               : 0;
}

static int set_uint(void *data, const struct cli_flag *flag, struct str text, struct err *err)
{
    __typeof__(set.trailing) *to = data;
    to->is_set = true;
    int rc = str_parse_u64(text, &to->value);
    if (rc < 0) {
        struct buf why = {0};
        buf_lit(&why, "strconv.ParseUint: parsing ");
        go_quote(&why, text);
        buf_printf(&why, ": %s", rc == -ERR_RANGE ? "value out of range" : "invalid syntax");
        rc = invalid(flag, text, buf_view(&why), err);
        buf_deinit(&why);
    }
    return rc;
}

static int set_duration(void *data, const struct cli_flag *flag, struct str text, struct err *err)
{
    int64_t ns;
    *(struct str *)data = text;
    int rc = duration_parse(text, &ns);
    if (rc < 0) {
        struct buf why = {0};
        duration_put_fault(&why, text);
        rc = invalid(flag, text, buf_view(&why), err);
        buf_deinit(&why);
    }
    return rc;
}

/* clang-format off */
static const struct cli_flag set_flags[] = {
    {"cleanup-dead-servers", CLI_FUNC, &set.cleanup,
     "Remove failed servers when new ones take their place.", .fn = set_bool, .is_bool = true},
    {"disable-upgrade-migration", CLI_FUNC, &set.no_migration,
     "A feature of Consul Enterprise.", .fn = set_bool, .is_bool = true},
    {"last-contact-threshold", CLI_FUNC, &set.contact,
     "How long a server may be without word from the leader and still be healthy.",
     .fn = set_duration, .type = "duration"},
    {"max-trailing-logs", CLI_FUNC, &set.trailing,
     "How many log entries a server may be behind and still be healthy.",
     .fn = set_uint, .type = "uint"},
    {"min-quorum", CLI_FUNC, &set.quorum,
     "How many servers there have to be before failed ones are removed.",
     .fn = set_uint, .type = "uint"},
    {"redundancy-zone-tag", CLI_STR, &set.zone_tag, "A feature of Consul Enterprise."},
    {"server-stabilization-time", CLI_FUNC, &set.stabilization,
     "How long a server has to be healthy before it may vote.",
     .fn = set_duration, .type = "duration"},
    {"upgrade-version-tag", CLI_STR, &set.version_tag, "A feature of Consul Enterprise."},
    CLI_FLAGS_END};
/* clang-format on */
static const struct cli_flag_group set_groups[] = {{CLIENT_TITLE, cli_http_flags},
                                                   {"Command Options", set_flags}};

static void settings_write(struct buf *to, const struct settings *s)
{
    struct json_writer w = json_writer_make(to, false);
    json_object_begin(&w);
    json_key(&w, STR("CleanupDeadServers"));
    json_bool(&w, s->cleanup);
    json_key(&w, STR("LastContactThreshold"));
    json_str(&w, s->contact);
    json_key(&w, STR("MaxTrailingLogs"));
    json_u64(&w, s->trailing);
    json_key(&w, STR("MinQuorum"));
    json_u64(&w, s->quorum);
    json_key(&w, STR("ServerStabilizationTime"));
    json_str(&w, s->stabilization);
    json_key(&w, STR("RedundancyZoneTag"));
    json_str(&w, s->zone_tag);
    json_key(&w, STR("DisableUpgradeMigration"));
    json_bool(&w, s->no_migration);
    json_key(&w, STR("UpgradeVersionTag"));
    json_str(&w, s->version_tag);
    json_object_end(&w);
}

static int set_config(struct client *c)
{
    struct settings s;
    int code = settings_get(c, false, &s);
    if (code != 0) {
        return code;
    }
    s.cleanup = set.cleanup.is_set ? set.cleanup.value : s.cleanup;
    s.no_migration = set.no_migration.is_set ? set.no_migration.value : s.no_migration;
    s.trailing = set.trailing.is_set ? set.trailing.value : s.trailing;
    s.quorum = set.quorum.is_set ? set.quorum.value : s.quorum;
    s.contact = set.contact.p != NULL ? set.contact : s.contact;
    s.stabilization = set.stabilization.p != NULL ? set.stabilization : s.stabilization;
    s.zone_tag = set.zone_tag.p != NULL ? set.zone_tag : s.zone_tag;
    s.version_tag = set.version_tag.p != NULL ? set.version_tag : s.version_tag;
    struct buf body = {0};
    struct err err = {0};
    struct client_request r;
    struct client_response response;
    settings_write(&body, &s);
    client_request_init(&r, c, "PUT", "/v1/operator/autopilot/configuration");
    client_param(&r, STR("cas"),
                 arena_printf(client_arena(c), "%llu", (unsigned long long)s.modify_index));
    client_body(&r, buf_view(&body), STR_NULL);
    if (client_send_ok(&r, &response, &err) < 0) {
        code = cli_error("Error setting Autopilot configuration: %s", err_text(&err));
    } else if (str_contains(response.body, STR("true"))) {
        puts("Configuration updated!");
    } else {
        puts("Configuration could not be atomically updated, please try again");
        code = 1;
    }
    buf_deinit(&body);
    return code;
}

/* --- state ----------------------------------------------------------------------------------- */

static struct str format;

static const struct cli_flag state_flags[] = {
    {"format", CLI_STR, &format, "How to print it: pretty or json."}, CLI_FLAGS_END};
static const struct cli_flag_group state_groups[] = {{CLIENT_TITLE, cli_http_flags},
                                                     {"Command Options", state_flags}};

static int pair_cmp(const void *x, const void *y)
{
    const struct value_pair *a = x, *b = y;
    return str_cmp(a->key, b->key);
}

/* The pairs of a map by key; *ret_count of them. */
static const struct value_pair *pairs_sorted(struct value *map, size_t *ret_count)
{
    *ret_count = map != NULL && map->kind == VALUE_MAP ? map->map.n : 0;
    if (*ret_count == 0) {
        return NULL;
    }
    qsort(map->map.v, map->map.n, sizeof(*map->map.v), pair_cmp);
    return map->map.v;
}

static void print_list(const char *indent, const struct value *list)
{
    for (size_t i = 0; i < value_count(list); i++) {
        if (list->list.v[i].kind == VALUE_STR) {
            printf("%s%.*s\n", indent, STRF(list->list.v[i].s));
        }
    }
}

static void print_meta(struct value *meta)
{
    size_t count;
    const struct value_pair *pairs = pairs_sorted(meta, &count);
    if (count > 0) {
        puts("      Meta");
    }
    for (size_t i = 0; i < count; i++) {
        struct buf line = {0};
        buf_lit(&line, "         ");
        go_quote(&line, pairs[i].key);
        buf_lit(&line, ": ");
        go_quote(&line, pairs[i].value.kind == VALUE_STR ? pairs[i].value.s : STR_NULL);
        printf("%.*s\n", STRF(buf_view(&line)));
        buf_deinit(&line);
    }
}

static void print_server(const struct value *s)
{
    printf("   %.*s\n", STRF(value_member_str(s, "ID")));
    printf("      Name:            %.*s\n", STRF(value_member_str(s, "Name")));
    printf("      Address:         %.*s\n", STRF(value_member_str(s, "Address")));
    printf("      Version:         %.*s\n", STRF(value_member_str(s, "Version")));
    printf("      Status:          %.*s\n", STRF(value_member_str(s, "Status")));
    printf("      Node Type:       %.*s\n", STRF(value_member_str(s, "NodeType")));
    printf("      Node Status:     %.*s\n", STRF(value_member_str(s, "NodeStatus")));
    printf("      Healthy:         %s\n", value_member_bool(s, "Healthy") ? "true" : "false");
    printf("      Last Contact:    %.*s\n", STRF(value_member_str(s, "LastContact")));
    printf("      Last Term:       %llu\n", (unsigned long long)value_member_u64(s, "LastTerm"));
    printf("      Last Index:      %llu\n", (unsigned long long)value_member_u64(s, "LastIndex"));
    if (value_member_bool(s, "ReadReplica")) {
        puts("      Read Replica:    true");
    }
    print_meta((struct value *)value_member(s, "Meta"));
}

static void state_print(struct value *state)
{
    printf("Healthy:                      %s\n",
           value_member_bool(state, "Healthy") ? "true" : "false");
    printf("Failure Tolerance:            %lld\n",
           (long long)value_member_i64(state, "FailureTolerance"));
    printf("Optimistic Failure Tolerance: %lld\n",
           (long long)value_member_i64(state, "OptimisticFailureTolerance"));
    printf("Leader:                       %.*s\n", STRF(value_member_str(state, "Leader")));
    puts("Voters:");
    print_list("   ", value_member(state, "Voters"));
    const struct value *replicas = value_member(state, "ReadReplicas");
    if (value_count(replicas) > 0) {
        puts("Read Replicas:");
        print_list("   ", replicas);
    }
    puts("Servers:");
    size_t count;
    const struct value_pair *servers =
        pairs_sorted((struct value *)value_member(state, "Servers"), &count);
    for (size_t i = 0; i < count; i++) {
        print_server(&servers[i].value);
    }
    putchar('\n');
}

static int state_get(struct client *c)
{
    struct err err = {0};
    struct client_request r;
    struct client_response response;
    struct value *state;
    client_request_init(&r, c, "GET", "/v1/operator/autopilot/state");
    client_param_stale(&r);
    if (client_send_ok(&r, &response, &err) < 0 ||
        json_parse(client_arena(c), response.body, &state, &err) < 0) {
        return cli_error("Error querying Autopilot state: %s", err_text(&err));
    }
    if (str_eq_lit(format, "json")) { /* as the agent has it: members in their order */
        struct buf text = {0};
        json_indent(&text, str_trim(response.body));
        printf("%.*s\n", STRF(buf_view(&text)));
        buf_deinit(&text);
        return 0;
    }
    if (str_eq_lit(format, "pretty")) {
        state_print(state);
        return 0;
    }
    return cli_error("Unknown format: %.*s", STRF(format));
}

/* --- all of them ----------------------------------------------------------------------------- */

static int get_config_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("operator autopilot get-config", argc, argv, get_groups, ARRAY_SIZE(get_groups),
                   &args, &code)) {
        return code;
    }
    CLEANUP(client_free) struct client *c = client_open("Error initializing client");
    return c != NULL ? get_config(c) : 1;
}

static int set_config_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("operator autopilot set-config", argc, argv, set_groups, ARRAY_SIZE(set_groups),
                   &args, &code)) {
        return code;
    }
    CLEANUP(client_free) struct client *c = client_open("Error initializing client");
    return c != NULL ? set_config(c) : 1;
}

static int state_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    format = STR("pretty");
    if (!cli_parse("operator autopilot state", argc, argv, state_groups, ARRAY_SIZE(state_groups),
                   &args, &code)) {
        return code;
    }
    CLEANUP(client_free) struct client *c = client_open("Error initializing client");
    return c != NULL ? state_get(c) : 1;
}

const struct cli_command cli_operator_autopilot_commands[] = {
    {.name = "operator autopilot",
     .synopsis = "Autopilot's configuration and state",
     .help = "  Autopilot looks after the servers: which may vote, and which are gone."},
    {.name = "operator autopilot get-config",
     .synopsis = "Print autopilot's configuration",
     .run = get_config_run,
     .help = "  Prints autopilot's configuration."},
    {.name = "operator autopilot set-config",
     .synopsis = "Change autopilot's configuration",
     .run = set_config_run,
     .help = "  Changes what is given of autopilot's configuration."},
    {.name = "operator autopilot state",
     .synopsis = "Display the current Autopilot state",
     .run = state_run,
     .help = "  Prints how autopilot sees the servers."},
};
const size_t cli_operator_autopilot_commands_count = ARRAY_SIZE(cli_operator_autopilot_commands);
