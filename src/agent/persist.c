#include "agent/persist.h"

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "loop/file.h"
#include "schema/json.h"

#define SERVICES_DIR "services"
#define CHECKS_DIR "checks"
#define STATE_DIR "checks/state"
#define ENOENT_CODE 2

static const struct field persisted_service_fields[] = {
    F_STR(struct persisted_service, token, "Token", 0),
    F_PTR(struct persisted_service, service, struct node_service, "Service", 0,
          &node_service_schema),
    F_STR(struct persisted_service, source, "Source", 0),
    F_BOOL(struct persisted_service, locally_registered_as_sidecar, "LocallyRegisteredAsSidecar",
           F_OMITEMPTY),
    FIELDS_END,
};
static const struct schema persisted_service_schema =
    SCHEMA("persistedService", struct persisted_service, persisted_service_fields);

static const struct field persisted_check_fields[] = {
    F_PTR(struct persisted_check, check, struct health_check, "Check", 0, &health_check_schema),
    F_PTR(struct persisted_check, def, struct check_def, "ChkType", 0, &check_type_schema),
    F_STR(struct persisted_check, token, "Token", 0),
    F_STR(struct persisted_check, source, "Source", 0),
    FIELDS_END,
};
static const struct schema persisted_check_schema =
    SCHEMA("persistedCheck", struct persisted_check, persisted_check_fields);

struct check_state {
    struct str check_id, output, status;
    int64_t expires; /* seconds since 1970 */
};
static const struct field check_state_fields[] = {
    F_STR(struct check_state, check_id, "CheckID", 0),
    F_STR(struct check_state, output, "Output", 0),
    F_STR(struct check_state, status, "Status", 0),
    F_INT(struct check_state, expires, "Expires", 0),
    FIELDS_END,
};
static const struct schema check_state_schema =
    SCHEMA("persistedCheckState", struct check_state, check_state_fields);

static const struct str source_names[] = {
    [SOURCE_LOCAL] = STR_INIT("local"), [SOURCE_REMOTE] = STR_INIT("remote")};

int source_parse(struct str s, enum source *ret_source)
{
    if (s.n == 0 || str_eq(s, source_names[SOURCE_LOCAL])) {
        *ret_source = SOURCE_LOCAL;
    } else if (str_eq(s, source_names[SOURCE_REMOTE])) {
        *ret_source = SOURCE_REMOTE;
    } else {
        return -ERR_INVALID;
    }
    return 0;
}

static bool is_kept(const struct agent *a)
{
    return conf(a)->data_dir.n > 0;
}

/* <data_dir>/<dir>/<md5 of the id>. */
static struct str path_of(const struct agent *a, struct arena *arena, const char *dir,
                          struct str id)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    ASSERT(EVP_Digest(id.p != NULL ? id.p : "", id.n, digest, &size, EVP_md5(), NULL) == 1);
    struct buf hex = {0};
    hex_encode(&hex, str_make(digest, size));
    struct str path =
        arena_printf(arena, "%.*s/%s/%.*s", STRF(conf(a)->data_dir), dir, STRF(buf_view(&hex)));
    buf_deinit(&hex);
    return path;
}

static int keep(struct agent *a, const char *dir, struct str id, const struct schema *schema,
                const void *object, bool durable, struct err *err)
{
    if (!is_kept(a)) {
        return 0;
    }
    struct arena arena = {0};
    struct buf json = {0};
    struct json_writer w = json_writer_make(&json, false);
    json_object(&w, schema, object);
    int rc = file_replace(path_of(a, &arena, dir, id), buf_view(&json), durable, err);
    buf_deinit(&json);
    arena_deinit(&arena);
    return rc;
}

static void purge(struct agent *a, const char *dir, struct str id)
{
    if (!is_kept(a)) {
        return;
    }
    struct arena arena = {0};
    struct err err = {0};
    if (file_remove(path_of(a, &arena, dir, id), &err) < 0) {
        log_write(LOG_ERROR, "agent", "failed to purge a file", LOG_CSTR("error", err_text(&err)));
    }
    arena_deinit(&arena);
}

int persist_service(struct agent *a, const struct node_service *service, struct str token,
                    enum source source, struct err *err)
{
    const struct persisted_service p = {
        .token = token,
        .service = (struct node_service *)(uintptr_t)service,
        .source = source_names[source],
        .locally_registered_as_sidecar = service->locally_registered_as_sidecar,
    };
    return keep(a, SERVICES_DIR, service->id, &persisted_service_schema, &p, true, err);
}

int persist_check(struct agent *a, const struct health_check *check, const struct check_def *def,
                  struct str token, enum source source, struct err *err)
{
    const struct persisted_check p = {
        .check = (struct health_check *)(uintptr_t)check,
        .def = (struct check_def *)(uintptr_t)def,
        .token = token,
        .source = source_names[source],
    };
    return keep(a, CHECKS_DIR, check->check_id, &persisted_check_schema, &p, true, err);
}

int persist_check_state(struct agent *a, struct str check_id, struct str status, struct str output,
                        int64_t ttl_ns, struct err *err)
{
    const struct check_state p = {
        .check_id = check_id,
        .status = status,
        .output = output,
        .expires = (clock_wall_ns() + ttl_ns) / (int64_t)NS_PER_SEC,
    };
    /* Frequent, and worth little after a crash of the machine: no fsync. */
    return keep(a, STATE_DIR, check_id, &check_state_schema, &p, false, err);
}

void persist_purge_service(struct agent *a, struct str id)
{
    purge(a, SERVICES_DIR, id);
}

void persist_purge_check(struct agent *a, struct str id)
{
    purge(a, CHECKS_DIR, id);
}

void persist_purge_check_state(struct agent *a, struct str id)
{
    purge(a, STATE_DIR, id);
}

static int load(struct str path, const struct schema *schema, void *object, struct arena *arena,
                struct err *err)
{
    struct str bytes;
    struct value *value;
    int rc = file_read(path, PERSISTED_SIZE_MAX, arena, &bytes, err);
    if (rc >= 0) {
        rc = json_parse(arena, bytes, &value, err);
    }
    if (rc >= 0) {
        rc = schema_decode(schema, value, object, arena, DECODE_FLOATS, err);
    }
    return rc;
}

bool persist_load_check_state(struct agent *a, struct str check_id, struct arena *arena,
                              struct str *ret_status, struct str *ret_output)
{
    if (!is_kept(a)) {
        return false;
    }
    struct check_state p = {0};
    struct err err = {0};
    if (load(path_of(a, arena, STATE_DIR, check_id), &check_state_schema, &p, arena, &err) < 0) {
        if (err.code != ENOENT_CODE) {
            log_write(LOG_ERROR, "agent", "failed decoding check state",
                      LOG_CSTR("error", err_text(&err)));
            persist_purge_check_state(a, check_id);
        }
        return false;
    }
    if (clock_wall_ns() / (int64_t)NS_PER_SEC >= p.expires) {
        log_write(LOG_DEBUG, "agent", "check state expired, not restoring",
                  LOG_STR("check", check_id));
        persist_purge_check_state(a, check_id);
        return false;
    }
    *ret_status = p.status;
    *ret_output = p.output;
    return true;
}

static int each_file(struct agent *a, const char *dir,
                     int (*one)(struct agent *a, struct str file, struct arena *arena,
                                void *context, struct err *err),
                     void *context, struct err *err)
{
    if (!is_kept(a)) {
        return 0;
    }
    struct arena names_arena = {0};
    struct strlist names;
    struct str path = arena_printf(&names_arena, "%.*s/%s", STRF(conf(a)->data_dir), dir);
    int rc = dir_files(path, PERSISTED_COUNT_MAX, &names_arena, &names, err);
    if (rc < 0) {
        rc = err_wrap(err, "Failed reading %s dir", dir);
    }
    for (size_t i = 0; rc >= 0 && i < names.n; i++) {
        if (str_has_suffix(names.v[i], STR("tmp"))) {
            log_write(LOG_WARN, "agent", "Ignoring temporary file", LOG_STR("file", names.v[i]));
            continue;
        }
        struct arena arena = {0};
        struct str file = arena_printf(&arena, "%.*s/%.*s", STRF(path), STRF(names.v[i]));
        rc = one(a, file, &arena, context, err);
        arena_deinit(&arena);
    }
    arena_deinit(&names_arena);
    return rc;
}

struct each_service {
    int (*each)(struct agent *a, struct persisted_service *p, struct str file, struct arena *arena,
                void *data, struct err *err);
    void *data;
};

static int one_service(struct agent *a, struct str file, struct arena *arena, void *context,
                       struct err *err)
{
    struct each_service *e = context;
    struct persisted_service p = {0};
    struct err why = {0};
    if (load(file, &persisted_service_schema, &p, arena, &why) < 0 || p.service == NULL) {
        log_write(LOG_ERROR, "agent", "Failed decoding service file", LOG_STR("file", file),
                  LOG_CSTR("error", err_text(&why)));
        return 0;
    }
    p.service->locally_registered_as_sidecar = p.locally_registered_as_sidecar;
    return e->each(a, &p, file, arena, e->data, err);
}

int persist_each_service(struct agent *a,
                         int (*each)(struct agent *a, struct persisted_service *p, struct str file,
                                     struct arena *arena, void *data, struct err *err),
                         void *data, struct err *err)
{
    struct each_service e = {each, data};
    return each_file(a, SERVICES_DIR, one_service, &e, err);
}

struct each_check {
    int (*each)(struct agent *a, struct persisted_check *p, struct str file, struct arena *arena,
                void *data, struct err *err);
    void *data;
};

static int one_check(struct agent *a, struct str file, struct arena *arena, void *context,
                     struct err *err)
{
    struct each_check *e = context;
    struct persisted_check p = {0};
    struct err why = {0};
    if (load(file, &persisted_check_schema, &p, arena, &why) < 0 || p.check == NULL) {
        log_write(LOG_ERROR, "agent", "Failed decoding check file", LOG_STR("file", file),
                  LOG_CSTR("error", err_text(&why)));
        return 0;
    }
    return e->each(a, &p, file, arena, e->data, err);
}

int persist_each_check(struct agent *a,
                       int (*each)(struct agent *a, struct persisted_check *p, struct str file,
                                   struct arena *arena, void *data, struct err *err),
                       void *data, struct err *err)
{
    struct each_check e = {each, data};
    return each_file(a, CHECKS_DIR, one_check, &e, err);
}
