#include "dns/name.h"

#define LABELS_MAX 128u

struct labels {
    struct str v[LABELS_MAX];
    size_t n;
};

static void split(struct str text, struct labels *labels)
{
    size_t start = 0;
    labels->n = 0;
    for (size_t i = 0; i < text.n && labels->n < LABELS_MAX; i++) {
        if (text.p[i] == '\\') {
            i++; /* of \DDD the digits need no care */
        } else if (text.p[i] == '.') {
            labels->v[labels->n++] = str_make(text.p + start, i - start);
            start = i + 1;
        }
    }
}

static enum dns_kind kind_of(struct str label)
{
    static const struct {
        struct str label;
        enum dns_kind kind;
    } kinds[] = {
        {STR_INIT("service"), DNS_KIND_SERVICE}, {STR_INIT("connect"), DNS_KIND_CONNECT},
        {STR_INIT("ingress"), DNS_KIND_INGRESS}, {STR_INIT("node"), DNS_KIND_NODE},
        {STR_INIT("query"), DNS_KIND_QUERY},     {STR_INIT("addr"), DNS_KIND_ADDR},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (str_eq(label, kinds[i].label)) {
            return kinds[i].kind;
        }
    }
    return DNS_KIND_NONE;
}

/* Labels from..to (exclusive) with the dots between them, as they stand in the text. */
static struct str join(const struct labels *labels, size_t from, size_t to)
{
    if (from >= to) {
        return STR_NULL;
    }
    const char *p = labels->v[from].p;
    return str_make(p, (size_t)(labels->v[to - 1].p + labels->v[to - 1].n - p));
}

static bool is_underscored(struct str label)
{
    return label.n > 0 && label.p[0] == '_';
}

static void split_service(const struct labels *labels, size_t n, struct dns_name_parts *parts)
{
    if (n == 2 && is_underscored(labels->v[0]) && is_underscored(labels->v[1])) { /* RFC 2782 */
        struct str tag = str_from(labels->v[1], 1);
        parts->name = str_from(labels->v[0], 1);
        parts->tag = str_eq_lit(tag, "tcp") ? STR_NULL : tag;
        return;
    }
    parts->name = labels->v[n - 1];
    parts->tag = join(labels, 0, n - 1); /* dots may be in a tag */
}

struct dns_name_parts dns_name_split(struct str text, bool is_srv)
{
    struct dns_name_parts parts = {DNS_KIND_NONE};
    const struct dns_name_parts none = parts;
    struct labels labels;
    size_t n = 0, suffixes = 0; /* labels of the name; where the data center begins */
    split(text, &labels);
    /* The last label that names a form counts: what is in front may be anything. */
    for (size_t i = labels.n; i > 0 && parts.kind == DNS_KIND_NONE; i--) {
        parts.kind = kind_of(labels.v[i - 1]);
        n = i - 1;
        suffixes = i;
        if (parts.kind == DNS_KIND_NONE && is_srv && is_underscored(labels.v[i - 1])) {
            parts.kind = DNS_KIND_SERVICE;
            n = i;
        }
    }
    if (parts.kind == DNS_KIND_NONE || n == 0) {
        return none;
    }
    if (parts.kind == DNS_KIND_ADDR) { /* whatever follows "addr" */
        parts.name = labels.v[0];
        return n == 1 ? parts : none;
    }
    if (labels.n - suffixes > 1) {
        return none;
    }
    if (labels.n > suffixes) {
        parts.datacenter = labels.v[suffixes];
    }
    switch (parts.kind) {
    case DNS_KIND_SERVICE:
        split_service(&labels, n, &parts);
        break;
    case DNS_KIND_CONNECT:
    case DNS_KIND_INGRESS:
        parts.name = labels.v[n - 1]; /* tags do not count here */
        break;
    default:
        parts.name = join(&labels, 0, n); /* dots may be in a name */
        break;
    }
    return parts;
}
