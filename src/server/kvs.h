/* kvs.h - what a KV verb must pass before it may enter the log; transactions ask too. */
#pragma once
#include "schema/kv.h"

struct rpc_ctx;

/* 1: go on; 0: the key is under a lock delay; negative: refused, ctx->err is set. Lock delays are
 * counted by the leader's clock, so they are enforced here and not when the entry is applied, where
 * every server must decide alike. */
NODISCARD int kvs_check(struct rpc_ctx *ctx, struct str verb, const struct dir_entry *entry);
