/* metrics_lines.h - updates of metrics as lines of text, for statsd and its relatives, gathered
 * into packets. Only formatting: whoever owns the socket gives a function that sends.
 *
 *     metrics_lines_init(&lines, &options);          // strings are copied
 *     metrics_drain(metrics_lines_put, &lines);      // options.send is called for full packets
 *     metrics_lines_flush(&lines);                   // ... and here for the rest
 *
 * Forms, by armon/go-metrics and DataDog/datadog-go:
 *
 *     STATSD      consul.host.raft.peers:1.000000|g      each line ends in a newline; values of
 *                 consul.api.http.GET.v1_kv_:0.2|ms      labels follow the name
 *     DOGSTATSD   consul.rpc.query:3|c|#env:x,node:a     newlines between; no host name in names,
 *                                                        since the receiver knows where it came
 * from
 *
 * ':' and ' ' in names become '_' (in tags, too), and line breaks do, so that nobody who names a
 * service writes lines of his own. A counter's line tells all that was added since the last one. A
 * sample has a line for each value; "|@0.5" follows where only half of them were kept.
 *
 * Any one thread at a time. */
#pragma once
#include "base/buf.h"
#include "base/metrics.h"

#define STATSD_PACKET_SIZE_MAX 1400u
#define DOGSTATSD_PACKET_SIZE_MAX 1432u

enum metrics_format { METRICS_STATSD, METRICS_DOGSTATSD };

typedef void (*metrics_send_fn)(void *data, struct str packet);

struct metrics_lines_options {
    enum metrics_format format;
    size_t packet_size_max; /* a longer line goes alone (STATSD) or is dropped (DOGSTATSD) */
    struct str prefix;      /* "consul" */
    struct str hostname;    /* STATSD: behind the prefix in gauges, or empty. DOGSTATSD: left out of
                             * every name, wherever it is a part of it */
    const struct str *tags; /* DOGSTATSD: for every line */
    size_t tags_count;
    metrics_send_fn send;
    void *data;
};

struct metrics_lines {
    struct metrics_lines_options options; /* with strings of its own, but for tags */
    struct str tags;                      /* joined */
    struct buf packet, line;
};

void metrics_lines_init(struct metrics_lines *l, const struct metrics_lines_options *options);
void metrics_lines_deinit(struct metrics_lines *l);
/* A metric_update_fn; data is the struct metrics_lines. */
void metrics_lines_put(void *data, const struct metric_update *update);
void metrics_lines_flush(struct metrics_lines *l);
