#include "server/acl_settings.h"

#include "base/mem.h"

int acl_default_parse(struct str text, enum acl_default *ret_fallback, struct err *err)
{
    if (text.n == 0 || str_eq_lit(text, "allow") || str_eq_lit(text, "deny")) {
        *ret_fallback = str_eq_lit(text, "deny") ? ACL_DEFAULT_DENY : ACL_DEFAULT_ALLOW;
        return 0;
    }
    return err_set(err, ERR_INVALID, "unexpected ACL default policy value of \"%.*s\"", STRF(text));
}

int acl_down_parse(struct str text, enum acl_down *ret_down, struct err *err)
{
    static const struct {
        struct str text;
        enum acl_down down;
    } words[] = {
        {STR_INIT("extend-cache"), ACL_DOWN_EXTEND_CACHE},
        {STR_INIT("async-cache"), ACL_DOWN_ASYNC_CACHE},
        {STR_INIT("allow"), ACL_DOWN_ALLOW},
        {STR_INIT("deny"), ACL_DOWN_DENY},
    };
    if (text.n == 0) {
        *ret_down = ACL_DOWN_EXTEND_CACHE;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (str_eq(text, words[i].text)) {
            *ret_down = words[i].down;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "Unsupported down ACL policy: %.*s", STRF(text));
}

/* --- the agent's own tokens --------------------------------------------------------------------
 */

void acl_secrets_init(struct acl_secrets *s)
{
    memset(s, 0, sizeof(*s));
    (void)pthread_mutex_init(&s->lock, NULL);
}

void acl_secrets_deinit(struct acl_secrets *s)
{
    for (size_t i = 0; i < ACL_SECRET_COUNT; i++) {
        mem_free((void *)(uintptr_t)s->of[i].p);
        s->of[i] = STR_NULL;
    }
    (void)pthread_mutex_destroy(&s->lock);
}

void acl_secrets_set(struct acl_secrets *s, enum acl_secret which, struct str secret)
{
    (void)pthread_mutex_lock(&s->lock);
    struct str old = s->of[which];
    bool is_new = !str_eq(old, secret);
    if (is_new) {
        s->of[which] = str_make(str_to_cstr(secret), secret.n);
        mem_free((void *)(uintptr_t)old.p);
        atomic_fetch_add(&s->generation, 1);
    }
    (void)pthread_mutex_unlock(&s->lock);
}
