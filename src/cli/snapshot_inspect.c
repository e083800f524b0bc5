/* `consul snapshot inspect`: what a snapshot is made of, by type of record and, when asked, by the
 * beginnings of keys. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/table.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "fsm/archive.h"
#include "schema/json.h"
#include "schema/msgpack.h"

#include <stdio.h>
#include <stdlib.h>

#define TABLE_GAP 6u
/* The state is held in memory while it is looked through. */
#define INSPECT_STATE_SIZE_MAX ((size_t)ARCHIVE_STATE_SIZE_MAX)

static bool wants_keys;
static int64_t key_depth;
static struct str key_filter, format;

static const struct cli_flag flags[] = {
    {"format", CLI_STR, &format, "How to print it: pretty or json."},
    {"kvdepth", CLI_INT, &key_depth,
     "With -kvdetails: how many parts of a key, between slashes, to tell apart; 2 when not given."},
    {"kvdetails", CLI_BOOL, &wants_keys, "Show what the key-value store takes, by key."},
    {"kvfilter", CLI_STR, &key_filter, "With -kvdetails: only keys that begin so."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{"Command Options", flags}};

/* Names of the record types, by number. */
static const char *const type_names[] = {
    "Register",
    "Deregister",
    "KVS",
    "Session",
    "ACL",
    "Tombstone",
    "CoordinateBatchUpdate",
    "PreparedQuery",
    "Txn",
    "Autopilot",
    "Area",
    "ACLBootstrap",
    "Intention",
    "ConnectCA",
    "ConnectCAProviderState",
    "ConnectCAConfig",
    "Index",
    "ACLToken",
    "ACLTokenDelete",
    "ACLPolicy",
    "ACLPolicyDelete",
    "ConnectCALeaf",
    "ConfigEntry",
    "ACLRole",
    "ACLRoleDelete",
    "ACLBindingRule",
    "ACLBindingRuleDelete",
    "ACLAuthMethod",
    "ACLAuthMethodDelete",
    "ChunkingState",
    "FederationState",
    "SystemMetadata",
};
#define TYPE_KVS 2u
#define TYPE_IGNORABLE 128u /* set on types that old servers may pass over */

struct stats {
    struct str name;
    uint64_t sum, count;
};

struct stats_list {
    struct stats *v; /* in the arena */
    size_t n, cap;
};

struct inspection {
    struct arena *arena;
    struct buf state;
    struct value *meta;
    struct stats types[256];
    struct map keys; /* struct stats by prefix */
    uint64_t total, keys_total;
};

/* --- reading --------------------------------------------------------------------------------- */

static int take_state(void *data, struct str bytes)
{
    struct inspection *i = data;
    buf_str(&i->state, bytes);
    return i->state.failed ? -ERR_TOO_LARGE : 0;
}

static int archive_take(struct inspection *i, struct str archive, struct err *err)
{
    struct archive_reader *r = archive_reader_new(take_state, i);
    struct str meta;
    int rc = archive_reader_feed(r, archive, err);
    if (rc == 0) {
        rc = archive_reader_finish(r, &meta, err);
    }
    if (rc == 0) {
        /* A copy: values point into the text. */
        rc = json_parse(i->arena, arena_str(i->arena, meta), &i->meta, err);
    }
    archive_reader_free(r);
    return rc;
}

static bool is_raw_state(struct str path)
{
    struct str base = str_from(path, (size_t)(str_rfind_byte(path, '/') + 1));
    return str_eq_fold(base, STR("state.bin"));
}

/* The archive, or a server's own state.bin with its meta.json beside it. 0 or the exit code. */
static int inspection_load(struct inspection *i, struct str path)
{
    struct str text, meta;
    struct err err = {0};
    if (cli_file_read(i->arena, path, &text, &err) < 0) {
        return cli_error("Error opening snapshot file: %s", err_text(&err));
    }
    if (!is_raw_state(path)) {
        return archive_take(i, text, &err) < 0
                   ? cli_error("Error reading snapshot: %s", err_text(&err))
                   : 0;
    }
    struct str directory = str_first(path, (size_t)(str_rfind_byte(path, '/') + 1));
    struct str meta_path = arena_concat(i->arena, directory, STR("meta.json"));
    if (cli_file_read(i->arena, meta_path, &meta, &err) < 0) {
        return cli_error("Error reading meta.json from internal snapshot dir: %s", err_text(&err));
    }
    if (json_parse(i->arena, meta, &i->meta, &err) < 0) {
        return cli_error("Error parsing meta.json from internal snapshot dir: %s", err_text(&err));
    }
    buf_str(&i->state, text);
    return i->state.failed ? cli_error("Error reading snapshot: it is too large") : 0;
}

/* --- counting -------------------------------------------------------------------------------- */

/* The key's parts up to -kvdepth, with their slashes. */
static struct str key_prefix(struct str key)
{
    struct str rest = key, part;
    size_t size = 0;
    for (int64_t depth = 0; depth < key_depth && str_split_next(&rest, '/', &part); depth++) {
        size = (size_t)(part.p - key.p) + part.n;
    }
    return str_first(key, size);
}

static void key_count(struct inspection *i, struct str key, uint64_t size)
{
    if (!str_has_prefix(key, key_filter)) {
        return;
    }
    struct str prefix = key_prefix(key);
    struct stats *s = map_get(&i->keys, prefix);
    if (s == NULL) {
        s = ARENA_NEW(i->arena, struct stats);
        s->name = prefix;
        (void)map_put(&i->keys, prefix, s);
    }
    s->sum += size;
    s->count++;
    i->keys_total += size;
}

/* The Key of a KVS record, which is a map; the cursor is a copy. */
static struct str record_key(struct cur c)
{
    size_t pairs = msgpack_read_map(&c);
    for (size_t i = 0; i < pairs && !c.failed; i++) {
        struct str name = msgpack_read_raw(&c);
        if (str_eq_lit(name, "Key")) {
            return msgpack_read_raw(&c);
        }
        if (msgpack_skip(&c) < 0) {
            break;
        }
    }
    return STR_NULL;
}

static struct str type_name(struct arena *a, unsigned type)
{
    unsigned known = type & ~TYPE_IGNORABLE;
    return known < ARRAY_SIZE(type_names) ? str_from_cstr(type_names[known])
                                          : arena_printf(a, "Unknown(%u)", type);
}

/* The header, then records: a type byte and the msgpack of one thing. The header's bytes count for
 * the first record, as in Consul. */
static int inspection_count(struct inspection *i, struct err *err)
{
    struct cur c = cur_make(buf_view(&i->state));
    size_t size = cur_left(&c), before = size;
    if (size == 0 || msgpack_skip(&c) < 0) {
        return err_set(err, ERR_CORRUPT, "EOF");
    }
    while (cur_left(&c) > 0) {
        unsigned type = cur_u8(&c);
        struct cur record = c;
        if (msgpack_skip(&c) < 0) {
            return err_set(err, ERR_CORRUPT, "failed to decode msg type %.*s, error EOF",
                           STRF(type_name(i->arena, type)));
        }
        uint64_t record_size = before - cur_left(&c);
        before = cur_left(&c);
        i->types[type].sum += record_size;
        i->types[type].count++;
        if (wants_keys && type == TYPE_KVS) {
            key_count(i, record_key(record), record_size);
        }
        i->total += record_size;
    }
    return 0;
}

/* The largest first, and by name. */
static int stats_cmp(const void *x, const void *y)
{
    const struct stats *a = x, *b = y;
    return a->sum != b->sum ? (a->sum > b->sum ? -1 : 1) : str_cmp(a->name, b->name);
}

static void stats_sort(struct stats_list *l)
{
    if (l->n > 0) {
        qsort(l->v, l->n, sizeof(*l->v), stats_cmp);
    }
}

static struct stats_list types_list(struct inspection *i)
{
    struct stats_list list = {0};
    for (unsigned type = 0; type < ARRAY_SIZE(i->types); type++) {
        if (i->types[type].count > 0) {
            i->types[type].name = type_name(i->arena, type);
            avec_push(i->arena, &list, i->types[type]);
        }
    }
    stats_sort(&list);
    return list;
}

static struct stats_list keys_list(struct inspection *i)
{
    struct stats_list list = {0};
    struct str key;
    size_t pos = 0;
    void *s;
    while (map_next(&i->keys, &pos, &key, &s)) {
        avec_push(i->arena, &list, *(struct stats *)s);
    }
    stats_sort(&list);
    return list;
}

/* --- printing -------------------------------------------------------------------------------- */

/* "7.9KB" */
static struct str size_text(struct arena *a, uint64_t bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    size_t unit = 0;
    double value = (double)bytes;
    if (bytes == 0) {
        return STR("0");
    }
    while (unit + 1 < ARRAY_SIZE(units) && bytes >> (10 * (unit + 1)) > 0) {
        value /= 1024;
        unit++;
    }
    struct str number = arena_printf(a, "%.1f", value);
    if (str_has_suffix(number, STR(".0"))) {
        number.n -= 2;
    }
    return arena_concat(a, number, str_from_cstr(units[unit]));
}

static struct str number_text(struct arena *a, uint64_t n)
{
    return arena_printf(a, "%llu", (unsigned long long)n);
}

/* Lines of three cells; columns start with a blank and are as wide as their widest cell and a gap.
 */
static void print_columns(const struct table *t)
{
    struct buf text = {0};
    table_render(t, &text, TABLE_GAP);
    struct str rest = buf_view(&text), line;
    while (rest.n > 0 && str_split_next(&rest, '\n', &line)) {
        printf(" %.*s\n", STRF(line));
    }
    buf_deinit(&text);
}

static void print_stats(struct arena *a, const char *title, const struct stats_list *list,
                        uint64_t total)
{
    static const struct str rule = STR_INIT("----");
    struct table t = {0};
    table_row(&t, 3, (struct str[]){str_from_cstr(title), STR("Count"), STR("Size")});
    table_row(&t, 3, (struct str[]){rule, rule, rule});
    for (size_t i = 0; i < list->n; i++) {
        const struct stats *s = &list->v[i];
        table_row(&t, 3, (struct str[]){s->name, number_text(a, s->count), size_text(a, s->sum)});
    }
    table_row(&t, 3, (struct str[]){rule, rule, rule});
    table_row(&t, 3, (struct str[]){STR("Total"), STR(""), size_text(a, total)});
    print_columns(&t);
    table_deinit(&t);
}

static void print_pretty(struct inspection *i)
{
    struct arena *a = i->arena;
    struct stats_list types = types_list(i), keys = keys_list(i);
    struct table t = {0};
    static const char *const numbers[] = {"Size", "Index", "Term", "Version"};
    table_row(&t, 2, (struct str[]){STR("ID"), value_member_str(i->meta, "ID")});
    for (size_t j = 0; j < ARRAY_SIZE(numbers); j++) {
        table_row(&t, 2,
                  (struct str[]){str_from_cstr(numbers[j]),
                                 number_text(a, value_member_u64(i->meta, numbers[j]))});
    }
    print_columns(&t);
    table_deinit(&t);
    putchar('\n');
    print_stats(a, "Type", &types, i->total);
    if (keys.n > 0) {
        putchar('\n');
        print_stats(a, "Key Name", &keys, i->keys_total);
    }
}

static void json_stats(struct buf *to, const char *name, const struct stats_list *list)
{
    buf_printf(to, ",\n   \"%s\": ", name);
    if (list->n == 0) {
        buf_lit(to, "null");
        return;
    }
    buf_lit(to, "[\n");
    for (size_t i = 0; i < list->n; i++) {
        buf_lit(to, "      {\n         \"Name\": ");
        json_quote(to, list->v[i].name);
        buf_printf(to, ",\n         \"Sum\": %llu,\n         \"Count\": %llu\n      }%s\n",
                   (unsigned long long)list->v[i].sum, (unsigned long long)list->v[i].count,
                   i + 1 < list->n ? "," : "");
    }
    buf_lit(to, "   ]");
}

/* Indented by three, as Consul has it here. */
static void print_json(struct inspection *i)
{
    struct stats_list types = types_list(i), keys = keys_list(i);
    struct buf text = {0};
    buf_lit(&text, "{\n   \"Meta\": {\n      \"ID\": ");
    json_quote(&text, value_member_str(i->meta, "ID"));
    buf_printf(&text,
               ",\n      \"Size\": %llu,\n      \"Index\": %llu,\n      \"Term\": %llu,\n"
               "      \"Version\": %llu\n   }",
               (unsigned long long)value_member_u64(i->meta, "Size"),
               (unsigned long long)value_member_u64(i->meta, "Index"),
               (unsigned long long)value_member_u64(i->meta, "Term"),
               (unsigned long long)value_member_u64(i->meta, "Version"));
    json_stats(&text, "Stats", &types);
    json_stats(&text, "StatsKV", &keys);
    buf_printf(&text, ",\n   \"TotalSize\": %llu,\n   \"TotalSizeKV\": %llu\n}\n",
               (unsigned long long)i->total, (unsigned long long)i->keys_total);
    (void)fwrite(text.p, 1, text.n, stdout);
    buf_deinit(&text);
}

/* --- the command ----------------------------------------------------------------------------- */

static int inspect(struct inspection *i, struct str path)
{
    struct err err = {0};
    int code = inspection_load(i, path);
    if (code != 0) {
        return code;
    }
    if (inspection_count(i, &err) < 0) {
        return cli_error("Error extracting snapshot data: %s", err_text(&err));
    }
    if (str_eq_lit(format, "json")) {
        print_json(i);
    } else if (str_eq_lit(format, "pretty")) {
        print_pretty(i);
    } else {
        return cli_error("Error outputting enhanced snapshot data: Unknown format: %.*s",
                         STRF(format));
    }
    return 0;
}

static int snapshot_inspect_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    format = STR("pretty");
    key_depth = 2;
    if (!cli_parse("snapshot inspect", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (args.argc == 0) {
        return cli_error("Missing FILE argument");
    }
    if (args.argc > 1) {
        return cli_error("Too many arguments (expected 1, got %d)", args.argc);
    }
    struct arena a = {0};
    struct inspection *i = xcalloc(1, sizeof(*i));
    i->arena = &a;
    map_init(&i->keys, MAP_KEYS_BORROWED);
    buf_init(&i->state, INSPECT_STATE_SIZE_MAX);
    code = inspect(i, str_from_cstr(args.argv[0]));
    buf_deinit(&i->state);
    map_deinit(&i->keys);
    mem_free(i);
    arena_deinit(&a);
    return code;
}

const struct cli_command cli_snapshot_inspect_commands[] = {
    {.name = "snapshot inspect",
     .synopsis = "Tell what an archive holds",
     .run = snapshot_inspect_run,
     .usage = "[options] FILE",
     .help = "  Prints what a snapshot is of, and how much of it each kind of thing takes."},
};
const size_t cli_snapshot_inspect_commands_count = ARRAY_SIZE(cli_snapshot_inspect_commands);
