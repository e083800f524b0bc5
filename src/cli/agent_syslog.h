/* agent_syslog.h - syslog(3), kept apart because its macros have the names of our log levels. */
#pragma once
#include "base/str.h"

enum agent_syslog_priority { /* RFC 5424 severities */
                             AGENT_SYSLOG_ERROR = 3,
                             AGENT_SYSLOG_WARNING = 4,
                             AGENT_SYSLOG_INFO = 6,
                             AGENT_SYSLOG_DEBUG = 7,
};

/* facility: "LOCAL0", "DAEMON", …; -ERR_INVALID when there is none of that name. */
NODISCARD int agent_syslog_open(struct str facility);
void agent_syslog_write(enum agent_syslog_priority priority, struct str line);
