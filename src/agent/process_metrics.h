/* process_metrics.h - the figures of the process itself.
 *
 * 1.10.3 has gauges of Go's runtime under runtime.*; dashboards are built on them, so they have the
 * nearest thing here that is true:
 *
 *     runtime.num_goroutines       threads
 *     runtime.alloc_bytes          memory of its own that is in use (resident, without files)
 *     runtime.sys_bytes            writable memory it has got from the system
 *     runtime.total_gc_pause_ns    0: nothing ever stops for a garbage collector
 *     runtime.total_gc_runs        0
 *
 * malloc_count, free_count, heap_objects and gc_pause_ns are left out: nobody counts allocations
 * here, and there are no pauses to sample. */
#pragma once

struct buf;

/* Set the gauges; a read of two files in /proc, 10 µs. */
void process_metrics_update(void);
/* process_cpu_seconds_total, process_open_fds and so on, as every client library of Prometheus
 * shows them; what cannot be read is left out. */
void process_metrics_prometheus(struct buf *to);
