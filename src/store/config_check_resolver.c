/* Resolvers by themselves: subsets, redirect, failover, load balancing. */
#include "base/clock.h"
#include "base/err.h"
#include "base/gofmt.h"
#include "schema/config_chain.h"
#include "store/config_check.h"

#define SUBSET_NAME_SIZE_MAX 63u

struct check {
    struct arena *a;
    const struct service_resolver *e;
    struct err *err;
};

#define Q(s) STRF(go_quoted(c->a, (s)))

static bool is_subset(const struct check *c, struct str name)
{
    return objmap_get(c->e->subsets, name) != NULL;
}

static bool is_lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Subsets are labels of names in TLS. */
static int check_subset_name(const struct check *c, struct str name)
{
    if (name.n == 0) {
        return err_set(c->err, ERR_FAILED, "Subset defined with empty name");
    }
    if (name.n > SUBSET_NAME_SIZE_MAX) {
        return err_set(c->err, ERR_FAILED,
                       "Subset %.*s is invalid: must be non-empty and 63 characters or fewer",
                       Q(name));
    }
    bool ok = is_lower_alnum(name.p[0]) && is_lower_alnum(name.p[name.n - 1]);
    for (size_t i = 0; ok && i < name.n; i++) {
        ok = is_lower_alnum(name.p[i]) || name.p[i] == '-';
    }
    return ok ? 0
              : err_set(c->err, ERR_FAILED,
                        "Subset %.*s is invalid: must be 63 characters or fewer, begin or end "
                        "with lower case alphanumeric characters, and contain lower case "
                        "alphanumeric characters or '-' in between",
                        Q(name));
}

static int check_subsets(const struct check *c)
{
    for (size_t i = 0; i < c->e->subsets.n; i++) {
        int r = check_subset_name(c, c->e->subsets.v[i].key);
        if (r < 0) {
            return r;
        }
    }
    if (c->e->default_subset.n > 0 && !is_subset(c, c->e->default_subset)) {
        return err_set(c->err, ERR_FAILED, "DefaultSubset %.*s is not a valid subset",
                       Q(c->e->default_subset));
    }
    return 0;
}

static int check_redirect(const struct check *c)
{
    const struct resolver_redirect *r = c->e->redirect;
    if (r == NULL) {
        return 0;
    }
    if (c->e->failover.n > 0) {
        return err_set(c->err, ERR_FAILED, "Redirect and Failover cannot both be set");
    }
    if (r->service.n == 0 && r->service_subset.n == 0 && r->ns.n == 0 && r->datacenter.n == 0) {
        return err_set(c->err, ERR_FAILED, "Redirect is empty");
    }
    if (r->service.n == 0 && r->service_subset.n > 0) {
        return err_set(c->err, ERR_FAILED,
                       "Redirect.ServiceSubset defined without Redirect.Service");
    }
    if (r->service.n == 0 && r->ns.n > 0) {
        return err_set(c->err, ERR_FAILED, "Redirect.Namespace defined without Redirect.Service");
    }
    if (str_eq(r->service, c->e->head.name) && r->service_subset.n > 0 &&
        !is_subset(c, r->service_subset)) {
        return err_set(c->err, ERR_FAILED,
                       "Redirect.ServiceSubset %.*s is not a valid subset of %.*s",
                       Q(r->service_subset), Q(r->service));
    }
    return 0;
}

static int check_failover(const struct check *c, struct str subset,
                          const struct resolver_failover *f)
{
    if (!str_eq(subset, CONFIG_WILDCARD) && !is_subset(c, subset)) {
        return err_set(c->err, ERR_FAILED, "Bad Failover[%.*s]: not a valid subset", Q(subset));
    }
    if (f->service.n == 0 && f->service_subset.n == 0 && f->ns.n == 0 && f->datacenters.n == 0) {
        return err_set(c->err, ERR_FAILED,
                       "Bad Failover[%.*s] one of Service, ServiceSubset, Namespace, or "
                       "Datacenters is required",
                       Q(subset));
    }
    bool is_own = f->service.n == 0 || str_eq(f->service, c->e->head.name);
    if (f->service_subset.n > 0 && is_own && !is_subset(c, f->service_subset)) {
        return err_set(c->err, ERR_FAILED,
                       "Bad Failover[%.*s].ServiceSubset %.*s is not a valid subset of %.*s",
                       Q(subset), Q(f->service_subset), Q(f->service));
    }
    if (strlist_contains(f->datacenters, STR(""))) {
        return err_set(c->err, ERR_FAILED, "Bad Failover[%.*s].Datacenters: found empty datacenter",
                       Q(subset));
    }
    return 0;
}

/* --- load balancing -------------------------------------------------------------------------- */

static bool is_one_of(struct str s, const struct str *known, size_t count)
{
    return strlist_contains((struct strlist){known, count}, s);
}

static int check_hash_policy(const struct check *c, size_t i, const struct hash_policy *p)
{
    static const struct str fields[] = {STR_INIT("header"), STR_INIT("cookie"),
                                        STR_INIT("query_parameter")};
    const char *fault = NULL;
    if (p->field.n > 0 && !is_one_of(p->field, fields, ARRAY_SIZE(fields))) {
        return err_set(c->err, ERR_FAILED,
                       "Bad LoadBalancer HashPolicy[%zu]: %.*s is not a supported field", i,
                       Q(p->field));
    }
    if (p->source_ip && p->field.n > 0) {
        return err_set(c->err, ERR_FAILED,
                       "Bad LoadBalancer HashPolicy[%zu]: A single hash policy cannot hash both a "
                       "source address and a %.*s",
                       i, Q(p->field));
    }
    if (p->source_ip && p->field_value.n > 0) {
        fault = "A FieldValue cannot be specified when hashing SourceIP";
    } else if (p->field.n > 0 && p->field_value.n == 0) {
        return err_set(c->err, ERR_FAILED,
                       "Bad LoadBalancer HashPolicy[%zu]: Field %.*s was specified without a "
                       "FieldValue",
                       i, Q(p->field));
    } else if (p->field_value.n > 0 && p->field.n == 0) {
        fault = "FieldValue requires a Field to apply to";
    } else if (p->cookie_config != NULL && !str_eq_lit(p->field, "cookie")) {
        return err_set(c->err, ERR_FAILED,
                       "Bad LoadBalancer HashPolicy[%zu]: cookie_config provided for %.*s", i,
                       Q(p->field));
    } else if (p->cookie_config != NULL && p->cookie_config->session &&
               p->cookie_config->ttl != 0) {
        fault = "a session cookie cannot have an associated TTL";
    }
    return fault == NULL
               ? 0
               : err_set(c->err, ERR_FAILED, "Bad LoadBalancer HashPolicy[%zu]: %s", i, fault);
}

static int check_load_balancer(const struct check *c)
{
    static const struct str policies[] = {STR_INIT(""),
                                          STR_INIT("random"),
                                          STR_INIT("round_robin"),
                                          STR_INIT("least_request"),
                                          STR_INIT("ring_hash"),
                                          STR_INIT("maglev")};
    const struct load_balancer *lb = c->e->load_balancer;
    if (lb == NULL) {
        return 0;
    }
    if (!is_one_of(lb->policy, policies, ARRAY_SIZE(policies))) {
        return err_set(c->err, ERR_FAILED, "Bad LoadBalancer policy: %.*s is not supported",
                       Q(lb->policy));
    }
    bool is_ring = str_eq_lit(lb->policy, "ring_hash");
    if (!is_ring && lb->ring_hash_config != NULL) {
        return err_set(c->err, ERR_FAILED,
                       "Bad LoadBalancer configuration. RingHashConfig specified for incompatible "
                       "load balancing policy %.*s",
                       Q(lb->policy));
    }
    if (!str_eq_lit(lb->policy, "least_request") && lb->least_request_config != NULL) {
        return err_set(c->err, ERR_FAILED,
                       "Bad LoadBalancer configuration. LeastRequestConfig specified for "
                       "incompatible load balancing policy %.*s",
                       Q(lb->policy));
    }
    if (!is_ring && !str_eq_lit(lb->policy, "maglev") && lb->hash_policies.n > 0) {
        return err_set(c->err, ERR_FAILED,
                       "Bad LoadBalancer configuration: HashPolicies specified for "
                       "non-hash-based Policy: %.*s",
                       Q(lb->policy));
    }
    const struct hash_policy *policy = lb->hash_policies.v;
    for (size_t i = 0; i < lb->hash_policies.n; i++) {
        int r = check_hash_policy(c, i, &policy[i]);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int config_validate_resolver(struct arena *a, const struct service_resolver *e, struct err *err)
{
    const struct check check = {a, e, err}, *c = &check;
    if (e->head.name.n == 0) {
        return err_set(err, ERR_FAILED, "Name is required");
    }
    int r = config_validate_meta(a, e->head.meta, err);
    if (r < 0 || (r = check_subsets(c)) < 0 || (r = check_redirect(c)) < 0) {
        return r;
    }
    for (size_t i = 0; i < e->failover.n; i++) {
        r = check_failover(c, e->failover.v[i].key, e->failover.v[i].value);
        if (r < 0) {
            return r;
        }
    }
    if (e->connect_timeout < 0) {
        return err_set(err, ERR_FAILED, "Bad ConnectTimeout '%.*s', must be >= 0",
                       STRF(duration_format(a, e->connect_timeout)));
    }
    return check_load_balancer(c);
}
