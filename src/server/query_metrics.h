/* query_metrics.h - how often each service is asked for, by name and tags, and how often in vain:
 * consul.catalog.service.query and its kin. */
#pragma once
#include "schema/query.h"

/* area: "catalog" or "health"; args are those of a read of instances that is about to be answered,
 * `found` the number of instances. Any thread; no lock for a service that the thread has counted
 * before. */
void query_metrics_count(const char *area, const struct service_request *args, size_t found);
