/* From the bytes of a question to the bytes of its answer.
 *
 * Happy path: parse, find the zone of the name, dispatch by what the name asks for, echo EDNS,
 * trim, write, send; all within the turn. Odd packets are answered as 1.10.3 answers them: too
 * short, or a response, gets silence; an unknown opcode NOTIMP; a malformed one FORMERR; a name
 * outside our zones goes to the recursors, or is REFUSED without any. */
#include "dns/internal.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "schema/query.h"
#include "server/server.h"
#include "server/worker.h"
#include "store/store.h"

#define STALE_NOTICE_NS (5 * (int64_t)NS_PER_SEC)

static struct metric metric_stale = METRIC_COUNTER("dns.stale_queries");

enum zone { ZONE_NONE, ZONE_OURS, ZONE_ARPA };

/* --- small things ----------------------------------------------------------------------------- */

void dns_reply_add(struct dns_query *q, struct dns_rrs *rrs, struct str owner, uint16_t type,
                   uint32_t ttl, struct str data)
{
    struct dns_rr rr = {owner, type, DNS_CLASS_IN, ttl, data};
    dns_add(q->arena, rrs, &rr);
}

struct str dns_query_name(struct dns_query *q, struct str text)
{
    uint8_t name[DNS_NAME_SIZE_MAX];
    int n = dns_name_parse(text, name);
    return n < 0 ? STR_NULL : arena_str(q->arena, str_make(name, (size_t)n));
}

/* The flags of a reply, as far as they follow from the question. */
static uint16_t reply_flags(uint16_t request)
{
    uint16_t flags = DNS_QR | (request & DNS_OPCODE_MASK);
    if (dns_opcode(request) == DNS_OPCODE_QUERY) {
        flags |= request & (DNS_RD | DNS_CD);
    }
    return flags;
}

static size_t client_size(const struct dns_query *q)
{
    return q->opt != NULL ? MAX((size_t)q->opt->class, (size_t)DNS_UDP_SIZE) : DNS_UDP_SIZE;
}

/* One more than fits is enough to know that it does not. */
size_t dns_answers_max(const struct dns_query *q, const struct dns_ask *ask)
{
    const struct dns_settings *s = q->settings;
    uint16_t type = ask->type;
    bool is_behind_a_name = ask->depth < DNS_RECURSION_MAX; /* no limit of UDP's concerns it */
    size_t max;
    if (q->is_tcp) {
        max = type == DNS_TYPE_SRV ? 1024 : 4096;
    } else if (client_size(q) <= DNS_UDP_SIZE && !is_behind_a_name) {
        max = (size_t)MAX(MIN(s->udp_answer_limit, 8), 0) + 1;
    } else {
        size_t smallest = type == DNS_TYPE_SRV ? 22 : type == DNS_TYPE_AAAA ? 28 : 16;
        max = client_size(q) / smallest + 2;
    }
    if (type != DNS_TYPE_SRV && s->a_record_limit > 0) {
        max = MIN(max, (size_t)s->a_record_limit);
    }
    return max;
}

/* The odds are the reference's: addresses are looked up in tables of any age, and of services 0
 * means any age too, while of nodes and prepared queries it means none. Of those alone old answers
 * that are used are counted. */
bool dns_is_too_stale(const struct dns_settings *s, enum dns_need_kind kind,
                      int64_t last_contact_ns)
{
    switch (kind) {
    case DNS_NEED_SERVICE:
        return s->max_stale_ns > 0 && last_contact_ns > s->max_stale_ns;
    case DNS_NEED_QUERY:
    case DNS_NEED_NODE:
        if (last_contact_ns > s->max_stale_ns) {
            return true;
        }
        if (last_contact_ns > STALE_NOTICE_NS) {
            metric_add(&metric_stale, 1);
        }
        return false;
    case DNS_NEED_NAME:
    case DNS_NEED_NODE_AT:
    case DNS_NEED_SERVICE_AT:
        break;
    }
    return false;
}

bool dns_may_read(const struct dns_query *q, struct str datacenter, enum dns_need_kind kind)
{
    const struct dns_settings *s = q->settings;
    const struct server *server = q->server->worker->server;
    if (q->view == NULL || s->acl_enabled || rate_limit_is_on(&server->delegate.rate) ||
        (datacenter.n > 0 && !str_eq(datacenter, s->datacenter))) {
        return false;
    }
    if (server->raft == NULL || server_is_leader(server)) {
        return true;
    }
    if (!s->allow_stale) {
        return false;
    }
    struct query_meta meta;
    server_fill_meta(server, &meta);
    return !dns_is_too_stale(s, kind, meta.last_contact); /* else the leader is asked */
}

static struct str soa_data(struct dns_query *q)
{
    const struct dns_settings *s = q->settings;
    char *data = arena_alloc(q->arena, s->soa_names.n + 20);
    memcpy(data, s->soa_names.p, s->soa_names.n);
    char *to = data + s->soa_names.n;
    put_be32(to, (uint32_t)(clock_wall_ms() / 1000)); /* the serial number */
    put_be32(to + 4, s->soa_refresh);
    put_be32(to + 8, s->soa_retry);
    put_be32(to + 12, s->soa_expire);
    put_be32(to + 16, s->soa_min_ttl);
    return str_make(data, s->soa_names.n + 20);
}

static void add_soa(struct dns_query *q, struct dns_rrs *to)
{
    dns_reply_add(q, to, q->settings->domain_wire, DNS_TYPE_SOA, q->settings->soa_min_ttl,
                  soa_data(q));
}

/* --- sending ---------------------------------------------------------------------------------- */

static void add_opt(struct dns_query *q)
{
    struct dns_subnet subnet;
    if (q->opt == NULL) {
        return;
    }
    bool has_subnet = dns_opt_subnet(q->opt, &subnet);
    if (has_subnet) {
        /* Answers that hold for everybody say so with a scope of 0; errors always do. */
        bool is_error = (q->reply.flags & DNS_RCODE_MASK) >= DNS_SERVFAIL;
        subnet.scope_bits = q->ecs_not_global && !is_error ? subnet.source_bits : 0;
    }
    struct dns_rr opt = dns_opt_make(q->arena, q->opt->class, has_subnet ? &subnet : NULL);
    dns_add(q->arena, &q->reply.additional, &opt);
}

static void send_written(struct dns_query *q, int n)
{
    if (n > 0 && n <= (int)DNS_SIZE_MAX) {
        q->client->send(q->client, q->server->out, (size_t)n);
    }
}

static void send_plain(struct dns_query *q)
{
    send_written(q, dns_write(&q->reply, !q->settings->disable_compression, q->server->names,
                              q->server->out, DNS_OUT_SIZE));
}

static void send_trimmed(struct dns_query *q)
{
    const struct dns_trim trim = {
        .names = q->server->names,
        .compress = !q->settings->disable_compression,
        .is_tcp = q->is_tcp,
        .set_truncated = q->settings->enable_truncate,
        .udp_size = client_size(q),
        .answers_limit = q->settings->udp_answer_limit,
    };
    send_written(q, dns_trim_write(&q->reply, q->arena, &trim, q->server->out));
}

static void reply_rcode(struct dns_query *q, enum dns_rcode rcode)
{
    q->reply.flags = (uint16_t)((q->reply.flags & ~DNS_RCODE_MASK) | rcode);
}

/* For names in no zone of ours. */
static void send_refused(struct dns_query *q)
{
    reply_rcode(q, DNS_REFUSED);
    send_plain(q);
}

/* What was not even a question: the header comes back, with the question if that could be read. */
static void send_malformed(struct dns_query *q, bool is_unknown_opcode)
{
    uint16_t flags = q->request.flags;
    q->reply.flags = DNS_QR | (flags & (DNS_TC | DNS_RD | DNS_RA | DNS_AD | DNS_CD));
    if (is_unknown_opcode) {
        q->reply.flags |= flags & DNS_OPCODE_MASK;
    }
    reply_rcode(q, is_unknown_opcode ? DNS_NOTIMP : DNS_FORMERR);
    send_plain(q);
}

/* --- names of ours ---------------------------------------------------------------------------- */

static enum dns_outcome answer_default(struct dns_query *q)
{
    const struct dns_ask ask = {q->request.question.name, q->request.question.type,
                                DNS_RECURSION_MAX};
    return dns_dispatch(q, &ask);
}

/* The text without the domain it ends in: the longer one, if both fit. */
static struct str trim_domain(const struct dns_settings *s, struct str text)
{
    bool alt_first = s->alt_domain.n > s->domain.n;
    struct str longer = alt_first ? s->alt_domain : s->domain;
    struct str shorter = alt_first ? s->domain : s->alt_domain;
    if (str_has_suffix(text, longer)) {
        return str_first(text, text.n - longer.n);
    }
    return str_has_suffix(text, shorter) ? str_first(text, text.n - shorter.n) : text;
}

enum dns_outcome dns_dispatch(struct dns_query *q, const struct dns_ask *ask)
{
    char *lower = arena_alloc(q->arena, DNS_TEXT_SIZE_MAX);
    struct str text = dns_name_text(ask->name, true, lower);
    text = trim_domain(q->settings, text);
    struct dns_name_parts parts = dns_name_split(text, ask->type == DNS_TYPE_SRV);
    switch (parts.kind) {
    case DNS_KIND_SERVICE:
    case DNS_KIND_CONNECT:
    case DNS_KIND_INGRESS:
        return dns_answer_service(q, ask, &parts);
    case DNS_KIND_NODE:
        return dns_answer_node(q, ask, &parts);
    case DNS_KIND_ADDR:
        return dns_answer_addr(q, text, parts.name);
    case DNS_KIND_QUERY:
        q->ecs_not_global = true; /* who is near depends on the client */
        return dns_answer_query(q, ask, &parts);
    case DNS_KIND_NONE:
        break;
    }
    return DNS_NO_NAME;
}

/* These two are false while the question waits for others: it will be answered later. */
static bool answer_ours(struct dns_query *q)
{
    enum dns_outcome outcome = DNS_OK;
    q->reply.flags |= DNS_AA | (q->settings->recursors_count > 0 ? DNS_RA : 0);
    switch (q->request.question.type) {
    case DNS_TYPE_SOA: /* of any name */
        add_soa(q, &q->reply.answer);
        dns_add_nameservers(q, &q->reply.authority);
        break;
    case DNS_TYPE_NS:
        dns_add_nameservers(q, &q->reply.answer);
        break;
    case DNS_TYPE_AXFR:
        reply_rcode(q, DNS_NOTIMP);
        break;
    default:
        outcome = answer_default(q);
        break;
    }
    if (outcome == DNS_NO_NAME || outcome == DNS_NO_DATA) {
        add_soa(q, &q->reply.authority);
    }
    if (outcome == DNS_NO_NAME) {
        reply_rcode(q, DNS_NXDOMAIN);
    } else if (outcome == DNS_FAILED) {
        reply_rcode(q, DNS_SERVFAIL);
    }
    if (q->is_incomplete && dns_wait_start(q)) {
        return false;
    }
    add_opt(q);
    send_trimmed(q);
    return true;
}

static bool answer_arpa(struct dns_query *q)
{
    q->reply.flags |= DNS_AA | (q->settings->recursors_count > 0 ? DNS_RA : 0);
    if (q->request.question.type == DNS_TYPE_SOA) {
        add_soa(q, &q->reply.authority);
    }
    bool is_known = dns_answer_ptr(q);
    if (q->is_incomplete && dns_wait_start(q)) {
        return false;
    }
    if (!is_known) {
        dns_forward(q);
        return true;
    }
    add_opt(q);
    send_plain(q);
    return true;
}

/* The recursors, or the rest of us, could not be reached. */
void dns_query_fail(struct dns_query *q)
{
    q->reply.flags = (uint16_t)(reply_flags(q->request.flags) | DNS_RA);
    reply_rcode(q, DNS_SERVFAIL);
    q->reply.answer.n = q->reply.authority.n = q->reply.additional.n = 0;
    add_opt(q);
    send_plain(q);
}

static enum zone find_zone(const struct dns_query *q)
{
    static const struct str arpa = {"\4arpa", 6};
    const struct dns_settings *s = q->settings;
    struct str name = q->request.question.name;
    for (;; name = dns_name_parent(name, 1)) {
        if ((name.n == s->domain_wire.n && dns_name_eq_fold(name, s->domain_wire)) ||
            (name.n == s->alt_domain_wire.n && dns_name_eq_fold(name, s->alt_domain_wire))) {
            return ZONE_OURS;
        }
        if (name.n == arpa.n && dns_name_eq_fold(name, arpa)) {
            return ZONE_ARPA;
        }
        if (name.n <= 1) {
            return ZONE_NONE;
        }
    }
}

/* --- a message -------------------------------------------------------------------------------- */

static const char *type_text(uint16_t type, char *to, size_t size)
{
    static const struct {
        uint16_t type;
        const char *text;
    } types[] = {{DNS_TYPE_A, "A"},     {DNS_TYPE_AAAA, "AAAA"}, {DNS_TYPE_SRV, "SRV"},
                 {DNS_TYPE_TXT, "TXT"}, {DNS_TYPE_ANY, "ANY"},   {DNS_TYPE_PTR, "PTR"},
                 {DNS_TYPE_NS, "NS"},   {DNS_TYPE_SOA, "SOA"},   {DNS_TYPE_CNAME, "CNAME"},
                 {DNS_TYPE_MX, "MX"},   {DNS_TYPE_AXFR, "AXFR"}};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (types[i].type == type) {
            return types[i].text;
        }
    }
    (void)snprintf(to, size, "TYPE%u", type);
    return to;
}

static void log_served(const struct dns_query *q, uint64_t ns)
{
    char name[DNS_TEXT_SIZE_MAX], type[16];
    struct buf client = {0}, latency = {0};
    address_format(&q->client->peer.address, &client);
    duration_put(&latency, (int64_t)ns);
    log_write(LOG_DEBUG, "agent.dns", "request served from client",
              LOG_STR("name", dns_name_text(q->request.question.name, false, name)),
              LOG_CSTR("type", type_text(q->request.question.type, type, sizeof(type))),
              LOG_UINT("class", q->request.question.class), LOG_STR("latency", buf_view(&latency)),
              LOG_STR("client", buf_view(&client)),
              LOG_CSTR("client_network", q->is_tcp ? "tcp" : "udp"));
    buf_deinit(&client);
    buf_deinit(&latency);
}

static void served(const struct dns_query *q, struct metric *metric)
{
    uint64_t ns = clock_mono_ns() - q->start_ns;
    if (metric != NULL) {
        metric_observe(metric, (double)ns / (double)NS_PER_MS);
    }
    if (log_is_on(LOG_DEBUG)) {
        log_served(q, ns);
    }
}

void dns_query_answer(struct dns_query *q)
{
    enum zone zone = find_zone(q);
    /* A DS record lies in the parent of a zone: not with us, if there is somebody to ask. */
    if (q->request.question.type == DNS_TYPE_DS && q->settings->recursors_count > 0) {
        zone = ZONE_NONE;
    }
    switch (zone) {
    case ZONE_OURS:
        if (answer_ours(q)) {
            served(q, q->server->domain_queries);
        }
        break;
    case ZONE_ARPA:
        if (answer_arpa(q)) {
            served(q, q->server->ptr_queries);
        }
        break;
    case ZONE_NONE:
        if (q->settings->recursors_count == 0) {
            send_refused(q);
        } else {
            dns_forward(q);
        }
        break;
    }
}

bool dns_query_parse(struct dns_query *q)
{
    struct dns_header h;
    if (!dns_parse_header(q->bytes, &h) || (h.flags & DNS_QR) != 0) {
        return false; /* any reply to this could be used against somebody else */
    }
    unsigned opcode = dns_opcode(h.flags);
    bool is_unknown = opcode != DNS_OPCODE_QUERY && opcode != DNS_OPCODE_NOTIFY;
    bool is_bad = h.questions != 1 || h.answers > 1 || h.authorities > 1 || h.additionals > 2;
    q->request.id = q->reply.id = h.id;
    q->request.flags = h.flags;
    if (is_unknown || is_bad) {
        send_malformed(q, is_unknown);
        return false;
    }
    int r = dns_parse(q->arena, q->bytes, &q->request);
    q->reply.question = q->request.question;
    if (r < 0) {
        send_malformed(q, false);
        return false;
    }
    q->reply.flags = reply_flags(q->request.flags);
    q->opt = dns_find_opt(&q->request);
    return true;
}

void dns_query_init(struct dns_query *q, struct dns_server *s, struct arena *a, struct str bytes,
                    const struct dns_client *client)
{
    struct server *server = s->worker->server;
    *q = (struct dns_query){.server = s,
                            .settings = s->settings,
                            .view = server != NULL ? store_view(server->store) : NULL,
                            .client = client,
                            .arena = a,
                            .rng = s->worker->rng,
                            .rng_start = s->worker->rng,
                            .bytes = bytes,
                            .is_tcp = client->is_tcp,
                            .start_ns = client->received_ns};
    list_init(&q->missing);
    dns_cache_collect(&s->cache);
    (void)rng_u64(&s->worker->rng); /* the next question draws otherwise */
}

void dns_query_receive(struct dns_server *s, struct str bytes, const struct dns_client *client)
{
    struct dns_query q;
    arena_reset(&s->arena);
    dns_query_init(&q, s, &s->arena, bytes, client);
    if (!dns_query_parse(&q)) {
        return;
    }
    if (q.request.question.name.n == 0) {
        send_refused(&q);
        return;
    }
    dns_query_answer(&q);
}
