/* `consul debug`: what an agent says of itself, once; then its metrics at each interval, and its
 * log and profiles all the while, by threads. */
#include "cli/debug.h"

#include "base/clock.h"
#include "base/vec.h"
#include "cli/child.h"
#include "cli/command.h"
#include "cli/file.h"
#include "cli/worker.h"
#include "schema/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define INTERVAL_NS (30 * (int64_t)NS_PER_SEC)
#define INTERVAL_NS_MIN (5 * (int64_t)NS_PER_SEC)
#define DURATION_NS (120 * (int64_t)NS_PER_SEC)
#define DURATION_NS_MIN (10 * (int64_t)NS_PER_SEC)
#define DURATION_NS_GRACE (2 * (int64_t)NS_PER_SEC)
#define ARCHIVE_EXTENSION ".tar.gz"
#define INDEX_VERSION 1

static bool is_archive;
static int64_t interval_ns, duration_ns;
static struct str output;
static struct cli_list captures;

static const struct cli_flag flags[] = {
    {"archive", CLI_BOOL, &is_archive, "Make one file of the directory; on by default."},
    {"capture", CLI_STRLIST, &captures,
     "What to capture: metrics, logs, pprof, host, agent or cluster. May be repeated; all when not "
     "given."},
    {"duration", CLI_DURATION, &duration_ns, "How long to capture; 2m when not given."},
    {"interval", CLI_DURATION, &interval_ns,
     "How often to capture what changes; 30s when not "
     "given."},
    {"output", CLI_STR, &output, "Path of the directory, or of the file without its ending."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_client_flags},
                                               {"Command Options", flags}};

struct capture {
    struct arena *arena; /* of what stays throughout */
    struct client *client;
    const char *directory;
    struct str version; /* of the agent */
    char started[32];   /* subdirectory of what runs all the while */
    bool has_profiles;  /* until the agent says it has none */
};

/* Errors stand out here. */
static int told(const char *format, ...) PRINTF(1, 2);
static int told(const char *format, ...)
{
    va_list args;
    fputs("==> ", stderr);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return 1;
}

static bool wants(struct str target)
{
    for (size_t i = 0; i < captures.n; i++) {
        if (str_eq(captures.v[i], target)) {
            return true;
        }
    }
    return false;
}

/* --- files ----------------------------------------------------------------------------------- */

static FILE *file_open(const struct capture *c, struct client *client, const char *folder,
                       const char *name)
{
    struct str path = arena_printf(client_arena(client), "%s/%s%s%s", c->directory, folder,
                                   folder[0] != '\0' ? "/" : "", name);
    FILE *f = fopen(path.p, "we");
    if (f == NULL) {
        (void)told("Error encountered during collection: open %s: %s", path.p,
                   err_code_text(errno));
    }
    return f;
}

/* The JSON of an endpoint into NAME.json. */
static int capture_json(struct capture *c, const char *path, const char *folder, const char *name,
                        struct err *err)
{
    struct client_request r;
    const struct value *v;
    client_request_init(&r, c->client, "GET", "%s", path);
    if (strcmp(name, "cluster.json") == 0) {
        client_param(&r, STR("wan"), STR("1"));
    }
    int rc = client_get(&r, &v, err);
    FILE *f = rc == 0 ? file_open(c, c->client, folder, name) : NULL;
    if (f != NULL) {
        struct buf text = {0};
        struct json_writer w = json_writer_make(&text, true);
        json_value(&w, v);
        cli_print_tabs(f, buf_view(&text));
        buf_deinit(&text);
        (void)fclose(f);
    }
    client_reset(c->client);
    return rc;
}

static int write_file(void *data, struct str bytes)
{
    FILE *f = data;
    return fwrite(bytes.p, 1, bytes.n, f) == bytes.n && fflush(f) == 0 ? 0 : -1;
}

/* Whatever an endpoint sends, for as long as it does, into a file. */
static int capture_stream(struct capture *c, struct client *client, struct client_request *r,
                          const char *folder, const char *name, struct err *err)
{
    struct client_response response;
    FILE *f = file_open(c, client, folder, name);
    if (f == NULL) {
        return -ERR_FAILED;
    }
    r->on_body = write_file;
    r->data = f;
    int rc = client_send_ok(r, &response, err);
    (void)fclose(f);
    if (rc < 0 && rc != -ERR_CANCELED) {
        (void)remove(arena_printf(client_arena(client), "%s/%s/%s", c->directory, folder, name).p);
    }
    return rc;
}

/* --- what runs all the while ----------------------------------------------------------------- */

static void logs_run(struct cli_worker *w)
{
    struct capture *c = w->data;
    struct client_request r;
    struct err err = {0};
    client_request_init(&r, w->client, "GET", "/v1/agent/monitor");
    client_param(&r, STR("loglevel"), STR("DEBUG"));
    int rc = capture_stream(c, w->client, &r, c->started, "consul.log", &err);
    if (rc < 0 && rc != -ERR_CANCELED && rc != -ERR_CLOSED) {
        (void)told("Error encountered during collection: %s", err_text(&err));
    }
}

/* A profile of the whole duration. An agent that has none was told of already. */
static void profile_capture(struct cli_worker *w, const char *path, const char *name)
{
    struct capture *c = w->data;
    struct client_request r;
    struct err err = {0};
    client_request_init(&r, w->client, "GET", "%s", path);
    client_param(&r, STR("seconds"),
                 arena_printf(client_arena(w->client), "%lld",
                              (long long)(duration_ns / (int64_t)NS_PER_SEC)));
    (void)!capture_stream(c, w->client, &r, c->started, name, &err);
}

static void profile_run(struct cli_worker *w)
{
    profile_capture(w, "/debug/pprof/profile", "profile.prof");
}

static void trace_run(struct cli_worker *w)
{
    profile_capture(w, "/debug/pprof/trace", "trace.out");
}

/* --- what is captured again and again -------------------------------------------------------- */

/* An agent that is not written in Go, or that does not allow it, has no profiles: once is enough.
 */
static void heap_capture(struct capture *c, const char *folder)
{
    static const char *const names[] = {"heap", "goroutine"};
    for (size_t i = 0; i < ARRAY_SIZE(names) && c->has_profiles; i++) {
        struct client_request r;
        struct err err = {0};
        char name[64];
        (void)snprintf(name, sizeof(name), "%s.prof", names[i]);
        client_request_init(&r, c->client, "GET", "/debug/pprof/%s", names[i]);
        int rc = capture_stream(c, c->client, &r, folder, name, &err);
        if (rc < 0 && rc != -ERR_CANCELED) {
            (void)told("Error encountered during collection: failed to collect %s profile: %s",
                       names[i], err_text(&err));
            c->has_profiles = false;
        }
    }
}

static void time_text(char *to, size_t size)
{
    time_t now = time(NULL);
    struct tm tm;
    to[0] = '\0';
    if (localtime_r(&now, &tm) != NULL) {
        (void)strftime(to, size, "%Y-%m-%d %H:%M:%S %z %Z", &tm);
    }
}

/* Into the folder of this second. */
static int interval_capture(struct capture *c, unsigned count)
{
    char folder[32], text[64];
    struct err err = {0};
    (void)snprintf(folder, sizeof(folder), "%llu", (unsigned long long)(clock_wall_ms() / 1000));
    struct str path = arena_printf(client_arena(c->client), "%s/%s", c->directory, folder);
    if (mkdir(path.p, 0755) < 0 && errno != EEXIST) {
        return told("Error encountered during collection: mkdir %s: %s", path.p,
                    err_code_text(errno));
    }
    if (wants(STR("pprof"))) {
        heap_capture(c, folder);
    }
    if (wants(STR("metrics")) &&
        capture_json(c, "/v1/agent/metrics", folder, "metrics.json", &err) < 0) {
        return told("Error encountered during collection: %s", err_text(&err));
    }
    time_text(text, sizeof(text));
    printf("==> Capture successful %s (%u)\n", text, count);
    (void)fflush(stdout);
    return 0;
}

static void intervals_capture(struct capture *c)
{
    uint64_t end_ms = clock_mono_ms() + (uint64_t)duration_ns / NS_PER_MS;
    uint64_t next_ms = clock_mono_ms();
    char text[64];
    time_text(text, sizeof(text));
    printf("==> Beginning capture interval %s (0)\n", text);
    for (unsigned count = 0; interval_capture(c, count) == 0; count++) {
        next_ms += (uint64_t)interval_ns / NS_PER_MS;
        uint64_t now_ms = clock_mono_ms(), until_ms = MIN(next_ms, end_ms);
        if (until_ms > now_ms && client_sleep(c->client, until_ms - now_ms) < 0) {
            (void)told("Error encountered during collection: stopping collection due to shutdown "
                       "signal");
            return;
        }
        if (clock_mono_ms() >= end_ms) {
            return;
        }
    }
}

static void dynamic_capture(struct capture *c)
{
    struct cli_worker logs = {0}, profile = {0}, trace = {0};
    struct err err = {0};
    (void)snprintf(c->started, sizeof(c->started), "%llu",
                   (unsigned long long)(clock_wall_ms() / 1000));
    (void)mkdir(arena_printf(c->arena, "%s/%s", c->directory, c->started).p, 0755);
    int rc = 0;
    if (wants(STR("logs"))) {
        rc = cli_worker_start(&logs, logs_run, c, &err);
    }
    if (rc == 0 && wants(STR("pprof"))) {
        rc = cli_worker_start(&profile, profile_run, c, &err);
    }
    if (rc == 0 && wants(STR("pprof"))) {
        rc = cli_worker_start(&trace, trace_run, c, &err);
    }
    if (rc < 0) {
        (void)told("Error encountered during collection: %s", err_text(&err));
    } else {
        intervals_capture(c);
    }
    cli_worker_end(&logs);
    cli_worker_end(&profile);
    cli_worker_end(&trace);
}

/* --- once ------------------------------------------------------------------------------------ */

static void static_capture(struct capture *c)
{
    static const struct {
        struct str target;
        const char *path, *name;
    } all[] = {
        {STR_INIT("host"), "/v1/agent/host", "host.json"},
        {STR_INIT("agent"), "/v1/agent/self", "agent.json"},
        {STR_INIT("cluster"), "/v1/agent/members", "cluster.json"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        struct err err = {0};
        if (wants(all[i].target) && capture_json(c, all[i].path, "", all[i].name, &err) < 0) {
            fprintf(stderr, "Static capture failed: %s\n", err_text(&err));
        }
    }
}

static struct str captures_text(struct arena *a)
{
    struct str text = STR("");
    for (size_t i = 0; i < captures.n; i++) {
        text = arena_printf(a, "%.*s%s%.*s", STRF(text), i > 0 ? ", " : "", STRF(captures.v[i]));
    }
    return text;
}

static int index_write(struct capture *c, int64_t duration)
{
    struct buf text = {0};
    struct json_writer w = json_writer_make(&text, true);
    json_object_begin(&w);
    json_key(&w, STR("Version"));
    json_i64(&w, INDEX_VERSION);
    json_key(&w, STR("AgentVersion"));
    json_str(&w, c->version);
    json_key(&w, STR("Interval"));
    json_str(&w, duration_format(c->arena, interval_ns));
    json_key(&w, STR("Duration"));
    json_str(&w, duration_format(c->arena, duration));
    json_key(&w, STR("Targets"));
    json_array_begin(&w);
    for (size_t i = 0; i < captures.n; i++) {
        json_str(&w, captures.v[i]);
    }
    json_array_end(&w);
    json_object_end(&w);
    FILE *f = file_open(c, c->client, "", "index.json");
    if (f != NULL) {
        cli_print_tabs(f, buf_view(&text));
        (void)fclose(f);
    }
    buf_deinit(&text);
    return f != NULL ? 0 : 1;
}

/* --- the command ----------------------------------------------------------------------------- */

static int timing_check(struct arena *a)
{
    if (duration_ns < DURATION_NS_MIN) {
        return told("Capture validation failed: duration must be longer than 10s");
    }
    if (interval_ns < INTERVAL_NS_MIN) {
        return told("Capture validation failed: interval must be longer than 10s");
    }
    if (duration_ns < interval_ns) {
        return told("Capture validation failed: duration (%.*s) must be longer than interval "
                    "(%.*s)",
                    STRF(duration_format(a, duration_ns)), STRF(duration_format(a, interval_ns)));
    }
    return 0;
}

/* Check what was asked for and make the directory. Nonzero: the exit code. */
static int capture_prepare(struct capture *c)
{
    static const struct str targets[] = {STR_INIT("metrics"), STR_INIT("logs"),
                                         STR_INIT("pprof"),   STR_INIT("host"),
                                         STR_INIT("agent"),   STR_INIT("cluster")};
    struct client_request r;
    struct err err = {0};
    const struct value *self;
    client_request_init(&r, c->client, "GET", "/v1/agent/self");
    if (client_get(&r, &self, &err) < 0) {
        return told("Capture validation failed: error querying target agent: %s. verify "
                    "connectivity and agent address",
                    err_text(&err));
    }
    c->version = arena_str(c->arena, value_member_str(value_member(self, "Config"), "Version"));
    if (c->version.n == 0) {
        return told("Capture validation failed: agent response did not contain version key");
    }
    for (size_t i = 0; i < captures.n; i++) {
        bool is_known = false;
        for (size_t j = 0; j < ARRAY_SIZE(targets); j++) {
            is_known = is_known || str_eq(captures.v[i], targets[j]);
        }
        if (!is_known) {
            return told("Capture validation failed: target not found: %.*s", STRF(captures.v[i]));
        }
    }
    bool wants_all = captures.n == 0;
    for (size_t j = 0; wants_all && j < ARRAY_SIZE(targets); j++) {
        vec_push(&captures, targets[j]);
    }
    if (cli_parents_make(client_arena(c->client), str_from_cstr(c->directory), &err) < 0) {
        return told("Capture validation failed: could not create output directory: %s",
                    err_text(&err));
    }
    if (mkdir(c->directory, 0755) < 0) {
        return errno == EEXIST
                   ? told("Capture validation failed: output directory already exists: %s",
                          c->directory)
                   : told("Capture validation failed: could not create output directory: mkdir "
                          "%s: %s",
                          c->directory, err_code_text(errno));
    }
    client_reset(c->client);
    return 0;
}

static int capture_run(struct capture *c)
{
    struct arena *a = c->arena;
    struct err err = {0};
    int code = timing_check(a);
    if (code == 0) {
        code = capture_prepare(c);
    }
    if (code != 0) {
        return code;
    }
    struct str archive = arena_printf(a, "%s%s", c->directory, is_archive ? ARCHIVE_EXTENSION : "");
    puts("==> Starting debugger and capturing static information...");
    printf("     Agent Version: '%.*s'\n", STRF(c->version));
    printf("          Interval: '%.*s'\n", STRF(duration_format(a, interval_ns)));
    printf("          Duration: '%.*s'\n", STRF(duration_format(a, duration_ns)));
    printf("            Output: '%.*s'\n", STRF(archive));
    printf("           Capture: '%.*s'\n", STRF(captures_text(a)));
    (void)fflush(stdout);
    int64_t asked_ns = duration_ns;
    duration_ns += DURATION_NS_GRACE;
    static_capture(c);
    if (wants(STR("metrics")) || wants(STR("logs")) || wants(STR("pprof"))) {
        dynamic_capture(c);
    }
    if (index_write(c, asked_ns) != 0) {
        return 1;
    }
    if (is_archive && debug_archive(c->directory, archive.p, &err) < 0) {
        fprintf(stderr, "Archive creation failed: %s\n", err_text(&err));
        return 1;
    }
    printf("    Saved debug archive: %.*s\n", STRF(archive));
    return 0;
}

static int debug_with_args(const struct cli_args *args)
{
    struct arena a = {0};
    struct capture c = {.arena = &a, .has_profiles = true};
    struct err err = {0};
    if (args->argc > 0) {
        return told("debug: Too many arguments provided, expected 0");
    }
    if (client_new(&c.client, &err) < 0) {
        return told("Error connecting to Consul agent: %s", err_text(&err));
    }
    if (output.n == 0) {
        output =
            arena_printf(&a, "consul-debug-%llu", (unsigned long long)(clock_wall_ms() / 1000));
    }
    c.directory = arena_str(&a, output).p;
    client_set_interrupt(c.client, cli_signals_catch());
    int code = capture_run(&c);
    client_free(c.client);
    arena_deinit(&a);
    return code;
}

static int debug_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    is_archive = true;
    interval_ns = INTERVAL_NS;
    duration_ns = DURATION_NS;
    if (cli_parse("debug", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        code = debug_with_args(&args);
    }
    cli_list_deinit(&captures);
    return code;
}

const struct cli_command cli_debug_commands[] = {
    {.name = "debug",
     .synopsis = "Collect an agent's state and logs in an archive",
     .run = debug_run,
     .help = "  Watches an agent for a while and makes an archive of what it says: configuration, "
             "host, members,\n  metrics, log. Look through it before you pass it on: it may hold "
             "what is nobody's business."},
};
const size_t cli_debug_commands_count = ARRAY_SIZE(cli_debug_commands);
