/* `consul exec`: the command goes into the key-value store, an event tells the nodes, and they
 * write what comes of it below PREFIX/SESSION/:
 *
 *     job             what to run, as JSON; ours
 *     NODE/ack        the node has begun
 *     NODE/out/00000  a piece of output; an empty one says that the node still works
 *     NODE/exit       its exit code
 *
 * It is over when nothing has come for a while. The session deletes what is left. */
#include "cli/child.h"
#include "cli/command.h"
#include "cli/kv.h"
#include "cli/session.h"

#include "base/clock.h"
#include "base/map.h"
#include "schema/json.h"

#include <stdarg.h>
#include <stdio.h>

#define POLL_MS_MAX 5000u /* the session is renewed between polls */
#define SUFFIX_ACK STR("/ack")
#define SUFFIX_EXIT STR("/exit")
#define MIDDLE_OUTPUT STR("/out/")

static struct str node, prefix, service, tag;
static bool is_shell, is_verbose;
static int64_t wait_ns, replication_wait_ns;

static const struct cli_flag flags[] = {
    {"node", CLI_STR, &node, "Regular expression: only nodes of such names run it."},
    {"prefix", CLI_STR, &prefix,
     "Where in the key-value store to keep requests; \"_rexec\" when "
     "not given."},
    {"service", CLI_STR, &service, "Regular expression: only nodes with such services run it."},
    {"shell", CLI_BOOL, &is_shell, "Run the command in a shell; on by default."},
    {"tag", CLI_STR, &tag, "Regular expression for a tag of that -service."},
    {"verbose", CLI_BOOL, &is_verbose, "Say what is going on."},
    {"wait", CLI_DURATION, &wait_ns,
     "How long nothing may come before it is over; 2s when not "
     "given."},
    {"wait-repl", CLI_DURATION, &replication_wait_ns,
     "How long to give the servers to copy the request; 200ms when not given."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

struct job {
    struct client *client;
    struct arena *arena; /* of what stays through all requests */
    struct str command, script;
    const struct cli_args *args;   /* without a shell; else NULL */
    struct str session, directory; /* PREFIX/SESSION/ */
    struct map seen;               /* keys that were dealt with */
    uint64_t index, last_event_ms, last_renew_ms;
    size_t acks, exits, failures;
};

static void say(const char *format, ...) PRINTF(1, 2);
static void say(const char *format, ...)
{
    if (is_verbose) {
        va_list args;
        va_start(args, format);
        (void)vprintf(format, args);
        va_end(args);
        putchar('\n');
    }
}

/* --- the request ----------------------------------------------------------------------------- */

static int session_open(struct job *j, const struct value *self, struct err *err)
{
    const struct value *config = value_member(self, "Config"), *servers;
    struct str dc = client_config(j->client)->datacenter;
    struct cli_session_options options = {.name = STR("Remote Exec"), .behavior = "delete"};
    if (dc.n > 0 && !str_eq(dc, value_member_str(config, "Datacenter"))) {
        /* The agent's node means nothing there: the session is tied to one of its servers. */
        struct client_request r;
        client_request_init(&r, j->client, "GET", "/v1/health/service/consul");
        client_param(&r, STR("passing"), STR("1"));
        if (client_get(&r, &servers, err) < 0) {
            return err_wrap(err, "Failed to find Consul server in remote datacenter");
        }
        if (value_count(servers) == 0) {
            return err_set(err, ERR_FAILED, "Failed to find Consul server in remote datacenter");
        }
        options.node = value_member_str(value_member(&servers->list.v[0], "Node"), "Node");
        options.name = arena_printf(j->arena, "Remote Exec via %.*s@%.*s",
                                    STRF(value_member_str(config, "NodeName")),
                                    STRF(value_member_str(config, "Datacenter")));
        say("Binding session to remote node %.*s@%.*s", STRF(options.node), STRF(dc));
    }
    return cli_session_create(j->client, &options, j->arena, &j->session, err);
}

static void job_write(const struct job *j, struct buf *to)
{
    struct json_writer w = json_writer_make(to, false);
    json_object_begin(&w);
    if (j->command.n > 0) {
        json_key(&w, STR("Command"));
        json_str(&w, j->command);
    }
    if (j->args != NULL) {
        json_key(&w, STR("Args"));
        json_array_begin(&w);
        for (int i = 0; i < j->args->argc; i++) {
            json_str(&w, str_from_cstr(j->args->argv[i]));
        }
        json_array_end(&w);
    }
    if (j->script.n > 0) {
        json_key(&w, STR("Script"));
        json_base64(&w, j->script);
    }
    json_key(&w, STR("Wait"));
    json_i64(&w, wait_ns);
    json_object_end(&w);
}

static int job_upload(struct job *j, struct err *err)
{
    struct client_request r;
    struct buf body = {0};
    bool done = false;
    job_write(j, &body);
    client_request_init(&r, j->client, "PUT", "/v1/kv/%.*sjob", STRF(j->directory));
    client_param(&r, STR("acquire"), j->session);
    client_body(&r, buf_view(&body), STR("application/octet-stream"));
    int rc = kv_write(&r, &done, err);
    if (rc == 0 && !done) {
        rc = err_set(err, ERR_FAILED, "failed to acquire key %.*sjob", STRF(j->directory));
    }
    buf_deinit(&body);
    return rc;
}

static int event_fire(struct job *j, struct err *err)
{
    struct client_request r;
    const struct value *answer;
    struct buf body = {0};
    struct json_writer w = json_writer_make(&body, false);
    json_object_begin(&w);
    json_key(&w, STR("Prefix"));
    json_str(&w, prefix);
    json_key(&w, STR("Session"));
    json_str(&w, j->session);
    json_object_end(&w);
    client_request_init(&r, j->client, "PUT", "/v1/event/fire/_rexec");
    if (node.n > 0) {
        client_param(&r, STR("node"), node);
    }
    if (service.n > 0) {
        client_param(&r, STR("service"), service);
    }
    if (tag.n > 0) {
        client_param(&r, STR("tag"), tag);
    }
    client_body(&r, buf_view(&body), STR("application/octet-stream"));
    int rc = client_get(&r, &answer, err);
    if (rc == 0) {
        say("Fired remote execution event: %.*s", STRF(value_member_str(answer, "ID")));
    }
    buf_deinit(&body);
    return rc;
}

/* --- the results ----------------------------------------------------------------------------- */

/* Each line with its node in front, without blanks at the end. */
static void print_lines(const char *arrow, struct str from, struct str text)
{
    struct buf out = {0};
    struct str line;
    while (str_split_next(&text, '\n', &line)) {
        buf_printf(&out, "%s %.*s: ", arrow, STRF(from));
        buf_str(&out, line);
        buf_byte(&out, '\n');
    }
    size_t n = out.n;
    while (n > 0 && (out.p[n - 1] == '\n' || out.p[n - 1] == ' ' || out.p[n - 1] == '\t' ||
                     out.p[n - 1] == '\r')) {
        n--;
    }
    (void)fwrite(out.p, 1, n, stdout);
    putchar('\n');
    (void)fflush(stdout);
    buf_deinit(&out);
}

/* The value of a key; false after an error has been told. */
static bool result_value(struct job *j, struct str key, struct str *ret_value)
{
    struct client_request r;
    struct err err = {0};
    const struct value *entries = NULL;
    client_request_init(&r, j->client, "GET", "/v1/kv/%.*s", STRF(key));
    if (kv_read(&r, &entries, &err) < 0 || value_count(entries) == 0) {
        (void)cli_error("Failed to read key '%.*s': %s", STRF(key),
                        err.code != 0 ? err_text(&err) : "<nil>");
        return false;
    }
    *ret_value = kv_value(client_arena(j->client), &entries->list.v[0]);
    return true;
}

static void result_exit(struct job *j, struct str key, struct str from)
{
    struct str text;
    int64_t code;
    if (!result_value(j, key, &text)) {
        return;
    }
    if (str_parse_i64(text, &code) < 0) {
        (void)cli_error("Failed to parse exit code '%.*s'", STRF(text));
        return;
    }
    j->exits++;
    j->failures += code != 0 ? 1 : 0;
    print_lines(
        "==>", from,
        arena_printf(client_arena(j->client), "finished with exit code %lld", (long long)code));
}

/* The last place of a substring, or -1. */
static ptrdiff_t str_rfind(struct str s, struct str needle)
{
    for (size_t i = s.n; i >= needle.n; i--) {
        if (str_eq(str_make(s.p + i - needle.n, needle.n), needle)) {
            return (ptrdiff_t)(i - needle.n);
        }
    }
    return -1;
}

static void result_take(struct job *j, struct str key)
{
    struct str name = str_from(key, j->directory.n), text;
    ptrdiff_t output = str_rfind(name, MIDDLE_OUTPUT);
    if (str_eq_lit(name, "job")) {
        return;
    }
    j->last_event_ms = clock_mono_ms();
    if (str_has_suffix(name, SUFFIX_ACK)) {
        j->acks++;
        if (is_verbose) {
            print_lines("==>", str_first(name, name.n - SUFFIX_ACK.n), STR("acknowledged"));
        }
    } else if (str_has_suffix(name, SUFFIX_EXIT)) {
        result_exit(j, key, str_first(name, name.n - SUFFIX_EXIT.n));
    } else if (output >= 0) {
        struct str from = str_first(name, (size_t)output);
        if (!result_value(j, key, &text)) {
            return;
        }
        if (text.n > 0) {
            print_lines("   ", from, text);
        } else if (is_verbose) {
            print_lines("==>", from, STR("heartbeat received"));
        }
    } else {
        (void)cli_error("Unknown key '%.*s', ignoring.", STRF(name));
    }
}

/* Wait for new keys, `wait_ms` at most. */
static int results_poll(struct job *j, uint64_t wait_ms, struct err *err)
{
    struct client_request r;
    struct client_response response;
    struct value *keys = NULL;
    struct arena *a = client_arena(j->client);
    client_request_init(&r, j->client, "GET", "/v1/kv/%.*s", STRF(j->directory));
    client_param(&r, STR("keys"), STR(""));
    client_param(&r, STR("wait"), arena_printf(a, "%llums", (unsigned long long)wait_ms));
    if (j->index > 0) {
        client_param(&r, STR("index"), arena_printf(a, "%llu", (unsigned long long)j->index));
    }
    int rc = client_send(&r, &response, err);
    if (rc == 0 && response.status != 200 && response.status != 404) {
        rc = err_set(err, ERR_FAILED, "Unexpected response code: %d", response.status);
    }
    if (rc == 0 && response.status == 200) {
        rc = json_parse_next(a, &response.body, &keys, err);
    }
    if (rc < 0 ||
        str_parse_u64(client_response_header(&response, STR("X-Consul-Index")), &j->index) < 0) {
        j->index = 0;
    }
    for (size_t i = 0; rc == 0 && i < value_count(keys); i++) {
        const struct value *key = &keys->list.v[i];
        if (key->kind == VALUE_STR && str_has_prefix(key->s, j->directory) &&
            map_get(&j->seen, key->s) == NULL) {
            (void)map_put(&j->seen, key->s, j);
            result_take(j, key->s);
        }
    }
    client_reset(j->client);
    return rc;
}

static int job_wait(struct job *j)
{
    uint64_t start_ms = clock_mono_ms();
    uint64_t quiet_ms = (uint64_t)wait_ns / NS_PER_MS;
    j->last_event_ms = j->last_renew_ms = start_ms;
    for (;;) {
        struct err err = {0};
        uint64_t now_ms = clock_mono_ms();
        uint64_t end_ms = j->last_event_ms + (j->acks > j->exits ? 2 : 1) * quiet_ms;
        if (now_ms >= end_ms) {
            break;
        }
        if (now_ms - j->last_renew_ms >= POLL_MS_MAX) {
            j->last_renew_ms = now_ms;
            if (cli_session_renew(j->client, j->session, &err) < 0) {
                (void)cli_error("Session renew failed: %s", err_text(&err));
            }
        }
        int rc =
            results_poll(j, MAX(MIN(end_ms - now_ms, (uint64_t)POLL_MS_MAX), (uint64_t)1), &err);
        if (rc < 0) {
            return rc == -ERR_CANCELED ? 1
                                       : cli_error("Failed to read results: %s", err_text(&err));
        }
    }
    printf("%zu / %zu node(s) completed / acknowledged\n", j->exits, j->acks);
    say("Completed in %.2f seconds", (double)(clock_mono_ms() - start_ms) / 1000);
    return j->failures > 0 || j->exits < j->acks ? 2 : 0;
}

/* --- all of it ------------------------------------------------------------------------------- */

static void job_clean(struct job *j)
{
    struct client_request r;
    struct err err = {0};
    bool done;
    cli_session_destroy(j->client, j->session); /* first: nobody can write then */
    client_request_init(&r, j->client, "DELETE", "/v1/kv/%.*s",
                        STRF(str_first(j->directory, j->directory.n - 1)));
    client_param(&r, STR("recurse"), STR(""));
    (void)!kv_write(&r, &done, &err);
}

static int job_run(struct job *j)
{
    struct err err = {0};
    j->directory = arena_printf(j->arena, "%.*s/", STRF(kv_key_join(j->arena, prefix, j->session)));
    if (job_upload(j, &err) < 0) {
        return cli_error("Failed to create job file: %s", err_text(&err));
    }
    say("Uploaded remote execution spec");
    if (client_sleep(j->client, (uint64_t)replication_wait_ns / NS_PER_MS) < 0) {
        return 1;
    }
    if (event_fire(j, &err) < 0) {
        return cli_error("Failed to fire event: %s", err_text(&err));
    }
    return job_wait(j);
}

static int job_start(struct job *j)
{
    struct err err = {0};
    struct client_request r;
    const struct value *self;
    j->client = client_open("Error connecting to Consul agent");
    if (j->client == NULL) {
        return 1;
    }
    client_set_interrupt(j->client, cli_signals_catch());
    client_request_init(&r, j->client, "GET", "/v1/agent/self");
    r.params_count = 0;
    int code;
    if (client_get(&r, &self, &err) < 0) {
        code = cli_error("Error querying Consul agent: %s", err_text(&err));
    } else if (session_open(j, self, &err) < 0) {
        code = cli_error("Failed to create session: %s", err_text(&err));
    } else {
        say("Created remote execution session: %.*s", STRF(j->session));
        code = job_run(j);
        job_clean(j);
    }
    client_free(j->client);
    return code;
}

/* What to run, from the arguments or standard input. Nonzero: the exit code. */
static int job_command(struct job *j, const struct cli_args *args)
{
    struct err err = {0};
    if (args->argc == 1 && strcmp(args->argv[0], "-") == 0) {
        if (!is_shell) {
            return cli_error("Cannot configure -shell=false when reading from stdin");
        }
        if (cli_data_read(j->arena, STR("-"), &j->script, &err) < 0) {
            return cli_error("%s", err_text(&err));
        }
    } else if (!is_shell) {
        j->args = args->argc > 0 ? args : NULL;
    } else {
        j->command = STR("");
        for (int i = 0; i < args->argc; i++) {
            j->command = arena_printf(j->arena, "%.*s%s%s", STRF(j->command), i > 0 ? " " : "",
                                      args->argv[i]);
        }
    }
    if (j->command.n == 0 && j->script.n == 0 && j->args == NULL) {
        return cli_usage_error("exec", groups, ARRAY_SIZE(groups),
                               "Must specify a command to execute");
    }
    if (!cli_filter_is_valid("node", node) || !cli_filter_is_valid("service", service) ||
        !cli_filter_is_valid("tag", tag)) {
        return 1;
    }
    if (tag.n > 0 && service.n == 0) {
        return cli_error("Cannot provide tag filter without service filter.");
    }
    return 0;
}

static int exec_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    prefix = STR("_rexec");
    is_shell = true;
    wait_ns = 2 * (int64_t)NS_PER_SEC;
    replication_wait_ns = 200 * (int64_t)NS_PER_MS;
    if (!cli_parse("exec", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    wait_ns = MAX(wait_ns, (int64_t)0);
    replication_wait_ns = MAX(replication_wait_ns, (int64_t)0);
    struct arena a = {0};
    struct job j = {.arena = &a};
    code = job_command(&j, &args);
    if (code == 0) {
        code = job_start(&j);
    }
    map_deinit(&j.seen);
    arena_deinit(&a);
    return code;
}

const struct cli_command cli_exec_commands[] = {
    {.name = "exec",
     .synopsis = "Run a command on many nodes",
     .run = exec_run,
     .usage = "[options] [-|command...]",
     .help = "  Runs a command on nodes, those that the flags choose, and prints what they say. "
             "\"-\" reads a script\n  from standard input. Agents take part only with "
             "disable_remote_exec set to false.\n\n"
             "      $ consul exec -service=web uptime"},
};
const size_t cli_exec_commands_count = ARRAY_SIZE(cli_exec_commands);
