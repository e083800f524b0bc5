/* operator.h - what operators see and change: the servers that vote, autopilot's configuration and
 * its opinion of the servers (Consul's structs of the same names). */
#pragma once
#include "schema/catalog.h"

/* --- Raft ------------------------------------------------------------------------------------ */

struct raft_server_info { /* RaftServer */
    struct str id;
    struct str node; /* "(unknown)" for one that gossip does not know */
    struct str address;
    bool leader;
    struct str protocol_version;
    bool voter;
};

struct raft_configuration_response {
    struct ptrlist servers; /* struct raft_server_info */
    uint64_t index;
};

struct raft_remove_peer_request { /* by address or by id */
    struct str datacenter;
    struct str address;
    struct str id;
    struct write_request write;
};

struct raft_stats { /* Status.RaftStats */
    struct str last_contact; /* "0" on the leader, "never", or a duration: "12.5ms" */
    uint64_t last_term, last_index; /* of the log */
};

/* --- autopilot's configuration --------------------------------------------------------------- */

struct autopilot_config {
    bool cleanup_dead_servers;
    int64_t last_contact_threshold; /* ns */
    uint64_t max_trailing_logs;
    uint64_t min_quorum;
    int64_t server_stabilization_time; /* ns */
    struct str redundancy_zone_tag;
    bool disable_upgrade_migration;
    struct str upgrade_version_tag;
    struct raft_index raft;
};

struct autopilot_set_config_request { /* Raft entry type 9, Operator.AutopilotSetConfiguration */
    struct str datacenter;
    struct autopilot_config config; /* with cas: raft.modify_index is what must be there */
    bool cas;
    struct write_request write;
};

/* --- autopilot's state ----------------------------------------------------------------------- */

struct autopilot_server {
    struct str id;
    struct str name;
    struct str address;
    struct str node_status; /* alive, failed, left, unknown */
    struct str version;
    struct strmap meta; /* of its node in the catalog; nil before it is registered */
    int64_t raft_version;
    bool is_leader;
    struct str node_type;    /* voter */
    const struct value *ext; /* nil in this edition */
};

struct autopilot_stats {
    int64_t last_contact; /* ns */
    uint64_t last_term;
    uint64_t last_index;
};

struct autopilot_health {
    bool healthy;
    int64_t stable_since; /* wall clock, ns: when `healthy` last changed */
};

struct autopilot_server_state {
    struct autopilot_server server;
    struct str state; /* leader, voter, non-voter, staging, none */
    struct autopilot_stats stats;
    struct autopilot_health health;
};

struct autopilot_state {
    bool healthy;
    int64_t failure_tolerance;
    struct objmap servers; /* struct autopilot_server_state, by id */
    struct str leader;
    struct strlist voters;
    const struct value *ext;
};

/* Numbers of gossip's member states. */
enum serf_status { SERF_NONE, SERF_ALIVE, SERF_LEAVING, SERF_LEFT, SERF_FAILED };

struct autopilot_server_health {
    struct str id;
    struct str name;
    struct str address;
    int64_t serf_status; /* enum serf_status */
    struct str version;
    bool leader;
    int64_t last_contact; /* ns */
    uint64_t last_term;
    uint64_t last_index;
    bool healthy;
    bool voter;
    int64_t stable_since;
};

struct autopilot_health_reply { /* Operator.ServerHealth */
    bool healthy;
    int64_t failure_tolerance;
    struct objlist servers; /* struct autopilot_server_health */
};

extern const struct schema raft_configuration_response_schema, raft_remove_peer_request_schema,
    raft_stats_schema,
    autopilot_config_schema, autopilot_set_config_request_schema, autopilot_state_schema,
    autopilot_health_reply_schema;
