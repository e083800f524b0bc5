/* Requests: an object of its own carries the arguments to the gossip loop and the answer back, so
 * that the caller's may go when pool_stop() has answered it. */
#include "gossip/pool_internal.h"

#include "base/clock.h"
#include "base/mem.h"

static void request_free(struct pool_request *r)
{
    list_remove(&r->node);
    arena_deinit(&r->arena);
    mem_free(r);
}

static void request_finish(struct loop_msg *msg)
{
    struct pool_request *r = container_of(msg, struct pool_request, msg);
    if (r->finish != NULL) {
        list_remove(&r->node);
        r->finish(r);
    }
    request_free(r);
}

static void request_run(struct loop_msg *msg)
{
    struct pool_request *r = container_of(msg, struct pool_request, msg);
    struct pool *p = r->pool;
    if (p->core == NULL) {
        (void)err_set(&r->err, ERR_CLOSED, "the pool has ended");
        pool_request_answer(r);
        return;
    }
    r->run(r); /* home may have freed it by now */
    pool_touch(p);
}

struct pool_request *pool_request_new(struct pool *p, void (*run)(struct pool_request *r),
                                      void (*finish)(struct pool_request *r))
{
    struct pool_request *r = xcalloc(1, sizeof(*r));
    r->pool = p;
    r->run = run;
    r->finish = finish;
    return r;
}

void pool_request_send(struct pool_request *r)
{
    struct pool *p = r->pool;
    list_push_back(&p->requests, &r->node);
    r->msg.run = request_run;
    if (p->is_stopped) {
        (void)err_set(&r->err, ERR_CLOSED, "the pool has ended");
        pool_request_answer(r);
    } else {
        loop_post(p->threads->gossip, &r->msg);
    }
}

void pool_request_answer(struct pool_request *r)
{
    r->msg.run = request_finish;
    loop_post(r->pool->options.home, &r->msg);
}

void pool_requests_end(struct pool *p)
{
    while (!list_is_empty(&p->requests)) {
        struct pool_request *r =
            list_entry(list_pop_front(&p->requests), struct pool_request, node);
        void (*finish)(struct pool_request * r) = r->finish;
        err_clear(&r->err);
        (void)err_set(&r->err, ERR_CLOSED, "the agent is shutting down");
        r->finish = NULL;
        finish(r);
        list_push_back(&p->ended, &r->node);
    }
}

void pool_requests_free(struct pool *p)
{
    while (!list_is_empty(&p->ended)) {
        request_free(list_entry(p->ended.next, struct pool_request, node));
    }
}

/* --- leaving --------------------------------------------------------------------------------- */

static void leave_run(struct pool_request *r)
{
    struct pool *p = r->pool;
    if (p->leave != NULL) {
        (void)err_set(&r->err, ERR_FAILED, "Leave already in progress");
        pool_request_answer(r);
        return;
    }
    p->leave = r;
    serf_leave(p->core, clock_mono_ns());
}

void pool_left(struct pool *p, bool timed_out)
{
    struct pool_request *r = TAKE(p->leave);
    if (r != NULL) {
        r->flag = timed_out;
        pool_request_answer(r);
    }
}

static void leave_finish(struct pool_request *r)
{
    struct pool_leave *leave = r->asked;
    leave->timed_out = r->flag;
    leave->err = r->err;
    leave->state = NULL;
    leave->done(leave);
}

void pool_leave(struct pool *p, struct pool_leave *leave)
{
    struct pool_request *r = leave->state = pool_request_new(p, leave_run, leave_finish);
    r->asked = leave;
    pool_request_send(r);
}

/* --- what has no answer but how it went ------------------------------------------------------- */

static void simple_finish(struct pool_request *r)
{
    if (r->done != NULL) {
        r->done(r->data, r->err.code != 0 ? &r->err : NULL);
    }
}

static struct pool_request *simple_new(struct pool *p, void (*run)(struct pool_request *r),
                                       struct str name, pool_done_fn done, void *data)
{
    struct pool_request *r = pool_request_new(p, run, simple_finish);
    r->name = arena_str(&r->arena, name);
    r->done = done;
    r->data = data;
    return r;
}

static void force_leave_run(struct pool_request *r)
{
    serf_remove_failed(r->pool->core, clock_mono_ns(), r->name, r->flag);
    pool_request_answer(r);
}

void pool_force_leave(struct pool *p, struct str name, bool prune, pool_done_fn done, void *data)
{
    struct pool_request *r = simple_new(p, force_leave_run, name, done, data);
    r->flag = prune;
    pool_request_send(r);
}

static void set_tags_run(struct pool_request *r)
{
    if (serf_set_tags(r->pool->core, clock_mono_ns(), r->tags, &r->err) >= 0) {
        err_clear(&r->err);
    }
    pool_request_answer(r);
}

void pool_set_tags(struct pool *p, struct strmap tags, pool_done_fn done, void *data)
{
    struct pool_request *r = simple_new(p, set_tags_run, STR(""), done, data);
    r->tags = pool_tags_copy(&r->arena, tags);
    pool_request_send(r);
}

static void user_event_run(struct pool_request *r)
{
    if (serf_user_event(r->pool->core, clock_mono_ns(), r->name, r->payload, r->flag, &r->err) >=
        0) {
        err_clear(&r->err);
    }
    pool_request_answer(r);
}

void pool_user_event(struct pool *p, struct str name, struct str payload, bool coalesce,
                     pool_done_fn done, void *data)
{
    struct pool_request *r = simple_new(p, user_event_run, name, done, data);
    r->payload = arena_str(&r->arena, payload);
    r->flag = coalesce;
    pool_request_send(r);
}

/* --- keys ------------------------------------------------------------------------------------ */

static struct serf_key_count *counts_copy(struct arena *a, const struct serf_key_count *from,
                                          size_t count)
{
    struct serf_key_count *to = ARENA_ARRAY(a, struct serf_key_count, count);
    for (size_t i = 0; i < count; i++) {
        to[i] = (struct serf_key_count){arena_str(a, from[i].key), from[i].count};
    }
    return to;
}

/* On the gossip loop, or where the core is freed. */
static void keys_done(struct serf_keys_asking *k)
{
    struct pool_request *r = container_of(k, struct pool_request, asking);
    r->err = k->err;
    k->messages = pool_tags_copy(&r->arena, k->messages);
    k->keys = counts_copy(&r->arena, k->keys, k->keys_count);
    k->primary = counts_copy(&r->arena, k->primary, k->primary_count);
    pool_request_answer(r);
}

static void keys_run(struct pool_request *r)
{
    const struct pool_keys *keys = r->asked;
    r->asking.done = keys_done;
    serf_keys(r->pool->core, clock_mono_ns(), keys->action, r->name, keys->relay_factor,
              &r->asking);
}

static void keys_finish(struct pool_request *r)
{
    struct pool_keys *keys = r->asked;
    const struct serf_keys_asking *k = &r->asking;
    keys->state = NULL;
    keys->err = r->err;
    if (r->finish != NULL) { /* it was answered: not by pool_stop() */
        keys->members_count = k->members_count;
        keys->answers_count = k->answers_count;
        keys->errors_count = k->errors_count;
        keys->messages = pool_tags_copy(keys->arena, k->messages);
        keys->keys = counts_copy(keys->arena, k->keys, k->keys_count);
        keys->keys_count = k->keys_count;
        keys->primary = counts_copy(keys->arena, k->primary, k->primary_count);
        keys->primary_count = k->primary_count;
    }
    keys->done(keys);
}

void pool_keys(struct pool *p, struct pool_keys *keys)
{
    struct pool_request *r = keys->state = pool_request_new(p, keys_run, keys_finish);
    r->asked = keys;
    r->name = arena_str(&r->arena, keys->key);
    pool_request_send(r);
}

/* --- coordinates ----------------------------------------------------------------------------- */

static void put_coordinate(struct pool_request *r, struct str name, const struct coordinate *c)
{
    if (c != NULL) {
        r->coordinates[r->coordinates_count++] = (struct node_coordinate){
            .node = arena_str(&r->arena, name),
            .coord = schema_copy(&r->arena, &coordinate_schema, c),
        };
    }
}

static void coordinates_run(struct pool_request *r)
{
    const struct serf *s = r->pool->core;
    const struct member *m;
    size_t pos = 0;
    r->coordinates = ARENA_ARRAY(&r->arena, struct node_coordinate, serf_members_count(s));
    while ((m = serf_next(s, &pos)) != NULL) {
        bool is_self = str_eq(m->name, r->pool->options.name);
        put_coordinate(r, m->name,
                       is_self ? serf_coordinate(s) : serf_cached_coordinate(s, m->name));
    }
    pool_request_answer(r);
}

static void coordinates_finish(struct pool_request *r)
{
    struct pool_coordinates *c = r->asked;
    c->state = NULL;
    c->err = r->err;
    c->count = 0;
    if (r->finish != NULL) {
        c->v = ARENA_ARRAY(c->arena, struct node_coordinate, r->coordinates_count);
        for (; c->count < r->coordinates_count; c->count++) {
            const struct node_coordinate *copy =
                schema_copy(c->arena, &node_coordinate_schema, &r->coordinates[c->count]);
            c->v[c->count] = *copy;
        }
    }
    c->done(c);
}

void pool_coordinates(struct pool *p, struct pool_coordinates *c)
{
    struct pool_request *r = c->state = pool_request_new(p, coordinates_run, coordinates_finish);
    r->asked = c;
    pool_request_send(r);
}
