/* Rules of one resource are entries sorted by name; an entry has the level for exactly its name,
 * the one for what begins with it, or both. The last entry that is not beyond a name is that name,
 * or shares with it every beginning that has an entry: whatever entry is a beginning of the name is
 * a beginning of that one, too. So one binary search finds where to look, and links that lead from
 * an entry to the next shorter one with a level for beginnings find the rest.
 *
 * "Nothing under this prefix is not to be written" is a difference of two counts. */
#include "acl/authorizer.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"

#include <stdlib.h>

struct entry {
    struct str name;
    uint8_t exact, prefix;      /* enum acl_level */
    uint32_t up;                /* 1 + the entry for the next shorter beginning, 0: none */
    uint32_t unwritable_before; /* entries before this one with a level that is not write */
};

struct table {
    const struct entry *v;
    size_t n;
    uint32_t unwritable; /* of all */
};

enum { TABLE_INTENTIONS = ACL_NAMED_RESOURCE_COUNT, TABLES };

struct acl_authorizer {
    enum acl_default fallback;
    enum acl_level acl, keyring, operator;
    enum acl_level node_read_all, service_read_all; /* as if one rule said it; NONE: the default */
    enum acl_level intention_any_read, intention_all_write;
    size_t size;
    struct table tables[TABLES];
};

const struct acl_authorizer acl_allow_all = {.fallback = ACL_DEFAULT_ALLOW};
const struct acl_authorizer acl_deny_all = {.fallback = ACL_DEFAULT_DENY};

/* --- looking up ------------------------------------------------------------------------------ */

static int compare(struct str a, struct str b)
{
    size_t n = MIN(a.n, b.n);
    int c = n == 0 ? 0 : memcmp(a.p, b.p, n);
    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

/* How many entries are not beyond the name: the last of them is where to look. */
static size_t table_find(const struct table *t, struct str name)
{
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(t->v[middle].name, name) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The level of the longest beginning of the name, from entry i - 1 on. */
static enum acl_level level_of_prefix(const struct table *t, size_t i, struct str name)
{
    for (; i > 0; i = t->v[i - 1].up) {
        const struct entry *e = &t->v[i - 1];
        if (e->prefix != ACL_LEVEL_NONE && str_has_prefix(name, e->name)) {
            return (enum acl_level)e->prefix;
        }
    }
    return ACL_LEVEL_NONE;
}

static enum acl_level level_of(const struct table *t, struct str name)
{
    size_t i = table_find(t, name);
    if (i > 0 && t->v[i - 1].exact != ACL_LEVEL_NONE && str_eq(t->v[i - 1].name, name)) {
        return (enum acl_level)t->v[i - 1].exact;
    }
    return level_of_prefix(t, i, name);
}

static uint32_t unwritable_before(const struct table *t, size_t i)
{
    return i < t->n ? t->v[i].unwritable_before : t->unwritable;
}

/* What holds for everything that begins with the prefix. */
static enum acl_level level_under(const struct table *t, struct str prefix)
{
    enum acl_level level = level_of_prefix(t, table_find(t, prefix), prefix);
    size_t low = 0, first, high = t->n;
    while (low < high) { /* the first that is not before the prefix */
        size_t middle = low + (high - low) / 2;
        if (compare(t->v[middle].name, prefix) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    first = low;
    high = t->n;
    while (low < high) { /* the first that does not begin with it */
        size_t middle = low + (high - low) / 2;
        if (str_has_prefix(t->v[middle].name, prefix)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return unwritable_before(t, low) > unwritable_before(t, first) ? ACL_LEVEL_DENY : level;
}

/* --- deciding -------------------------------------------------------------------------------- */

static const struct {
    struct str resource, access;
} right_names[] = {
#define X(right, resource, access) [ACL_##right] = {STR_INIT(resource), STR_INIT(access)},
    ACL_RIGHTS(X)
#undef X
};

static enum acl_level level_for(const struct acl_authorizer *who, enum acl_right right,
                                struct str name)
{
    const struct table *t = who->tables;
    switch (right) {
    case ACL_ACL_READ:
    case ACL_ACL_WRITE:
    case ACL_SNAPSHOT:
        return who->acl;
    case ACL_KEYRING_READ:
    case ACL_KEYRING_WRITE:
        return who->keyring;
    case ACL_OPERATOR_READ:
    case ACL_OPERATOR_WRITE:
        return who->operator;
    case ACL_AGENT_READ:
    case ACL_AGENT_WRITE:
        return level_of(&t[ACL_RESOURCE_AGENT], name);
    case ACL_EVENT_READ:
    case ACL_EVENT_WRITE:
        return level_of(&t[ACL_RESOURCE_EVENT], name);
    case ACL_INTENTION_READ:
        return str_eq_lit(name, "*") ? who->intention_any_read
                                     : level_of(&t[TABLE_INTENTIONS], name);
    case ACL_INTENTION_WRITE:
        return str_eq_lit(name, "*") ? who->intention_all_write
                                     : level_of(&t[TABLE_INTENTIONS], name);
    case ACL_KEY_READ:
    case ACL_KEY_LIST:
    case ACL_KEY_WRITE:
        return level_of(&t[ACL_RESOURCE_KEY], name);
    case ACL_KEY_WRITE_PREFIX:
        return level_under(&t[ACL_RESOURCE_KEY], name);
    case ACL_NODE_READ:
    case ACL_NODE_WRITE:
        return level_of(&t[ACL_RESOURCE_NODE], name);
    case ACL_NODE_READ_ALL:
        return who->node_read_all;
    case ACL_QUERY_READ:
    case ACL_QUERY_WRITE:
        return level_of(&t[ACL_RESOURCE_QUERY], name);
    case ACL_SERVICE_READ:
    case ACL_SERVICE_WRITE:
        return level_of(&t[ACL_RESOURCE_SERVICE], name);
    case ACL_SERVICE_READ_ALL:
        return who->service_read_all;
    case ACL_SESSION_READ:
    case ACL_SESSION_WRITE:
        return level_of(&t[ACL_RESOURCE_SESSION], name);
    case ACL_INTENTION_DEFAULT:
    case ACL_RIGHT_COUNT:
        break;
    }
    return ACL_LEVEL_NONE;
}

static enum acl_level level_needed(enum acl_right right)
{
    switch (right) {
    case ACL_ACL_READ:
    case ACL_AGENT_READ:
    case ACL_EVENT_READ:
    case ACL_INTENTION_READ:
    case ACL_KEY_READ:
    case ACL_KEYRING_READ:
    case ACL_NODE_READ:
    case ACL_NODE_READ_ALL:
    case ACL_OPERATOR_READ:
    case ACL_QUERY_READ:
    case ACL_SERVICE_READ:
    case ACL_SERVICE_READ_ALL:
    case ACL_SESSION_READ:
        return ACL_LEVEL_READ;
    case ACL_KEY_LIST:
        return ACL_LEVEL_LIST;
    default:
        return ACL_LEVEL_WRITE;
    }
}

static bool level_grants(enum acl_level level, enum acl_level needed)
{
    return level != ACL_LEVEL_DENY && level >= needed;
}

static bool fallback_allows(const struct acl_authorizer *who, enum acl_right right)
{
    return who->fallback == ACL_DEFAULT_ALLOW && right != ACL_ACL_READ && right != ACL_ACL_WRITE &&
           right != ACL_SNAPSHOT;
}

bool acl_allows(const struct acl_authorizer *who, enum acl_right right, struct str name)
{
    enum acl_level level = level_for(who, right, name);
    return level == ACL_LEVEL_NONE ? fallback_allows(who, right)
                                   : level_grants(level, level_needed(right));
}

int acl_right_parse(struct str resource, struct str access, enum acl_right *ret_right,
                    struct err *err)
{
    bool is_resource = false;
    for (size_t i = 0; i < ARRAY_SIZE(right_names); i++) {
        if (str_eq(resource, right_names[i].resource)) {
            is_resource = true;
            if (str_eq_fold(access, right_names[i].access)) {
                *ret_right = (enum acl_right)i;
                return 0;
            }
        }
    }
    if (is_resource) {
        return err_set(err, ERR_INVALID, "Invalid access level for %.*s resource: %.*s",
                       STRF(resource), STRF(str_first(access, 128)));
    }
    return err_set(err, ERR_INVALID, "Invalid ACL resource requested: \"%.*s\"",
                   STRF(str_first(resource, 128)));
}

/* --- building -------------------------------------------------------------------------------- */

/* A rule of any of the policies; after merging the only one of its name. */
struct raw {
    struct str name;
    bool is_prefix;
    enum acl_level level, intentions;
};

struct builder {
    struct arena tmp;
    const struct acl_policy *policies;
    size_t count;
    struct {
        struct entry *v;
        size_t n;
    } tables[TABLES];
};

static int raw_by_name(const void *x, const void *y)
{
    const struct raw *a = x, *b = y;
    int c = compare(a->name, b->name);
    return c != 0 ? c : (int)a->is_prefix - (int)b->is_prefix;
}

static size_t raws_add(struct raw *to, const struct acl_rule_list *rules, bool is_prefix)
{
    for (size_t i = 0; i < rules->n; i++) {
        const struct acl_rule *r = &rules->v[i];
        to[i] = (struct raw){r->name, is_prefix, r->level, r->intentions};
    }
    return rules->n;
}

/* All rules of a resource, sorted, merged. */
static struct raw *raws_collect(struct builder *b, enum acl_resource resource, size_t *ret_n)
{
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < b->count; i++) {
        n += b->policies[i].exact[resource].n + b->policies[i].prefix[resource].n;
    }
    struct raw *raws = ARENA_ARRAY(&b->tmp, struct raw, n);
    n = 0;
    for (size_t i = 0; i < b->count; i++) {
        n += raws_add(raws + n, &b->policies[i].exact[resource], false);
        n += raws_add(raws + n, &b->policies[i].prefix[resource], true);
    }
    if (n > 1) {
        qsort(raws, n, sizeof(*raws), raw_by_name);
    }
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && raw_by_name(&raws[kept - 1], &raws[i]) == 0) {
            raws[kept - 1].level = MAX(raws[kept - 1].level, raws[i].level);
            raws[kept - 1].intentions = MAX(raws[kept - 1].intentions, raws[i].intentions);
        } else {
            raws[kept++] = raws[i];
        }
    }
    *ret_n = kept;
    return raws;
}

/* Where a rule says nothing of intentions, who may read the service may read them. */
static enum acl_level intentions_of(const struct raw *r)
{
    if (r->intentions != ACL_LEVEL_NONE) {
        return r->intentions;
    }
    return level_grants(r->level, ACL_LEVEL_READ) ? ACL_LEVEL_READ : ACL_LEVEL_DENY;
}

static void table_build(struct builder *b, size_t table, const struct raw *raws, size_t n)
{
    struct entry *v = ARENA_ARRAY(&b->tmp, struct entry, n);
    size_t count = 0;
    uint32_t unwritable = 0;
    for (size_t i = 0; i < n; i++) {
        enum acl_level level = table == TABLE_INTENTIONS ? intentions_of(&raws[i]) : raws[i].level;
        if (count == 0 || !str_eq(v[count - 1].name, raws[i].name)) {
            v[count].name = raws[i].name;
            v[count].unwritable_before = unwritable;
            /* Those before it are beginnings of it, or of none that follows. */
            size_t up = count;
            while (up > 0 && !(v[up - 1].prefix != ACL_LEVEL_NONE &&
                               str_has_prefix(raws[i].name, v[up - 1].name))) {
                up = v[up - 1].up;
            }
            v[count++].up = (uint32_t)up;
        }
        *(raws[i].is_prefix ? &v[count - 1].prefix : &v[count - 1].exact) = (uint8_t)level;
        bool is_last = i + 1 == n || !str_eq(raws[i + 1].name, raws[i].name);
        const struct entry *e = &v[count - 1];
        if (is_last && ((e->exact != ACL_LEVEL_NONE && e->exact != ACL_LEVEL_WRITE) ||
                        (e->prefix != ACL_LEVEL_NONE && e->prefix != ACL_LEVEL_WRITE))) {
            unwritable++;
        }
    }
    b->tables[table].v = v;
    b->tables[table].n = count;
}

/* The level that stands for "all of them": deny when any rule does not grant it. */
static enum acl_level level_of_all(const struct table *t, enum acl_level needed)
{
    enum acl_level all = ACL_LEVEL_NONE;
    for (size_t i = 0; i < t->n; i++) {
        const struct entry *e = &t->v[i];
        if ((e->exact != ACL_LEVEL_NONE && !level_grants(e->exact, needed)) ||
            (e->prefix != ACL_LEVEL_NONE && !level_grants(e->prefix, needed))) {
            return ACL_LEVEL_DENY;
        }
        all = e->name.n == 0 && e->prefix != ACL_LEVEL_NONE ? ACL_LEVEL_WRITE : all;
    }
    return all;
}

/* The level that stands for "any of them": granted when any rule grants it. */
static enum acl_level level_of_any(const struct table *t, enum acl_level needed)
{
    enum acl_level any = ACL_LEVEL_NONE;
    for (size_t i = 0; i < t->n; i++) {
        const struct entry *e = &t->v[i];
        if (level_grants(e->exact, needed) || level_grants(e->prefix, needed)) {
            return ACL_LEVEL_WRITE;
        }
        any = e->name.n == 0 && e->prefix != ACL_LEVEL_NONE ? ACL_LEVEL_DENY : any;
    }
    return any;
}

/* Into one block: the authorizer, all entries, all names. */
static struct acl_authorizer *pack(struct builder *b)
{
    size_t entries = 0, names = 0;
    for (size_t t = 0; t < TABLES; t++) {
        entries += b->tables[t].n;
        for (size_t i = 0; i < b->tables[t].n; i++) {
            names += b->tables[t].v[i].name.n;
        }
    }
    struct acl_authorizer *who;
    size_t size = sizeof(*who) + entries * sizeof(struct entry) + names;
    who = xcalloc(1, size);
    struct entry *e = (struct entry *)(void *)(who + 1);
    char *p = (char *)(e + entries);
    who->size = size;
    for (size_t t = 0; t < TABLES; t++) {
        struct table *table = &who->tables[t];
        table->v = e;
        table->n = b->tables[t].n;
        for (size_t i = 0; i < table->n; i++, e++) {
            *e = b->tables[t].v[i];
            if (e->name.n > 0) {
                memcpy(p, e->name.p, e->name.n);
            }
            e->name.p = p;
            p += e->name.n;
        }
        if (table->n > 0) {
            const struct entry *last = e - 1;
            bool is_unwritable =
                (last->exact != ACL_LEVEL_NONE && last->exact != ACL_LEVEL_WRITE) ||
                (last->prefix != ACL_LEVEL_NONE && last->prefix != ACL_LEVEL_WRITE);
            table->unwritable = last->unwritable_before + is_unwritable;
        }
    }
    return who;
}

struct acl_authorizer *acl_authorizer_new(const struct acl_policy *policies, size_t count,
                                          enum acl_default fallback)
{
    struct builder b = {.policies = policies, .count = count};
    for (size_t i = 0; i < ACL_NAMED_RESOURCE_COUNT; i++) {
        size_t n;
        struct raw *raws = raws_collect(&b, (enum acl_resource)i, &n);
        table_build(&b, i, raws, n);
        if (i == ACL_RESOURCE_SERVICE) {
            table_build(&b, TABLE_INTENTIONS, raws, n);
        }
    }
    struct acl_authorizer *who = pack(&b);
    arena_deinit(&b.tmp);
    who->fallback = fallback;
    for (size_t i = 0; i < count; i++) {
        who->acl = MAX(who->acl, policies[i].acl);
        who->keyring = MAX(who->keyring, policies[i].keyring);
        who->operator= MAX(who->operator, policies[i].operator);
    }
    who->node_read_all = level_of_all(&who->tables[ACL_RESOURCE_NODE], ACL_LEVEL_READ);
    who->service_read_all = level_of_all(&who->tables[ACL_RESOURCE_SERVICE], ACL_LEVEL_READ);
    who->intention_any_read = level_of_any(&who->tables[TABLE_INTENTIONS], ACL_LEVEL_READ);
    who->intention_all_write = level_of_all(&who->tables[TABLE_INTENTIONS], ACL_LEVEL_WRITE);
    return who;
}

struct acl_authorizer *acl_authorizer_free(struct acl_authorizer *who)
{
    mem_free(who);
    return NULL;
}

size_t acl_authorizer_size(const struct acl_authorizer *who)
{
    return MAX(who->size, sizeof(*who));
}
