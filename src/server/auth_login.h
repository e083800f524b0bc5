/* auth_login.h - asking an auth method's source of truth (the Kubernetes API, a provider's keys)
 * who somebody is.
 *
 *     auth_login_start(logins, method, bearer_token, done, me);   // done may be called at once
 *     ... done(me, identity, err): one of them is NULL; valid until it returns ...
 *
 * With static keys nobody is asked. auth_probe_start() sees whether a method that is being set can
 * be used at all: it fetches what there is to fetch and verifies nothing. On the main loop. */
#pragma once
#include "server/auth_method.h"

struct auth_logins;
struct loop;

#define AUTH_TIMEOUT_MS 30000u
#define AUTH_BODY_SIZE_MAX (1024u * 1024u)

struct auth_logins *auth_logins_new(struct loop *l);
/* Those under way end with ERR_CLOSED. */
struct auth_logins *auth_logins_free(struct auth_logins *logins);

typedef void (*auth_done_fn)(void *data, const struct auth_identity *identity,
                             const struct err *err);
/* The method and the token are copied. */
void auth_login_start(struct auth_logins *logins, const struct acl_auth_method *method,
                      struct str bearer_token, auth_done_fn done, void *data);
/* When the method can be used the identity is that of nobody. */
void auth_probe_start(struct auth_logins *logins, const struct acl_auth_method *method,
                      auth_done_fn done, void *data);
