#include "server/ca_config.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/ca_cert.h"

#include <math.h>

#define HOUR_NS ((int64_t)3600 * (int64_t)NS_PER_SEC)
#define LEAF_TTL_NS_DEFAULT (72 * HOUR_NS)
#define LEAF_TTL_NS_MIN HOUR_NS
#define LEAF_TTL_NS_MAX (365 * 24 * HOUR_NS)
#define INTERMEDIATE_TTL_NS_DEFAULT (365 * 24 * HOUR_NS)
#define INTERMEDIATE_RENEW_NS HOUR_NS
#define CSR_MAX_PER_SECOND_DEFAULT 50.0

/* What is wrong with each member, in the form of the decoder that Consul uses. */
struct problems {
    struct buf text;
    size_t count;
};

static void problem(struct problems *p, const char *format, ...) PRINTF(2, 3);
static void problem(struct problems *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_lit(&p->text, "\n* ");
    buf_vprintf(&p->text, format, args);
    va_end(args);
    p->count++;
}

static void wrong_kind(struct problems *p, struct str key, const char *wanted,
                       const struct value *v)
{
    problem(p, "'%.*s' expected type '%s', got unconvertible type '%s'", STRF(key), wanted,
            value_kind_text(v->kind));
}

static bool as_f64(const struct value *v, double *ret)
{
    switch (v->kind) {
    case VALUE_INT:
        *ret = (double)v->i;
        return true;
    case VALUE_UINT:
        *ret = (double)v->u;
        return true;
    case VALUE_FLOAT:
        *ret = v->f;
        return true;
    case VALUE_BOOL:
        *ret = v->b;
        return true;
    case VALUE_STR:
    case VALUE_BYTES:
        return str_parse_f64(v->s, ret) == 0;
    default:
        return false;
    }
}

static bool as_i64(const struct value *v, int64_t *ret)
{
    double f;
    if (v->kind == VALUE_INT) {
        *ret = v->i;
        return true;
    }
    if (v->kind == VALUE_STR || v->kind == VALUE_BYTES) {
        return str_parse_i64(v->s, ret) == 0;
    }
    if (!as_f64(v, &f) || !(fabs(f) < 9e15)) {
        return false;
    }
    *ret = (int64_t)f;
    return true;
}

static void read_duration(struct problems *p, struct str key, const struct value *v, int64_t *to)
{
    if (v->kind == VALUE_STR || v->kind == VALUE_BYTES) {
        if (duration_parse(v->s, to) < 0) {
            struct buf fault = {0};
            duration_put_fault(&fault, v->s);
            problem(p, "error decoding '%.*s': %.*s", STRF(key), STRF(buf_view(&fault)));
            buf_deinit(&fault);
        }
    } else if (!as_i64(v, to)) {
        wrong_kind(p, key, "time.Duration", v);
    }
}

static void read_bool(struct problems *p, struct str key, const struct value *v, bool *to)
{
    double f;
    if ((v->kind == VALUE_STR || v->kind == VALUE_BYTES) && v->s.n > 0) {
        if (str_parse_bool(v->s, to) < 0) {
            problem(p,
                    "cannot parse '%.*s' as bool: strconv.ParseBool: parsing \"%.*s\": "
                    "invalid syntax",
                    STRF(key), STRF(v->s));
        }
    } else if (v->kind == VALUE_STR || v->kind == VALUE_BYTES) {
        *to = false;
    } else if (as_f64(v, &f)) {
        *to = f != 0;
    } else {
        wrong_kind(p, key, "bool", v);
    }
}

static void read_int(struct problems *p, struct str key, const struct value *v, int64_t *to)
{
    if (!as_i64(v, to)) {
        wrong_kind(p, key, "int", v);
    }
}

static void read_str(struct problems *p, struct arena *a, struct str key, const struct value *v,
                     struct str *to)
{
    if (v->kind == VALUE_STR || v->kind == VALUE_BYTES) {
        *to = arena_str(a, v->s);
    } else if (v->kind == VALUE_INT) {
        *to = arena_printf(a, "%lld", (long long)v->i);
    } else {
        wrong_kind(p, key, "string", v);
    }
}

static void read_member(struct problems *p, struct arena *a, struct str key, const struct value *v,
                        struct ca_provider_config *c)
{
    if (v->kind == VALUE_NULL) {
        return;
    }
    if (str_eq_fold(key, STR("LeafCertTTL"))) {
        read_duration(p, STR("LeafCertTTL"), v, &c->leaf_cert_ttl);
    } else if (str_eq_fold(key, STR("IntermediateCertTTL"))) {
        read_duration(p, STR("IntermediateCertTTL"), v, &c->intermediate_cert_ttl);
    } else if (str_eq_fold(key, STR("SkipValidate"))) {
        read_bool(p, STR("SkipValidate"), v, &c->skip_validate);
    } else if (str_eq_fold(key, STR("CSRMaxPerSecond"))) {
        if (!as_f64(v, &c->csr_max_per_second)) {
            wrong_kind(p, STR("CSRMaxPerSecond"), "float32", v);
        }
    } else if (str_eq_fold(key, STR("CSRMaxConcurrent"))) {
        read_int(p, STR("CSRMaxConcurrent"), v, &c->csr_max_concurrent);
    } else if (str_eq_fold(key, STR("PrivateKeyType"))) {
        read_str(p, a, STR("PrivateKeyType"), v, &c->private_key_type);
    } else if (str_eq_fold(key, STR("PrivateKeyBits"))) {
        read_int(p, STR("PrivateKeyBits"), v, &c->private_key_bits);
    } else if (str_eq_fold(key, STR("PrivateKey"))) {
        read_str(p, a, STR("PrivateKey"), v, &c->private_key);
    } else if (str_eq_fold(key, STR("RootCert"))) {
        read_str(p, a, STR("RootCert"), v, &c->root_cert);
    } else if (str_eq_fold(key, STR("DisableCrossSigning"))) {
        read_bool(p, STR("DisableCrossSigning"), v, &c->disable_cross_signing);
    }
}

static int check_key_kind(const struct ca_provider_config *c, struct err *err)
{
    int64_t bits = c->private_key_bits;
    if (str_eq_lit(c->private_key_type, "ec")) {
        return bits == 224 || bits == 256 || bits == 384 || bits == 521
                   ? 0
                   : err_set(err, ERR_FAILED,
                             "EC key length must be one of (224, 256, 384, 521) bits");
    }
    if (str_eq_lit(c->private_key_type, "rsa")) {
        return bits == 2048 || bits == 4096
                   ? 0
                   : err_set(err, ERR_FAILED, "RSA key length must be 2048 or 4096 bits");
    }
    return err_set(err, ERR_FAILED, "private key type must be either 'ec' or 'rsa'");
}

static int check(struct arena *a, const struct ca_provider_config *c, struct err *err)
{
    if (c->private_key.n == 0 && c->root_cert.n > 0) {
        return err_set(err, ERR_FAILED, "must provide a private key when providing a root cert");
    }
    if (c->skip_validate) {
        return 0;
    }
    if (c->leaf_cert_ttl < LEAF_TTL_NS_MIN) {
        return err_set(err, ERR_FAILED, "leaf cert TTL must be greater or equal than 1h0m0s");
    }
    if (c->leaf_cert_ttl > LEAF_TTL_NS_MAX) {
        return err_set(err, ERR_FAILED, "leaf cert TTL must be less than 8760h0m0s");
    }
    if (c->intermediate_cert_ttl < 3 * INTERMEDIATE_RENEW_NS) {
        return err_set(err, ERR_FAILED, "Intermediate Cert TTL must be greater or equal than 3h");
    }
    if (c->intermediate_cert_ttl < 3 * c->leaf_cert_ttl) {
        struct str min = duration_format(a, 3 * c->leaf_cert_ttl);
        return err_set(err, ERR_FAILED,
                       "Intermediate Cert TTL must be greater or equal than 3 * LeafCertTTL "
                       "(>=%.*s).",
                       STRF(min));
    }
    return check_key_kind(c, err);
}

int ca_provider_config_parse(struct arena *a, const struct value *config,
                             struct ca_provider_config *ret_config, struct err *err)
{
    struct ca_provider_config c = {
        .leaf_cert_ttl = LEAF_TTL_NS_DEFAULT,
        .intermediate_cert_ttl = INTERMEDIATE_TTL_NS_DEFAULT,
        .csr_max_per_second = CSR_MAX_PER_SECOND_DEFAULT,
        .private_key_type = STR("ec"),
        .private_key_bits = 256,
    };
    struct problems p = {0};
    if (config != NULL && config->kind == VALUE_MAP) {
        for (size_t i = 0; i < config->map.n; i++) {
            read_member(&p, a, config->map.v[i].key, &config->map.v[i].value, &c);
        }
    }
    int r = 0;
    if (p.count > 0) {
        r = err_set(err, ERR_FAILED, "error decoding config: %zu error(s) decoding:\n%.*s", p.count,
                    STRF(buf_view(&p.text)));
    } else {
        r = check(a, &c, err);
    }
    buf_deinit(&p.text);
    if (r == 0) {
        *ret_config = c;
    }
    return r;
}

struct str ca_provider_id(struct arena *a, const struct ca_provider_config *config, bool is_primary)
{
    struct str text = arena_printf(a, "%.*s,%.*s,%s", STRF(config->private_key),
                                   STRF(config->root_cert), is_primary ? "true" : "false");
    return ca_sha256_hex(a, text);
}
