/* gossip.h - requests that are answered by gossip: user events and keys. */
#pragma once
#include "schema/query.h"

struct event_fire_request { /* RPC Internal.EventFire */
    struct str datacenter;
    struct str name;
    struct str payload;
    struct query_options options;
};

struct event_fire_response {
    struct query_meta meta;
};

/* Consul's names of what is done with keys. */
#define KEYRING_LIST STR("list")
#define KEYRING_INSTALL STR("install")
#define KEYRING_USE STR("use")
#define KEYRING_REMOVE STR("remove")

struct keyring_request { /* RPC Internal.KeyringOperation */
    struct str operation;
    struct str key; /* base64 */
    struct str datacenter;
    bool forwarded; /* by a server of another data center: it asks the WAN pool itself */
    uint64_t relay_factor;
    bool local_only;
    struct query_options options;
};

struct keyring_response { /* of one pool */
    bool wan;
    struct str datacenter;
    struct str segment;
    struct strmap messages;           /* by member */
    struct intmap keys, primary_keys; /* by key: members that have it, that seal with it */
    int64_t num_nodes;
    struct str error;
};

struct keyring_responses {
    struct objlist responses; /* struct keyring_response */
    struct query_meta meta;
};

extern const struct schema event_fire_request_schema, event_fire_response_schema,
    keyring_request_schema, keyring_response_schema, keyring_responses_schema;
