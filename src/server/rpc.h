/* rpc.h - the one way through: a method name, typed arguments, a typed reply.
 *
 * Whatever comes in (HTTP, DNS, a remote agent, another data center) becomes an rpc_call of one of
 * the methods below, which have the names and the structs of Consul's RPC on port 8300. rpc_start()
 * decides where it runs: here, on the leader (docs/rpc.md), or in another data center
 * (docs/datacenters.md).
 *
 * A READ runs on the worker thread that received it, against an immutable view of the store; its
 * reply points into the view and into the call's arena. With MinQueryIndex set it blocks: if the
 * answer's index is not beyond it, the call is parked with the watch points the read collected and
 * a deadline, and run again when one fires. Parked calls hold no view.
 *
 * A WRITE is first prepared on the worker (checked, defaults filled in, ids made), then encoded as
 * a Raft log entry (type byte + msgpack of the arguments), proposed, and answered on the same
 * worker after it was applied.
 *
 *     struct rpc_call *call = rpc_call_new(worker, &rpc_kvs_get);     // arena inside
 *     struct key_request *args = call->args;  args->key = ...;
 *     call->done = my_done;  call->data = me;
 *     rpc_start(call);
 *     ... my_done(call): call->err or call->reply (valid until my_done returns) ...;
 * rpc_call_free(call)
 *
 * The rows of a reply that came from another server (call->is_remote) are in the call's arena, not
 * in the store, and carry no rendered JSON. done may run before rpc_start() returns. Calls belong
 * to their worker's thread. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "schema/query.h"
#include "store/store.h"

struct acl_authorizer;
struct buf;
struct fsm_result;
struct metric;
struct raft_ask;
struct rpc_ask;
struct rpc_call;
struct server;
struct worker;

/* What a method looks at while it runs. */
struct rpc_ctx {
    struct server *server;
    struct worker *worker;
    struct arena *arena; /* the call's; reset before each run of a blocking read's reply */
    const struct store_view *view; /* reads: the snapshot; writes: the newest, for checks */
    struct watch_set *ws; /* NULL unless the read may block; set to NULL by one that shall not */
    struct err *err;
    struct str token; /* the ACL token, as it came */
    /* What its holder may do (acl.h); NULL: ACLs are off, or this server itself asks. */
    const struct acl_authorizer *who;
    const struct err *who_err; /* the token is none: told where the method first asks */
    void *more;           /* of a read that returns RPC_READ_MORE, in the arena: call->more */
    struct raft_ask *ask; /* of a write that returns RPC_PREPARE_ASK, in the arena */
};

enum rpc_method_flag {
    RPC_READ = 1u << 0,
    RPC_WRITE = 1u << 1,
    RPC_BLOCKING = 1u << 2, /* honours MinQueryIndex */
    RPC_LOCAL = 1u << 3,    /* answered by any server, never forwarded to the leader (Status.*) */
    RPC_LEADER_ONLY = 1u << 4, /* no stale reads */
    RPC_INDEX_ONLY = 1u << 5,  /* of the metadata only the index is told, as in ConnectCA.Roots */
    /* The primary data center's, whatever its arguments say: they are made to say so. */
    RPC_PRIMARY = 1u << 6,
};

/* A prepared write. */
enum {
    RPC_PREPARE_DONE = 0, /* *reply is the answer, nothing to log */
    RPC_PREPARE_PROPOSE = 1,
    RPC_PREPARE_ASK = 2, /* no entry of the log: ctx->ask is asked of the consensus node */
    RPC_PREPARE_PRIMARY = 3, /* it is the primary data center's: the call goes there as it is */
};

/* What a read may return besides 0: the method's `more` goes on. */
#define RPC_READ_MORE 1

struct rpc_method {
    const char *name; /* "KVS.Get" */
    unsigned flags;
    const struct schema *args;
    const char *datacenter; /* the field of args that says which; NULL: "Datacenter", if it has it */
    const struct schema *reply; /* NULL: nothing but success */
    int16_t options_offset;     /* of struct query_options in args (reads), -1: none */
    int16_t meta_offset;        /* of struct query_meta in reply (reads), -1: none */
    /* What the caller needs, in the words of the inventory ("key:read",
     * "node:write,service:write"): the method asks for it (acl.h). "none": its token is not even
     * looked at. */
    const char *acl;
    /* READ: fill *reply. meta.index is set by it; the dispatcher fills in the rest. */
    int (*read)(struct rpc_ctx *ctx, const void *args, void *reply);
    /* READ that is not blocking: what `read` found is not the whole answer. Other calls are made by
     * rpc_more_new(), one after the other, until rpc_more_done(). By then the view has gone: reply
     * and call->more must not point into it. */
    void (*more)(struct rpc_call *call);
    /* WRITE: check and complete *args; then either answer (RPC_PREPARE_DONE) or append the log
     * entry, type byte included, to `entry` and return RPC_PREPARE_PROPOSE; or make ctx->ask and
     * return RPC_PREPARE_ASK. Negative: ctx->err is set. */
    int (*prepare)(struct rpc_ctx *ctx, void *args, void *reply, struct buf *entry);
    /* WRITE: turn what the state machine answered into *reply (result is NULL after
     * RPC_PREPARE_ASK, which is told here only when it succeeded). NULL: nothing to do but check
     * for an error. */
    int (*applied)(struct rpc_ctx *ctx, const void *args, const struct fsm_result *result,
                   void *reply);
    /* In place of read or prepare: asks the main loop (rpc_ask.h), after `permit`, if there is one,
     * has let the caller through on its worker. */
    void (*ask)(struct rpc_ask *ask);
    int (*permit)(struct rpc_ctx *ctx, const void *args);
    /* Asked of servers before the call is placed: it is the primary data center's, as with
     * RPC_PRIMARY, for what its arguments say, which may be changed for it. NULL: it never is. */
    bool (*is_primary)(const struct rpc_ctx *ctx, void *args);
    /* Whose rights count, where that is not the token of the request. NULL: it always is. */
    struct str (*token)(struct rpc_ctx *ctx, const void *args);
    /* Put before what the state machine refused: "raft apply failed", or NULL. */
    const char *apply_error;
    struct metric *time;     /* how long it takes where it runs, waits and all; NULL: nobody asks */
    struct metric *old_time; /* the same under its name of before 1.9, where that is still sent */
};

struct rpc_call {
    const struct rpc_method *method;
    struct worker *worker;
    struct arena arena;
    void *args;            /* zeroed struct of method->args, in the arena; fill before rpc_start */
    void *reply;           /* of method->reply; valid in done unless it failed */
    const struct err *err; /* NULL: it went well. In the arena */
    void (*done)(struct rpc_call *call);
    void *data;
    void *more; /* the method's own */
    bool
        is_duty; /* set before rpc_start(): a duty of this server as leader, never done elsewhere */
    /* Set before rpc_start(): not one of this agent's own, which the rate limit counts; it came by
     * port 8300, or is part of another call. */
    bool is_served;
    bool is_remote; /* another server has answered */
};

/* A call in an arena of its own (recycled by the worker). */
struct rpc_call *rpc_call_new(struct worker *w, const struct rpc_method *method);
void rpc_call_free(struct rpc_call *call);
void rpc_start(struct rpc_call *call);
/* The asker is gone: done will not be called, the call frees itself when it can (a proposed write
 * is still carried out). */
void rpc_cancel(struct rpc_call *call);
/* Of a method's `more`: another call on the way to this one's answer; only one at a time. It is
 * canceled with this one. Its done takes what it needs of the reply, then calls rpc_more_end(). */
struct rpc_call *rpc_more_new(struct rpc_call *call, const struct rpc_method *method,
                              void (*done)(struct rpc_call *part)); /* part->data is the call */
/* The part is freed. */
void rpc_more_end(struct rpc_call *call);
void rpc_more_done(struct rpc_call *call);

/* A blocking read that waits, for a watch of this server or, with the leader, of that one: who
 * asked may take all the time there is, or go. */
bool rpc_is_parked(const struct rpc_call *call);

/* Refuses when Connect is switched off. */
NODISCARD int rpc_check_connect(const struct rpc_ctx *ctx);

/* All methods, for port 8300, for tests and for the table of metrics. NULL when unknown. */
const struct rpc_method *rpc_method_find(struct str name);
size_t rpc_method_count(void);
const struct rpc_method *rpc_method_at(size_t i);

/* X(service file, C name of the method). Each is defined in server/<file>.c as
 *     const struct rpc_method rpc_kvs_get = {"KVS.Get", RPC_READ | RPC_BLOCKING, &key_request_schema, ...}; */
#define RPC_METHODS(X)                 \
    X(acl_bootstrap, rpc_acl_bootstrap_tokens)  /* ACL.BootstrapTokens */  \
    X(acl_token, rpc_acl_token_read)            /* ACL.TokenRead */        \
    X(acl_token, rpc_acl_token_clone)           /* ACL.TokenClone */       \
    X(acl_token, rpc_acl_token_set)             /* ACL.TokenSet */         \
    X(acl_token, rpc_acl_token_delete)          /* ACL.TokenDelete */      \
    X(acl_token, rpc_acl_token_list)            /* ACL.TokenList */        \
    X(acl_token, rpc_acl_token_batch_read)      /* ACL.TokenBatchRead */   \
    X(acl_policy, rpc_acl_policy_read)          /* ACL.PolicyRead */       \
    X(acl_policy, rpc_acl_policy_batch_read)    /* ACL.PolicyBatchRead */  \
    X(acl_policy, rpc_acl_policy_set)           /* ACL.PolicySet */        \
    X(acl_policy, rpc_acl_policy_delete)        /* ACL.PolicyDelete */     \
    X(acl_policy, rpc_acl_policy_list)          /* ACL.PolicyList */       \
    X(acl_resolve, rpc_acl_policy_resolve)      /* ACL.PolicyResolve */    \
    X(acl_resolve, rpc_acl_replication_status)  /* ACL.ReplicationStatus */\
    X(acl_role, rpc_acl_role_read)              /* ACL.RoleRead */         \
    X(acl_role, rpc_acl_role_batch_read)        /* ACL.RoleBatchRead */    \
    X(acl_role, rpc_acl_role_set)               /* ACL.RoleSet */          \
    X(acl_role, rpc_acl_role_delete)            /* ACL.RoleDelete */       \
    X(acl_role, rpc_acl_role_list)              /* ACL.RoleList */         \
    X(acl_resolve, rpc_acl_role_resolve)        /* ACL.RoleResolve */      \
    X(acl_binding_rule, rpc_acl_binding_rule_read)  /* ACL.BindingRuleRead */  \
    X(acl_binding_rule, rpc_acl_binding_rule_set)   /* ACL.BindingRuleSet */   \
    X(acl_binding_rule, rpc_acl_binding_rule_delete)/* ACL.BindingRuleDelete */\
    X(acl_binding_rule, rpc_acl_binding_rule_list)  /* ACL.BindingRuleList */  \
    X(acl_auth_method, rpc_acl_auth_method_read)    /* ACL.AuthMethodRead */   \
    X(acl_auth_method, rpc_acl_auth_method_set)     /* ACL.AuthMethodSet */    \
    X(acl_auth_method, rpc_acl_auth_method_delete)  /* ACL.AuthMethodDelete */ \
    X(acl_auth_method, rpc_acl_auth_method_list)    /* ACL.AuthMethodList */   \
    X(acl_login, rpc_acl_login)                     /* ACL.Login */            \
    X(acl_login, rpc_acl_logout)                    /* ACL.Logout */           \
    X(acl_resolve, rpc_acl_authorize)           /* ACL.Authorize */        \
    X(acl_legacy, rpc_acl_bootstrap)            /* ACL.Bootstrap */        \
    X(acl_legacy, rpc_acl_apply)                /* ACL.Apply */            \
    X(acl_legacy, rpc_acl_get)                  /* ACL.Get */              \
    X(acl_legacy, rpc_acl_list)                 /* ACL.List */             \
    X(acl_legacy_policy, rpc_acl_get_policy)    /* ACL.GetPolicy */        \
    X(catalog, rpc_catalog_register)           /* Catalog.Register */         \
    X(catalog, rpc_catalog_deregister)         /* Catalog.Deregister */       \
    X(datacenters, rpc_catalog_list_datacenters) /* Catalog.ListDatacenters */  \
    X(catalog, rpc_catalog_list_nodes)         /* Catalog.ListNodes */        \
    X(catalog, rpc_catalog_list_services)      /* Catalog.ListServices */     \
    X(catalog, rpc_catalog_service_list)       /* Catalog.ServiceList */      \
    X(catalog, rpc_catalog_service_nodes)      /* Catalog.ServiceNodes */     \
    X(catalog, rpc_catalog_node_services)      /* Catalog.NodeServices */     \
    X(catalog, rpc_catalog_node_service_list)  /* Catalog.NodeServiceList */  \
    X(gateway_services, rpc_catalog_gateway_services)   /* Catalog.GatewayServices */  \
    X(config_entry, rpc_config_entry_apply)    /* ConfigEntry.Apply */        \
    X(config_entry, rpc_config_entry_get)      /* ConfigEntry.Get */          \
    X(config_entry, rpc_config_entry_list)     /* ConfigEntry.List */         \
    X(config_entry, rpc_config_entry_list_all) /* ConfigEntry.ListAll */      \
    X(config_entry, rpc_config_entry_delete)   /* ConfigEntry.Delete */       \
    X(config_resolve, rpc_config_entry_resolve_service_config) /* ConfigEntry.ResolveServiceConfig */ \
    X(connect_ca, rpc_connect_ca_roots)        /* ConnectCA.Roots */          \
    X(connect_ca, rpc_connect_ca_configuration_get) /* ConnectCA.ConfigurationGet */ \
    X(health, rpc_health_checks_in_state)      /* Health.ChecksInState */     \
    X(health, rpc_health_node_checks)          /* Health.NodeChecks */        \
    X(health, rpc_health_service_checks)       /* Health.ServiceChecks */     \
    X(health, rpc_health_service_nodes)        /* Health.ServiceNodes */      \
    X(coordinate, rpc_coordinate_update)            /* Coordinate.Update */   \
    X(datacenters, rpc_coordinate_list_datacenters) /* Coordinate.ListDatacenters */ \
    X(coordinate, rpc_coordinate_list_nodes)        /* Coordinate.ListNodes */ \
    X(coordinate, rpc_coordinate_node)              /* Coordinate.Node */     \
    X(discovery_chain, rpc_discovery_chain_get) /* DiscoveryChain.Get */      \
    X(federation_state, rpc_federation_state_apply)  /* FederationState.Apply */ \
    X(federation_state, rpc_federation_state_get)    /* FederationState.Get */   \
    X(federation_state, rpc_federation_state_list)   /* FederationState.List */  \
    X(federation_state, rpc_federation_state_list_mesh_gateways) /* FederationState.ListMeshGateways */ \
    X(intention, rpc_intention_apply)          /* Intention.Apply */          \
    X(intention, rpc_intention_get)            /* Intention.Get */            \
    X(intention, rpc_intention_list)           /* Intention.List */           \
    X(intention, rpc_intention_match)          /* Intention.Match */          \
    X(intention, rpc_intention_check)          /* Intention.Check */          \
    X(event_fire, rpc_internal_event_fire)     /* Internal.EventFire */       \
    X(keyring, rpc_internal_keyring_operation) /* Internal.KeyringOperation */ \
    X(internal, rpc_internal_node_info)        /* Internal.NodeInfo */        \
    X(internal, rpc_internal_node_dump)        /* Internal.NodeDump */        \
    X(gateway_services, rpc_internal_gateway_service_dump) /* Internal.GatewayServiceDump */ \
    X(internal, rpc_internal_service_dump)     /* Internal.ServiceDump */     \
    X(topology, rpc_internal_service_topology)    /* Internal.ServiceTopology */   \
    X(topology, rpc_internal_intention_upstreams) /* Internal.IntentionUpstreams */ \
    X(topology, rpc_internal_gateway_intentions)  /* Internal.GatewayIntentions */ \
    X(kvs, rpc_kvs_apply)                      /* KVS.Apply */                \
    X(kvs, rpc_kvs_get)                        /* KVS.Get */                  \
    X(kvs, rpc_kvs_list)                       /* KVS.List */                 \
    X(kvs, rpc_kvs_list_keys)                  /* KVS.ListKeys */             \
    X(operator, rpc_operator_raft_get_configuration)      /* Operator.RaftGetConfiguration */ \
    X(operator, rpc_operator_raft_remove_peer_by_address) /* Operator.RaftRemovePeerByAddress */ \
    X(operator, rpc_operator_raft_remove_peer_by_id)      /* Operator.RaftRemovePeerByID */ \
    X(operator, rpc_operator_autopilot_get_configuration) /* Operator.AutopilotGetConfiguration */ \
    X(operator, rpc_operator_autopilot_set_configuration) /* Operator.AutopilotSetConfiguration */ \
    X(operator, rpc_operator_server_health)               /* Operator.ServerHealth */              \
    X(operator, rpc_operator_autopilot_state)             /* Operator.AutopilotState */            \
    X(prepared_query, rpc_prepared_query_apply)           /* PreparedQuery.Apply */                \
    X(prepared_query, rpc_prepared_query_get)             /* PreparedQuery.Get */                  \
    X(prepared_query, rpc_prepared_query_list)            /* PreparedQuery.List */                 \
    X(prepared_query, rpc_prepared_query_explain)         /* PreparedQuery.Explain */              \
    X(prepared_query, rpc_prepared_query_execute)         /* PreparedQuery.Execute */              \
    X(prepared_query, rpc_prepared_query_execute_remote)  /* PreparedQuery.ExecuteRemote */        \
    X(session, rpc_session_apply)                         /* Session.Apply */                      \
    X(session, rpc_session_get)                           /* Session.Get */                        \
    X(session, rpc_session_list)                          /* Session.List */                       \
    X(session, rpc_session_node_sessions)                 /* Session.NodeSessions */               \
    X(session, rpc_session_renew)                         /* Session.Renew */                      \
    X(status, rpc_status_ping)                            /* Status.Ping */                        \
    X(status, rpc_status_leader)                          /* Status.Leader */                      \
    X(status, rpc_status_peers)                           /* Status.Peers */                       \
    X(status, rpc_status_raft_stats)                      /* Status.RaftStats */                   \
    X(txn, rpc_txn_apply)                                 /* Txn.Apply */                          \
    X(txn, rpc_txn_read)                                  /* Txn.Read */

#define X(file, method) extern const struct rpc_method method;
RPC_METHODS(X)
#undef X
