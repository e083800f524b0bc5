#include "cli/watch.h"

#include "cli/client.h"
#include "schema/json.h"
#include "schema/value.h"

/* How a member of Go's struct is printed. */
enum member_kind {
    M_STR,
    M_NUMBER,
    M_BOOL,
    M_ANY,      /* as it is; null when it is missing */
    M_DURATION, /* text; "0s" when it is missing */
    M_OBJECT,
    M_OBJECTS,
};

struct member {
    const char *name; /* NULL ends the table */
    enum member_kind kind;
    bool omit_empty;
    const struct member *sub;
};

/* clang-format off */
static const struct member kv_members[] = {
    {"Key", M_STR}, {"CreateIndex", M_NUMBER}, {"ModifyIndex", M_NUMBER}, {"LockIndex", M_NUMBER},
    {"Flags", M_NUMBER}, {"Value", M_ANY}, {"Session", M_STR}, {"Namespace", M_STR, true}, {NULL}};
static const struct member node_members[] = {
    {"ID", M_STR}, {"Node", M_STR}, {"Address", M_STR}, {"Datacenter", M_STR},
    {"TaggedAddresses", M_ANY}, {"Meta", M_ANY}, {"CreateIndex", M_NUMBER},
    {"ModifyIndex", M_NUMBER}, {NULL}};
static const struct member weights_members[] = {{"Passing", M_NUMBER}, {"Warning", M_NUMBER}, {NULL}};
static const struct member mesh_gateway_members[] = {{"Mode", M_STR, true}, {NULL}};
static const struct member expose_path_members[] = {
    {"ListenerPort", M_NUMBER, true}, {"Path", M_STR, true}, {"LocalPathPort", M_NUMBER, true},
    {"Protocol", M_STR, true}, {"ParsedFromCheck", M_BOOL}, {NULL}};
static const struct member expose_members[] = {
    {"Checks", M_BOOL, true}, {"Paths", M_OBJECTS, true, expose_path_members}, {NULL}};
static const struct member transparent_members[] = {
    {"OutboundListenerPort", M_NUMBER, true}, {"DialedDirectly", M_BOOL, true}, {NULL}};
static const struct member upstream_members[] = {
    {"DestinationType", M_STR, true}, {"DestinationNamespace", M_STR, true},
    {"DestinationName", M_STR}, {"Datacenter", M_STR, true}, {"LocalBindAddress", M_STR, true},
    {"LocalBindPort", M_NUMBER, true}, {"LocalBindSocketPath", M_STR, true},
    {"LocalBindSocketMode", M_STR, true}, {"Config", M_ANY, true},
    {"MeshGateway", M_OBJECT, false, mesh_gateway_members}, {"CentrallyConfigured", M_BOOL, true},
    {NULL}};
static const struct member proxy_members[] = {
    {"DestinationServiceName", M_STR, true}, {"DestinationServiceID", M_STR, true},
    {"LocalServiceAddress", M_STR, true}, {"LocalServicePort", M_NUMBER, true},
    {"LocalServiceSocketPath", M_STR, true}, {"Mode", M_STR, true},
    {"TransparentProxy", M_OBJECT, true, transparent_members}, {"Config", M_ANY, true},
    {"Upstreams", M_OBJECTS, true, upstream_members},
    {"MeshGateway", M_OBJECT, false, mesh_gateway_members},
    {"Expose", M_OBJECT, false, expose_members}, {NULL}};
static const struct member connect_members[] = {{"Native", M_BOOL, true}, {NULL}};
static const struct member service_members[] = {
    {"Kind", M_STR, true}, {"ID", M_STR}, {"Service", M_STR}, {"Tags", M_ANY}, {"Meta", M_ANY},
    {"Port", M_NUMBER}, {"Address", M_STR}, {"SocketPath", M_STR}, {"TaggedAddresses", M_ANY, true},
    {"Weights", M_OBJECT, false, weights_members}, {"EnableTagOverride", M_BOOL},
    {"CreateIndex", M_NUMBER, true}, {"ModifyIndex", M_NUMBER, true}, {"ContentHash", M_STR, true},
    {"Proxy", M_OBJECT, true, proxy_members}, {"Connect", M_OBJECT, true, connect_members},
    {"Namespace", M_STR, true}, {"Datacenter", M_STR, true}, {NULL}};
static const struct member definition_members[] = {
    {"Interval", M_DURATION}, {"Timeout", M_DURATION}, {"DeregisterCriticalServiceAfter", M_DURATION},
    {"HTTP", M_STR}, {"Header", M_ANY}, {"Method", M_STR}, {"Body", M_STR},
    {"TLSServerName", M_STR}, {"TLSSkipVerify", M_BOOL}, {"TCP", M_STR}, {NULL}};
static const struct member check_members[] = {
    {"Node", M_STR}, {"CheckID", M_STR}, {"Name", M_STR}, {"Status", M_STR}, {"Notes", M_STR},
    {"Output", M_STR}, {"ServiceID", M_STR}, {"ServiceName", M_STR}, {"ServiceTags", M_ANY},
    {"Type", M_STR}, {"Namespace", M_STR, true}, {"Definition", M_OBJECT, false, definition_members},
    {"CreateIndex", M_NUMBER}, {"ModifyIndex", M_NUMBER}, {NULL}};
static const struct member instance_members[] = {
    {"Node", M_OBJECT, false, node_members}, {"Service", M_OBJECT, false, service_members},
    {"Checks", M_OBJECTS, false, check_members}, {NULL}};
static const struct member event_members[] = {
    {"ID", M_STR}, {"Name", M_STR}, {"Payload", M_ANY}, {"NodeFilter", M_STR},
    {"ServiceFilter", M_STR}, {"TagFilter", M_STR}, {"Version", M_NUMBER}, {"LTime", M_NUMBER},
    {NULL}};
/* clang-format on */

static void write_object(struct json_writer *w, const struct member *members,
                         const struct value *v);

static void write_objects(struct json_writer *w, const struct member *members,
                          const struct value *list)
{
    if (list == NULL || list->kind != VALUE_LIST) {
        json_null(w);
        return;
    }
    json_array_begin(w);
    for (size_t i = 0; i < list->list.n; i++) {
        write_object(w, members, &list->list.v[i]);
    }
    json_array_end(w);
}

static void write_member(struct json_writer *w, const struct member *m, const struct value *v)
{
    bool has = v != NULL && v->kind != VALUE_NULL;
    switch (m->kind) {
    case M_STR:
        json_str(w, has && v->kind == VALUE_STR ? v->s : STR(""));
        break;
    case M_DURATION:
        json_str(w, has && v->kind == VALUE_STR && v->s.n > 0 ? v->s : STR("0s"));
        break;
    case M_BOOL:
        json_bool(w, has && v->kind == VALUE_BOOL && v->b);
        break;
    case M_NUMBER:
        if (has) {
            json_value(w, v);
        } else {
            json_u64(w, 0);
        }
        break;
    case M_ANY:
        json_value(w, v);
        break;
    case M_OBJECT:
        write_object(w, m->sub, v);
        break;
    case M_OBJECTS:
        write_objects(w, m->sub, v);
        break;
    }
}

static void write_object(struct json_writer *w, const struct member *members, const struct value *v)
{
    json_object_begin(w);
    for (const struct member *m = members; m->name != NULL; m++) {
        const struct value *member = value_member(v, m->name);
        /* Go leaves a pointer to an empty struct in: only null is left out. */
        bool is_left_out = m->kind == M_OBJECT ? member == NULL || member->kind == VALUE_NULL
                                               : value_is_empty(member);
        if (!m->omit_empty || !is_left_out) {
            json_key(w, str_from_cstr(m->name));
            write_member(w, m, member);
        }
    }
    json_object_end(w);
}

void watch_write(struct buf *to, enum watch_shape shape, const struct value *v, bool pretty)
{
    struct json_writer w = json_writer_make(to, pretty);
    switch (shape) {
    case WATCH_KEY:
        if (value_count(v) == 0) {
            json_null(&w);
        } else {
            write_object(&w, kv_members, &v->list.v[0]);
        }
        break;
    case WATCH_ENTRIES:
        write_objects(&w, kv_members, v);
        break;
    case WATCH_SERVICES:
        json_value(&w, v);
        break;
    case WATCH_NODES:
        write_objects(&w, node_members, v);
        break;
    case WATCH_INSTANCES:
        write_objects(&w, instance_members, v);
        break;
    case WATCH_CHECKS:
        write_objects(&w, check_members, v);
        break;
    case WATCH_EVENTS:
        write_objects(&w, event_members, v);
        break;
    }
}
