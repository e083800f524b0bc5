#include "cli/child.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/url.h"

#include "base/gofmt.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTBOUND_PORT_DEFAULT 15001
#define OUTPUT_SIZE_MAX (64u * 1024u) /* of one command, in an error */
#define WORDS_MAX 24u                 /* of one command */

static struct str proxy_id, proxy_uid, netns;
static int64_t inbound_port, outbound_port = OUTBOUND_PORT_DEFAULT;
static struct cli_list inbound_excluded, outbound_excluded, cidrs_excluded, uids_excluded;

static const struct cli_flag flags[] = {
    {"exclude-inbound-port", CLI_STRLIST, &inbound_excluded,
     "Port to which connections come in as before. May be repeated."},
    {"exclude-outbound-cidr", CLI_STRLIST, &cidrs_excluded,
     "Network to which connections go out as before. May be repeated."},
    {"exclude-outbound-port", CLI_STRLIST, &outbound_excluded,
     "Port to which connections go out as before. May be repeated."},
    {"exclude-uid", CLI_STRLIST, &uids_excluded,
     "Id of a user whose connections go out as before. May be repeated."},
    CLIENT_NAMESPACE_FLAG,
    {"netns", CLI_STR, &netns,
     "Path of the network namespace to set up, for example /var/run/netns/web. By default this "
     "one."},
    {"proxy-id", CLI_STR, &proxy_id,
     "Id of the proxy's service: the agent tells its ports and what to leave alone."},
    {"proxy-inbound-port", CLI_INT, &inbound_port,
     "Without -proxy-id: the port where the proxy takes connections from outside."},
    {"proxy-outbound-port", CLI_INT, &outbound_port,
     "Without -proxy-id: the port where the proxy takes the service's own connections. Default "
     "15001."},
    {"proxy-uid", CLI_STR, &proxy_uid,
     "Id of the user the proxy runs as; has to be given. Its connections are left alone."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_client_flags},
                                               {"Command Options", flags}};

typedef VEC(struct str) str_vec;

struct redirect {
    struct arena arena;
    int64_t inbound_port, outbound_port;
    str_vec inbound_excluded;
};

/* --- what the agent knows of the proxy ------------------------------------------------------- */

static int64_t weak_int(const struct value *v)
{
    int64_t number = 0;
    if (v == NULL) {
        return 0;
    }
    if (v->kind == VALUE_STR && str_parse_i64(v->s, &number) < 0) {
        return 0;
    }
    return v->kind == VALUE_INT ? v->i : v->kind == VALUE_FLOAT ? (int64_t)v->f : number;
}

static void port_exclude(struct redirect *d, int64_t port)
{
    if (port != 0) {
        avec_push(&d->arena, &d->inbound_excluded,
                  arena_printf(&d->arena, "%lld", (long long)port));
    }
}

/* The port of an address that the proxy's configuration names. */
static int address_exclude(struct redirect *d, const struct value *config, const char *name,
                           struct err *err)
{
    struct str address = value_member_str(config, name), host, port;
    if (address.n == 0) {
        return 0;
    }
    if (!url_host_port_split(address, &host, &port) || port.n == 0) {
        return err_set(err, ERR_INVALID,
                       "failed parsing host and port from %s: address %.*s: missing port in "
                       "address",
                       name, STRF(address));
    }
    avec_push(&d->arena, &d->inbound_excluded, arena_str(&d->arena, port));
    return 0;
}

/* The listeners through which the agent reaches the service's checks. */
static int checks_exclude(struct redirect *d, struct client *c, struct str service, struct err *err)
{
    struct client_request r;
    const struct value *checks;
    struct arena *a = client_arena(c);
    client_request_init(&r, c, "GET", "/v1/agent/checks");
    client_param(&r, STR("filter"),
                 arena_printf(a, "ServiceName == %.*s", STRF(go_quoted(a, service))));
    int rc = client_get(&r, &checks, err);
    for (size_t i = 0; rc == 0 && checks->kind == VALUE_MAP && i < checks->map.n; i++) {
        port_exclude(d, value_member_i64(&checks->map.v[i].value, "ExposedPort"));
    }
    return rc;
}

static int proxy_read(struct redirect *d, struct client *c, struct err *err)
{
    struct client_request r;
    const struct value *service;
    client_request_init(&r, c, "GET", "/v1/agent/service/%.*s", STRF(proxy_id));
    if (client_get(&r, &service, err) < 0) {
        return err_wrap(err, "failed to fetch proxy service from Consul Agent");
    }
    const struct value *proxy = value_member(service, "Proxy");
    if (proxy == NULL || proxy->kind != VALUE_MAP) {
        return err_set(err, ERR_INVALID, "service %.*s is not a proxy service", STRF(proxy_id));
    }
    const struct value *config = value_member(proxy, "Config");
    const struct value *expose = value_member(proxy, "Expose");
    int64_t bind = weak_int(value_member(config, "bind_port"));
    int64_t out = value_member_i64(value_member(proxy, "TransparentProxy"), "OutboundListenerPort");
    d->inbound_port = bind != 0 ? bind : value_member_i64(service, "Port");
    d->outbound_port = out != 0 ? out : OUTBOUND_PORT_DEFAULT;
    int rc = address_exclude(d, config, "envoy_prometheus_bind_addr", err);
    rc = rc < 0 ? rc : address_exclude(d, config, "envoy_stats_bind_addr", err);
    const struct value *paths = value_member(expose, "Paths");
    for (size_t i = 0; rc == 0 && i < value_count(paths); i++) {
        port_exclude(d, value_member_i64(&paths->list.v[i], "ListenerPort"));
    }
    if (rc == 0 && value_member_bool(expose, "Checks")) {
        rc = checks_exclude(d, c, value_member_str(proxy, "DestinationServiceName"), err);
    }
    return rc;
}

static int redirect_fill(struct redirect *d, struct err *err)
{
    d->inbound_port = inbound_port;
    d->outbound_port = outbound_port != 0 ? outbound_port : OUTBOUND_PORT_DEFAULT;
    int rc = 0;
    if (proxy_id.n > 0) {
        struct client *c = NULL;
        rc = client_new(&c, err);
        rc = rc < 0 ? err_wrap(err, "error creating Consul API client") : proxy_read(d, c, err);
        client_free(c);
    }
    for (size_t i = 0; rc == 0 && i < inbound_excluded.n; i++) {
        avec_push(&d->arena, &d->inbound_excluded, inbound_excluded.v[i]);
    }
    return rc;
}

/* --- running iptables ------------------------------------------------------------------------ */

/* Where a program is, by $PATH; NULL: nowhere. */
static const char *program_find(struct arena *a, const char *name)
{
    struct str rest = str_from_cstr(getenv("PATH")), directory;
    while (rest.p != NULL && str_split_next(&rest, ':', &directory)) {
        const char *path =
            arena_printf(a, "%.*s%s%s", STRF(directory), directory.n > 0 ? "/" : "./", name).p;
        if (access(path, X_OK) == 0) {
            return path;
        }
    }
    return NULL;
}

/* All it prints, on both streams; its status. */
static int program_run(struct arena *a, char *const *argv, struct str *ret_output, int *ret_status)
{
    int ends[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -errno;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    int rc = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    struct buf output;
    buf_init(&output, OUTPUT_SIZE_MAX);
    char bytes[4096];
    ssize_t n = rc == 0 ? 1 : 0;
    while (n != 0) {
        n = read(ends[0], bytes, sizeof(bytes));
        if (n > 0) {
            buf_put(&output, bytes, (size_t)n);
        } else if (n < 0 && errno != EINTR) {
            break;
        }
    }
    (void)close(ends[0]);
    while (rc == 0 && waitpid(pid, ret_status, 0) < 0) {
        rc = errno == EINTR ? 0 : errno;
    }
    *ret_output = arena_str(a, buf_view(&output));
    buf_deinit(&output);
    return -rc;
}

struct rules {
    struct arena *arena;
    const char *iptables, *nsenter;
    struct err *err;
    int rc; /* of the first that failed: no more are run */
};

static int rule_failed(struct rules *s, char *const *argv, int rc, int status, struct str output)
{
    char why[64];
    struct str line = STR("");
    for (size_t i = 0; argv[i] != NULL; i++) {
        line = arena_printf(s->arena, "%.*s%s%s", STRF(line), i > 0 ? " " : "", argv[i]);
    }
    if (rc == 0) {
        child_status_text(status, why, sizeof(why));
    } else {
        (void)snprintf(why, sizeof(why), "fork/exec: %d", -rc);
    }
    return err_set(s->err, ERR_FAILED, "failed to run command: %.*s, err: %s, output: %.*s",
                   STRF(line), why, STRF(output));
}

/* "iptables -t nat" and the words. */
static void rule_run(struct rules *s, const struct str *words, size_t count)
{
    char *argv[WORDS_MAX];
    size_t n = 0;
    if (s->rc < 0) {
        return;
    }
    ASSERT(count + 8 < WORDS_MAX);
    if (netns.n > 0) {
        argv[n++] = (char *)(uintptr_t)s->nsenter;
        argv[n++] = (char *)(uintptr_t)arena_printf(s->arena, "--net=%.*s", STRF(netns)).p;
        argv[n++] = "--";
        argv[n++] = "iptables";
    } else {
        argv[n++] = (char *)(uintptr_t)s->iptables;
    }
    argv[n++] = "-t";
    argv[n++] = "nat";
    for (size_t i = 0; i < count; i++) {
        argv[n++] = (char *)(uintptr_t)arena_str(s->arena, words[i]).p;
    }
    argv[n] = NULL;
    struct str output = STR("");
    int status = 0, rc = program_run(s->arena, argv, &output, &status);
    if (rc < 0 || status != 0) {
        s->rc = rule_failed(s, argv, rc, status, output);
    }
}

#define RULE(s, ...)                                 \
    rule_run((s), (const struct str[]){__VA_ARGS__}, \
             sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str))

#define IN STR("CONSUL_PROXY_INBOUND")
#define IN_REDIRECT STR("CONSUL_PROXY_IN_REDIRECT")
#define OUT STR("CONSUL_PROXY_OUTPUT")
#define OUT_REDIRECT STR("CONSUL_PROXY_REDIRECT")

static struct str port_text(struct rules *s, int64_t port)
{
    return arena_printf(s->arena, "%lld", (long long)port);
}

/* What goes out: the proxy's own and what stays on the machine pass, the rest goes to the proxy.
 * Exceptions are inserted before. */
static void outbound_rules(struct rules *s, const struct redirect *d)
{
    RULE(s, STR("-A"), OUT_REDIRECT, STR("-p"), STR("tcp"), STR("-j"), STR("REDIRECT"),
         STR("--to-port"), port_text(s, d->outbound_port));
    RULE(s, STR("-A"), STR("OUTPUT"), STR("-p"), STR("tcp"), STR("-j"), OUT);
    RULE(s, STR("-A"), OUT, STR("-m"), STR("owner"), STR("--uid-owner"), proxy_uid, STR("-j"),
         STR("RETURN"));
    RULE(s, STR("-A"), OUT, STR("-d"), STR("127.0.0.1/32"), STR("-j"), STR("RETURN"));
    RULE(s, STR("-A"), OUT, STR("-j"), OUT_REDIRECT);
    for (size_t i = 0; i < outbound_excluded.n; i++) {
        RULE(s, STR("-I"), OUT, STR("-p"), STR("tcp"), STR("--dport"), outbound_excluded.v[i],
             STR("-j"), STR("RETURN"));
    }
    for (size_t i = 0; i < cidrs_excluded.n; i++) {
        RULE(s, STR("-I"), OUT, STR("-d"), cidrs_excluded.v[i], STR("-j"), STR("RETURN"));
    }
    for (size_t i = 0; i < uids_excluded.n; i++) {
        RULE(s, STR("-I"), OUT, STR("-m"), STR("owner"), STR("--uid-owner"), uids_excluded.v[i],
             STR("-j"), STR("RETURN"));
    }
}

static void inbound_rules(struct rules *s, const struct redirect *d)
{
    RULE(s, STR("-A"), IN_REDIRECT, STR("-p"), STR("tcp"), STR("-j"), STR("REDIRECT"),
         STR("--to-port"), port_text(s, d->inbound_port));
    RULE(s, STR("-A"), STR("PREROUTING"), STR("-p"), STR("tcp"), STR("-j"), IN);
    RULE(s, STR("-A"), IN, STR("-p"), STR("tcp"), STR("-j"), IN_REDIRECT);
    for (size_t i = 0; i < d->inbound_excluded.n; i++) {
        RULE(s, STR("-I"), IN, STR("-p"), STR("tcp"), STR("--dport"), d->inbound_excluded.v[i],
             STR("-j"), STR("RETURN"));
    }
}

static int rules_apply(struct redirect *d, struct err *err)
{
    struct rules s = {.arena = &d->arena, .err = err};
    if (d->inbound_port == 0) {
        return err_set(err, ERR_INVALID,
                       "ProxyInboundPort is required to set up traffic redirection");
    }
    s.iptables = program_find(&d->arena, "iptables");
    s.nsenter = netns.n > 0 ? program_find(&d->arena, "nsenter") : "";
    if (s.iptables == NULL || s.nsenter == NULL) {
        return err_set(err, ERR_NOT_FOUND, "exec: \"%s\": executable file not found in $PATH",
                       s.iptables == NULL ? "iptables" : "nsenter");
    }
    const struct str chains[] = {IN, IN_REDIRECT, OUT, OUT_REDIRECT};
    for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
        RULE(&s, STR("-N"), chains[i]);
    }
    outbound_rules(&s, d);
    inbound_rules(&s, d);
    return s.rc;
}

/* --- the command ----------------------------------------------------------------------------- */

static int flags_check(void)
{
    if (proxy_uid.n == 0) {
        return cli_error("==> -proxy-uid is required");
    }
    if (proxy_id.n == 0 && inbound_port == 0) {
        return cli_error("==> either -proxy-id or -proxy-inbound-port are required");
    }
    return proxy_id.n > 0 && (inbound_port != 0 || outbound_port != OUTBOUND_PORT_DEFAULT)
               ? cli_error("==> -proxy-inbound-port or -proxy-outbound-port cannot be provided "
                           "together with -proxy-id. Proxy's inbound and outbound ports are "
                           "retrieved from the proxy's configuration instead.")
               : 0;
}

static int redirect(void)
{
    struct redirect d = {0};
    struct err err = {0};
    int code = flags_check();
    if (code == 0 && redirect_fill(&d, &err) < 0) {
        code =
            cli_error("==> Failed to create configuration to apply traffic redirection rules: %s",
                      err_text(&err));
    } else if (code == 0 && rules_apply(&d, &err) < 0) {
        code = cli_error("==> Error setting up traffic redirection rules: %s", err_text(&err));
    } else if (code == 0) {
        puts("    Successfully applied traffic redirection rules");
    }
    arena_deinit(&d.arena);
    return code;
}

static int connect_redirect_traffic_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (cli_parse("connect redirect-traffic", argc, argv, groups, ARRAY_SIZE(groups), &args,
                  &code)) {
        code = redirect();
    }
    struct cli_list *lists[] = {&inbound_excluded, &outbound_excluded, &cidrs_excluded,
                                &uids_excluded};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        cli_list_deinit(lists[i]);
    }
    return code;
}

const struct cli_command cli_connect_redirect_commands[] = {
    {.name = "connect redirect-traffic",
     .synopsis = "Send a machine's connections through a proxy",
     .run = connect_redirect_traffic_run,
     .help = "  Makes iptables send the TCP connections of this machine, or of a network "
             "namespace, through a\n  proxy. The iptables program has to be there.\n\n"
             "      $ consul connect redirect-traffic -proxy-uid 1234 -proxy-id web-proxy\n"
             "      $ consul connect redirect-traffic -proxy-uid 1234 -proxy-inbound-port 20000"},
};
const size_t cli_connect_redirect_commands_count = ARRAY_SIZE(cli_connect_redirect_commands);
