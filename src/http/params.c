/* What a request says in its query string and headers, in the words of Consul's own parsing. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/vec.h"
#include "http/front.h"
#include "loop/address.h"
#include "server/delegate.h"
#include "server/worker.h"

#define PARAMS_MAX 1000u
#define NODE_META_FILTERS_MAX 64u

/* Go's url.ParseQuery: pieces between '&', empty ones left out; none has a ';'. */
int http_parse_params(struct http_req *req)
{
    struct str rest = req->query;
    size_t cap = 0;
    while (rest.n > 0) {
        size_t n = 0;
        while (n < rest.n && rest.p[n] != '&') {
            if (rest.p[n] == ';') {
                return -ERR_INVALID;
            }
            n++;
        }
        struct str piece = str_first(rest, n), name, value;
        rest = str_from(rest, n + 1);
        if (piece.n == 0) {
            continue;
        }
        if (req->params_count == PARAMS_MAX) {
            return -ERR_TOO_LARGE;
        }
        if (req->params_count == cap) {
            cap = cap == 0 ? 4 : cap * 2;
            struct http_param *grown = arena_alloc(req->arena, cap * sizeof(*grown));
            if (req->params_count > 0) {
                memcpy(grown, req->params, req->params_count * sizeof(*grown));
            }
            req->params = grown;
        }
        struct http_param *p = &req->params[req->params_count];
        p->has_value = str_cut(piece, '=', &name, &value);
        if (http1_unescape(name, true, req->arena, &p->name) < 0 ||
            http1_unescape(value, true, req->arena, &p->value) < 0) {
            return -ERR_INVALID;
        }
        req->params_count++;
    }
    return 0;
}

const struct http_param *http_param(const struct http_req *req, struct str name)
{
    for (size_t i = 0; i < req->params_count; i++) {
        if (str_eq(req->params[i].name, name)) {
            return &req->params[i];
        }
    }
    return NULL;
}

bool http_has_param(const struct http_req *req, struct str name)
{
    return http_param(req, name) != NULL;
}

struct str http_param_value(const struct http_req *req, struct str name)
{
    const struct http_param *p = http_param(req, name);
    return p != NULL ? p->value : STR("");
}

struct str http_header(const struct http_req *req, struct str name)
{
    for (size_t i = 0; i < req->headers_count; i++) {
        if (req->headers[i].name.n == name.n && str_eq_fold(req->headers[i].name, name)) {
            return req->headers[i].value;
        }
    }
    return STR("");
}

struct str http_datacenter(const struct http_req *req)
{
    return req->http->front->options.datacenter;
}

void http_dns_domains(const struct http_req *req, struct str *ret_domain, struct str *ret_alt)
{
    *ret_domain = req->http->front->options.dns_domain;
    *ret_alt = req->http->front->options.dns_alt_domain;
}

struct str http_node_name(const struct http_req *req)
{
    return req->http->front->options.node_name;
}

bool http_uses_streaming(const struct http_req *req)
{
    return req->http->front->options.use_streaming;
}

bool http_has_coordinates(const struct http_req *req)
{
    return !req->http->front->options.disable_coordinates;
}

/* url.QueryEscape */
static void put_query_escaped(struct buf *to, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
        if (plain) {
            buf_byte(to, c);
        } else if (c == ' ') {
            buf_byte(to, '+');
        } else {
            buf_printf(to, "%%%02X", c);
        }
    }
}

static int param_cmp(const void *a, const void *b)
{
    const struct http_param *const *x = a, *const *y = b;
    int r = str_cmp((*x)->name, (*y)->name);
    return r != 0 ? r : (*x > *y) - (*x < *y); /* values of one name stay in order */
}

struct str http_encode_params(const struct http_req *req)
{
    size_t n = req->params_count;
    const struct http_param **sorted = ARENA_ARRAY(req->arena, const struct http_param *, n);
    for (size_t i = 0; i < n; i++) {
        sorted[i] = &req->params[i];
    }
    if (n > 1) {
        qsort(sorted, n, sizeof(*sorted), param_cmp);
    }
    struct buf out = {0};
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            buf_byte(&out, '&');
        }
        put_query_escaped(&out, sorted[i]->name);
        buf_byte(&out, '=');
        put_query_escaped(&out, sorted[i]->value);
    }
    struct str text = arena_str(req->arena, buf_view(&out));
    buf_deinit(&out);
    return text;
}

/* "Bearer <token>": the first word behind the scheme. */
static struct str bearer_token(struct str authorization)
{
    struct str scheme, rest, token;
    if (!str_cut(authorization, ' ', &scheme, &rest) || !str_eq_fold(scheme, STR("Bearer"))) {
        return STR("");
    }
    (void)str_cut(str_trim(rest), ' ', &token, &rest);
    return str_trim(token);
}

void http_parse_token(struct http_req *req)
{
    req->token = http_param_value(req, STR("token"));
    if (req->token.n == 0) {
        req->token = http_header(req, STR("X-Consul-Token"));
    }
    if (req->token.n == 0) {
        req->token = bearer_token(http_header(req, STR("Authorization")));
    }
    if (req->token.n == 0) {
        struct str own = acl_secret(req->worker->acl, ACL_SECRET_DEFAULT);
        req->token = own.n > 0 ? arena_str(req->arena, own) : own;
    }
}

static bool bad(struct http_req *req, const char *text)
{
    http_error(req, 400, "%s", text);
    return false;
}

static bool parse_max_stale(struct http_req *req, struct query_options *o, bool *defaults)
{
    struct str text = http_param_value(req, STR("max_stale"));
    if (text.n == 0) {
        return true;
    }
    int64_t ns;
    if (duration_parse(text, &ns) < 0) {
        http_error(req, 400, "Invalid max_stale value \"%.*s\"", STRF(text));
        return false;
    }
    o->max_stale_duration = ns;
    if (ns > 0) {
        o->allow_stale = true;
        *defaults = false;
    }
    return true;
}

static bool parse_consistency(struct http_req *req, struct query_options *o)
{
    const struct http_options *front = &req->http->front->options;
    bool defaults = !http_has_param(req, STR("leader"));
    if (http_has_param(req, STR("stale"))) {
        o->allow_stale = true;
        defaults = false;
    }
    if (http_has_param(req, STR("consistent"))) {
        o->require_consistent = true;
        defaults = false;
    }
    if (front->use_cache && http_has_param(req, STR("cached"))) {
        o->use_cache = true;
        defaults = false;
    }
    if (!parse_max_stale(req, o, &defaults)) {
        return false;
    }
    if (defaults && front->discovery_max_stale > 0 &&
        (str_has_prefix(req->path, STR("/v1/catalog")) ||
         str_has_prefix(req->path, STR("/v1/health")))) {
        o->max_stale_duration = front->discovery_max_stale;
        o->allow_stale = true;
    }
    if (o->require_consistent && o->allow_stale) {
        return bad(req, "Cannot specify ?stale with ?consistent, conflicting semantics.");
    }
    if (o->require_consistent && o->use_cache) {
        return bad(req, "Cannot specify ?cached with ?consistent, conflicting semantics.");
    }
    return true;
}

/* Seconds of a directive, as strconv.Atoi takes them: a sign is fine. */
static bool parse_seconds(struct str text, int64_t *ret_ns)
{
    int64_t seconds;
    if (str_parse_i64(text, &seconds) < 0 ||
        __builtin_mul_overflow(seconds, (int64_t)NS_PER_SEC, ret_ns)) {
        return false;
    }
    return true;
}

static bool parse_cache_control(struct http_req *req, struct query_options *o)
{
    struct str rest = http_header(req, STR("Cache-Control")), piece;
    if (rest.n == 0) {
        return true;
    }
    rest = arena_lower(req->arena, rest);
    while (str_split_next(&rest, ',', &piece)) {
        piece = str_trim(piece);
        if (str_eq_lit(piece, "must-revalidate")) {
            o->must_revalidate = true;
        } else if (str_has_prefix(piece, STR("max-age="))) {
            if (!parse_seconds(str_from(piece, 8), &o->max_age)) {
                return bad(req, "Invalid Cache-Control header.");
            }
            o->must_revalidate |= o->max_age == 0; /* 0 alone would mean "not said" */
        } else if (str_has_prefix(piece, STR("stale-if-error="))) {
            if (!parse_seconds(str_from(piece, 15), &o->stale_if_error)) {
                return bad(req, "Invalid Cache-Control header.");
            }
        }
    }
    return true;
}

bool http_parse_consistency(struct http_req *req, struct query_options *o)
{
    return parse_consistency(req, o) && parse_cache_control(req, o);
}

bool http_parse_wait(struct http_req *req, struct query_options *o)
{
    struct str wait = http_param_value(req, STR("wait"));
    if (wait.n > 0 && duration_parse(wait, &o->max_query_time) < 0) {
        return bad(req, "Invalid wait time");
    }
    struct str index = http_param_value(req, STR("index"));
    if (index.n > 0 && str_parse_u64(index, &o->min_query_index) < 0) {
        return bad(req, "Invalid index");
    }
    return true;
}

bool http_parse_query_options(struct http_req *req, struct str *ret_datacenter,
                              struct query_options *ret_options)
{
    struct query_options o = {.token = req->token};
    struct str datacenter = http_datacenter(req);
    if (req->params_count > 0) {
        struct str other = http_param_value(req, STR("dc"));
        datacenter = other.n > 0 ? other : datacenter;
        o.filter = http_param_value(req, STR("filter"));
    }
    if (!http_parse_consistency(req, &o) || !http_parse_wait(req, &o)) {
        return false;
    }
    *ret_datacenter = datacenter;
    *ret_options = o;
    return true;
}

void http_parse_source(const struct http_req *req, struct query_source *ret_source)
{
    struct str datacenter = http_param_value(req, STR("dc"));
    ret_source->datacenter = datacenter.n > 0 ? datacenter : http_datacenter(req);
    struct str near = http_param_value(req, STR("near"));
    ret_source->node = str_eq_lit(near, "_agent") ? http_node_name(req) : near;
    struct str forwarded, rest;
    struct address address;
    char ip[ADDRESS_IP_SIZE_MAX];
    (void)str_cut(http_header(req, STR("X-Forwarded-For")), ',', &forwarded, &rest);
    forwarded = str_trim(forwarded);
    ret_source->ip = str_eq_lit(req->remote_ip, "@") ? STR("") : req->remote_ip;
    if (forwarded.n > 0 && forwarded.p[0] != '[' &&
        address_parse(&address, forwarded, 0, NULL) == 0 && !address_is_unix(&address)) {
        ret_source->ip = arena_str(req->arena, address_ip(&address, ip));
    }
}

bool http_parse_node_meta(struct http_req *req, struct strmap *ret_filters)
{
    size_t n = 0;
    struct strpair *pairs = ARENA_ARRAY(req->arena, struct strpair, req->params_count);
    for (size_t i = 0; i < req->params_count; i++) {
        if (str_eq_lit(req->params[i].name, "node-meta")) {
            if (n == NODE_META_FILTERS_MAX) {
                return bad(req, "Too many node-meta filters");
            }
            (void)str_cut(req->params[i].value, ':', &pairs[n].key, &pairs[n].value);
            n++;
        }
    }
    *ret_filters = n > 0 ? strmap_build(pairs, n) : (struct strmap){0};
    return true;
}

bool http_check_namespace(struct http_req *req)
{
    if (http_header(req, STR("X-Consul-Namespace")).n > 0) {
        return bad(req, "Bad request: Invalid header: \"X-Consul-Namespace\" - Namespaces are a "
                        "Consul Enterprise feature");
    }
    if (req->params_count > 0 && http_param_value(req, STR("ns")).n > 0) {
        return bad(req, "Bad request: Invalid query parameter: \"ns\" - Namespaces are a Consul "
                        "Enterprise feature");
    }
    return true;
}

bool http_check_tail(struct http_req *req, const char *what)
{
    if (req->tail.n == 0) {
        http_error(req, 400, "Missing %s", what);
        return false;
    }
    return true;
}

bool http_decode_body(struct http_req *req, const struct schema *schema, void *object,
                      unsigned flags)
{
    struct err err = {0};
    struct value *value;
    struct str rest = req->body;
    if (json_parse_next(req->arena, &rest, &value, &err) < 0 ||
        schema_decode(schema, value, object, req->arena, flags, &err) < 0) {
        http_error(req, 400, "Request decode failed: %s", err_text(&err));
        return false;
    }
    return true;
}
