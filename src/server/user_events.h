/* user_events.h - what user events of the LAN pool are called: Consul's own, and its users'. */
#pragma once
#include "base/str.h"

#define SERVER_EVENT_PREFIX STR("consul:") /* others are nobody's */
#define USER_EVENT_PREFIX STR("consul:event:")
#define NEW_LEADER_EVENT STR("consul:new-leader") /* payload: its node name */
