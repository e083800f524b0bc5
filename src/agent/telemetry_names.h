/* telemetry_names.h - metrics that are known before they are updated. */
#pragma once

/* Declare them (metric_declare()); once, when Prometheus is to see metrics. */
void telemetry_declare_names(void);
