/* config_fixture.h - config entries for tests, from JSON with ' for ". */
#pragma once

#include "test.h"

#include "base/err.h"
#include "base/mem.h"
#include "schema/config_entry.h"
#include "schema/json.h"

struct config_fixture {
    struct arena arena;
    struct err err;
};

UNUSED static int config_fixture_setup(void **state)
{
    *state = xcalloc(1, sizeof(struct config_fixture));
    return 0;
}

UNUSED static int config_fixture_teardown(void **state)
{
    struct config_fixture *f = *state;
    arena_deinit(&f->arena);
    mem_free(f);
    return 0;
}

UNUSED static struct value *config_value(struct arena *a, const char *json)
{
    struct err err = {0};
    struct value *v;
    struct str text = arena_str(a, str_from_cstr(json));
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\'') {
            ((char *)(uintptr_t)text.p)[i] = '"';
        }
    }
    if (json_parse(a, text, &v, &err) < 0) {
        fail_msg("%s: %s", json, err_text(&err));
    }
    return v;
}

UNUSED static struct config_entry *config_entry_from(struct arena *a, const char *json)
{
    struct err err = {0};
    struct config_entry *e;
    if (config_entry_decode(a, config_value(a, json), DECODE_FLOATS, &e, &err) < 0) {
        fail_msg("%s: %s", json, err_text(&err));
    }
    return e;
}

/* The compact JSON of an entry, with ' for ". */
UNUSED static const char *config_entry_text(struct arena *a, const struct config_entry *e)
{
    struct buf b = {0};
    struct json_writer w = json_writer_make(&b, false);
    json_object(&w, &config_entry_schema, e);
    for (size_t i = 0; i < b.n; i++) {
        b.p[i] = b.p[i] == '"' ? '\'' : b.p[i];
    }
    struct str text = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return text.p;
}
