#include "base/metrics_lines.h"

#include "base/gofmt.h"
#include "base/mem.h"

static struct str own(struct str s)
{
    return str_make(str_to_cstr(s), s.n);
}

void metrics_lines_init(struct metrics_lines *l, const struct metrics_lines_options *options)
{
    *l = (struct metrics_lines){.options = *options};
    l->options.prefix = own(options->prefix);
    l->options.hostname = own(options->hostname);
    struct buf tags = {0};
    for (size_t i = 0; i < options->tags_count; i++) {
        buf_str(&tags, i > 0 ? STR(",") : STR(""));
        for (size_t k = 0; k < options->tags[i].n; k++) {
            if (options->tags[i].p[k] != '\n') {
                buf_byte(&tags, (uint8_t)options->tags[i].p[k]);
            }
        }
    }
    l->tags = own(buf_view(&tags));
    buf_deinit(&tags);
}

void metrics_lines_deinit(struct metrics_lines *l)
{
    mem_free((void *)l->options.prefix.p);
    mem_free((void *)l->options.hostname.p);
    mem_free((void *)l->tags.p);
    buf_deinit(&l->packet);
    buf_deinit(&l->line);
    *l = (struct metrics_lines){0};
}

static void put_clean(struct buf *to, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool is_bad = s.p[i] == ':' || s.p[i] == ' ' || s.p[i] == '\n' || s.p[i] == '\r';
        buf_byte(to, is_bad ? '_' : (uint8_t)s.p[i]);
    }
}

static void put_part(struct buf *to, struct str part)
{
    if (to->n > 0) {
        buf_byte(to, '.');
    }
    put_clean(to, part);
}

static void put_rate(struct buf *to, double rate)
{
    if (rate < 1) {
        buf_lit(to, "|@");
        go_float_f(to, rate);
    }
}

/* --- statsd --------------------------------------------------------------------------------- */

static void put_statsd(struct metrics_lines *l, const struct metric_update *u)
{
    static const char *const types[] = {
        [METRIC_KIND_COUNTER] = "c", [METRIC_KIND_GAUGE] = "g", [METRIC_KIND_SAMPLE] = "ms"};
    const struct metric *m = u->metric;
    put_part(&l->line, l->options.prefix);
    if (m->kind == METRIC_KIND_GAUGE && l->options.hostname.n > 0) {
        put_part(&l->line, l->options.hostname);
    }
    put_part(&l->line, str_from_cstr(m->name));
    for (size_t i = 0; i < m->labels_count; i++) {
        put_part(&l->line, str_from_cstr(m->labels[i].value));
    }
    buf_printf(&l->line, ":%f|%s", u->value, types[m->kind]);
    put_rate(&l->line, u->rate);
    buf_byte(&l->line, '\n');
}

/* --- dogstatsd ------------------------------------------------------------------------------ */

/* The reference takes the host name out of the parts of the name, once, wherever it stands: a host
 * that is called "api" loses the "api" of "consul.api.http". */
static void put_dogstatsd_name(struct metrics_lines *l, const struct metric *m)
{
    struct str host = l->options.hostname, rest = str_from_cstr(m->name), part;
    bool is_out = str_eq(l->options.prefix, host);
    if (!is_out) {
        put_part(&l->line, l->options.prefix);
    }
    /* In gauges the host's own part comes right behind the prefix: that is the one to go. */
    is_out |= m->kind == METRIC_KIND_GAUGE;
    while (str_split_next(&rest, '.', &part)) {
        if (!is_out && str_eq(part, host)) {
            is_out = true;
            continue;
        }
        put_part(&l->line, part);
    }
}

static void put_tag(struct buf *to, struct str tag, struct str value, bool *is_first)
{
    buf_str(to, *is_first ? STR("|#") : STR(","));
    *is_first = false;
    put_clean(to, tag);
    if (value.n > 0) {
        buf_byte(to, ':');
        put_clean(to, value);
    }
}

static void put_dogstatsd(struct metrics_lines *l, const struct metric_update *u)
{
    const struct metric *m = u->metric;
    put_dogstatsd_name(l, m);
    buf_byte(&l->line, ':');
    switch (m->kind) {
    case METRIC_KIND_COUNTER:
        buf_printf(&l->line, "%lld|c", (long long)u->value);
        break;
    case METRIC_KIND_GAUGE:
        go_float_f(&l->line, u->value);
        buf_lit(&l->line, "|g");
        break;
    case METRIC_KIND_SAMPLE:
        buf_printf(&l->line, "%.6f|ms", u->value);
        break;
    }
    put_rate(&l->line, u->rate);
    bool is_first = true;
    if (l->tags.n > 0) {
        buf_lit(&l->line, "|#");
        buf_str(&l->line, l->tags);
        is_first = false;
    }
    for (size_t i = 0; i < m->labels_count; i++) {
        put_tag(&l->line, str_from_cstr(m->labels[i].name), str_from_cstr(m->labels[i].value),
                &is_first);
    }
}

/* --- packets -------------------------------------------------------------------------------- */

void metrics_lines_flush(struct metrics_lines *l)
{
    if (l->packet.n > 0) {
        l->options.send(l->options.data, buf_view(&l->packet));
        buf_clear(&l->packet);
    }
}

void metrics_lines_put(void *data, const struct metric_update *u)
{
    struct metrics_lines *l = data;
    bool is_dog = l->options.format == METRICS_DOGSTATSD;
    buf_clear(&l->line);
    if (is_dog) {
        put_dogstatsd(l, u);
    } else {
        put_statsd(l, u);
    }
    size_t separator = is_dog && l->packet.n > 0 ? 1 : 0;
    if (l->packet.n + separator + l->line.n > l->options.packet_size_max) {
        metrics_lines_flush(l);
        separator = 0;
    }
    if (is_dog && l->line.n > l->options.packet_size_max) {
        return;
    }
    if (separator > 0) {
        buf_byte(&l->packet, '\n');
    }
    buf_str(&l->packet, buf_view(&l->line));
}
