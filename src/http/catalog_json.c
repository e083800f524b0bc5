#include "http/catalog_json.h"

#include "store/row.h"

static struct strlist not_nil(struct strlist list)
{
    return list.v != NULL ? list : (struct strlist){SCHEMA_EMPTY, 0};
}

void catalog_json_node(struct json_writer *w, const struct node *node, bool rows)
{
    if (rows) {
        struct node *row = (struct node *)node; /* only its cache is written */
        json_raw(w, row_json(&row->rendered, &node_schema, node));
    } else {
        json_object(w, &node_schema, node);
    }
}

static struct rendered *loaded(_Atomic(struct rendered *) *cache)
{
    return atomic_load_explicit(cache, memory_order_acquire);
}

void catalog_json_service(struct json_writer *w, const struct node_service *service, bool rows)
{
    struct node_service *mine = (struct node_service *)service;
    struct service_row *row = rows ? container_of(mine, struct service_row, service) : NULL;
    if (rows && loaded(&row->rendered) != NULL) {
        json_raw(w, row_json(&row->rendered, &node_service_schema, service));
        return;
    }
    struct node_service copy = *service;
    copy.tags = not_nil(copy.tags);
    if (rows) {
        json_raw(w, row_json(&row->rendered, &node_service_schema, &copy));
    } else {
        json_object(w, &node_service_schema, &copy);
    }
}

void catalog_json_check(struct json_writer *w, const struct health_check *check, bool rows)
{
    struct health_check *row = (struct health_check *)check;
    if (rows && loaded(&row->rendered) != NULL) {
        json_raw(w, row_json(&row->rendered, &health_check_schema, check));
        return;
    }
    struct health_check copy;
    memcpy(&copy, check, sizeof(copy));
    copy.service_tags = not_nil(copy.service_tags);
    if (rows) {
        json_raw(w, row_json(&row->rendered, &health_check_schema, &copy));
    } else {
        json_object(w, &health_check_schema, &copy);
    }
}

void catalog_json_checks(struct json_writer *w, struct ptrlist checks, bool rows)
{
    json_array_begin(w);
    for (size_t i = 0; i < checks.n; i++) {
        catalog_json_check(w, checks.v[i], rows);
    }
    json_array_end(w);
}

void catalog_json_instance(struct json_writer *w, const struct check_service_node *instance,
                           bool rows)
{
    json_object_begin(w);
    json_key(w, STR("Node"));
    catalog_json_node(w, instance->node, rows);
    json_key(w, STR("Service"));
    catalog_json_service(w, instance->service, rows);
    json_key(w, STR("Checks"));
    catalog_json_checks(w, instance->checks, rows);
    json_object_end(w);
}

void catalog_json_service_node(struct json_writer *w, const struct service_node *sn)
{
    struct node_service service = *sn->service;
    service.tags = not_nil(service.tags);
    if (service.meta.v == NULL) {
        service.meta = (struct strmap){SCHEMA_EMPTY, 0};
    }
    json_object(w, &service_node_schema, &(struct service_node){sn->node, &service});
}
