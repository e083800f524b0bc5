/* user_event.h - user events: fired through the API, spread by gossip, and the last 256 that
 * concern this node kept for /v1/event/list. */
#pragma once
#include "base/list.h"
#include "schema/field.h"

struct agent;
struct agent_call;
struct err;
struct user_events;

#define USER_EVENTS_MAX 256u
#define USER_EVENT_VERSION 1

struct user_event {
    struct str id;
    struct str name;
    struct str payload; /* p NULL: none */
    struct str node_filter, service_filter, tag_filter;
    int64_t version;
    uint64_t ltime;
};
extern const struct schema user_event_schema;

struct user_events *user_events_new(void);
struct user_events *user_events_free(struct user_events *e);
/* Whoever waits for the next event is moved to this list. */
void user_events_wake(struct user_events *e, struct list *to);

/* --- firing: any thread; who has done this sends it by Internal.EventFire -----------------------
 */

/* Checks it, and gives it an id and a version. */
NODISCARD int user_event_complete(struct user_event *event, struct arena *arena, struct err *err);
/* How it travels: msgpack, in the arena. */
struct str user_event_encode(const struct user_event *event, struct arena *arena);

/* --- receiving: main loop -----------------------------------------------------------------------
 */

/* Listen to the pool of this agent: what comes is kept if its filters let this node have it. */
void user_events_start(struct user_events *e, struct agent *a);
void user_events_stop(struct user_events *e);

/* Oldest first, copied into the arena; an empty name means all. */
struct objlist user_events_list(const struct user_events *e, struct str name, struct arena *arena);
/* X-Consul-Index of such a list: derived from the last event's id. */
uint64_t user_events_index(struct objlist events);
struct list *user_events_waiters(struct user_events *e);
