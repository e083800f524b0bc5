/* `consul watch`: ask, block until the index moves, ask again. Without a handler the first answer
 * is printed and that is all; with one, each new answer is its standard input. */
#include "cli/watch.h"

#include "cli/child.h"
#include "cli/command.h"
#include "cli/kv.h"

#include "base/clock.h"
#include "base/rand.h"
#include "schema/json.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define RETRY_MS 5000u
#define RETRY_MS_MAX 180000u
#define UNBLOCKED_MS 1000u /* between questions, should the agent give no index to block on */

static bool is_shell;
static struct str type, key, prefix, service, passing_only, state, name;
static struct cli_list tags;

static const struct cli_flag flags[] = {
    {"key", CLI_STR, &key, "The key of type key."},
    {"name", CLI_STR, &name, "Only events of this name, for type event."},
    {"passingonly", CLI_STR, &passing_only, "true: only healthy instances, for type service."},
    {"prefix", CLI_STR, &prefix, "The prefix of type keyprefix."},
    {"service", CLI_STR, &service, "The service of types service and checks."},
    {"shell", CLI_BOOL, &is_shell,
     "Run the handler in a shell ($SHELL, else /bin/sh); on by "
     "default."},
    {"state", CLI_STR, &state, "Only checks in this state, for type checks."},
    {"tag", CLI_STRLIST, &tags, "Only instances with this tag, for type service. May be repeated."},
    {"type", CLI_STR, &type,
     "What to watch: key, keyprefix, services, nodes, service, checks or event."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

struct watch {
    struct client *client;
    enum watch_shape shape;
    const struct cli_args *handler; /* NULL: print and end */
    uint64_t index;                 /* to block on; 0: do not */
    bool has_result;
    struct buf result; /* the last one, to see what is no news */
    struct buf next;
    unsigned failures;
};

/* --- what to watch --------------------------------------------------------------------------- */

struct watch_type {
    const char *name;
    enum watch_shape shape;
    bool takes_key, takes_prefix, takes_service, takes_tag, takes_state, takes_name, takes_passing;
    bool in_agent; /* for agents' configuration only */
};

static const struct watch_type types[] = {
    {.name = "key", .shape = WATCH_KEY, .takes_key = true},
    {.name = "keyprefix", .shape = WATCH_ENTRIES, .takes_prefix = true},
    {.name = "services", .shape = WATCH_SERVICES},
    {.name = "nodes", .shape = WATCH_NODES},
    {.name = "service",
     .shape = WATCH_INSTANCES,
     .takes_service = true,
     .takes_tag = true,
     .takes_passing = true},
    {.name = "checks", .shape = WATCH_CHECKS, .takes_service = true, .takes_state = true},
    {.name = "event", .shape = WATCH_EVENTS, .takes_name = true},
    {.name = "connect_roots", .in_agent = true},
    {.name = "connect_leaf", .takes_service = true, .in_agent = true},
    {.name = "agent_service", .in_agent = true},
};

static const struct watch_type *type_find(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (str_eq(type, str_from_cstr(types[i].name))) {
            return &types[i];
        }
    }
    (void)cli_error("Unsupported watch type: %.*s", STRF(type));
    return NULL;
}

/* Whether the flags make sense for the type; told when not. */
static bool parameters_are_valid(const struct watch_type *t)
{
    bool ignored;
    if (passing_only.n > 0 && str_parse_bool(passing_only, &ignored) < 0) {
        (void)cli_error("Failed to parse passingonly flag: strconv.ParseBool: parsing \"%.*s\": "
                        "invalid syntax",
                        STRF(passing_only));
        return false;
    }
    const char *missing = t->shape == WATCH_KEY && t->takes_key && key.n == 0 ? "key"
                          : t->takes_prefix && prefix.n == 0                  ? "prefix"
                          : t->shape == WATCH_INSTANCES && t->takes_tag && service.n == 0
                              ? "service"
                              : NULL;
    if (missing != NULL) {
        (void)cli_error("Must specify a single %s to watch", missing);
        return false;
    }
    if (t->takes_state && service.n > 0 && state.n > 0) {
        (void)cli_error("Cannot specify service and state");
        return false;
    }
    const struct {
        const char *name;
        bool is_wrong;
    } given[] = {
        {"key", key.n > 0 && !t->takes_key},
        {"name", name.n > 0 && !t->takes_name},
        {"passingonly", passing_only.n > 0 && !t->takes_passing},
        {"prefix", prefix.n > 0 && !t->takes_prefix},
        {"service", service.n > 0 && !t->takes_service},
        {"stale", client_flags.is_stale && t->takes_name},
        {"state", state.n > 0 && !t->takes_state},
        {"tag", tags.n > 0 && !t->takes_tag},
    };
    bool is_wrong = false;
    for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
        if (given[i].is_wrong) {
            fprintf(stderr, "%s%s", is_wrong ? " " : "Invalid parameters: [", given[i].name);
            is_wrong = true;
        }
    }
    if (is_wrong) {
        fputs("]\n", stderr);
        return false;
    }
    if (t->in_agent) {
        (void)cli_error("Type %s is not supported in the CLI tool", t->name);
        return false;
    }
    return true;
}

static void request_build(struct watch *w, struct client_request *r)
{
    struct client *c = w->client;
    bool passing = false;
    switch (w->shape) {
    case WATCH_KEY:
        client_request_init(r, c, "GET", "/v1/kv/%.*s",
                            STRF(str_from(key, key.n > 0 && key.p[0] == '/' ? 1 : 0)));
        break;
    case WATCH_ENTRIES:
        client_request_init(r, c, "GET", "/v1/kv/%.*s",
                            STRF(str_from(prefix, prefix.p[0] == '/' ? 1 : 0)));
        client_param(r, STR("recurse"), STR(""));
        break;
    case WATCH_SERVICES:
        client_request_init(r, c, "GET", "/v1/catalog/services");
        break;
    case WATCH_NODES:
        client_request_init(r, c, "GET", "/v1/catalog/nodes");
        break;
    case WATCH_INSTANCES:
        client_request_init(r, c, "GET", "/v1/health/service/%.*s", STRF(service));
        for (size_t i = 0; i < tags.n && r->params_count < CLIENT_PARAMS_MAX - 8; i++) {
            client_param_add(r, STR("tag"), tags.v[i]);
        }
        if (passing_only.n > 0 && str_parse_bool(passing_only, &passing) == 0 && passing) {
            client_param(r, STR("passing"), STR("1"));
        }
        break;
    case WATCH_CHECKS:
        if (service.n > 0) {
            client_request_init(r, c, "GET", "/v1/health/checks/%.*s", STRF(service));
        } else {
            client_request_init(r, c, "GET", "/v1/health/state/%.*s",
                                STRF(state.n > 0 ? state : STR("any")));
        }
        break;
    case WATCH_EVENTS:
        client_request_init(r, c, "GET", "/v1/event/list");
        if (name.n > 0) {
            client_param(r, STR("name"), name);
        }
        break;
    }
    client_param_stale(r);
    if (w->index > 0) {
        client_param(r, STR("index"),
                     arena_printf(client_arena(c), "%llu", (unsigned long long)w->index));
    }
}

/* --- events ---------------------------------------------------------------------------------- */

/* An event's index: the halves of its id, XORed. */
static uint64_t event_index(struct str id)
{
    uint8_t bytes[16];
    if (uuid_parse(id, bytes) < 0) {
        return 0;
    }
    return get_be64(bytes) ^ get_be64(bytes + 8);
}

/* Leave out the events up to the one that was the last of the answer before. */
static void events_prune(struct value *events, uint64_t last_index)
{
    for (size_t i = 0; i < value_count(events); i++) {
        if (event_index(value_member_str(&events->list.v[i], "ID")) == last_index) {
            events->list.v += i + 1;
            events->list.n -= i + 1;
            return;
        }
    }
}

/* --- handing on ------------------------------------------------------------------------------ */

/* A file in memory with the result, to be read from its start. */
static int result_fd(const struct watch *w)
{
    int fd = memfd_create("consul-watch", MFD_CLOEXEC);
    struct str rest = buf_view(&w->next);
    while (fd >= 0 && rest.n > 0) {
        ssize_t n = write(fd, rest.p, rest.n);
        if (n <= 0) {
            (void)close(fd);
            return -1;
        }
        rest = str_from(rest, (size_t)n);
    }
    if (fd >= 0) {
        (void)lseek(fd, 0, SEEK_SET);
    }
    return fd;
}

/* Run the handler with the result. -ERR_CANCELED: a signal ends everything; positive: the handler
 * failed, which was told. */
static int handler_run(struct watch *w, uint64_t index)
{
    char env[64], text[128];
    struct err err = {0};
    pid_t pid;
    int status = 0, fd = result_fd(w);
    (void)snprintf(env, sizeof(env), "CONSUL_INDEX=%llu", (unsigned long long)index);
    struct child_options options = {w->handler->argv, w->handler->argc, is_shell, fd, env};
    int rc = child_start(&options, &pid, &err);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (rc < 0) {
        return cli_error("Error starting handler: %s", err_text(&err));
    }
    if (child_wait(pid, -1, &status) != CHILD_ENDED) {
        (void)kill(pid, cli_signal != 0 ? cli_signal : SIGTERM);
        return -ERR_CANCELED;
    }
    if (status != 0) {
        child_status_text(status, text, sizeof(text));
        return cli_error("Error executing handler: %s", text);
    }
    return 0;
}

/* A new answer. 0: go on; positive: that was all, with the exit code + 1. */
static int result_handle(struct watch *w, struct value *v, uint64_t index)
{
    uint64_t before = w->index;
    if (w->shape == WATCH_EVENTS) {
        events_prune(v, before);
    }
    if (index == before && before > 0) {
        return 0;
    }
    w->index = index;
    buf_clear(&w->next);
    watch_write(&w->next, w->shape, v, w->handler == NULL);
    if (before > 0 && w->has_result && str_eq(buf_view(&w->next), buf_view(&w->result))) {
        return 0;
    }
    buf_clear(&w->result);
    buf_str(&w->result, buf_view(&w->next));
    w->has_result = true;
    buf_byte(&w->next, '\n');
    if (w->handler == NULL) {
        (void)fwrite(w->next.p, 1, w->next.n, stdout);
        return 1;
    }
    int rc = handler_run(w, index);
    return rc == -ERR_CANCELED ? 1 : rc > 0 ? 2 : 0;
}

/* What checks may be asked for by; nothing asks for all. */
static bool is_state(struct str s)
{
    return s.n == 0 || str_eq_lit(s, "any") || str_eq_lit(s, "passing") ||
           str_eq_lit(s, "warning") || str_eq_lit(s, "critical");
}

/* One question. As result_handle(), or an error. */
static int watch_step(struct watch *w, struct err *err)
{
    struct client_request r;
    struct client_response response;
    struct value *v = NULL;
    uint64_t index = 0;
    if (w->shape == WATCH_CHECKS && service.n == 0 && !is_state(state)) {
        return err_set(err, ERR_INVALID, "Unsupported state: %.*s", STRF(state));
    }
    request_build(w, &r);
    int rc = client_send(&r, &response, err);
    if (rc < 0) {
        return rc;
    }
    bool is_kv = w->shape == WATCH_KEY || w->shape == WATCH_ENTRIES;
    if (response.status != 200 && !(is_kv && response.status == 404)) {
        return client_status_error(&response, err);
    }
    if (response.status == 200) {
        rc = json_parse_next(client_arena(w->client), &response.body, &v, err);
    }
    if (str_parse_u64(client_response_header(&response, STR("X-Consul-Index")), &index) < 0) {
        index = 0; /* the loop does not block on it */
    }
    return rc < 0 ? rc : result_handle(w, v, index);
}

static int watch_loop(struct watch *w)
{
    for (;;) {
        struct err err = {0};
        int rc = watch_step(w, &err);
        if (rc > 0) {
            return rc - 1;
        }
        if (rc == -ERR_CANCELED) {
            return 0;
        }
        w->failures = rc < 0 ? w->failures + 1 : 0;
        if (rc < 0) {
            uint64_t retry_ms =
                MIN((uint64_t)RETRY_MS * w->failures * w->failures, (uint64_t)RETRY_MS_MAX);
            struct str retry =
                duration_format(client_arena(w->client), (int64_t)(retry_ms * NS_PER_MS));
            w->index = 0;
            cli_log("ERROR", "watch.watch", "Watch errored: type=%.*s error=\"%s\" retry=%.*s",
                    STRF(type), err_text(&err), STRF(retry));
            if (client_sleep(w->client, retry_ms) < 0) {
                return 0;
            }
        } else if (w->index == 0 && client_sleep(w->client, UNBLOCKED_MS) < 0) {
            return 0;
        }
        client_reset(w->client);
    }
}

/* --- the command ----------------------------------------------------------------------------- */

static int watch_start(const struct watch_type *t, const struct cli_args *args)
{
    struct watch w = {.shape = t->shape, .handler = args->argc > 0 ? args : NULL};
    struct err err = {0};
    struct client_request r;
    struct client_response response;
    if (client_new(&w.client, &err) < 0) {
        return cli_error("%s", err_text(&err));
    }
    client_set_interrupt(w.client, cli_signals_catch());
    client_request_init(&r, w.client, "GET", "/v1/status/leader");
    int code;
    int rc = client_send_ok(&r, &response, &err);
    if (rc == -ERR_CANCELED) {
        code = 0;
    } else if (rc < 0) {
        code = cli_error("Error querying Consul agent: %s", err_text(&err));
    } else {
        code = watch_loop(&w);
    }
    buf_deinit(&w.result);
    buf_deinit(&w.next);
    client_free(w.client);
    return code;
}

static int watch_with_args(const struct cli_args *args)
{
    if (type.n == 0) {
        return cli_usage_error("watch", groups, ARRAY_SIZE(groups), "Watch type must be specified");
    }
    const struct watch_type *t = type_find();
    return t != NULL && parameters_are_valid(t) ? watch_start(t, args) : 1;
}

static int watch_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    is_shell = true;
    if (cli_parse("watch", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        code = watch_with_args(&args);
    }
    cli_list_deinit(&tags);
    return code;
}

const struct cli_command cli_watch_commands[] = {
    {.name = "watch",
     .synopsis = "Run a program whenever something changes",
     .run = watch_run,
     .usage = "[options] [child...]",
     .help = "  Prints what a query gives; or, with a command behind the flags, runs that command "
             "at first and\n  at each change, with the result as JSON on its standard input and "
             "its index in CONSUL_INDEX.\n\n"
             "      $ consul watch -type=service -service=web ./on-change"},
};
const size_t cli_watch_commands_count = ARRAY_SIZE(cli_watch_commands);
