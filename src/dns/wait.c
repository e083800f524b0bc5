/* Questions that wait: for what recursors say about a name, for a service or a node that is known
 * elsewhere, or for the recursors to answer them altogether.
 *
 * A wait begins with a copy of the question's bytes and of the randomness it began with. Each need
 * is settled once, successfully or not; when none is left the question is run again at the end of
 * that turn, and finds them. The wait ends with the run that needs nothing more. */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "dns/internal.h"
#include "schema/catalog.h"
#include "schema/prepared_query.h"
#include "server/acl_resolver.h"
#include "server/rpc.h"
#include "server/worker.h"

struct dns_wait {
    struct list node; /* of server->waits */
    struct dns_server *server;
    struct arena arena;
    struct dns_client client;
    struct str bytes;
    struct rng rng;
    uint64_t start_ns;
    struct list needs;
    uint32_t unsettled, rounds;
    struct loop_msg again;
    bool is_again_posted, is_canceled;
    struct dns_exchange *forward;
};

static void wait_run_again(struct loop_msg *msg);

/* --- the wait --------------------------------------------------------------------------------- */

static struct dns_wait *wait_new(struct dns_query *q)
{
    struct dns_server *s = q->server;
    if (s->stopping || s->waits_count >= DNS_WAITS_MAX) {
        return NULL;
    }
    struct dns_wait *w = xcalloc(1, sizeof(*w));
    w->server = s;
    w->client = *q->client;
    w->bytes = arena_str(&w->arena, q->bytes);
    w->rng = q->rng_start;
    w->start_ns = q->start_ns;
    w->again.run = wait_run_again;
    list_init(&w->needs);
    list_push_back(&s->waits, &w->node);
    s->waits_count++;
    if (w->client.conn != NULL) {
        dns_conn_wait_begin(w->client.conn);
    }
    return w;
}

static void need_stop(struct dns_need *need)
{
    if (need->exchange != NULL) {
        dns_exchange_cancel(need->exchange);
        need->exchange = NULL;
    }
    if (need->call != NULL) {
        rpc_cancel(need->call);
        need->call = NULL;
    }
}

static void wait_free(struct dns_wait *w)
{
    struct dns_server *s = w->server;
    list_for_each (node, &w->needs) {
        struct dns_need *need = list_entry(node, struct dns_need, node);
        need_stop(need);
        need->set = dns_set_free(need->set);
        need->found = mem_free(need->found);
    }
    if (w->forward != NULL) {
        dns_exchange_cancel(w->forward);
    }
    list_remove(&w->node);
    s->waits_count--;
    if (w->client.conn != NULL) {
        dns_conn_wait_end(w->client.conn);
    }
    arena_deinit(&w->arena);
    mem_free(w);
}

/* Only before the loop goes away: what was posted to run again finds the flag. */
void dns_waits_cancel(struct dns_server *s)
{
    list_for_each (node, &s->waits) {
        struct dns_wait *w = list_entry(node, struct dns_wait, node);
        if (w->is_again_posted) {
            w->is_canceled = true;
        } else {
            wait_free(w);
        }
    }
}

static void wait_query_init(struct dns_wait *w, struct dns_query *q)
{
    struct dns_server *s = w->server;
    arena_reset(&s->arena);
    dns_query_init(q, s, &s->arena, w->bytes, &w->client);
    q->rng = q->rng_start = w->rng;
    q->start_ns = w->start_ns;
    q->wait = w;
}

static void wait_run_again(struct loop_msg *msg)
{
    struct dns_wait *w = container_of(msg, struct dns_wait, again);
    struct dns_query q;
    w->is_again_posted = false;
    if (!w->is_canceled) {
        wait_query_init(w, &q);
        if (dns_query_parse(&q)) {
            dns_query_answer(&q);
        }
    }
    if (w->unsettled == 0 && !w->is_again_posted) {
        wait_free(w);
    }
}

static void need_settled(struct dns_need *need, int code)
{
    struct dns_wait *w = need->wait;
    ASSERT(!need->is_settled);
    need->is_settled = true;
    need->code = code;
    w->unsettled--;
    if (w->unsettled == 0 && !w->is_again_posted) {
        w->is_again_posted = true;
        loop_defer(w->server->worker->loop, &w->again);
    }
}

/* --- needs ------------------------------------------------------------------------------------ */

static bool is_same_need(const struct dns_need *a, const struct dns_need *b)
{
    return a->kind == b->kind && str_eq(a->key, b->key);
}

const struct dns_need *dns_need(struct dns_query *q, const struct dns_need *want)
{
    if (q->wait != NULL) {
        list_for_each (node, &q->wait->needs) {
            struct dns_need *need = list_entry(node, struct dns_need, node);
            if (need->is_settled && is_same_need(need, want)) {
                return need;
            }
        }
    }
    list_for_each (node, &q->missing) {
        if (is_same_need(list_entry(node, struct dns_need, node), want)) {
            return NULL;
        }
    }
    if (q->missing_count < DNS_NEEDS_MAX && (q->wait == NULL || q->wait->rounds < DNS_ROUNDS_MAX)) {
        struct dns_need *need = arena_alloc(q->arena, sizeof(*need));
        *need = *want;
        list_push_back(&q->missing, &need->node);
        q->missing_count++;
        q->is_incomplete = true;
    }
    return NULL;
}

static void exchange_set_request(struct dns_exchange *x, struct arena *a, const uint8_t *bytes,
                                 size_t size)
{
    x->request = arena_alloc(a, size);
    x->request_size = size;
    memcpy(x->request, bytes, size);
}

/* --- what recursors say about a name ---------------------------------------------------------- */

/* Asked for as A, whatever the client wants to know: as in 1.10.3. */
static void name_request(struct dns_wait *w, struct str name, struct dns_exchange *x)
{
    struct dns_msg m = {.flags = DNS_RD};
    uint8_t bytes[DNS_HEADER_SIZE + DNS_NAME_SIZE_MAX + 4];
    m.question = (struct dns_question){name, DNS_TYPE_A, DNS_CLASS_IN};
    int n = dns_write(&m, false, NULL, bytes, sizeof(bytes));
    ASSERT(n > 0);
    exchange_set_request(x, &w->arena, bytes, (size_t)n);
}

static void name_done(struct dns_exchange *x, struct str reply)
{
    struct dns_need *need = x->data;
    struct dns_msg m;
    need->exchange = NULL;
    if (reply.n > 0 &&
        dns_parse(&need->wait->arena, arena_str(&need->wait->arena, reply), &m) == 0) {
        need->rrs = m.answer;
    }
    need_settled(need, 0);
}

static void start_name(struct dns_need *need)
{
    struct dns_wait *w = need->wait;
    struct dns_exchange *x = ARENA_NEW(&w->arena, struct dns_exchange);
    x->server = w->server;
    name_request(w, need->name, x);
    x->any_rcode = true;
    x->done = name_done;
    x->data = need;
    need->exchange = x;
    dns_exchange_start(x);
}

/* --- services and nodes that others know ------------------------------------------------------ */

static void set_options(const struct dns_need *need, struct query_options *options)
{
    const struct dns_settings *settings = need->wait->server->settings;
    options->token = acl_secret(need->wait->server->worker->acl, ACL_SECRET_DEFAULT);
    options->allow_stale = settings->allow_stale && !need->is_retry;
    options->max_stale_duration = settings->max_stale_ns;
    options->use_cache = settings->use_cache;
    options->max_age = settings->cache_max_age_ns;
}

static struct str need_datacenter(const struct dns_need *need)
{
    struct str dc = need->lookup.datacenter;
    return dc.n > 0 ? dc : need->wait->server->settings->datacenter;
}

static void start_call(struct dns_need *need);

/* Too old: once more, of the leader. */
static bool retry_if_stale(struct dns_need *need, const struct query_meta *meta)
{
    const struct dns_settings *settings = need->wait->server->settings;
    if (need->is_retry || !settings->allow_stale ||
        !dns_is_too_stale(settings, need->kind, meta->last_contact)) {
        return false;
    }
    if (need->kind != DNS_NEED_SERVICE) { /* of those the reference keeps silent */
        log_write(LOG_WARN, "agent.dns", "Query results too stale, re-requesting");
    }
    need->is_retry = true;
    start_call(need);
    return true;
}

static struct dns_set *query_set(const struct dns_need *need,
                                 const struct prepared_query_execute_response *reply)
{
    const struct dns_settings *settings = need->wait->server->settings;
    struct dns_lookup lookup = need->lookup;
    int64_t ttl_ns = 0;
    lookup.service = reply->service;
    lookup.datacenter = reply->datacenter; /* where it found them */
    struct dns_set *set = dns_set_new(settings, &lookup, &reply->nodes);
    if (reply->dns.ttl.n > 0) {
        bool is_good = duration_parse(reply->dns.ttl, &ttl_ns) == 0 && ttl_ns >= 0;
        int64_t seconds = is_good ? ttl_ns / (int64_t)NS_PER_SEC : 0;
        set->ttl = (uint32_t)MIN(seconds, (int64_t)UINT32_MAX);
    }
    return set;
}

/* The method's answer is good: take what is needed out of it. */
static void take_reply(struct dns_need *need, const void *data)
{
    struct arena *a = &need->wait->arena;
    switch (need->kind) {
    case DNS_NEED_SERVICE: {
        const struct indexed_check_service_nodes *reply = data;
        need->set = dns_set_new(need->wait->server->settings, &need->lookup, &reply->nodes);
        break;
    }
    case DNS_NEED_QUERY:
        need->set = query_set(need, data);
        break;
    case DNS_NEED_NODE: {
        const struct indexed_node_services *reply = data;
        if (reply->node_services != NULL) {
            need->found = schema_clone(&node_schema, reply->node_services->node, NULL);
        }
        break;
    }
    case DNS_NEED_NODE_AT: {
        const struct indexed_nodes *reply = data;
        for (size_t i = 0; i < reply->nodes.n && need->found_at.n == 0; i++) {
            const struct node *node = reply->nodes.v[i];
            uint8_t ip[16];
            if (str_eq(str_make(ip, dns_ip_parse(node->address, ip)), need->key)) {
                need->found_at = arena_str(a, node->node);
            }
        }
        break;
    }
    case DNS_NEED_SERVICE_AT: {
        const struct indexed_service_nodes *reply = data;
        const struct service_node *nodes = reply->service_nodes.v;
        for (size_t i = 0; i < reply->service_nodes.n && need->found_at.n == 0; i++) {
            if (str_eq(nodes[i].service->address, need->name)) { /* not by a tagged one */
                need->found_at = arena_str(a, nodes[i].service->service);
            }
        }
        break;
    }
    case DNS_NEED_NAME:
        break;
    }
}

static void call_done(struct rpc_call *call)
{
    struct dns_need *need = call->data;
    int code = call->err != NULL ? -call->err->code : 0;
    bool retried = false;
    need->call = NULL;
    if (code == 0) {
        const char *reply = call->reply;
        retried = retry_if_stale(need, (const void *)(reply + call->method->meta_offset));
    }
    if (code == 0 && !retried) {
        take_reply(need, call->reply);
    }
    rpc_call_free(call);
    if (!retried) {
        need_settled(need, code);
    }
}

static const struct rpc_method *need_method(enum dns_need_kind kind)
{
    switch (kind) {
    case DNS_NEED_SERVICE:
        return &rpc_health_service_nodes;
    case DNS_NEED_QUERY:
        return &rpc_prepared_query_execute;
    case DNS_NEED_NODE:
        return &rpc_catalog_node_services;
    case DNS_NEED_NODE_AT:
        return &rpc_catalog_list_nodes;
    case DNS_NEED_SERVICE_AT:
        return &rpc_catalog_service_nodes;
    case DNS_NEED_NAME:
        break;
    }
    return NULL;
}

static void fill_service_request(const struct dns_need *need, struct service_request *args)
{
    args->datacenter = need_datacenter(need);
    if (need->kind == DNS_NEED_SERVICE_AT) {
        args->service_address = need->name;
    } else {
        args->service_name = need->lookup.service;
        args->service_tags = (struct strlist){&need->lookup.tag, need->lookup.tag.n > 0};
        args->tag_filter = need->lookup.tag.n > 0;
        args->connect = need->lookup.kind == DNS_KIND_CONNECT;
        args->ingress = need->lookup.kind == DNS_KIND_INGRESS;
    }
    set_options(need, &args->options);
}

static void fill_query_request(const struct dns_need *need,
                               struct prepared_query_execute_request *args)
{
    const struct dns_settings *settings = need->wait->server->settings;
    args->datacenter = need_datacenter(need);
    args->query_id_or_name = need->lookup.service;
    args->source.ip = need->name;
    args->agent.datacenter = settings->datacenter;
    args->agent.node = settings->node_name;
    set_options(need, &args->options);
}

static void start_call(struct dns_need *need)
{
    const struct rpc_method *method = need_method(need->kind);
    struct rpc_call *call = rpc_call_new(need->wait->server->worker, method);
    if (method->args == &service_request_schema) {
        fill_service_request(need, call->args);
    } else if (need->kind == DNS_NEED_QUERY) {
        fill_query_request(need, call->args);
    } else if (method->args == &node_request_schema) {
        struct node_request *args = call->args;
        args->datacenter = need_datacenter(need);
        args->node = need->name;
        set_options(need, &args->options);
    } else {
        struct dc_request *args = call->args;
        args->datacenter = need_datacenter(need);
        set_options(need, &args->options);
    }
    call->done = call_done;
    call->data = need;
    need->call = call;
    rpc_start(call);
}

/* --- starting --------------------------------------------------------------------------------- */

static struct dns_need *keep_need(struct dns_wait *w, const struct dns_need *missing)
{
    struct arena *a = &w->arena;
    struct dns_need *need = ARENA_NEW(a, struct dns_need);
    *need = (struct dns_need){.kind = missing->kind,
                              .key = arena_str(a, missing->key),
                              .name = arena_str(a, missing->name),
                              .lookup = missing->lookup,
                              .wait = w};
    need->lookup.service = arena_str(a, missing->lookup.service);
    need->lookup.tag = arena_str(a, missing->lookup.tag);
    need->lookup.datacenter = arena_str(a, missing->lookup.datacenter);
    list_push_back(&w->needs, &need->node);
    w->unsettled++;
    return need;
}

bool dns_wait_start(struct dns_query *q)
{
    struct dns_wait *w = q->wait != NULL ? q->wait : wait_new(q);
    struct dns_need *started[DNS_NEEDS_MAX];
    size_t n = 0;
    if (w == NULL) {
        dns_query_fail(q);
        return true;
    }
    w->rounds++;
    list_for_each (node, &q->missing) {
        started[n++] = keep_need(w, list_entry(node, struct dns_need, node));
    }
    /* All are counted before the first is started: calls may be done at once. */
    for (size_t i = 0; i < n; i++) {
        if (started[i]->kind == DNS_NEED_NAME) {
            start_name(started[i]);
        } else {
            start_call(started[i]);
        }
    }
    return true;
}

/* --- handing on ------------------------------------------------------------------------------- */

static void forward_done(struct dns_exchange *x, struct str reply)
{
    struct dns_wait *w = x->data;
    struct dns_server *s = w->server;
    struct dns_query q;
    w->forward = NULL;
    wait_query_init(w, &q);
    if (dns_query_parse(&q)) {
        uint16_t id = q.reply.id;
        if (reply.n > 0 && dns_parse(q.arena, reply, &q.reply) == 0) {
            /* Written anew, so that compression is as this agent's clients are used to. */
            q.reply.id = id;
            int n = dns_write(&q.reply, !s->settings->disable_compression, s->names, s->out,
                              DNS_OUT_SIZE);
            if (n > 0 && n <= (int)DNS_SIZE_MAX) {
                w->client.send(&w->client, s->out, (size_t)n);
            }
        } else {
            dns_query_fail(&q);
        }
    }
    wait_free(w);
}

void dns_forward(struct dns_query *q)
{
    struct dns_wait *w = q->settings->recursors_count > 0 ? wait_new(q) : NULL;
    if (w == NULL) {
        dns_query_fail(q);
        return;
    }
    int n = dns_write(&q->request, false, NULL, q->server->out, DNS_OUT_SIZE);
    struct dns_exchange *x = ARENA_NEW(&w->arena, struct dns_exchange);
    x->server = q->server;
    exchange_set_request(x, &w->arena, q->server->out, n > 0 ? (size_t)n : 0);
    x->is_tcp = q->is_tcp;
    x->done = forward_done;
    x->data = w;
    w->forward = x;
    dns_exchange_start(x);
}
