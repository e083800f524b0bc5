/* txn.h - transactions over KV, nodes, services, checks and sessions (Raft entry type 8). */
#pragma once
#include "schema/kv.h"
#include "schema/session.h"

struct txn_kv_op {
    struct str verb;
    struct dir_entry dir_ent;
};

struct txn_node_op {
    struct str verb;
    struct node node;
};

struct txn_service_op {
    struct str verb;
    struct str node;
    struct node_service service;
};

struct txn_check_op {
    struct str verb;
    struct health_check check;
};

struct txn_session_op {
    struct str verb;
    struct session session;
};

struct txn_op { /* exactly one is set */
    struct txn_kv_op *kv;
    struct txn_node_op *node;
    struct txn_service_op *service;
    struct txn_check_op *check;
    struct txn_session_op *session;
    const struct value *intention; /* of servers before 1.9; nil since */
};

struct txn_request {
    struct str datacenter;
    struct objlist ops; /* struct txn_op */
    struct write_request write;
};

struct txn_read_request {
    struct str datacenter;
    struct objlist ops; /* struct txn_op */
    struct query_options options;
};

struct txn_result { /* exactly one is set; they point to rows or into the answer's arena */
    struct dir_entry *kv;
    struct node *node;
    struct node_service *service;
    struct health_check *check;
};

struct txn_error {
    int64_t op_index;
    struct str what;
};

struct txn_response {
    struct objlist results; /* struct txn_result; nil when none */
    struct objlist errors;  /* struct txn_error; nil when none */
};

struct txn_read_response {
    struct txn_response response;
    struct query_meta meta;
};

#define TXN_OPS_MAX 64u

extern const struct schema txn_op_schema, txn_request_schema, txn_read_request_schema,
    txn_result_schema, txn_error_schema, txn_response_schema, txn_read_response_schema;
