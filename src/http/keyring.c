/* /v1/operator/keyring: the gossip keys of all members. The answer is of the pools one by one; an
 * error of any makes it an error. */
#include "http/http.h"
#include "schema/gossip.h"
#include "schema/json.h"
#include "server/rpc.h"
#include "server/worker.h"

#define RELAY_FACTOR_MAX 5

struct keyring_body {
    struct str key, token;
    uint64_t relay_factor;
    bool local_only;
};
static const struct field keyring_body_fields[] = {
    F_STR(struct keyring_body, key, "Key", 0),
    F_STR(struct keyring_body, token, "Token", 0),
    F_UINT(struct keyring_body, relay_factor, "RelayFactor", 0),
    F_BOOL(struct keyring_body, local_only, "LocalOnly", 0),
    FIELDS_END,
};
static const struct schema keyring_body_schema =
    SCHEMA("keyringArgs", struct keyring_body, keyring_body_fields);

/* --- the answer ------------------------------------------------------------------------------ */

/* "dc1 (LAN) error: ..." and what members complained of, or nothing. */
static struct str errors_of(struct arena *a, struct objlist responses)
{
    const struct keyring_response *v = responses.v;
    size_t n = 0, count = 0;
    for (size_t i = 0; i < responses.n; i++) {
        count += 1 + v[i].messages.n;
    }
    struct str *errors = ARENA_ARRAY(a, struct str, count);
    for (size_t i = 0; i < responses.n; i++) {
        if (v[i].error.n == 0) {
            continue;
        }
        errors[n++] = v[i].wan ? arena_printf(a, "WAN error: %.*s", STRF(v[i].error))
                               : arena_printf(a, "%.*s (LAN) error: %.*s", STRF(v[i].datacenter),
                                              STRF(v[i].error));
        for (size_t m = 0; m < v[i].messages.n; m++) {
            const struct strpair *p = &v[i].messages.v[m];
            errors[n++] = arena_printf(a, "%.*s: %.*s", STRF(p->key), STRF(p->value));
        }
    }
    return n > 0 ? errors_text(a, errors, n) : STR("");
}

static void keyring_reply(struct http_req *req, struct rpc_call *call)
{
    const struct keyring_responses *reply = call->reply;
    const struct keyring_response *v = reply->responses.v;
    struct str errors = errors_of(req->arena, reply->responses);
    if (errors.n > 0) {
        http_error(req, 500, "%.*s", STRF(errors));
        return;
    }
    if (req->method != HTTP_GET) {
        http_finish(req, 200);
        return;
    }
    struct json_writer w = http_json_begin(req);
    json_array_begin(&w);
    for (size_t i = 0; i < reply->responses.n; i++) {
        json_object(&w, &keyring_response_schema, &v[i]);
    }
    json_array_end(&w);
    http_finish(req, 200);
}

/* --- the question ---------------------------------------------------------------------------- */

static bool parse_relay_factor(struct http_req *req, uint64_t *relay_factor)
{
    struct str text = http_param_value(req, STR("relay-factor"));
    int64_t n;
    if (text.n == 0) {
        return true;
    }
    if (str_parse_i64(text, &n) < 0) {
        http_error(req, 400,
                   "Bad request: Error parsing relay factor: strconv.Atoi: parsing \"%.*s\": "
                   "invalid syntax",
                   STRF(text));
        return false;
    }
    if (n < 0 || n > RELAY_FACTOR_MAX) {
        http_error(req, 400,
                   "Bad request: Invalid relay-factor: Relay factor must be in range: [0, %d]",
                   RELAY_FACTOR_MAX);
        return false;
    }
    *relay_factor = (uint64_t)n;
    return true;
}

static bool parse_local_only(struct http_req *req, bool *local_only)
{
    struct str text = http_param_value(req, STR("local-only"));
    if (text.n == 0) {
        return true;
    }
    if (str_parse_bool(text, local_only) < 0) {
        http_error(req, 400,
                   "Bad request: Error parsing local-only: strconv.ParseBool: parsing \"%.*s\": "
                   "invalid syntax",
                   STRF(text));
        return false;
    }
    if (*local_only && req->method != HTTP_GET) {
        http_error(req, 400,
                   "Bad request: Invalid use of local-only: local-only can only be set for list "
                   "requests");
        return false;
    }
    return true;
}

static bool parse_body(struct http_req *req, struct keyring_body *body)
{
    struct err err = {0};
    struct value *value;
    struct str rest = req->body;
    if (req->method == HTTP_GET) {
        return true;
    }
    if (json_parse_next(req->arena, &rest, &value, &err) < 0 ||
        schema_decode(&keyring_body_schema, value, body, req->arena, DECODE_STRICT, &err) < 0) {
        http_error(req, 400, "Bad request: Request decode failed: %s", err_text(&err));
        return false;
    }
    return true;
}

static struct str operation_of(const struct http_req *req)
{
    return req->method == HTTP_POST     ? KEYRING_INSTALL
           : req->method == HTTP_PUT    ? KEYRING_USE
           : req->method == HTTP_DELETE ? KEYRING_REMOVE
                                        : KEYRING_LIST;
}

static void keyring_handle(struct http_req *req)
{
    struct keyring_body body = {0};
    if (!parse_body(req, &body) || !parse_relay_factor(req, &body.relay_factor) ||
        !parse_local_only(req, &body.local_only)) {
        return;
    }
    if (req->worker->server == NULL) {
        http_error(req, 500, "keyring operations must run against a server node");
        return;
    }
    struct rpc_call *call = http_rpc_plain(req, &rpc_internal_keyring_operation, keyring_reply);
    struct keyring_request *args = call->args;
    args->operation = operation_of(req);
    args->key = body.key;
    args->datacenter = STR_NULL;
    args->relay_factor = body.relay_factor;
    args->local_only = body.local_only;
    if (args->options.token.n == 0) {
        args->options.token = body.token;
    }
    http_rpc_start(req, call);
}

/* clang-format off */
const struct http_route http_keyring_routes[] = {
    {"/v1/operator/keyring", HTTP_GET | HTTP_POST | HTTP_PUT | HTTP_DELETE, "GET,POST,PUT,DELETE", 0,
     keyring_handle},
};
/* clang-format on */
const size_t http_keyring_routes_count = ARRAY_SIZE(http_keyring_routes);
