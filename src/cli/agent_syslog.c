#include "cli/agent_syslog.h"

#include "base/err.h"

#include <syslog.h>

int agent_syslog_open(struct str facility)
{
    static const struct {
        struct str name;
        int number;
    } facilities[] = {
        {STR_INIT("KERN"), LOG_KERN},         {STR_INIT("USER"), LOG_USER},
        {STR_INIT("MAIL"), LOG_MAIL},         {STR_INIT("DAEMON"), LOG_DAEMON},
        {STR_INIT("AUTH"), LOG_AUTH},         {STR_INIT("SYSLOG"), LOG_SYSLOG},
        {STR_INIT("LPR"), LOG_LPR},           {STR_INIT("NEWS"), LOG_NEWS},
        {STR_INIT("UUCP"), LOG_UUCP},         {STR_INIT("CRON"), LOG_CRON},
        {STR_INIT("AUTHPRIV"), LOG_AUTHPRIV}, {STR_INIT("FTP"), LOG_FTP},
        {STR_INIT("LOCAL0"), LOG_LOCAL0},     {STR_INIT("LOCAL1"), LOG_LOCAL1},
        {STR_INIT("LOCAL2"), LOG_LOCAL2},     {STR_INIT("LOCAL3"), LOG_LOCAL3},
        {STR_INIT("LOCAL4"), LOG_LOCAL4},     {STR_INIT("LOCAL5"), LOG_LOCAL5},
        {STR_INIT("LOCAL6"), LOG_LOCAL6},     {STR_INIT("LOCAL7"), LOG_LOCAL7},
    };
    for (size_t i = 0; i < ARRAY_SIZE(facilities); i++) {
        if (str_eq_fold(facility, facilities[i].name)) {
            openlog("consul", LOG_PID, facilities[i].number);
            return 0;
        }
    }
    return -ERR_INVALID;
}

void agent_syslog_write(enum agent_syslog_priority priority, struct str line)
{
    syslog((int)priority, "%.*s", STRF(line));
}
