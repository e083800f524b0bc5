#include "cli/client.h"

#include "base/encode.h"
#include "base/mem.h"
#include "base/vec.h"
#include "cli/client_tls.h"
#include "cli/command.h"
#include "cli/transport.h"
#include "cli/url.h"
#include "proto/http1.h"
#include "schema/json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct client_flags client_flags;

/* clang-format off */
#define CLIENT_FLAG_LIST                                                                           \
    {"http-addr", CLI_STR, &client_flags.addr,                                                     \
     "Address and port of the agent's HTTP API, unix:// and the path of a socket, or https:// and " \
     "an address. By default CONSUL_HTTP_ADDR, else http://127.0.0.1:8500.", .type = "address"},    \
    {"token", CLI_STR, &client_flags.token,                                                        \
     "ACL token of the request. By default CONSUL_HTTP_TOKEN, else the agent uses its own."},      \
    {"token-file", CLI_STR, &client_flags.token_file,                                              \
     "File to read the ACL token from, in place of -token. By default CONSUL_HTTP_TOKEN_FILE."},   \
    {"ca-file", CLI_STR, &client_flags.ca_file,                                                    \
     "File of CA certificates to verify the agent with. By default CONSUL_CACERT."},               \
    {"ca-path", CLI_STR, &client_flags.ca_path,                                                    \
     "Directory of CA certificates to verify the agent with. By default CONSUL_CAPATH."},          \
    {"client-cert", CLI_STR, &client_flags.cert_file,                                              \
     "Certificate to show to an agent that asks for one. By default CONSUL_CLIENT_CERT."},         \
    {"client-key", CLI_STR, &client_flags.key_file,                                                \
     "Key of that certificate. By default CONSUL_CLIENT_KEY."},                                    \
    {"tls-server-name", CLI_STR, &client_flags.server_name,                                        \
     "Name to ask the agent's TLS for and to verify. By default CONSUL_TLS_SERVER_NAME."}

const struct cli_flag cli_client_flags[] = {CLIENT_FLAG_LIST, CLI_FLAGS_END};
const struct cli_flag cli_http_flags[] = {
    CLIENT_FLAG_LIST,
    {"datacenter", CLI_STR, &client_flags.datacenter,
     "Datacenter to ask. By default that of the agent."},
    {"stale", CLI_BOOL, &client_flags.is_stale,
     "Let any server answer, not only the leader: faster, but possibly a little behind. Writes are "
     "not affected.", .is_bool_value = true},
    CLI_FLAGS_END,
};
/* clang-format on */

struct client {
    struct arena config_arena;
    struct arena arena; /* requests and answers */
    struct client_config config;
    bool uses_proxy;
    const struct client_interrupt *interrupt;
};

/* --- configuration --------------------------------------------------------------------------- */

/* The flag, else the variable; STR_NULL when neither says anything. */
static struct str choose(struct client *c, struct str flag, const char *variable)
{
    const char *text = flag.n > 0 ? NULL : getenv(variable);
    return arena_str(&c->config_arena, flag.n > 0 ? flag : str_from_cstr(text));
}

/* A boolean variable; one that cannot be read is warned about and left out. */
static bool choose_bool(const char *variable, bool otherwise)
{
    struct str text = str_from_cstr(getenv(variable));
    bool value = otherwise;
    if (text.n > 0 && str_parse_bool(text, &value) < 0) {
        for (int i = 0; i < 2; i++) { /* 1.10.3 reads the environment twice */
            cli_log("WARN", "consul-api",
                    "could not parse %s: error=\"strconv.ParseBool: parsing \"%.*s\": invalid "
                    "syntax\"",
                    variable, STRF(text));
        }
        value = false;
    }
    return value;
}

static void config_auth(struct client *c)
{
    struct str auth = choose(c, STR_NULL, "CONSUL_HTTP_AUTH");
    if (auth.n > 0) {
        c->config.has_auth = true;
        (void)str_cut(auth, ':', &c->config.auth_user, &c->config.auth_password);
    }
}

static int config_address(struct client *c, struct err *err)
{
    struct client_config *config = &c->config;
    config->is_https = choose_bool("CONSUL_HTTP_SSL", false);
    struct str address = choose(c, client_flags.addr, "CONSUL_HTTP_ADDR");
    if (address.n == 0) {
        address = STR("127.0.0.1:8500");
    }
    ptrdiff_t at = str_find(address, STR("://"));
    if (at >= 0) {
        struct str scheme = str_first(address, (size_t)at);
        address = str_from(address, (size_t)at + 3);
        if (str_eq_lit(scheme, "https")) {
            config->is_https = true;
        } else if (str_eq_lit(scheme, "unix")) {
            config->is_unix = true;
        } else if (!str_eq_lit(scheme, "http")) {
            return err_set(err, ERR_INVALID, "Unknown protocol scheme: %.*s", STRF(scheme));
        }
    }
    config->address = address;
    return 0;
}

static int config_token(struct client *c, struct err *err)
{
    c->config.token = choose(c, client_flags.token, "CONSUL_HTTP_TOKEN");
    struct str file = client_flags.token_file.p != NULL
                          ? client_flags.token_file
                          : str_from_cstr(getenv("CONSUL_HTTP_TOKEN_FILE"));
    if (file.n == 0) {
        return 0;
    }
    struct str text;
    if (cli_file_read(&c->config_arena, file, &text, err) < 0) {
        return err_wrap(err, "Error loading token file");
    }
    if (str_trim(text).n > 0) {
        c->config.token = str_trim(text);
    }
    return 0;
}

static int config_tls(struct client *c, struct err *err)
{
    struct client_config *config = &c->config;
    config->server_name = choose(c, client_flags.server_name, "CONSUL_TLS_SERVER_NAME");
    config->ca_file = choose(c, client_flags.ca_file, "CONSUL_CACERT");
    config->ca_path = choose(c, client_flags.ca_path, "CONSUL_CAPATH");
    config->cert_file = choose(c, client_flags.cert_file, "CONSUL_CLIENT_CERT");
    config->key_file = choose(c, client_flags.key_file, "CONSUL_CLIENT_KEY");
    config->skip_verify = !choose_bool("CONSUL_HTTP_SSL_VERIFY", true);
    if ((config->cert_file.n > 0) != (config->key_file.n > 0)) {
        return err_set(err, ERR_INVALID, "both client cert and client key must be provided");
    }
    bool has_files = config->cert_file.n > 0 || config->ca_file.n > 0 || config->ca_path.n > 0;
    return has_files || config->is_https ? client_tls_context(config, &config->tls, err) : 0;
}

/* As Go: HTTP goes through $HTTP_PROXY, HTTPS through $HTTPS_PROXY, except to this machine. */
static bool wants_proxy(const struct client_config *config)
{
    struct str host, port;
    const char *proxy = getenv(config->is_https ? "HTTPS_PROXY" : "HTTP_PROXY");
    proxy = proxy != NULL && *proxy != '\0'
                ? proxy
                : getenv(config->is_https ? "https_proxy" : "http_proxy");
    if (proxy == NULL || *proxy == '\0' || config->is_unix) {
        return false;
    }
    url_authority_split(config->address, &host, &port);
    return !str_has_prefix(host, STR("127.")) && !str_eq_lit(host, "localhost") &&
           !str_eq_lit(host, "::1") && host.n > 0;
}

int client_new(struct client **ret_client, struct err *err)
{
    struct client *c = xcalloc(1, sizeof(*c));
    c->config.datacenter = arena_str(&c->config_arena, client_flags.datacenter);
    c->config.ns = choose(c, client_flags.ns, "CONSUL_NAMESPACE");
    config_auth(c);
    int rc = config_address(c, err);
    if (rc == 0) {
        rc = config_tls(c, err);
    }
    if (rc == 0) {
        rc = config_token(c, err);
    }
    if (rc < 0) {
        client_free(c);
        return rc;
    }
    c->uses_proxy = wants_proxy(&c->config);
    *ret_client = c;
    return 0;
}

struct client *client_open(const char *failure)
{
    struct client *c = NULL;
    struct err err = {0};
    if (client_new(&c, &err) < 0) {
        (void)cli_error("%s: %s", failure, err_text(&err));
        return NULL;
    }
    return c;
}

struct client *client_free(struct client *c)
{
    if (c != NULL) {
        SSL_CTX_free(c->config.tls);
        arena_deinit(&c->config_arena);
        arena_deinit(&c->arena);
        mem_free(c);
    }
    return NULL;
}

struct arena *client_arena(struct client *c)
{
    return &c->arena;
}

const struct client_config *client_config(const struct client *c)
{
    return &c->config;
}

void client_set_interrupt(struct client *c, const struct client_interrupt *interrupt)
{
    c->interrupt = interrupt;
}

void client_reset(struct client *c)
{
    arena_reset(&c->arena);
}

int client_sleep(struct client *c, uint64_t ms)
{
    struct err err = {0};
    return transport_wait(c->interrupt, -1, 0, (int64_t)ms, &err);
}

/* --- requests -------------------------------------------------------------------------------- */

void client_request_init(struct client_request *r, struct client *c, const char *method,
                         const char *path_format, ...)
{
    va_list args;
    *r = (struct client_request){.client = c, .method = method};
    va_start(args, path_format);
    r->path = arena_vprintf(&c->arena, path_format, args);
    va_end(args);
    if (c->config.datacenter.n > 0) {
        client_param(r, STR("dc"), c->config.datacenter);
    }
    if (c->config.ns.n > 0) {
        client_param(r, STR("ns"), c->config.ns);
    }
}

void client_param_add(struct client_request *r, struct str key, struct str value)
{
    ASSERT(r->params_count < CLIENT_PARAMS_MAX);
    r->params[r->params_count++] = (struct client_param){key, value};
}

void client_param(struct client_request *r, struct str key, struct str value)
{
    for (size_t i = 0; i < r->params_count; i++) {
        if (str_eq(r->params[i].key, key)) {
            r->params[i].value = value;
            return;
        }
    }
    client_param_add(r, key, value);
}

void client_param_pairs(struct client_request *r, struct str key, const struct cli_map *pairs)
{
    for (size_t i = 0; i < pairs->n; i++) {
        client_param_add(r, key,
                         arena_printf(&r->client->arena, "%.*s:%.*s", STRF(pairs->v[i].key),
                                      STRF(pairs->v[i].value)));
    }
}

void client_param_stale(struct client_request *r)
{
    if (client_flags.is_stale) {
        client_param(r, STR("stale"), STR(""));
    }
}

void client_body(struct client_request *r, struct str body, struct str content_type)
{
    r->has_body = true;
    r->body = body;
    r->content_type = content_type;
}

static struct str request_target(struct client_request *r)
{
    struct buf target = {0};
    http1_escape_path(&target, r->path);
    if (r->params_count > 0) {
        buf_byte(&target, '?');
        url_params_encode(&target, r->params, r->params_count);
    }
    struct str text = arena_str(&r->client->arena, buf_view(&target));
    buf_deinit(&target);
    return text;
}

static void header_add(struct transport_call *call, struct str name, struct str value)
{
    ASSERT(call->headers_count < ARRAY_SIZE(call->headers));
    call->headers[call->headers_count++] = (struct client_header){name, value};
}

static void request_headers(const struct client_request *r, struct transport_call *call)
{
    const struct client_config *config = &r->client->config;
    struct str token = r->token.n > 0 ? r->token : config->token;
    if (token.n > 0) {
        header_add(call, STR("X-Consul-Token"), token);
    }
    if (r->content_type.n > 0 || r->has_body) {
        header_add(call, STR("Content-Type"),
                   r->content_type.n > 0 ? r->content_type : STR("application/json"));
    }
    if (config->has_auth) {
        struct buf value = {0};
        struct str pair = arena_printf(&r->client->arena, "%.*s:%.*s", STRF(config->auth_user),
                                       STRF(config->auth_password));
        buf_lit(&value, "Basic ");
        base64_encode(&value, pair);
        header_add(call, STR("Authorization"), arena_str(&r->client->arena, buf_view(&value)));
        buf_deinit(&value);
    }
}

/* A token with a line break in it would be another header. */
static bool headers_are_clean(const struct transport_call *call)
{
    for (size_t i = 0; i < call->headers_count; i++) {
        struct str v = call->headers[i].value;
        for (size_t j = 0; j < v.n; j++) {
            if (v.p[j] == '\n' || v.p[j] == '\r' || v.p[j] == '\0') {
                return false;
            }
        }
    }
    return true;
}

/* `Get "http://127.0.0.1:8500/v1/kv/k": ` in front of what went wrong. */
static int request_failed(const struct client_config *config, const struct transport_call *call,
                          struct err *err)
{
    struct buf host = {0};
    url_host_escape(&host, config->address);
    char method[16];
    (void)snprintf(method, sizeof(method), "%s", call->method);
    for (size_t i = 1; method[i] != '\0'; i++) {
        method[i] |= 0x20;
    }
    int rc = err_wrap(err, "%s \"%s://%.*s%.*s\"", method, config->is_https ? "https" : "http",
                      STRF(buf_view(&host)), STRF(call->target));
    buf_deinit(&host);
    return rc;
}

/* A redirect's target in *ret_target. Only within the agent: another host would get the token. */
static bool is_redirect(const struct client_response *response, struct str *ret_target)
{
    int s = response->status;
    struct str location = client_response_header(response, STR("Location"));
    if ((s != 301 && s != 302 && s != 303 && s != 307 && s != 308) || location.n == 0 ||
        location.p[0] != '/' || str_has_prefix(location, STR("//"))) {
        return false;
    }
    *ret_target = location;
    return true;
}

int client_send(struct client_request *r, struct client_response *ret_response, struct err *err)
{
    struct client *c = r->client;
    struct transport_call call = {
        .config = &c->config,
        .arena = &c->arena,
        .method = r->method,
        .target = request_target(r),
        .has_body = r->has_body,
        .body = r->body,
        .on_body = r->on_body,
        .data = r->data,
        .interrupt = c->interrupt,
    };
    request_headers(r, &call);
    if (!headers_are_clean(&call)) {
        (void)err_set(err, ERR_INVALID, "net/http: invalid header field value for \"%s\"",
                      "X-Consul-Token");
        return request_failed(&c->config, &call, err);
    }
    for (unsigned i = 0;; i++) {
        int rc = c->uses_proxy ? curl_perform(&call, ret_response, err)
                               : socket_perform(&call, ret_response, err);
        if (rc < 0) {
            return rc == -ERR_CANCELED ? rc : request_failed(&c->config, &call, err);
        }
        if (!is_redirect(ret_response, &call.target)) {
            return 0;
        }
        if (i == CLIENT_REDIRECTS_MAX) {
            (void)err_set(err, ERR_FAILED, "stopped after %u redirects", CLIENT_REDIRECTS_MAX);
            return request_failed(&c->config, &call, err);
        }
        /* As browsers (and Go) do: a write that is moved becomes a read of the new place. */
        if (ret_response->status < 307 && strcmp(call.method, "HEAD") != 0) {
            call.method = "GET";
            call.has_body = false;
            call.body = STR_NULL;
        }
    }
}

int client_status_error(const struct client_response *response, struct err *err)
{
    return err_set(err, ERR_FAILED, "Unexpected response code: %d (%.*s)", response->status,
                   STRF(response->body));
}

int client_send_ok(struct client_request *r, struct client_response *ret_response, struct err *err)
{
    int rc = client_send(r, ret_response, err);
    return rc == 0 && ret_response->status != 200 ? client_status_error(ret_response, err) : rc;
}

int client_get(struct client_request *r, const struct value **ret_value, struct err *err)
{
    struct client_response response;
    struct value *value = NULL;
    int rc = client_send_ok(r, &response, err);
    if (rc == 0) {
        rc = json_parse_next(&r->client->arena, &response.body, &value, err);
        *ret_value = value;
    }
    return rc;
}

struct str client_response_header(const struct client_response *response, struct str name)
{
    for (size_t i = 0; i < response->headers_count; i++) {
        if (str_eq_fold(response->headers[i].name, name)) {
            return response->headers[i].value;
        }
    }
    return STR_NULL;
}

/* --- values ---------------------------------------------------------------------------------- */

const struct value *value_member(const struct value *v, const char *key)
{
    return v != NULL ? value_get(v, str_from_cstr(key)) : NULL;
}

struct str value_member_str(const struct value *v, const char *key)
{
    const struct value *m = value_member(v, key);
    return m != NULL && m->kind == VALUE_STR ? m->s : STR_NULL;
}

uint64_t value_member_u64(const struct value *v, const char *key)
{
    const struct value *m = value_member(v, key);
    if (m == NULL) {
        return 0;
    }
    return m->kind == VALUE_UINT ? m->u : m->kind == VALUE_INT && m->i > 0 ? (uint64_t)m->i : 0;
}

int64_t value_member_i64(const struct value *v, const char *key)
{
    const struct value *m = value_member(v, key);
    return m != NULL && m->kind == VALUE_INT ? m->i : 0;
}

bool value_member_bool(const struct value *v, const char *key)
{
    const struct value *m = value_member(v, key);
    return m != NULL && m->kind == VALUE_BOOL && m->b;
}

size_t value_count(const struct value *v)
{
    return v != NULL && v->kind == VALUE_LIST ? v->list.n : 0;
}

/* --- arguments ------------------------------------------------------------------------------- */

static int fd_read(struct arena *a, int fd, struct str *ret_data)
{
    struct buf data;
    buf_init(&data, CLI_DATA_SIZE_MAX);
    int rc = 0;
    for (;;) {
        char *to = buf_reserve(&data, 65536);
        if (to == NULL) {
            rc = -EFBIG;
            break;
        }
        ssize_t n = read(fd, to, 65536);
        if (n > 0) {
            data.n += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            rc = n < 0 ? -errno : 0;
            break;
        }
    }
    if (rc == 0) {
        *ret_data = arena_str(a, buf_view(&data));
    }
    buf_deinit(&data);
    return rc;
}

int cli_file_read(struct arena *a, struct str path, struct str *ret_data, struct err *err)
{
    int fd = open(arena_str(a, path).p, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set(err, ERR_FAILED, "open %.*s: %s", STRF(path), err_code_text(errno));
    }
    int rc = fd_read(a, fd, ret_data);
    (void)close(fd);
    if (rc < 0) {
        return err_set(err, ERR_FAILED, "read %.*s: %s", STRF(path), err_code_text(-rc));
    }
    return 0;
}

int cli_data_read(struct arena *a, struct str argument, struct str *ret_data, struct err *err)
{
    if (argument.n > 0 && argument.p[0] == '@') {
        int rc = cli_file_read(a, str_from(argument, 1), ret_data, err);
        return rc < 0 ? err_wrap(err, "Failed to read file") : 0;
    }
    if (!str_eq_lit(argument, "-")) {
        *ret_data = argument;
        return 0;
    }
    int rc = fd_read(a, STDIN_FILENO, ret_data);
    if (rc < 0) {
        const char *text = err_code_text(-rc);
        return err_set(err, ERR_FAILED, "Failed to read stdin: read /dev/stdin: %s", text);
    }
    return 0;
}
