/* persist.h - what the agent keeps of its registrations in the data directory, in Consul's files:
 *
 *     services/<md5 of the id>      {"Token", "Service", "Source", "LocallyRegisteredAsSidecar"}
 *     checks/<md5 of the id>        {"Check", "ChkType", "Token", "Source"}
 *     checks/state/<md5 of the id>  {"CheckID", "Status", "Output", "Expires"}: what a TTL check
 * heard last
 *
 * Without a data directory (-dev) nothing is kept. Main loop only. */
#pragma once
#include "agent/state.h"

#define PERSISTED_SIZE_MAX (4u << 20)
#define PERSISTED_COUNT_MAX 524288u /* more than may be registered */

NODISCARD int persist_service(struct agent *a, const struct node_service *service, struct str token,
                              enum source source, struct err *err);
NODISCARD int persist_check(struct agent *a, const struct health_check *check,
                            const struct check_def *def, struct str token, enum source source,
                            struct err *err);
NODISCARD int persist_check_state(struct agent *a, struct str check_id, struct str status,
                                  struct str output, int64_t ttl_ns, struct err *err);
/* Not there is fine. Failures are logged. */
void persist_purge_service(struct agent *a, struct str id);
void persist_purge_check(struct agent *a, struct str id);
void persist_purge_check_state(struct agent *a, struct str id);

/* What a TTL check heard last, if that is still good; false otherwise. */
bool persist_load_check_state(struct agent *a, struct str check_id, struct arena *arena,
                              struct str *ret_status, struct str *ret_output);

struct persisted_service {
    struct str token;
    struct node_service *service; /* NULL: a file from before version 0.5.1, or a broken one */
    struct str source;
    bool locally_registered_as_sidecar;
};
struct persisted_check {
    struct health_check *check;
    struct check_def *def; /* NULL: maintenance */
    struct str token;
    struct str source;
};
/* Calls `each` for every kept service (check) with its file's name; broken files are logged and
 * skipped, and it goes on until `each` fails. */
NODISCARD int persist_each_service(struct agent *a,
                                   int (*each)(struct agent *a, struct persisted_service *p,
                                               struct str file, struct arena *arena, void *data,
                                               struct err *err),
                                   void *data, struct err *err);
NODISCARD int persist_each_check(struct agent *a,
                                 int (*each)(struct agent *a, struct persisted_check *p,
                                             struct str file, struct arena *arena, void *data,
                                             struct err *err),
                                 void *data, struct err *err);
/* "local" or "remote" ("" is local: files of old versions). */
NODISCARD int source_parse(struct str s, enum source *ret_source);
