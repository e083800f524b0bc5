#include "schema/operator.h"

/* clang-format off */
static const struct field raft_server_info_fields[] = {
    F_STR(struct raft_server_info, id, "ID", 0),
    F_STR(struct raft_server_info, node, "Node", 0),
    F_STR(struct raft_server_info, address, "Address", 0),
    F_BOOL(struct raft_server_info, leader, "Leader", 0),
    F_STR(struct raft_server_info, protocol_version, "ProtocolVersion", 0),
    F_BOOL(struct raft_server_info, voter, "Voter", 0),
    FIELDS_END,
};
static const struct schema raft_server_info_schema =
    SCHEMA("RaftServer", struct raft_server_info, raft_server_info_fields);

static const struct field raft_configuration_response_fields[] = {
    F_PTRLIST(struct raft_configuration_response, servers, "Servers", 0, &raft_server_info_schema),
    F_UINT(struct raft_configuration_response, index, "Index", 0),
    FIELDS_END,
};
const struct schema raft_configuration_response_schema =
    SCHEMA("RaftConfigurationResponse", struct raft_configuration_response,
           raft_configuration_response_fields);

static const struct field raft_remove_peer_request_fields[] = {
    F_STR(struct raft_remove_peer_request, datacenter, "Datacenter", 0),
    F_STR(struct raft_remove_peer_request, address, "Address", 0),
    F_STR(struct raft_remove_peer_request, id, "ID", 0),
    F_SPLICE(struct raft_remove_peer_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema raft_remove_peer_request_schema = SCHEMA(
    "RaftRemovePeerRequest", struct raft_remove_peer_request, raft_remove_peer_request_fields);

static const struct field raft_stats_fields[] = {
    F_STR(struct raft_stats, last_contact, "LastContact", 0),
    F_UINT(struct raft_stats, last_term, "LastTerm", 0),
    F_UINT(struct raft_stats, last_index, "LastIndex", 0),
    FIELDS_END,
};
const struct schema raft_stats_schema = SCHEMA("RaftStats", struct raft_stats, raft_stats_fields);

/* Durations are numbers in the log and over RPC; the HTTP API shows them as text. */
static const struct field autopilot_config_fields[] = {
    F_BOOL(struct autopilot_config, cleanup_dead_servers, "CleanupDeadServers", 0),
    F_DURATION(struct autopilot_config, last_contact_threshold, "LastContactThreshold", F_DUR_TEXT),
    F_UINT(struct autopilot_config, max_trailing_logs, "MaxTrailingLogs", 0),
    F_UINT(struct autopilot_config, min_quorum, "MinQuorum", 0),
    F_DURATION(struct autopilot_config, server_stabilization_time, "ServerStabilizationTime", F_DUR_TEXT),
    F_STR(struct autopilot_config, redundancy_zone_tag, "RedundancyZoneTag", 0),
    F_BOOL(struct autopilot_config, disable_upgrade_migration, "DisableUpgradeMigration", 0),
    F_STR(struct autopilot_config, upgrade_version_tag, "UpgradeVersionTag", 0),
    F_SPLICE(struct autopilot_config, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema autopilot_config_schema =
    SCHEMA("AutopilotConfiguration", struct autopilot_config, autopilot_config_fields);

static const struct field autopilot_set_config_request_fields[] = {
    F_STR(struct autopilot_set_config_request, datacenter, "Datacenter", 0),
    F_OBJ(struct autopilot_set_config_request, config, struct autopilot_config, "Config", 0,
          &autopilot_config_schema),
    F_BOOL(struct autopilot_set_config_request, cas, "CAS", 0),
    F_SPLICE(struct autopilot_set_config_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema autopilot_set_config_request_schema =
    SCHEMA("AutopilotSetConfigRequest", struct autopilot_set_config_request,
           autopilot_set_config_request_fields);

static const struct field autopilot_server_fields[] = {
    F_STR(struct autopilot_server, id, "ID", 0),
    F_STR(struct autopilot_server, name, "Name", 0),
    F_STR(struct autopilot_server, address, "Address", 0),
    F_STR(struct autopilot_server, node_status, "NodeStatus", 0),
    F_STR(struct autopilot_server, version, "Version", 0),
    F_STRMAP(struct autopilot_server, meta, "Meta", 0),
    F_INT(struct autopilot_server, raft_version, "RaftVersion", 0),
    F_BOOL(struct autopilot_server, is_leader, "IsLeader", 0),
    F_STR(struct autopilot_server, node_type, "NodeType", 0),
    F_VALUE(struct autopilot_server, ext, "Ext", 0),
    FIELDS_END,
};
static const struct schema autopilot_server_schema =
    SCHEMA("Server", struct autopilot_server, autopilot_server_fields);

static const struct field autopilot_stats_fields[] = {
    F_DURATION(struct autopilot_stats, last_contact, "LastContact", 0),
    F_UINT(struct autopilot_stats, last_term, "LastTerm", 0),
    F_UINT(struct autopilot_stats, last_index, "LastIndex", 0),
    FIELDS_END,
};
static const struct schema autopilot_stats_schema =
    SCHEMA("ServerStats", struct autopilot_stats, autopilot_stats_fields);

static const struct field autopilot_health_fields[] = {
    F_BOOL(struct autopilot_health, healthy, "Healthy", 0),
    F_TIME(struct autopilot_health, stable_since, "StableSince", 0),
    FIELDS_END,
};
static const struct schema autopilot_health_schema =
    SCHEMA("ServerHealth", struct autopilot_health, autopilot_health_fields);

static const struct field autopilot_server_state_fields[] = {
    F_OBJ(struct autopilot_server_state, server, struct autopilot_server, "Server", 0,
          &autopilot_server_schema),
    F_STR(struct autopilot_server_state, state, "State", 0),
    F_OBJ(struct autopilot_server_state, stats, struct autopilot_stats, "Stats", 0,
          &autopilot_stats_schema),
    F_OBJ(struct autopilot_server_state, health, struct autopilot_health, "Health", 0,
          &autopilot_health_schema),
    FIELDS_END,
};
static const struct schema autopilot_server_state_schema =
    SCHEMA("ServerState", struct autopilot_server_state, autopilot_server_state_fields);

static const struct field autopilot_state_fields[] = {
    F_BOOL(struct autopilot_state, healthy, "Healthy", 0),
    F_INT(struct autopilot_state, failure_tolerance, "FailureTolerance", 0),
    F_OBJMAP(struct autopilot_state, servers, "Servers", 0, &autopilot_server_state_schema),
    F_STR(struct autopilot_state, leader, "Leader", 0),
    F_STRLIST(struct autopilot_state, voters, "Voters", 0),
    F_VALUE(struct autopilot_state, ext, "Ext", 0),
    FIELDS_END,
};
const struct schema autopilot_state_schema =
    SCHEMA("State", struct autopilot_state, autopilot_state_fields);

static const struct field autopilot_server_health_fields[] = {
    F_STR(struct autopilot_server_health, id, "ID", 0),
    F_STR(struct autopilot_server_health, name, "Name", 0),
    F_STR(struct autopilot_server_health, address, "Address", 0),
    F_INT(struct autopilot_server_health, serf_status, "SerfStatus", 0),
    F_STR(struct autopilot_server_health, version, "Version", 0),
    F_BOOL(struct autopilot_server_health, leader, "Leader", 0),
    F_DURATION(struct autopilot_server_health, last_contact, "LastContact", 0),
    F_UINT(struct autopilot_server_health, last_term, "LastTerm", 0),
    F_UINT(struct autopilot_server_health, last_index, "LastIndex", 0),
    F_BOOL(struct autopilot_server_health, healthy, "Healthy", 0),
    F_BOOL(struct autopilot_server_health, voter, "Voter", 0),
    F_TIME(struct autopilot_server_health, stable_since, "StableSince", 0),
    FIELDS_END,
};
static const struct schema autopilot_server_health_schema =
    SCHEMA("AutopilotServerHealth", struct autopilot_server_health, autopilot_server_health_fields);

static const struct field autopilot_health_reply_fields[] = {
    F_BOOL(struct autopilot_health_reply, healthy, "Healthy", 0),
    F_INT(struct autopilot_health_reply, failure_tolerance, "FailureTolerance", 0),
    F_OBJLIST(struct autopilot_health_reply, servers, "Servers", 0, &autopilot_server_health_schema),
    FIELDS_END,
};
const struct schema autopilot_health_reply_schema =
    SCHEMA("AutopilotHealthReply", struct autopilot_health_reply, autopilot_health_reply_fields);
/* clang-format on */
