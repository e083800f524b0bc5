/* Keys: each member changes its own ring when asked to by an internal query, and says how it went;
 * who asked counts. */
#include "gossip/core/serf_internal.h"

#include "base/encode.h"

#include <stdlib.h>

/* --- asked by others -------------------------------------------------------------------------- */

static const struct {
    const char *name, *failure;
    int (*apply)(struct seal_ring *r, struct str key, struct err *err);
} key_actions[] = {
    [SERF_KEY_LIST] = {"list-keys", NULL, NULL},
    [SERF_KEY_INSTALL] = {"install-key", "Failed to install key", seal_ring_add},
    [SERF_KEY_USE] = {"use-key", "Failed to change primary key", seal_ring_use},
    [SERF_KEY_REMOVE] = {"remove-key", "Failed to remove key", seal_ring_remove},
};

static bool is_encrypted(const struct serf *s)
{
    return s->keys != NULL && seal_ring_count(s->keys) > 0;
}

static struct str key_text(struct arena *a, struct str key)
{
    struct buf text = {0};
    base64_encode(&text, key);
    struct str copy = arena_str(a, buf_view(&text));
    buf_deinit(&text);
    return copy;
}

/* --- the key file, which takes its time -------------------------------------------------------- */

/* An answer that waits for the key file. */
struct serf_key_write {
    struct list node;
    uint64_t token;
    struct serf_query query; /* as much of it as an answer wants; strings are owned */
    struct arena arena;
};

static void key_write_free(struct serf *s, struct serf_key_write *w)
{
    list_remove(&w->node);
    s->key_writes_count--;
    arena_deinit(&w->arena);
    mem_free(w);
}

static void key_write_wait(struct serf *s, const struct serf_query *q)
{
    struct serf_key_write *w = xcalloc(1, sizeof(*w));
    w->token = s->key_write_token;
    w->query = (struct serf_query){.ltime = q->ltime,
                                   .id = q->id,
                                   .source = q->source,
                                   .source_node = arena_str(&w->arena, q->source_node),
                                   .relay_factor = q->relay_factor};
    list_push_back(&s->key_writes, &w->node);
    s->key_writes_count++;
}

/* 1: the answer waits. */
static int key_write(struct serf *s, const struct serf_query *q, struct err *err)
{
    if (!s->has_key_file || s->ops->keys_changed == NULL) {
        return 0;
    }
    int rc = s->key_writes_count < SERF_KEY_WRITES_MAX
                 ? s->ops->keys_changed(s->data, ++s->key_write_token, err)
                 : err_set(err, ERR_AGAIN, "too many changes of the keyring file are under way");
    if (rc > 0) {
        key_write_wait(s, q);
    } else if (rc < 0) {
        serf_log(s, SWIM_LOG_ERROR, "Failed to write keyring file: %s", err_text(err));
    }
    return rc;
}

void serf_keys_free(struct serf *s)
{
    while (!list_is_empty(&s->key_writes)) {
        key_write_free(s, list_entry(s->key_writes.next, struct serf_key_write, node));
    }
}

/* --- changes ----------------------------------------------------------------------------------- */

static int key_apply(struct serf *s, enum serf_key_action action, const struct serf_query *q,
                     struct err *err)
{
    struct str key;
    err_clear(err);
    if (q->payload.n == 0 || serf_key_request_decode(str_from(q->payload, 1), &key, err) < 0) {
        serf_log(s, SWIM_LOG_ERROR, "Failed to decode key request: %s", err_text(err));
        err_clear(err); /* the answer has no message then */
        return -ERR_INVALID;
    }
    if (!is_encrypted(s)) {
        (void)err_set(err, ERR_UNSUPPORTED, "No keyring to modify (encryption not enabled)");
        serf_log(s, SWIM_LOG_ERROR, "%s", err->text);
        return -ERR_UNSUPPORTED;
    }
    serf_log(s, SWIM_LOG_INFO, "Received %s query", key_actions[action].name);
    int rc = key_actions[action].apply(s->keys, key, err);
    if (rc < 0) {
        serf_log(s, SWIM_LOG_ERROR, "%s: %s", key_actions[action].failure, err_text(err));
        return rc;
    }
    return key_write(s, q, err);
}

static void key_answer(struct serf *s, const struct serf_query *q,
                       const struct serf_key_response *response)
{
    struct buf payload = {0};
    struct err err;
    serf_key_response_encode(response, &payload);
    if (serf_query_respond(s, s->now_ns, q, buf_view(&payload), &err) < 0) {
        serf_log(s, SWIM_LOG_ERROR, "Failed to respond to key query: %s", err_text(&err));
    }
    buf_deinit(&payload);
}

/* err NULL: it went well. */
static void key_answer_changed(struct serf *s, const struct serf_query *q, const struct err *err)
{
    const struct serf_key_response response = {
        .result = err == NULL, .message = err == NULL ? STR_NULL : str_from_cstr(err->text)};
    key_answer(s, q, &response);
}

/* As it would be sent. */
static size_t key_answer_size(const struct serf *s, const struct serf_query *q,
                              const struct serf_key_response *response)
{
    struct buf payload = {0}, message = {0};
    serf_key_response_encode(response, &payload);
    const struct serf_query_response r = {
        .ltime = q->ltime, .id = q->id, .from = s->name, .payload = buf_view(&payload)};
    serf_query_response_encode(&r, &message);
    size_t size = message.n;
    buf_deinit(&payload);
    buf_deinit(&message);
    return size;
}

/* As many keys as go into one answer. */
static void key_list(struct serf *s, const struct serf_query *q)
{
    struct arena a = {0};
    struct serf_key_response response = {0};
    if (!is_encrypted(s)) {
        response.message = STR("Keyring is empty (encryption not enabled)");
        serf_log(s, SWIM_LOG_ERROR, "%.*s", STRF(response.message));
    } else {
        serf_log(s, SWIM_LOG_INFO, "Received list-keys query");
        size_t count = seal_ring_count(s->keys);
        struct str *keys = ARENA_ARRAY(&a, struct str, count);
        for (size_t i = 0; i < count; i++) {
            keys[i] = key_text(&a, seal_ring_key(s->keys, i));
        }
        response.result = true;
        response.keys = (struct strlist){keys, count};
        response.primary_key = keys[0];
        while (response.keys.n > 0 &&
               key_answer_size(s, q, &response) > s->config.query_response_size_max) {
            response.keys.n--;
            response.message =
                arena_printf(&a, "truncated key list response, showing first %zu of %zu keys",
                             response.keys.n, count);
        }
        if (response.keys.n < count) {
            serf_log(s, SWIM_LOG_WARN, "%.*s", STRF(response.message));
        }
    }
    key_answer(s, q, &response);
    arena_deinit(&a);
}

void serf_on_key_query(struct serf *s, enum serf_key_action action, const struct serf_query *q)
{
    struct err err;
    if (action == SERF_KEY_LIST) {
        key_list(s, q);
        return;
    }
    int rc = key_apply(s, action, q, &err);
    if (rc <= 0) {
        key_answer_changed(s, q, rc < 0 ? &err : NULL);
    }
}

void serf_keys_written(struct serf *s, uint64_t now_ns, uint64_t token, const struct err *err)
{
    s->now_ns = now_ns;
    if (err != NULL) {
        serf_log(s, SWIM_LOG_ERROR, "Failed to write keyring file: %s", err_text(err));
    }
    list_for_each (node, &s->key_writes) {
        struct serf_key_write *w = list_entry(node, struct serf_key_write, node);
        if (w->token == token) {
            key_answer_changed(s, &w->query, err);
            key_write_free(s, w);
        }
    }
}

/* --- asking others ---------------------------------------------------------------------------- */

struct keys_state {
    struct serf *s;
    struct serf_keys_asking *k;
    struct serf_asking asking;
    struct arena arena;
    VEC(struct strpair) messages; /* the arena's */
    VEC(struct serf_key_count) keys;
    VEC(struct serf_key_count) primary;
};

static void complain(struct keys_state *st, struct str from, struct str message)
{
    struct strpair pair = {arena_str(&st->arena, from), arena_str(&st->arena, message)};
    avec_push(&st->arena, &st->messages, pair);
}

/* A payload that is no answer, as Go prints its bytes. */
static struct str bytes_text(struct arena *a, const char *what, struct str bytes)
{
    struct buf text = {.max = 8192};
    buf_printf(&text, "%s: [", what);
    for (size_t i = 0; i < bytes.n; i++) {
        buf_printf(&text, i > 0 ? " %u" : "%u", (uint8_t)bytes.p[i]);
    }
    buf_lit(&text, "]");
    struct str copy = arena_str(a, buf_view(&text));
    buf_deinit(&text);
    return copy;
}

#define COUNT_KEY(st, counts, name)                                            \
    do {                                                                       \
        size_t at_ = 0;                                                        \
        while (at_ < (counts)->n && !str_eq((counts)->v[at_].key, (name))) {   \
            at_++;                                                             \
        }                                                                      \
        if (at_ == (counts)->n) {                                              \
            struct serf_key_count new_ = {arena_str(&(st)->arena, (name)), 0}; \
            avec_push(&(st)->arena, (counts), new_);                           \
        }                                                                      \
        (counts)->v[at_].count++;                                              \
    } while (0)

static void keys_answer(struct serf_asking *q, struct str from, struct str payload)
{
    struct keys_state *st = q->data;
    struct serf_keys_asking *k = st->k;
    struct serf_key_response r;
    struct err err;
    k->answers_count++;
    if (payload.n < 1 || (uint8_t)payload.p[0] != SERF_KEY_RESPONSE) {
        k->errors_count++;
        complain(st, from, bytes_text(&st->arena, "Invalid key query response type", payload));
    } else if (serf_key_response_decode(str_from(payload, 1), &st->arena, &r, &err) < 0) {
        k->errors_count++;
        complain(st, from, bytes_text(&st->arena, "Failed to decode key query response", payload));
    } else {
        k->errors_count += r.result ? 0 : 1;
        if (!r.result || r.message.n > 0) {
            complain(st, from, r.message);
        }
        if (r.result && r.message.n > 0) {
            serf_log(st->s, SWIM_LOG_WARN, "%.*s", STRF(r.message));
        }
        for (size_t i = 0; i < r.keys.n; i++) {
            COUNT_KEY(st, &st->keys, r.keys.v[i]);
        }
        COUNT_KEY(st, &st->primary, r.primary_key);
    }
    if (k->answers_count == k->members_count) {
        q->deadline_ns = 0; /* the next tick ends it */
    }
}

static int count_cmp(const void *a, const void *b)
{
    return str_cmp(((const struct serf_key_count *)a)->key,
                   ((const struct serf_key_count *)b)->key);
}

static void keys_done(struct serf_asking *q)
{
    struct keys_state *st = q->data;
    struct serf_keys_asking *k = st->k;
    k->messages = strmap_build(st->messages.v, st->messages.n);
    k->keys = st->keys.v;
    k->keys_count = st->keys.n;
    k->primary = st->primary.v;
    k->primary_count = st->primary.n;
    if (k->keys_count > 1) {
        qsort(k->keys, k->keys_count, sizeof(*k->keys), count_cmp);
    }
    if (k->primary_count > 1) {
        qsort(k->primary, k->primary_count, sizeof(*k->primary), count_cmp);
    }
    if (k->errors_count > 0) {
        (void)err_set(&k->err, ERR_FAILED, "%u/%u nodes reported failure", k->errors_count,
                      k->members_count);
    } else if (k->answers_count != k->members_count) {
        (void)err_set(&k->err, ERR_FAILED, "%u/%u nodes reported success", k->answers_count,
                      k->members_count);
    }
    k->state = NULL;
    struct arena a = st->arena; /* k may be gone after done() */
    (void)mem_free(st);
    k->done(k);
    arena_deinit(&a);
}

static int keys_ask(struct serf *s, uint64_t now_ns, enum serf_key_action action, struct str key,
                    uint8_t relay_factor, struct serf_keys_asking *k)
{
    struct keys_state *st = xcalloc(1, sizeof(*st));
    struct str bytes = STR("");
    struct buf payload = {0};
    int rc = 0;
    if (key.n > 0 && base64_decode(&st->arena, key, &bytes) < 0) {
        rc = err_set(&k->err, ERR_INVALID, "illegal base64 data at input byte %zu",
                     base64_fault(key));
    } else {
        serf_key_request_encode(bytes, &payload);
        struct str name =
            arena_printf(&st->arena, SERF_INTERNAL_PREFIX "%s", key_actions[action].name);
        const struct serf_query_params params = {
            .name = name, .payload = buf_view(&payload), .relay_factor = relay_factor};
        st->s = s;
        st->k = k;
        st->asking = (struct serf_asking){.answer = keys_answer, .done = keys_done, .data = st};
        rc = serf_query(s, now_ns, &params, &st->asking, &k->err);
    }
    buf_deinit(&payload);
    if (rc < 0) {
        arena_deinit(&st->arena);
        (void)mem_free(st);
        return rc;
    }
    k->state = st;
    k->members_count = (uint32_t)swim_members_count(s->swim);
    return 0;
}

void serf_keys(struct serf *s, uint64_t now_ns, enum serf_key_action action, struct str key,
               uint8_t relay_factor, struct serf_keys_asking *k)
{
    s->now_ns = now_ns;
    if (keys_ask(s, now_ns, action, key, relay_factor, k) < 0) {
        serf_todo_keys(s, k);
    }
}
