#include "cli/session.h"

#include "schema/json.h"

int cli_session_create(struct client *c, const struct cli_session_options *options, struct arena *a,
                       struct str *ret_id, struct err *err)
{
    struct client_request r;
    const struct value *answer;
    struct buf body = {0};
    struct json_writer w = json_writer_make(&body, false);
    json_object_begin(&w);
    json_key(&w, STR("Name"));
    json_str(&w, options->name);
    json_key(&w, STR("TTL"));
    json_str(&w, STR(SESSION_TTL));
    if (options->behavior != NULL) {
        json_key(&w, STR("Behavior"));
        json_str(&w, str_from_cstr(options->behavior));
    }
    if (options->node.n > 0) {
        json_key(&w, STR("Node"));
        json_str(&w, options->node);
        json_key(&w, STR("Checks"));
        json_array_begin(&w);
        json_array_end(&w);
    }
    json_object_end(&w);
    client_request_init(&r, c, "PUT", "/v1/session/create");
    client_body(&r, buf_view(&body), STR_NULL);
    int rc = client_get(&r, &answer, err);
    if (rc == 0) {
        *ret_id = arena_str(a, value_member_str(answer, "ID"));
    }
    buf_deinit(&body);
    return rc;
}

int cli_session_renew(struct client *c, struct str id, struct err *err)
{
    struct client_request r;
    struct client_response response;
    client_request_init(&r, c, "PUT", "/v1/session/renew/%.*s", STRF(id));
    int rc = client_send(&r, &response, err);
    if (rc == 0 && response.status == 404) {
        return err_set(err, ERR_NOT_FOUND, "session expired");
    }
    return rc == 0 && response.status != 200
               ? err_set(err, ERR_FAILED, "Unexpected response code: %d", response.status)
               : rc;
}

void cli_session_destroy(struct client *c, struct str id)
{
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    client_set_interrupt(c, NULL);
    client_request_init(&r, c, "PUT", "/v1/session/destroy/%.*s", STRF(id));
    (void)!client_send(&r, &response, &err);
}
