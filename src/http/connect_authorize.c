/* /v1/agent/connect/authorize: may the owner of a certificate talk to a service here? Decided by
 * intentions; those that decide request by request count as refusals. */
#include "base/gofmt.h"
#include "http/cached.h"
#include "http/http.h"
#include "proto/cert_uri.h"
#include "schema/intention.h"
#include "server/rpc.h"

struct connect_authorize_request {
    struct str target;
    struct str client_cert_uri;
    struct str client_cert_serial; /* for revocation, some day */
};

/* clang-format off */
static const struct field connect_authorize_request_fields[] = {
    F_STR(struct connect_authorize_request, target, "Target", 0),
    F_STR(struct connect_authorize_request, client_cert_uri, "ClientCertURI", 0),
    F_STR(struct connect_authorize_request, client_cert_serial, "ClientCertSerial", 0),
    FIELDS_END,
};
static const struct schema connect_authorize_request_schema =
    SCHEMA("ConnectAuthorizeRequest", struct connect_authorize_request,
           connect_authorize_request_fields);
/* clang-format on */

static void answer(struct http_req *req, bool is_authorized, struct str reason)
{
    struct json_writer w = http_json_begin(req);
    json_object_begin(&w);
    json_key(&w, STR("Authorized"));
    json_bool(&w, is_authorized);
    json_key(&w, STR("Reason"));
    json_str(&w, reason);
    json_object_end(&w);
    http_finish(req, 200);
}

/* "default/web => default/db (Precedence: 9, Action: DENY)" */
static struct str describe(struct arena *a, const struct intention *i)
{
    struct str id = i->id.n > 0 ? arena_printf(a, "ID: %.*s, ", STRF(i->id)) : STR("");
    struct str what = i->permissions.n > 0 ? arena_printf(a, "Permissions: %zu", i->permissions.n)
                      : str_eq(i->action, INTENTION_ALLOW) ? STR("Action: ALLOW")
                                                           : STR("Action: DENY");
    return arena_printf(a, "%.*s/%.*s => %.*s/%.*s (%.*sPrecedence: %lld, %.*s)",
                        STRF(i->source_ns), STRF(i->source_name), STRF(i->destination_ns),
                        STRF(i->destination_name), STRF(id), (long long)i->precedence, STRF(what));
}

static bool is_from(const struct intention *i, const struct cert_uri *client)
{
    return str_eq(i->source_ns, client->ns) &&
           (str_eq(i->source_name, CONFIG_WILDCARD) || str_eq(i->source_name, client->name));
}

static void authorize_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_intention_matches *reply = call->reply;
    const struct cert_uri *client = req->data;
    const struct intention_list *list = reply->matches.v;
    if (reply->matches.n != 1) {
        http_error(req, 500, "Internal error loading matches");
        return;
    }
    http_cached(req, call, true);
    for (size_t i = 0; i < list->intentions.n; i++) {
        const struct intention *ixn = list->intentions.v[i];
        if (is_from(ixn, client)) {
            bool is_l7 = ixn->permissions.n > 0;
            answer(req, !is_l7 && str_eq(ixn->action, INTENTION_ALLOW),
                   arena_printf(req->arena, "Matched %s intention: %.*s", is_l7 ? "L7" : "L4",
                                STRF(describe(req->arena, ixn))));
            return;
        }
    }
    if (req->who == NULL) {
        answer(req, true, STR("ACLs disabled, access is allowed by default"));
    } else {
        answer(req, http_may(req, ACL_INTENTION_DEFAULT, STR("")),
               STR("Default behavior configured by ACLs"));
    }
}

/* Who asks for whom; false, and answered, when that is not said. */
static bool decode(struct http_req *req, struct connect_authorize_request *ret,
                   struct cert_uri *ret_client)
{
    struct err err = {0};
    struct value *body;
    struct str rest = req->body;
    const char *fault = NULL;
    int r = json_parse_next(req->arena, &rest, &body, &err);
    if (r >= 0 && body->kind != VALUE_NULL) {
        r = schema_decode(&connect_authorize_request_schema, body, ret, req->arena, DECODE_STRICT,
                          &err);
    }
    if (r < 0) {
        http_error(req, 400, "Bad request: Request decode failed: %s", err_text(&err));
        return false;
    }
    if (ret->target.n == 0) {
        fault = "Target service must be specified";
    } else if (cert_uri_parse(ret->client_cert_uri, req->arena, ret_client) < 0) {
        fault = "ClientCertURI not a valid Connect identifier";
    } else if (ret_client->kind != CERT_URI_SERVICE) {
        fault = "ClientCertURI not a valid Service identifier";
    }
    if (fault != NULL) {
        http_error(req, 400, "Bad request: %s", fault);
    }
    return fault == NULL;
}

static void authorize(struct http_req *req)
{
    struct connect_authorize_request asked = {0};
    struct cert_uri *client = ARENA_NEW(req->arena, struct cert_uri);
    if (!http_check_namespace(req) || !decode(req, &asked, client) ||
        !http_permit(req, ACL_SERVICE_WRITE, asked.target)) {
        return;
    }
    struct rpc_call *call = http_rpc_plain(req, &rpc_intention_match, authorize_reply);
    struct intention_query_request *args = call->args;
    struct intention_match_entry *entry = ARENA_NEW(req->arena, struct intention_match_entry);
    *entry = (struct intention_match_entry){INTENTION_NAMESPACE, asked.target};
    args->match = ARENA_NEW(req->arena, struct intention_query_match);
    *args->match = (struct intention_query_match){INTENTION_BY_DESTINATION, {entry, 1}};
    args->datacenter = http_datacenter(req);
    args->options.use_cache = true;
    req->data = client;
    http_rpc_start(req, call);
}

/* clang-format off */
const struct http_route http_connect_authorize_routes[] = {
    {"/v1/agent/connect/authorize", HTTP_POST, "POST", HTTP_ROUTE_NO_META | HTTP_ROUTE_ACL, authorize},
};
/* clang-format on */
const size_t http_connect_authorize_routes_count = ARRAY_SIZE(http_connect_authorize_routes);
