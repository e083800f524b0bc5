/* The happy path with Kubernetes: the token is sent to the API's TokenReview, which says whose it
 * is; that service account is read, because an annotation may give it another name. With a provider
 * of keys: its discovery document says where they are, they are fetched, and the token is verified.
 * Keys are fetched for each login: nobody who was withdrawn gets in by a copy kept here. */
#include "server/auth_login.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"
#include "loop/http_client.h"
#include "schema/json.h"

#define FAULT_SIZE_MAX 512u
#define ANNOTATION STR("consul.hashicorp.com/service-name")

struct auth_logins {
    struct http_client *http;
    struct list under_way; /* struct auth_login */
};

struct auth_login {
    struct list node; /* of the logins under way */
    struct arena a;
    struct auth_logins *logins;
    struct http_transfer *transfer;
    struct acl_auth_method method;
    struct auth_config config;
    struct str token;
    struct str asked; /* Get "https://…": the request under way, as Go's errors begin */
    struct jwt jwt;
    bool is_probe;
    struct str issuer; /* as the discovery says */
    struct str account_namespace, account_name, account_uid;
    auth_done_fn done;
    void *data;
    struct err err;
};

static void login_end(struct auth_login *l, const struct auth_identity *identity)
{
    http_client_end(l->transfer);
    list_remove(&l->node);
    l->done(l->data, identity, identity != NULL ? NULL : &l->err);
    arena_deinit(&l->a);
    mem_free(l);
}

static void login_failed(struct auth_login *l, const char *format, ...) PRINTF(2, 3);
static void login_failed(struct auth_login *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)err_vset(&l->err, ERR_FAILED, format, args);
    va_end(args);
    login_end(l, NULL);
}

/* --- requests -------------------------------------------------------------------------------- */

static void ask(struct auth_login *l, struct str method, struct str url, struct str ca_pem,
                struct str bearer, struct str body,
                void (*done)(void *data, struct http_transfer *t))
{
    struct str json = STR("application/json");
    struct str authorization = arena_printf(&l->a, "Bearer %.*s", STRF(bearer));
    struct strlist_pair headers[3];
    size_t n = 0;
    l->asked = arena_printf(&l->a, "%s \"%.*s\": ", body.n > 0 ? "Post" : "Get", STRF(url));
    headers[n++] = (struct strlist_pair){STR("Accept"), {&json, 1}};
    if (bearer.n > 0) {
        headers[n++] = (struct strlist_pair){STR("Authorization"), {&authorization, 1}};
    }
    if (body.n > 0) {
        headers[n++] = (struct strlist_pair){STR("Content-Type"), {&json, 1}};
    }
    const struct http_client_options options = {
        .kind = HTTP_CLIENT_REQUEST,
        .method = method,
        .url = url,
        .headers = {headers, n},
        .body = body,
        .timeout_ms = AUTH_TIMEOUT_MS,
        .body_size_max = AUTH_BODY_SIZE_MAX,
        .tls = {.ca_pem = ca_pem},
        .done = done,
        .data = l,
    };
    http_client_end(l->transfer);
    l->transfer = NULL;
    if (http_client_start(l->logins->http, &options, &l->transfer, &l->err) < 0) {
        login_end(l, NULL);
    }
}

static struct str text_at(const struct value *v, struct str name)
{
    const struct value *text = value_get(v, name);
    return text != NULL && text->kind == VALUE_STR ? text->s : STR("");
}

/* What an answer that is none says: its "message", as Kubernetes puts it, or all of it. */
static struct str fault_of(struct auth_login *l, const struct http_client_result *r,
                           const char *separator)
{
    struct value *body;
    struct str text = str_first(r->body, FAULT_SIZE_MAX);
    if (!l->config.is_jwt && json_parse(&l->a, arena_str(&l->a, r->body), &body, NULL) >= 0 &&
        text_at(body, STR("message")).n > 0) {
        return str_first(text_at(body, STR("message")), FAULT_SIZE_MAX);
    }
    return arena_printf(&l->a, "%.*s%s%.*s", STRF(r->status_text), separator, STRF(text));
}

/* The answer as JSON. False: it is none, and that is told. `what` is put before the fault, with
 * `separator` between it and a status and what came with that. */
static bool answer(struct auth_login *l, const char *what, const char *separator,
                   struct value **ret_value)
{
    const struct http_client_result *r = http_client_result(l->transfer);
    struct err err;
    if (r->error != HTTP_CLIENT_OK) {
        login_failed(l, "%s%.*s%.*s", what, STRF(l->asked), STRF(r->error_text));
        return false;
    }
    if (r->status < 200 || r->status > 299) {
        login_failed(l, "%s%.*s", what, STRF(fault_of(l, r, separator)));
        return false;
    }
    if (r->body_total > r->body.n ||
        json_parse(&l->a, arena_str(&l->a, r->body), ret_value, &err) < 0) {
        login_failed(l, "%sthe answer is no JSON", what);
        return false;
    }
    return true;
}

/* --- Kubernetes ------------------------------------------------------------------------------ */

static struct str kubernetes_url(struct auth_login *l, struct str path)
{
    struct str host = l->config.kubernetes.host;
    const char *scheme = str_contains(host, STR("://")) ? "" : "https://";
    while (str_has_suffix(host, STR("/"))) {
        host = str_first(host, host.n - 1);
    }
    return arena_printf(&l->a, "%s%.*s%.*s", scheme, STRF(host), STRF(path));
}

static void account_read(void *data, struct http_transfer *t)
{
    struct auth_login *l = data;
    struct value *account;
    (void)t;
    if (!answer(l, "annotation lookup failed: ", ": ", &account)) {
        return;
    }
    const struct value *annotations =
        value_get(value_get(account, STR("metadata")), STR("annotations"));
    struct str name = text_at(annotations, ANNOTATION);
    const struct auth_identity identity = auth_identity_kubernetes(
        &l->a, l->account_namespace, name.n > 0 ? name : l->account_name, l->account_uid);
    login_end(l, &identity);
}

/* A name becomes a part of a URL. */
static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.' || c == '_';
        if (!ok) {
            return false;
        }
    }
    return s.n > 0;
}

/* system:serviceaccount:NAMESPACE:NAME */
static bool user_split(struct auth_login *l, struct str user)
{
    struct str parts[4], rest = user;
    size_t n = 0;
    while (n < ARRAY_SIZE(parts) && str_split_next(&rest, ':', &parts[n])) {
        n++;
    }
    if (n != 4 || rest.n > 0) {
        login_failed(l, "lookup failed: unexpected username format");
        return false;
    }
    if (!str_eq_lit(parts[0], "system") || !str_eq_lit(parts[1], "serviceaccount") ||
        !is_plain(parts[2]) || !is_plain(parts[3])) {
        login_failed(l, "lookup failed: username returned is not a service account");
        return false;
    }
    l->account_namespace = parts[2];
    l->account_name = parts[3];
    return true;
}

static void token_reviewed(void *data, struct http_transfer *t)
{
    struct auth_login *l = data;
    const struct auth_kubernetes *config = &l->config.kubernetes;
    struct value *review;
    (void)t;
    if (!answer(l, "", ": ", &review)) {
        return;
    }
    const struct value *status = value_get(review, STR("status"));
    const struct value *is_authentic = value_get(status, STR("authenticated"));
    const struct value *user = value_get(status, STR("user"));
    struct str fault = text_at(status, STR("error"));
    if (fault.n > 0) {
        login_failed(l, "lookup failed: %.*s", STRF(str_first(fault, 512)));
    } else if (is_authentic == NULL || is_authentic->kind != VALUE_BOOL || !is_authentic->b) {
        login_failed(l, "lookup failed: service account jwt not valid");
    } else if (user_split(l, text_at(user, STR("username")))) {
        l->account_uid = text_at(user, STR("uid"));
        ask(l, STR("GET"),
            kubernetes_url(l, arena_printf(&l->a, "/api/v1/namespaces/%.*s/serviceaccounts/%.*s",
                                           STRF(l->account_namespace), STRF(l->account_name))),
            config->ca_cert, config->service_account_jwt, STR(""), account_read);
    }
}

static void kubernetes_start(struct auth_login *l)
{
    const struct auth_kubernetes *config = &l->config.kubernetes;
    struct buf body = {0};
    struct json_writer w = json_writer_make(&body, false);
    buf_lit(&body, "{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1\","
                   "\"metadata\":{\"creationTimestamp\":null},\"spec\":{\"token\":");
    json_str(&w, l->token);
    buf_lit(&body, "},\"status\":{\"user\":{}}}");
    struct str text = arena_str(&l->a, buf_view(&body));
    buf_deinit(&body);
    ask(l, STR("POST"), kubernetes_url(l, STR("/apis/authentication.k8s.io/v1/tokenreviews")),
        config->ca_cert, config->service_account_jwt, text, token_reviewed);
}

/* --- JWT ------------------------------------------------------------------------------------- */

/* The signature is good. */
static void jwt_verified(struct auth_login *l)
{
    const struct auth_jwt *config = &l->config.jwt;
    struct auth_identity identity;
    int64_t now_ns = clock_wall_ns();
    int r = config->oidc_discovery_url.n > 0
                ? auth_oidc_claims_check(config, l->issuer, &l->jwt, now_ns, &l->err)
                : auth_claims_check(config, &l->jwt, now_ns, &l->err);
    if (r >= 0) {
        r = auth_identity_of_claims(&l->a, &l->config, l->jwt.claims, &identity, &l->err);
    }
    login_end(l, r >= 0 ? &identity : NULL);
}

static void verify_with(struct auth_login *l, const struct jwt_key_set *keys)
{
    bool is_oidc = l->config.jwt.oidc_discovery_url.n > 0;
    if (l->is_probe) {
        const struct auth_identity blank = auth_identity_blank(&l->a, &l->config);
        login_end(l, &blank);
    } else if (jwt_verify_any(&l->jwt, keys)) {
        jwt_verified(l);
    } else {
        login_failed(l, "%sfailed to verify id token signature",
                     is_oidc ? "error validating signature: failed to verify signature: "
                             : "error verifying token: ");
    }
}

static void keys_fetched(void *data, struct http_transfer *t)
{
    struct auth_login *l = data;
    struct jwt_key_set keys = {.n = 0};
    struct value *json;
    (void)t;
    bool is_oidc = l->config.jwt.oidc_discovery_url.n > 0;
    bool is_reached = http_client_result(l->transfer)->error == HTTP_CLIENT_OK;
    struct str what =
        arena_printf(&l->a, "%sfetching keys oidc: get keys failed%s ",
                     l->is_probe ? "error checking JWKSURL: "
                     : is_oidc   ? "error validating signature: failed to verify signature: "
                                 : "error verifying token: ",
                     is_reached ? ":" : "");
    if (!answer(l, what.p, " ", &json)) {
        return;
    }
    if (jwt_key_set_parse(&l->a, http_client_result(l->transfer)->body, &keys, &l->err) < 0) {
        login_failed(l, "%.*sno key set", STRF(what));
        return;
    }
    verify_with(l, &keys);
    jwt_key_set_deinit(&keys);
}

static void discovered(void *data, struct http_transfer *t)
{
    struct auth_login *l = data;
    const struct auth_jwt *config = &l->config.jwt;
    struct value *provider;
    (void)t;
    if (!answer(l, "error checking OIDCDiscoveryURL: ", ": ", &provider)) {
        return;
    }
    l->issuer = text_at(provider, STR("issuer"));
    struct str url = text_at(provider, STR("jwks_uri"));
    if (!str_eq(l->issuer, config->oidc_discovery_url)) {
        login_failed(l,
                     "error checking OIDCDiscoveryURL: oidc: issuer did not match the issuer "
                     "returned by provider, expected \"%.*s\" got \"%.*s\"",
                     STRF(config->oidc_discovery_url), STRF(str_first(l->issuer, 256)));
    } else if (l->is_probe) {
        verify_with(l, NULL);
    } else {
        ask(l, STR("GET"), url, config->oidc_discovery_ca_cert, STR(""), STR(""), keys_fetched);
    }
}

static void static_keys_try(struct auth_login *l)
{
    struct strlist pems = l->config.jwt.validation_pub_keys;
    bool ok = false;
    for (size_t i = 0; i < pems.n && !ok; i++) {
        struct evp_pkey_st *key = jwt_key_from_pem(pems.v[i]);
        ok = key != NULL && jwt_verify(&l->jwt, key);
        jwt_key_free(key);
    }
    if (ok) {
        jwt_verified(l);
    } else {
        login_failed(l, "no known key successfully validated the token signature");
    }
}

static void jwt_start(struct auth_login *l)
{
    const struct auth_jwt *config = &l->config.jwt;
    if (config->validation_pub_keys.n > 0) {
        static_keys_try(l);
    } else if (config->jwks_url.n > 0) {
        ask(l, STR("GET"), config->jwks_url, config->jwks_ca_cert, STR(""), STR(""), keys_fetched);
    } else {
        struct str base = config->oidc_discovery_url;
        base = str_has_suffix(base, STR("/")) ? str_first(base, base.n - 1) : base;
        ask(l, STR("GET"), arena_printf(&l->a, "%.*s/.well-known/openid-configuration", STRF(base)),
            config->oidc_discovery_ca_cert, STR(""), STR(""), discovered);
    }
}

/* --- both ------------------------------------------------------------------------------------ */

static struct auth_login *login_new(struct auth_logins *logins,
                                    const struct acl_auth_method *method, auth_done_fn done,
                                    void *data)
{
    struct auth_login *l = xcalloc(1, sizeof(*l));
    l->logins = logins;
    list_push_back(&logins->under_way, &l->node);
    l->done = done;
    l->data = data;
    l->method = *(struct acl_auth_method *)schema_copy(&l->a, &acl_auth_method_schema, method);
    return l;
}

void auth_login_start(struct auth_logins *logins, const struct acl_auth_method *method,
                      struct str bearer_token, auth_done_fn done, void *data)
{
    struct auth_login *l = login_new(logins, method, done, data);
    l->token = arena_str(&l->a, bearer_token);
    if (auth_config_parse(&l->a, &l->method, &l->config, &l->err) < 0) {
        (void)err_wrap(&l->err, "auth method validator for \"%.*s\" could not be initialized",
                       STRF(l->method.name));
        login_end(l, NULL);
        return;
    }
    if (l->config.is_jwt && l->token.n == 0) {
        login_failed(l, "missing jwt");
        return;
    }
    if (jwt_parse(&l->a, l->token, &l->jwt, &l->err) < 0) {
        (void)err_wrap(&l->err, "%s",
                       !l->config.is_jwt ? "failed to parse and validate JWT"
                       : l->config.jwt.validation_pub_keys.n > 0
                           ? "error parsing token"
                           : "error verifying token: oidc: malformed jwt");
        login_end(l, NULL);
    } else if (l->config.is_jwt) {
        jwt_start(l);
    } else {
        kubernetes_start(l);
    }
}

void auth_probe_start(struct auth_logins *logins, const struct acl_auth_method *method,
                      auth_done_fn done, void *data)
{
    struct auth_login *l = login_new(logins, method, done, data);
    l->is_probe = true;
    if (auth_config_parse(&l->a, &l->method, &l->config, &l->err) < 0) {
        login_end(l, NULL);
    } else if (l->config.is_jwt && l->config.jwt.validation_pub_keys.n == 0) {
        jwt_start(l);
    } else {
        const struct auth_identity blank = auth_identity_blank(&l->a, &l->config);
        login_end(l, &blank);
    }
}

struct auth_logins *auth_logins_new(struct loop *loop)
{
    struct auth_logins *logins = xcalloc(1, sizeof(*logins));
    logins->http = http_client_new(loop);
    list_init(&logins->under_way);
    return logins;
}

struct auth_logins *auth_logins_free(struct auth_logins *logins)
{
    if (logins != NULL) {
        while (!list_is_empty(&logins->under_way)) {
            struct auth_login *l = container_of(logins->under_way.next, struct auth_login, node);
            (void)err_set(&l->err, ERR_CLOSED, "%s", err_code_text(ERR_CLOSED));
            login_end(l, NULL);
        }
        http_client_free(logins->http);
    }
    return mem_free(logins);
}
