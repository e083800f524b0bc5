/* telemetry_sink.h - one receiver of metrics: statsd, statsite or dogstatsd, from its name in the
 * configuration to the packets on the wire.
 *
 *     sink = telemetry_sink_new(loop, &options);      // begins to look the address up
 *     metrics_drain(...): telemetry_sink_put(sink, update);  telemetry_sink_flush(sink);
 *     telemetry_sink_stop(sink); ... loop_free(loop) ...; telemetry_sink_free(sink)
 *
 * A receiver that is not there, or not known by that name, is tried again every
 * TELEMETRY_RETRY_MS, its name looked up anew; what comes meanwhile is dropped, and so is what it
 * does not read: at most TELEMETRY_PENDING_SIZE_MAX bytes wait. Nothing ever blocks. Failures are
 * logged when they begin. On the loop's thread. */
#pragma once
#include "base/metrics_lines.h"

struct loop;
struct telemetry_sink;

#define TELEMETRY_RETRY_MS 5000u
#define TELEMETRY_PENDING_SIZE_MAX (256u * 1024u)

enum telemetry_kind { TELEMETRY_STATSITE, TELEMETRY_STATSD, TELEMETRY_DOGSTATSD };

struct telemetry_sink_options {
    enum telemetry_kind kind;
    struct str address; /* "host:port"; dogstatsd: also "unix:///path" */
    struct str prefix;
    struct str hostname; /* metrics_lines.h says what is done with it */
    const struct str *tags;
    size_t tags_count;
};

struct telemetry_sink *telemetry_sink_new(struct loop *l,
                                          const struct telemetry_sink_options *options);
void telemetry_sink_put(struct telemetry_sink *s, const struct metric_update *update);
void telemetry_sink_flush(struct telemetry_sink *s);
void telemetry_sink_stop(struct telemetry_sink *s);
struct telemetry_sink *telemetry_sink_free(struct telemetry_sink *s); /* once the loop has ended */
