/* tokens.h - the agent's own ACL tokens: from the configuration, or set through the API (and then
 * kept in the data directory when the configuration wants that). One that was kept wins over the
 * configuration's. Main loop only; what is set is seen on all threads by server/acl_settings.h. */
#pragma once
#include "base/err.h"

struct acl_secrets;
struct agent_config;

/* In the order of enum acl_secret.
 * X(name in the API, old name in the API, member of config_acl) */
#define TOKENS(X)                                               \
    X(default, acl_token, default_token)                        \
    X(agent, acl_agent_token, agent_token)                      \
    X(agent_master, acl_agent_master_token, agent_master_token) \
    X(replication, acl_replication_token, replication_token)

enum token_kind {
#define X(name, old, member) TOKEN_##name,
    TOKENS(X)
#undef X
        TOKEN_COUNT,
};

struct tokens {
    struct acl_secrets *shared; /* for all threads; set before tokens_load() */
    struct {
        struct str secret; /* own */
        bool is_from_api;
    } of[TOKEN_COUNT];
};

void tokens_deinit(struct tokens *t);
/* What the configuration says, and what was kept. A kept file that cannot be read is logged. */
void tokens_load(struct tokens *t, const struct agent_config *config);
/* By either name; -ERR_NOT_FOUND. */
NODISCARD int token_kind_parse(struct str name, enum token_kind *ret_kind);
/* Through the API. Keeps it if the configuration wants that. *ret_changed: it is another one now.
 */
NODISCARD int tokens_set(struct tokens *t, const struct agent_config *config, enum token_kind kind,
                         struct str secret, bool *ret_changed, struct err *err);
/* For anti-entropy: services and checks without a token of their own use the user's; the node's own
 * entry and removals use the agent's, or the user's when there is none. */
struct str tokens_user(const struct tokens *t);
struct str tokens_agent(const struct tokens *t);
