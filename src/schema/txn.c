#include "schema/txn.h"

/* clang-format off */
static const struct field txn_kv_op_fields[] = {
    F_STR(struct txn_kv_op, verb, "Verb", 0),
    F_OBJ(struct txn_kv_op, dir_ent, struct dir_entry, "DirEnt", 0, &dir_entry_schema),
    FIELDS_END,
};
static const struct schema txn_kv_op_schema = SCHEMA("TxnKVOp", struct txn_kv_op, txn_kv_op_fields);

static const struct field txn_node_op_fields[] = {
    F_STR(struct txn_node_op, verb, "Verb", 0),
    F_OBJ(struct txn_node_op, node, struct node, "Node", 0, &node_schema),
    FIELDS_END,
};
static const struct schema txn_node_op_schema =
    SCHEMA("TxnNodeOp", struct txn_node_op, txn_node_op_fields);

static const struct field txn_service_op_fields[] = {
    F_STR(struct txn_service_op, verb, "Verb", 0),
    F_STR(struct txn_service_op, node, "Node", 0),
    F_OBJ(struct txn_service_op, service, struct node_service, "Service", 0, &node_service_schema),
    FIELDS_END,
};
static const struct schema txn_service_op_schema =
    SCHEMA("TxnServiceOp", struct txn_service_op, txn_service_op_fields);

static const struct field txn_check_op_fields[] = {
    F_STR(struct txn_check_op, verb, "Verb", 0),
    F_OBJ(struct txn_check_op, check, struct health_check, "Check", 0, &health_check_schema),
    FIELDS_END,
};
static const struct schema txn_check_op_schema =
    SCHEMA("TxnCheckOp", struct txn_check_op, txn_check_op_fields);

static const struct field txn_session_op_fields[] = {
    F_STR(struct txn_session_op, verb, "Verb", 0),
    F_OBJ(struct txn_session_op, session, struct session, "Session", 0, &session_schema),
    FIELDS_END,
};
static const struct schema txn_session_op_schema =
    SCHEMA("TxnSessionOp", struct txn_session_op, txn_session_op_fields);

static const struct field txn_op_fields[] = {
    F_PTR(struct txn_op, kv, struct txn_kv_op, "KV", 0, &txn_kv_op_schema),
    F_PTR(struct txn_op, node, struct txn_node_op, "Node", 0, &txn_node_op_schema),
    F_PTR(struct txn_op, service, struct txn_service_op, "Service", 0, &txn_service_op_schema),
    F_PTR(struct txn_op, check, struct txn_check_op, "Check", 0, &txn_check_op_schema),
    F_PTR(struct txn_op, session, struct txn_session_op, "Session", 0, &txn_session_op_schema),
    F_VALUE(struct txn_op, intention, "Intention", F_NO_JSON | F_NO_FILTER),
    FIELDS_END,
};
const struct schema txn_op_schema = SCHEMA("TxnOp", struct txn_op, txn_op_fields);

static const struct field txn_request_fields[] = {
    F_STR(struct txn_request, datacenter, "Datacenter", 0),
    F_OBJLIST(struct txn_request, ops, "Ops", 0, &txn_op_schema),
    F_SPLICE(struct txn_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema txn_request_schema = SCHEMA("TxnRequest", struct txn_request, txn_request_fields);

static const struct field txn_read_request_fields[] = {
    F_STR(struct txn_read_request, datacenter, "Datacenter", 0),
    F_OBJLIST(struct txn_read_request, ops, "Ops", 0, &txn_op_schema),
    F_SPLICE(struct txn_read_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema txn_read_request_schema =
    SCHEMA("TxnReadRequest", struct txn_read_request, txn_read_request_fields);

static const struct field txn_result_fields[] = {
    F_PTR(struct txn_result, kv, struct dir_entry, "KV", F_OMITEMPTY, &dir_entry_schema),
    F_PTR(struct txn_result, node, struct node, "Node", F_OMITEMPTY, &node_schema),
    F_PTR(struct txn_result, service, struct node_service, "Service", F_OMITEMPTY,
          &node_service_schema),
    F_PTR(struct txn_result, check, struct health_check, "Check", F_OMITEMPTY,
          &health_check_schema),
    FIELDS_END,
};
const struct schema txn_result_schema = SCHEMA("TxnResult", struct txn_result, txn_result_fields);

static const struct field txn_error_fields[] = {
    F_INT(struct txn_error, op_index, "OpIndex", 0),
    F_STR(struct txn_error, what, "What", 0),
    FIELDS_END,
};
const struct schema txn_error_schema = SCHEMA("TxnError", struct txn_error, txn_error_fields);

static const struct field txn_response_fields[] = {
    F_OBJLIST(struct txn_response, results, "Results", 0, &txn_result_schema),
    F_OBJLIST(struct txn_response, errors, "Errors", 0, &txn_error_schema),
    FIELDS_END,
};
const struct schema txn_response_schema =
    SCHEMA("TxnResponse", struct txn_response, txn_response_fields);

static const struct field txn_read_response_fields[] = {
    F_SPLICE(struct txn_read_response, response, struct txn_response, &txn_response_schema),
    F_SPLICE(struct txn_read_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema txn_read_response_schema =
    SCHEMA("TxnReadResponse", struct txn_read_response, txn_read_response_fields);
/* clang-format on */
