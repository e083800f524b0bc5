#include "cli/lock.h"

#include "base/clock.h"
#include "cli/kv.h"
#include "schema/json.h"

static struct str u64_text(struct client *c, uint64_t n)
{
    return arena_printf(client_arena(c), "%llu", (unsigned long long)n);
}

int lock_kv_read(struct client *c, struct str key, struct lock_read how,
                 const struct value **ret_entries, uint64_t *ret_index, struct err *err)
{
    struct client_request r;
    struct client_response response;
    struct value *entries = NULL;
    client_request_init(&r, c, "GET", "/v1/kv/%.*s", STRF(key));
    if (how.is_prefix) {
        client_param(&r, STR("recurse"), STR(""));
    }
    if (how.is_consistent) {
        client_param(&r, STR("consistent"), STR(""));
    }
    if (how.index > 0) {
        client_param(&r, STR("index"), u64_text(c, how.index));
    }
    if (how.wait_ms > 0) {
        client_param(&r, STR("wait"),
                     arena_printf(client_arena(c), "%llums", (unsigned long long)how.wait_ms));
    }
    int rc = client_send(&r, &response, err);
    if (rc == 0 && response.status != 200 && response.status != 404) {
        rc = err_set(err, response.status == 500 ? ERR_AGAIN : ERR_FAILED,
                     "Unexpected response code: %d", response.status);
    }
    if (rc == 0 && response.status == 200) {
        rc = json_parse_next(client_arena(c), &response.body, &entries, err);
    }
    if (rc < 0) {
        return rc;
    }
    if (str_parse_u64(client_response_header(&response, STR("X-Consul-Index")), ret_index) < 0) {
        *ret_index = 0;
    }
    *ret_entries = entries;
    return 0;
}

struct lock_entry lock_entry_read(struct arena *a, const struct value *entry)
{
    if (entry == NULL) {
        return (struct lock_entry){.exists = false};
    }
    return (struct lock_entry){
        .exists = true,
        .value = kv_value(a, entry),
        .session = value_member_str(entry, "Session"),
        .flags = value_member_u64(entry, "Flags"),
        .modify_index = value_member_u64(entry, "ModifyIndex"),
    };
}

int lock_kv_write(struct client *c, struct str key, enum lock_write how, struct str session,
                  uint64_t index, uint64_t flags, struct str value, bool *ret_done, struct err *err)
{
    struct client_request r;
    client_request_init(&r, c, "PUT", "/v1/kv/%.*s", STRF(key));
    client_param(&r, STR("flags"), u64_text(c, flags));
    if (how == LOCK_WRITE_CAS) {
        client_param(&r, STR("cas"), u64_text(c, index));
    } else {
        client_param(&r, how == LOCK_WRITE_ACQUIRE ? STR("acquire") : STR("release"), session);
    }
    client_body(&r, value, STR("application/octet-stream"));
    return kv_write(&r, ret_done, err);
}

int lock_kv_delete(struct client *c, struct str key, uint64_t index, bool *ret_done,
                   struct err *err)
{
    struct client_request r;
    client_request_init(&r, c, "DELETE", "/v1/kv/%.*s", STRF(key));
    if (index > 0) {
        client_param(&r, STR("cas"), u64_text(c, index));
    }
    return kv_write(&r, ret_done, err);
}

uint64_t lock_wait_left(const struct lock *l, uint64_t start_ms)
{
    uint64_t elapsed_ms = clock_mono_ms() - start_ms;
    if (!l->is_once) {
        return LOCK_WAIT_MS;
    }
    return elapsed_ms < l->wait_ms ? l->wait_ms - elapsed_ms : 0;
}
