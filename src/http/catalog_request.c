#include "http/catalog_request.h"

#include "base/vec.h"
#include "http/http.h"
#include "schema/query.h"

/* Every ?tag, in order; nil when there is none. */
static struct strlist tags_of(const struct http_req *req)
{
    VEC(struct str) tags = {0};
    for (size_t i = 0; i < req->params_count; i++) {
        if (str_eq_lit(req->params[i].name, "tag")) {
            avec_push(req->arena, &tags, req->params[i].value);
        }
    }
    return (struct strlist){tags.v, tags.n};
}

bool catalog_parse_service(struct http_req *req, struct service_request *args)
{
    args->service_name = req->tail;
    http_parse_source(req, &args->source);
    args->service_tags = tags_of(req);
    args->tag_filter = args->service_tags.n > 0;
    return http_parse_node_meta(req, &args->node_meta_filters) &&
           http_check_tail(req, "service name");
}
