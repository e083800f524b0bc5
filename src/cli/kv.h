/* kv.h - what the `kv` commands share: keys, and requests to /v1/kv. */
#pragma once
#include "cli/client.h"
#include "cli/command.h"
#include "cli/table.h"

#define KV_KEY_USAGE "[options] [KEY_OR_PREFIX]"

/* The one optional KEY argument without the slash people put in front. False after an error has
 * been told. */
bool kv_key_argument(const struct cli_args *args, struct str *ret_key);
/* GET /v1/kv/: NULL when there is no such key. The status alone is told of other answers. */
NODISCARD int kv_read(struct client_request *r, const struct value **ret_value, struct err *err);
/* Send a write and see whether it was done. */
NODISCARD int kv_write(struct client_request *r, bool *ret_done, struct err *err);
/* The decoded value of an entry of an answer; one that is not base64 reads as empty. */
struct str kv_value(struct arena *a, const struct value *entry);
/* Go's path.Join: one slash between, and no empty, "." or ".." elements. */
struct str kv_key_join(struct arena *a, struct str x, struct str y);
