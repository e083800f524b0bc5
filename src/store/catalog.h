/* catalog.h - nodes, services and health checks in the store: how they are written and how they are
 * read.
 *
 *     struct err err = {0};
 *     int r = catalog_register(tx, request, 0, &err);      // one Raft entry, all or nothing
 *     ...
 *     struct objlist nodes;                                // struct check_service_node
 *     uint64_t index = catalog_health_nodes(v, ws, arena, STR("web"), NULL, &nodes);
 *
 * Writing. Everything happens in the caller's transaction; after a negative return the caller
 * aborts it (the writes made before the failure are still in it). Requests are only read: rows are
 * fresh copies. A write that would change nothing leaves rows and indexes alone. Defaults that
 * depend on the state alone are filled in here (a check's service name and tags, the status
 * critical, the weights 1/1); those that the caller's request lacks are filled in by
 * server/catalog.c before the log.
 *
 * Indexes. "nodes", "services" and "checks" move as their tables do; "service.<name>" moves with
 * whatever a health answer for that service shows: the instance, its node, its checks, the node's
 * checks; so does "service_kind.<kind>". When the last instance goes, "service.<name>" is removed
 * and "service_last_extinction" moves. These are the numbers clients see as X-Consul-Index.
 *
 * Reading. Each function returns the index to answer with, adds to `ws` (may be NULL) what a change
 * of the answer would touch, and fills lists in arena `a` that point to rows: nothing is copied,
 * and they are valid as long as the view is. A list is nil (v == NULL) when nothing was found,
 * unless said otherwise.
 *
 * Names are compared without regard to (ASCII) case, as everywhere in the catalog. */
#pragma once
#include "schema/dump.h"
#include "schema/txn.h"
#include "store/store.h"

struct err;

/* The entry of TABLE_INDEX that moves when the last instance of any service is removed. */
#define CATALOG_INDEX_EXTINCTION STR("service_last_extinction")

enum catalog_flag {
    /* Snapshot restore: rows keep the indexes of the request instead of taking the transaction's.
     */
    CATALOG_RESTORE = 1u << 0,
};

/* --- writing: Raft entries ------------------------------------------------------------------- */

NODISCARD int catalog_register(struct store_txn *tx, const struct register_request *req,
                               unsigned flags, struct err *err);
/* A service, else a check, else the whole node, by which ids the request names. What is not there
 * is no error. */
NODISCARD int catalog_deregister(struct store_txn *tx, const struct deregister_request *req,
                                 struct err *err);

/* One operation of a transaction: 1 when *ret_result is set (a copy in `a`, as the row was at that
 * moment), 0 when it succeeded without a result, negative with err set when it failed. tx is NULL
 * in a read-only transaction, where only the get verbs are accepted; `v` is what they read (tx's
 * own view otherwise). */
NODISCARD int catalog_txn_node(const struct store_view *v, struct store_txn *tx,
                               const struct txn_node_op *op, struct arena *a,
                               struct txn_result *ret_result, struct err *err);
NODISCARD int catalog_txn_service(const struct store_view *v, struct store_txn *tx,
                                  const struct txn_service_op *op, struct arena *a,
                                  struct txn_result *ret_result, struct err *err);
NODISCARD int catalog_txn_check(const struct store_view *v, struct store_txn *tx,
                                const struct txn_check_op *op, struct arena *a,
                                struct txn_result *ret_result, struct err *err);

/* --- writing: one thing at a time ------------------------------------------------------------ */

/* Insert or update. -ERR_CONFLICT when the name belongs to another healthy node. */
NODISCARD int catalog_node_set(struct store_txn *tx, const struct node *node, unsigned flags,
                               struct err *err);
/* With all its services, checks, coordinates and sessions. */
void catalog_node_delete(struct store_txn *tx, struct str node);
NODISCARD int catalog_service_set(struct store_txn *tx, struct str node,
                                  const struct node_service *service, unsigned flags,
                                  struct err *err);
void catalog_service_delete(struct store_txn *tx, struct str node, struct str service_id);
NODISCARD int catalog_check_set(struct store_txn *tx, const struct health_check *check,
                                unsigned flags, struct err *err);
void catalog_check_delete(struct store_txn *tx, struct str node, struct str check_id);

/* Compare and set: 1 written, 0 the index is stale (want 0: only if it does not exist yet). */
NODISCARD int catalog_node_cas(struct store_txn *tx, const struct node *node, struct err *err);
NODISCARD int catalog_service_cas(struct store_txn *tx, struct str node,
                                  const struct node_service *service, struct err *err);
NODISCARD int catalog_check_cas(struct store_txn *tx, const struct health_check *check,
                                struct err *err);
bool catalog_node_delete_cas(struct store_txn *tx, struct str node, uint64_t index);
bool catalog_service_delete_cas(struct store_txn *tx, struct str node, struct str service_id,
                                uint64_t index);
bool catalog_check_delete_cas(struct store_txn *tx, struct str node, struct str check_id,
                              uint64_t index);

/* --- reading: single rows -------------------------------------------------------------------- */

struct node *catalog_node(const struct store_view *v, struct str node);
/* -ERR_INVALID when `id` is no UUID; *ret_node is NULL when there is no such node. */
NODISCARD int catalog_node_by_id(const struct store_view *v, struct str id, struct node **ret_node,
                                 struct err *err);
struct service_row *catalog_service_row(const struct store_view *v, struct str node,
                                        struct str service_id);
struct health_check *catalog_check(const struct store_view *v, struct str node,
                                   struct str check_id);

/* The 16 bytes of a UUID in text; the sentence is the reference's. */
NODISCARD int catalog_parse_uuid(struct str text, uint8_t ret_id[16], struct err *err);

/* --- reading: lists -------------------------------------------------------------------------- */

/* filters: node meta pairs that must all be there; n == 0 takes every node. */
uint64_t catalog_nodes(const struct store_view *v, struct watch_set *ws, struct arena *a,
                       struct strmap filters, struct ptrlist *ret_nodes);
/* Names to the union of tags, sorted; never nil. */
uint64_t catalog_services(const struct store_view *v, struct watch_set *ws, struct arena *a,
                          struct strmap filters, struct strlistmap *ret_services);
/* Just the names, sorted; never nil. */
uint64_t catalog_service_names(const struct store_view *v, struct watch_set *ws, struct arena *a,
                               struct strlist *ret_names);

/* Instances by service name: tags NULL takes all of them, else those with every tag. connect: the
 * proxies of the service, its connect-native instances and its terminating gateways instead. struct
 * service_node. */
uint64_t catalog_service_nodes(const struct store_view *v, struct watch_set *ws, struct arena *a,
                               struct str service, const struct strlist *tags, bool connect,
                               struct objlist *ret_nodes);
/* Instances that have this address, tagged ones included; the index is always 0. */
uint64_t catalog_service_address_nodes(const struct store_view *v, struct watch_set *ws,
                                       struct arena *a, struct str address,
                                       struct objlist *ret_nodes);
/* A node, by name or by the beginning of its ID when no other has it, and its services in order
 * of id. *ret_node is NULL (and the index 0) when there is none. struct node_service. */
uint64_t catalog_node_services(const struct store_view *v, struct watch_set *ws, struct arena *a,
                               struct str node_or_id, struct node **ret_node,
                               struct ptrlist *ret_services);

/* Checks: struct health_check. */
uint64_t catalog_node_checks(const struct store_view *v, struct watch_set *ws, struct arena *a,
                             struct str node, struct ptrlist *ret_checks);
uint64_t catalog_service_checks(const struct store_view *v, struct watch_set *ws, struct arena *a,
                                struct str service, struct strmap filters,
                                struct ptrlist *ret_checks);
/* state "any" takes all. */
uint64_t catalog_checks_in_state(const struct store_view *v, struct watch_set *ws, struct arena *a,
                                 struct str state, struct strmap filters,
                                 struct ptrlist *ret_checks);

/* Instances with their node and every check that concerns them (the node's first); the answer of
 * /v1/health/service, DNS and prepared queries. struct check_service_node. */
uint64_t catalog_health_nodes(const struct store_view *v, struct watch_set *ws, struct arena *a,
                              struct str service, const struct strlist *tags,
                              struct objlist *ret_nodes);
/* connect: proxies, connect-native instances, and terminating gateways in front of the service. */
uint64_t catalog_health_connect_nodes(const struct store_view *v, struct watch_set *ws,
                                      struct arena *a, struct str service,
                                      struct objlist *ret_nodes);
/* The ingress gateways in front of it instead. */
uint64_t catalog_health_ingress_nodes(const struct store_view *v, struct watch_set *ws,
                                      struct arena *a, struct str service,
                                      struct objlist *ret_nodes);
/* All instances there are, or all of one kind ("" is the typical one); for the UI. */
uint64_t catalog_service_dump(const struct store_view *v, struct watch_set *ws, struct arena *a,
                              const struct str *kind, struct objlist *ret_nodes);

/* One node, or (node "") all of them, with all that is on them. struct node_info. */
uint64_t catalog_node_dump(const struct store_view *v, struct watch_set *ws, struct arena *a,
                           struct str node, struct objlist *ret_nodes);
