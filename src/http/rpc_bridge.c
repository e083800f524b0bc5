/* A request becomes an rpc_call, and its reply the answer. The call belongs to the flight until its
 * reply has been rendered; one that was never started, or whose asker is gone, ends with the
 * flight. */
#include "base/err.h"
#include "http/front.h"
#include "server/rpc.h"
#include "server/worker.h"

static void bridge_cancel(struct http_flight *f)
{
    struct rpc_call *call = TAKE(f->call);
    if (call != NULL && f->call_started) {
        rpc_cancel(call);
    } else {
        rpc_call_free(call);
    }
}

static bool bridge_is_parked(struct http_flight *f)
{
    return f->call != NULL && f->call_started && rpc_is_parked(f->call);
}

static void *member(void *object, int16_t offset)
{
    return (char *)object + offset;
}

static void set_token(const struct schema *schema, void *args, struct str token)
{
    size_t offset;
    const struct field *field = schema_find(schema, STR("Token"), &offset);
    if (field != NULL && field->kind == FIELD_STR) {
        *(struct str *)((char *)args + offset) = token;
    }
}

/* Data center and options into the arguments. Most schemas begin with "Datacenter". What takes no
 * options (a write) is not asked for them: bad ones are no error of it. */
static bool fill_args(struct http_req *req, const struct rpc_method *method, void *args)
{
    struct str datacenter = http_param_value(req, STR("dc"));
    struct query_options options;
    if (method->options_offset >= 0 && !http_parse_query_options(req, &datacenter, &options)) {
        return false;
    }
    if (datacenter.n == 0) {
        datacenter = http_datacenter(req);
    }
    size_t offset;
    const struct field *field = schema_find(method->args, STR("Datacenter"), &offset);
    if (field != NULL && field->kind == FIELD_STR) {
        *(struct str *)((char *)args + offset) = datacenter;
    }
    if (method->options_offset >= 0) {
        *(struct query_options *)member(args, method->options_offset) = options;
    } else if (req->token.n > 0) {
        set_token(method->args, args, req->token);
    }
    return true;
}

static struct rpc_call *call_new(struct http_req *req, const struct rpc_method *method)
{
    struct http_flight *f = flight_of(req);
    if (f->call != NULL && !f->call_started) {
        bridge_cancel(f);
    }
    return rpc_call_new(req->worker, method);
}

static void call_keep(struct http_req *req, struct rpc_call *call, http_reply_fn reply)
{
    struct http_flight *f = flight_of(req);
    f->call = call;
    f->call_started = false;
    f->reply = reply;
    f->failed = NULL;
    f->cancel = bridge_cancel;
    f->is_parked = bridge_is_parked;
}

struct rpc_call *http_rpc(struct http_req *req, const struct rpc_method *method,
                          http_reply_fn reply)
{
    struct rpc_call *call = call_new(req, method);
    if (!fill_args(req, method, call->args)) {
        rpc_call_free(call); /* answered: req is gone */
        return NULL;
    }
    call_keep(req, call, reply);
    return call;
}

struct rpc_call *http_rpc_plain(struct http_req *req, const struct rpc_method *method,
                                http_reply_fn reply)
{
    struct rpc_call *call = call_new(req, method);
    set_token(method->args, call->args, req->token);
    call_keep(req, call, reply);
    return call;
}

void http_rpc_on_error(struct http_req *req, http_failed_fn failed)
{
    flight_of(req)->failed = failed;
}

static struct str consistency_text(const struct query_options *o)
{
    return o->require_consistent ? STR("consistent")
           : o->allow_stale      ? STR("stale")
                                 : STR("leader");
}

/* How the call should be made once more; false when its answer will do. */
static bool wants_another(const struct rpc_call *call, unsigned flags,
                          struct query_options *ret_options)
{
    const struct rpc_method *method = call->method;
    if (method->options_offset < 0 || method->meta_offset < 0) {
        return false;
    }
    *ret_options = *(const struct query_options *)member(call->args, method->options_offset);
    if (call->err != NULL) {
        bool is_wanted = (flags & HTTP_ROUTE_STALE_WITHOUT_LEADER) != 0 &&
                         call->err->code == ERR_NO_LEADER && !ret_options->allow_stale;
        ret_options->allow_stale = true;
        return is_wanted;
    }
    const struct query_meta *meta = member(call->reply, method->meta_offset);
    bool is_wanted = (flags & HTTP_ROUTE_MAX_STALE) != 0 && ret_options->allow_stale &&
                     ret_options->max_stale_duration > 0 &&
                     ret_options->max_stale_duration < meta->last_contact;
    ret_options->allow_stale = false;
    ret_options->max_stale_duration = 0;
    return is_wanted;
}

static void start_another(struct http_req *req, struct rpc_call *call,
                          const struct query_options *options)
{
    const struct rpc_method *method = call->method;
    struct rpc_call *again = rpc_call_new(req->worker, method);
    memcpy(again->args, schema_copy(&again->arena, method->args, call->args), method->args->size);
    struct query_options *own = member(again->args, method->options_offset);
    own->allow_stale = options->allow_stale;
    own->max_stale_duration = options->max_stale_duration;
    rpc_call_free(call);
    flight_of(req)->call = again;
    http_rpc_start(req, again);
}

static void bridge_done(struct rpc_call *call)
{
    struct http_req *req = call->data;
    struct http_flight *f = flight_of(req);
    const struct rpc_method *method = call->method;
    unsigned flags = req->route != NULL ? req->route->flags : 0;
    struct query_options options;
    if (wants_another(call, flags, &options)) {
        start_another(req, call, &options);
        return;
    }
    f->call = NULL; /* the reply may start another */
    http_flight_take_bufs(f);
    if (call->err != NULL) {
        if (f->failed != NULL && f->failed(req, call)) {
            rpc_call_free(call);
            return;
        }
        if ((flags & HTTP_ROUTE_META_ON_ERROR) != 0 && method->meta_offset >= 0) {
            const struct query_meta none = {0};
            /* That something is not there is said before the metadata, by Consul's handlers. */
            if (call->err->code == ERR_NOT_FOUND) {
                http_set_meta_late(req, &none);
            } else {
                http_set_meta(req, &none);
            }
        }
        http_error_from(req, call->err);
    } else {
        if (method->meta_offset >= 0 && (flags & HTTP_ROUTE_NO_META) == 0) {
            struct query_meta *meta = member(call->reply, method->meta_offset);
            if ((flags & HTTP_ROUTE_CONSISTENCY) != 0 && method->options_offset >= 0) {
                meta->consistency_level =
                    consistency_text(member(call->args, method->options_offset));
            }
            http_set_meta(req, meta);
        }
        f->reply(req, call);
    }
    rpc_call_free(call);
}

void http_rpc_start(struct http_req *req, struct rpc_call *call)
{
    flight_of(req)->call_started = true;
    call->done = bridge_done;
    call->data = req;
    rpc_start(call);
}
