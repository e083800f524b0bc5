#include "cli/kv.h"

#include "base/encode.h"
#include "schema/field.h"
#include "schema/json.h"

#include <stdio.h>

static struct str prefix;

static const struct cli_flag flags[] = {
    {"prefix", CLI_STR, &prefix, "Put in front of each key, with a slash between."},
    CLIENT_NAMESPACE_FLAG,
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

struct entry {
    struct str key, value, ns;
    uint64_t flags;
};

static const struct field entry_fields[] = {
    F_STR(struct entry, key, "key", 0),
    F_UINT(struct entry, flags, "flags", 0),
    F_STR(struct entry, value, "value", 0),
    F_STR(struct entry, ns, "namespace", 0),
    FIELDS_END,
};
static const struct schema entry_schema = SCHEMA("Entry", struct entry, entry_fields);

static int import_entry(struct client *c, const struct entry *entry)
{
    struct arena *a = client_arena(c);
    struct err err = {0};
    struct str data;
    if (base64_decode(a, entry->value, &data) < 0) {
        return cli_error("Error base 64 decoding value for key %.*s: illegal base64 data at input "
                         "byte %zu",
                         STRF(entry->key), base64_fault(entry->value));
    }
    struct str key = kv_key_join(a, prefix, entry->key);
    struct client_request r;
    client_request_init(&r, c, "PUT", "/v1/kv/%.*s", STRF(key));
    if (entry->ns.n > 0) {
        client_param(&r, STR("ns"), entry->ns);
    }
    if (entry->flags != 0) {
        client_param(&r, STR("flags"), arena_printf(a, "%llu", (unsigned long long)entry->flags));
    }
    client_body(&r, data, STR("application/octet-stream"));
    bool done;
    int rc = key.n > 0 && key.p[0] == '/'
                 ? err_set(&err, ERR_INVALID, "Invalid key. Key must not begin with a '/': %.*s",
                           STRF(key))
                 : kv_write(&r, &done, &err);
    if (rc < 0) {
        return cli_error("Error! Failed writing data for key %.*s: %s", STRF(key), err_text(&err));
    }
    printf("Imported: %.*s\n", STRF(key));
    return 0;
}

static int import_data(struct client *c, struct str data)
{
    struct err err = {0};
    struct value *entries = NULL;
    if (json_parse(client_arena(c), data, &entries, &err) < 0) {
        return cli_error("Cannot unmarshal data: %s", err_text(&err));
    }
    if (entries->kind != VALUE_LIST && entries->kind != VALUE_NULL) {
        return cli_error("Cannot unmarshal data: json: cannot unmarshal %s into Go value of type "
                         "[]*impexp.Entry",
                         value_kind_text(entries->kind));
    }
    /* Nothing is written before everything was understood. */
    size_t count = value_count(entries);
    struct entry *decoded = ARENA_ARRAY(client_arena(c), struct entry, count);
    for (size_t i = 0; i < count; i++) {
        const struct value *v = &entries->list.v[i];
        if (v->kind == VALUE_NULL) { /* 1.10.3 ends at one */
            return cli_error("Cannot unmarshal data: entry %zu is null", i + 1);
        }
        if (v->kind != VALUE_MAP) {
            return cli_error("Cannot unmarshal data: json: cannot unmarshal %s into Go value of "
                             "type impexp.Entry",
                             value_kind_text(v->kind));
        }
        if (schema_decode(&entry_schema, v, &decoded[i], client_arena(c), 0, &err) < 0) {
            return cli_error("Cannot unmarshal data: %s", err_text(&err));
        }
    }
    int code = 0;
    for (size_t i = 0; i < count && code == 0; i++) {
        code = import_entry(c, &decoded[i]);
    }
    return code;
}

static int kv_import_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("kv import", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (args.argc == 0) {
        return cli_error("Error! Missing DATA argument");
    }
    if (args.argc > 1) {
        return cli_error("Error! Too many arguments (expected 1, got %d)", args.argc);
    }
    if (args.argv[0][0] == '\0') {
        return cli_error("Error! Empty DATA argument");
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    if (c == NULL) {
        return 1;
    }
    struct err err = {0};
    struct str data;
    if (cli_data_read(client_arena(c), str_from_cstr(args.argv[0]), &data, &err) < 0) {
        return cli_error("Error! %s", err_text(&err));
    }
    return import_data(c, data);
}

const struct cli_command cli_kv_import_commands[] = {
    {.name = "kv import",
     .synopsis = "Write keys from JSON that was exported",
     .run = kv_import_run,
     .usage = "[DATA]",
     .help = "  Writes the keys that \"consul kv export\" printed. DATA is the JSON itself, @ and "
             "the path of a\n  file, or - for standard input."},
};
const size_t cli_kv_import_commands_count = ARRAY_SIZE(cli_kv_import_commands);
