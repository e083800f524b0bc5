/* grpc_health.h - the one method of gRPC's health protocol (grpc.health.v1.Health/Check) as bytes.
 *
 * Request and answer are one message each, behind a byte that says whether it is compressed and
 * four of length; the request has the service's name as its field 1, the answer an enum as its
 * field 1. Other fields are skipped. Pure. */
#pragma once
#include "base/str.h"

struct buf;

#define GRPC_HEALTH_PATH "/grpc.health.v1.Health/Check"

enum grpc_serving { /* HealthCheckResponse.ServingStatus */
                    GRPC_UNKNOWN,
                    GRPC_SERVING,
                    GRPC_NOT_SERVING,
                    GRPC_SERVICE_UNKNOWN,
};

/* The request's body; an empty service asks about the server as a whole. */
void grpc_health_put_request(struct buf *to, struct str service);
/* The status in an answer's body (others than the above may come), or -ERR_INVALID. */
NODISCARD int64_t grpc_health_parse(struct str body);
/* "NOT_SERVING", "NotFound"; NULL for numbers without a name. */
const char *grpc_serving_text(int64_t serving);
const char *grpc_code_text(uint64_t code);
