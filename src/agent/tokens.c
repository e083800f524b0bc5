#include "agent/tokens.h"

#include "agent/config.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/file.h"
#include "schema/json.h"
#include "server/acl_settings.h"

#define TOKENS_FILE "acl-tokens.json"
#define TOKENS_FILE_SIZE_MAX (64u * 1024u)

static const struct str names[] = {
#define X(name, old, member) STR_INIT(#name),
    TOKENS(X)
#undef X
};
static const struct str old_names[] = {
#define X(name, old, member) STR_INIT(#old),
    TOKENS(X)
#undef X
};

_Static_assert((int)TOKEN_COUNT == (int)ACL_SECRET_COUNT &&
                   (int)TOKEN_agent_master == (int)ACL_SECRET_AGENT_MASTER &&
                   (int)TOKEN_replication == (int)ACL_SECRET_REPLICATION,
               "the same ones in the same order");

static bool set(struct tokens *t, enum token_kind kind, struct str secret, bool is_from_api)
{
    bool is_changed = !str_eq(t->of[kind].secret, secret);
    if (is_changed) {
        mem_free((void *)(uintptr_t)t->of[kind].secret.p);
        t->of[kind].secret = str_make(str_to_cstr(secret), secret.n);
    }
    t->of[kind].is_from_api = is_from_api;
    acl_secrets_set(t->shared, (enum acl_secret)kind, secret);
    return is_changed;
}

void tokens_deinit(struct tokens *t)
{
    for (size_t i = 0; i < TOKEN_COUNT; i++) {
        mem_free((void *)(uintptr_t)t->of[i].secret.p);
        t->of[i].secret = STR_NULL;
    }
}

static struct str path_of(const struct agent_config *config, struct arena *a)
{
    return arena_printf(a, "%.*s/" TOKENS_FILE, STRF(config->data_dir));
}

static bool is_kept(const struct agent_config *config)
{
    return config->acl.enable_token_persistence && config->data_dir.n > 0;
}

void tokens_load(struct tokens *t, const struct agent_config *config)
{
    const struct str configured[] = {
#define X(name, old, member) config->acl.member,
        TOKENS(X)
#undef X
    };
    struct arena a = {0};
    struct value *kept = NULL;
    if (is_kept(config)) {
        struct err err = {0};
        struct str bytes;
        int rc = file_read(path_of(config, &a), TOKENS_FILE_SIZE_MAX, &a, &bytes, &err);
        if (rc >= 0) {
            rc = json_parse(&a, bytes, &kept, &err);
        }
        if (rc < 0 && err.code != ERR_NOT_FOUND && err.code != 2 /* ENOENT */) {
            log_write(LOG_WARN, "agent", "unable to load persisted tokens",
                      LOG_CSTR("error", err_text(&err)));
        }
    }
    for (size_t i = 0; i < TOKEN_COUNT; i++) {
        const struct value *v = value_get(kept, names[i]);
        if (v != NULL && v->kind == VALUE_STR && v->s.n > 0) {
            if (configured[i].n > 0) {
                log_write(LOG_WARN, "agent",
                          "token present in both the configuration and persisted token store, "
                          "using the persisted token",
                          LOG_STR("token", names[i]));
            }
            (void)set(t, (enum token_kind)i, v->s, true);
        } else {
            (void)set(t, (enum token_kind)i, configured[i], false);
        }
    }
    arena_deinit(&a);
}

int token_kind_parse(struct str name, enum token_kind *ret_kind)
{
    for (size_t i = 0; i < TOKEN_COUNT; i++) {
        if (str_eq(name, names[i]) || str_eq(name, old_names[i])) {
            *ret_kind = (enum token_kind)i;
            return 0;
        }
    }
    return -ERR_NOT_FOUND;
}

static int keep(const struct tokens *t, const struct agent_config *config, struct err *err)
{
    static const enum token_kind order[] = {TOKEN_replication, TOKEN_agent_master, TOKEN_default,
                                            TOKEN_agent};
    struct buf json = {0};
    struct arena a = {0};
    struct json_writer w = json_writer_make(&json, false);
    json_object_begin(&w);
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        if (t->of[order[i]].is_from_api && t->of[order[i]].secret.n > 0) {
            json_key(&w, names[order[i]]);
            json_str(&w, t->of[order[i]].secret);
        }
    }
    json_object_end(&w);
    int rc = file_replace(path_of(config, &a), buf_view(&json), true, err);
    if (rc < 0) {
        rc = err_wrap(err, "Failed to persist tokens - ");
    }
    buf_deinit(&json);
    arena_deinit(&a);
    return rc;
}

int tokens_set(struct tokens *t, const struct agent_config *config, enum token_kind kind,
               struct str secret, bool *ret_changed, struct err *err)
{
    *ret_changed = set(t, kind, secret, true);
    return is_kept(config) ? keep(t, config, err) : 0;
}

struct str tokens_user(const struct tokens *t)
{
    return t->of[TOKEN_default].secret;
}

struct str tokens_agent(const struct tokens *t)
{
    struct str agent = t->of[TOKEN_agent].secret;
    return agent.n > 0 ? agent : tokens_user(t);
}
