/* The happy path of a new cluster: set-config, set-provider-state (only its id), a serial number,
 * set-provider-state with key and root, set-roots. ca_continue() is called after each and finds the
 * next; a step that fails is tried again after a growing pause. */
#include "server/ca_manager.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "fsm/fsm.h"
#include "schema/msgpack.h"
#include "server/ca_cert.h"
#include "server/ca_config.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/connect_ca.h"

#define CA_RETRY_MS_MIN 1000u
#define CA_RETRY_DOUBLINGS_MAX 8u
/* A new cluster takes five writes. */
#define CA_STEPS_MAX 16u
#define MODULE "agent.server.connect"

struct ca_manager {
    struct server *server;
    bool is_running;
    uint32_t steps, attempts;
    struct loop_timer retry_timer;
    void (*done)(void *data); /* NULL: not started, or told already */
    void *data;
};

static void ca_done(struct ca_manager *m)
{
    void (*done)(void *data) = m->done;
    m->done = NULL;
    if (done != NULL) {
        done(m->data);
    }
}

/* --- writing --------------------------------------------------------------------------------- */

struct ca_applied {
    uint64_t number;
};

static const struct field ca_applied_fields[] = {
    F_UINT(struct ca_applied, number, "Number", 0),
    FIELDS_END,
};
static const struct schema ca_applied_schema =
    SCHEMA("ca_applied", struct ca_applied, ca_applied_fields);

static int ca_apply_prepare(struct rpc_ctx *ctx, void *args, void *reply, struct buf *entry)
{
    (void)ctx;
    (void)reply;
    buf_byte(entry, FSM_CONNECT_CA);
    msgpack_object(entry, &ca_request_schema, args);
    return RPC_PREPARE_PROPOSE;
}

static int ca_apply_applied(struct rpc_ctx *ctx, const void *args, const struct fsm_result *result,
                            void *reply)
{
    struct ca_applied *r = reply;
    (void)ctx;
    (void)args;
    r->number = result->kind == FSM_RESULT_UINT ? result->u : 0;
    return 0;
}

/* Not one of Consul's methods: only the leader asks itself. */
static const struct rpc_method rpc_ca_apply = {
    .name = "ConnectCA.Apply",
    .flags = RPC_WRITE,
    .args = &ca_request_schema,
    .reply = &ca_applied_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .prepare = ca_apply_prepare,
    .applied = ca_apply_applied,
};

static void ca_continue(struct ca_manager *m);

static void ca_retry(struct loop_timer *t)
{
    struct ca_manager *m = container_of(t, struct ca_manager, retry_timer);
    m->steps = 0;
    ca_continue(m);
}

static void ca_failed(struct ca_manager *m, const struct err *err)
{
    uint64_t pause_ms = (uint64_t)CA_RETRY_MS_MIN << MIN(m->attempts, CA_RETRY_DOUBLINGS_MAX);
    log_write(LOG_ERROR, MODULE, "Failed to initialize Connect CA",
              LOG_CSTR("error", err_text(err)));
    m->attempts++;
    loop_timer_start(m->server->main->loop, &m->retry_timer, pause_ms, ca_retry);
    ca_done(m);
}

static void ca_applied(struct rpc_call *call)
{
    struct ca_manager *m = call->data;
    if (m->is_running) {
        if (call->err != NULL) {
            ca_failed(m, call->err);
        } else {
            ca_continue(m);
        }
    }
    rpc_call_free(call);
}

/* A call with an empty request; the request's strings may live in its arena. */
static struct rpc_call *ca_call(struct ca_manager *m, struct str op)
{
    struct rpc_call *call = rpc_call_new(m->server->main, &rpc_ca_apply);
    struct ca_request *args = call->args;
    args->op = op;
    call->is_duty = true;
    call->done = ca_applied;
    call->data = m;
    return call;
}

/* --- configuration --------------------------------------------------------------------------- */

/* `base` with the members of `over` put in or replaced; both may be NULL. */
static const struct value *map_merge(struct arena *a, const struct value *base,
                                     const struct value *over)
{
    size_t base_n = base != NULL && base->kind == VALUE_MAP ? base->map.n : 0;
    size_t over_n = over != NULL && over->kind == VALUE_MAP ? over->map.n : 0;
    struct value *merged = ARENA_NEW(a, struct value);
    merged->kind = VALUE_MAP;
    merged->map.v = ARENA_ARRAY(a, struct value_pair, base_n + over_n + 1);
    for (size_t i = 0; i < base_n; i++) {
        if (over_n == 0 || value_get(over, base->map.v[i].key) == NULL) {
            merged->map.v[merged->map.n++] = base->map.v[i];
        }
    }
    for (size_t i = 0; i < over_n; i++) {
        merged->map.v[merged->map.n++] = over->map.v[i];
    }
    return merged;
}

static struct value_pair pair(struct str key, struct str text)
{
    return (struct value_pair){.key = key, .value = {.kind = VALUE_STR, .s = text}};
}

/* What the agent's configuration says over the defaults. */
static void config_propose_first(struct ca_manager *m)
{
    struct server_options *o = &m->server->options;
    struct rpc_call *call = ca_call(m, CA_SET_CONFIG);
    struct ca_request *args = call->args;
    struct value_pair defaults[] = {pair(STR("LeafCertTTL"), STR("72h")),
                                    pair(STR("IntermediateCertTTL"), STR("8760h"))};
    struct value base = {.kind = VALUE_MAP, .map = {defaults, ARRAY_SIZE(defaults)}};
    args->config = ARENA_NEW(&call->arena, struct ca_configuration);
    args->config->provider = o->ca_provider.n > 0 ? o->ca_provider : CA_PROVIDER_CONSUL;
    args->config->config = map_merge(&call->arena, &base, o->ca_config);
    const struct value *id =
        o->ca_config != NULL ? value_get(o->ca_config, STR("cluster_id")) : NULL;
    if (id != NULL && id->kind == VALUE_STR) {
        args->config->cluster_id = id->s;
    } else {
        char *uuid = arena_alloc(&call->arena, UUID_TEXT_SIZE);
        uuid_generate(uuid);
        args->config->cluster_id = str_make(uuid, UUID_TEXT_SIZE);
    }
    rpc_start(call);
}

/* Configurations from before 1.9 do not say how long intermediates last. */
static void config_propose_ttl(struct ca_manager *m, const struct ca_configuration *config)
{
    struct rpc_call *call = ca_call(m, CA_SET_CONFIG);
    struct ca_request *args = call->args;
    struct value_pair ttl = pair(STR("IntermediateCertTTL"), STR("8760h0m0s"));
    struct value over = {.kind = VALUE_MAP, .map = {&ttl, 1}};
    args->config = schema_copy(&call->arena, &ca_configuration_schema, config);
    args->config->config = map_merge(&call->arena, args->config->config, &over);
    rpc_start(call);
}

/* --- the built-in provider ---------------------------------------------------------------------
 */

static void state_propose(struct ca_manager *m, const struct ca_provider_state *state)
{
    struct rpc_call *call = ca_call(m, CA_SET_PROVIDER_STATE);
    struct ca_request *args = call->args;
    args->provider_state = schema_copy(&call->arena, &ca_provider_state_schema, state);
    rpc_start(call);
}

static void state_propose_root(struct ca_manager *m, const struct ca_configuration *config,
                               uint64_t serial)
{
    struct arena a = {0};
    struct err err = {0};
    struct ca_provider_config c;
    int r = ca_provider_config_parse(&a, config->config, &c, &err);
    if (r >= 0) {
        struct ca_provider_state state = {.id = ca_provider_id(&a, &c, true),
                                          .private_key = c.private_key,
                                          .root_cert = c.root_cert};
        if (state.private_key.n == 0) {
            r = ca_key_generate(&a, c.private_key_type, c.private_key_bits, &state.private_key,
                                &err);
        }
        if (r >= 0 && state.root_cert.n == 0) {
            r = ca_root_generate(&a, state.private_key, config->cluster_id, serial, clock_wall_ns(),
                                 &state.root_cert, &err);
        }
        if (r >= 0) {
            state_propose(m, &state);
        }
    }
    if (r < 0) {
        (void)err_wrap(&err, "error generating CA root certificate");
        ca_failed(m, &err);
    }
    arena_deinit(&a);
}

static void serial_made(struct rpc_call *call)
{
    struct ca_manager *m = call->data;
    const struct ca_configuration *config;
    (void)ca_config_get(store_view(m->server->store), NULL, &config);
    if (!m->is_running || config == NULL) {
        /* Another leader's business now. */
    } else if (call->err != NULL) {
        ca_failed(m, call->err);
    } else {
        state_propose_root(m, config, ((const struct ca_applied *)call->reply)->number);
    }
    rpc_call_free(call);
}

static int roots_propose(struct ca_manager *m, const struct ca_configuration *config,
                         struct str root_pem, struct err *err)
{
    struct rpc_call *call = ca_call(m, CA_SET_ROOTS);
    struct ca_request *args = call->args;
    struct ca_root *root = ARENA_NEW(&call->arena, struct ca_root);
    struct ca_cert_info info;
    struct ptrlist old;
    int r = ca_cert_parse(&call->arena, root_pem, &info, err);
    if (r < 0) {
        rpc_call_free(call);
        return r;
    }
    schema_zero(&ca_root_schema, root);
    root->id = info.fingerprint;
    root->name = STR("Consul CA Root Cert");
    root->serial_number = info.serial;
    root->signing_key_id = info.subject_key_id;
    root->external_trust_domain = arena_str(&call->arena, config->cluster_id);
    root->not_before = info.not_before;
    root->not_after = info.not_after;
    root->root_cert = arena_str(&call->arena, root_pem);
    root->private_key_type = info.key_type;
    root->private_key_bits = info.key_bits;
    root->active = true;
    args->roots.v = arena_alloc(&call->arena, sizeof(void *));
    args->roots.v[0] = root;
    args->roots.n = 1;
    args->index = ca_roots_list(store_view(m->server->store), NULL, &call->arena, &old);
    rpc_start(call);
    return 0;
}

/* There are trusted roots already: the provider's must be the active one. */
static int roots_check(struct arena *a, struct str root_pem, const struct ca_root *active,
                       struct err *err)
{
    struct ca_cert_info info;
    int r = ca_cert_parse(a, root_pem, &info, err);
    if (r >= 0 && !str_eq(info.fingerprint, active->id)) {
        r = err_set(err, ERR_FAILED, "stored CA root \"%.*s\" is not the active root (%.*s)",
                    STRF(info.fingerprint), STRF(active->id));
    }
    return r;
}

static int provider_continue(struct ca_manager *m, struct arena *a,
                             const struct ca_configuration *config, struct err *err)
{
    const struct store_view *v = store_view(m->server->store);
    struct ca_provider_config c;
    int r = ca_provider_config_parse(a, config->config, &c, err);
    if (r < 0) {
        return err_wrap(err, "error configuring provider");
    }
    struct str id = ca_provider_id(a, &c, true);
    const struct ca_provider_state *state = ca_provider_state_get(v, id);
    const struct ca_root *active = ca_root_active(v);
    if (state == NULL) {
        state_propose(m, &(struct ca_provider_state){.id = id});
        log_write(LOG_DEBUG, "connect.ca.consul", "consul CA provider configured",
                  LOG_STR("id", id), LOG_CSTR("is_primary", "true"));
        return 0;
    }
    if (state->root_cert.n == 0 && c.root_cert.n > 0) {
        state_propose_root(m, config, 0);
        return 0;
    }
    if (state->root_cert.n == 0) {
        struct rpc_call *call = ca_call(m, CA_INCREMENT_PROVIDER_SERIAL);
        call->done = serial_made;
        rpc_start(call);
        return 0;
    }
    if (active == NULL) {
        return roots_propose(m, config, state->root_cert, err);
    }
    r = roots_check(a, state->root_cert, active, err);
    if (r >= 0) {
        m->attempts = 0;
        if (m->steps > 1) { /* something was missing */
            log_write(LOG_INFO, MODULE, "initialized primary datacenter CA with provider",
                      LOG_STR("provider", config->provider));
        }
        ca_done(m);
    }
    return r;
}

/* --- life ------------------------------------------------------------------------------------ */

static void ca_continue(struct ca_manager *m)
{
    const struct server_options *o = &m->server->options;
    const struct ca_configuration *config;
    struct arena a = {0};
    struct err err = {0};
    int r = 0;
    (void)ca_config_get(store_view(m->server->store), NULL, &config);
    if (++m->steps > CA_STEPS_MAX) {
        r = err_set(&err, ERR_INTERNAL, "the CA's tables do not change");
    } else if (config == NULL) {
        config_propose_first(m);
    } else if (config->config == NULL ||
               value_get(config->config, STR("IntermediateCertTTL")) == NULL) {
        config_propose_ttl(m, config);
    } else if (!str_eq(o->datacenter, o->primary_datacenter)) {
        log_write(LOG_WARN, MODULE,
                  "primary datacenter is configured but unreachable - deferring initialization of "
                  "the secondary datacenter CA");
        ca_done(m);
    } else if (!str_eq(config->provider, CA_PROVIDER_CONSUL)) {
        log_write(LOG_ERROR, MODULE, "CA provider is not supported by this version",
                  LOG_STR("provider", config->provider));
        ca_done(m);
    } else {
        r = provider_continue(m, &a, config, &err);
    }
    if (r < 0) {
        ca_failed(m, &err);
    }
    arena_deinit(&a);
}

void ca_manager_start(struct ca_manager *m, void (*done)(void *data), void *data)
{
    m->done = done;
    m->data = data;
    if (!m->server->options.connect_enabled) {
        ca_done(m);
    } else if (!m->is_running) {
        m->is_running = true;
        m->steps = m->attempts = 0;
        ca_continue(m);
    }
}

void ca_manager_stop(struct ca_manager *m)
{
    m->is_running = false;
    m->done = NULL;
    loop_timer_stop(m->server->main->loop, &m->retry_timer);
}

struct ca_manager *ca_manager_new(struct server *s)
{
    struct ca_manager *m = xcalloc(1, sizeof(*m));
    m->server = s;
    return m;
}

struct ca_manager *ca_manager_free(struct ca_manager *m)
{
    return mem_free(m);
}
