#include "cli/flags.h"

#include "base/clock.h"
#include "base/gofmt.h"
#include "base/vec.h"

#include <stdlib.h>

/* Of a value that is shown in an error. */
#define QUOTED_SIZE_MAX 400u
/* Of a line of usage text, without its indent. */
#define HELP_WIDTH 67u

static const struct cli_flag *flag_find(const struct cli_flag_group *groups, size_t count,
                                        struct str name)
{
    for (size_t g = 0; g < count; g++) {
        for (const struct cli_flag *f = groups[g].flags; f->name != NULL; f++) {
            if (str_eq(name, str_from_cstr(f->name))) {
                return f;
            }
        }
    }
    return NULL;
}

static bool flag_may_stand_bare(const struct cli_flag *f)
{
    return f->kind == CLI_BOOL || (f->kind == CLI_FUNC && f->is_bool);
}

/* "invalid value "x" for flag -name: why" */
static int flag_invalid(struct err *err, const struct cli_flag *f, struct str text, const char *why)
{
    struct buf quoted;
    buf_init(&quoted, 4 * QUOTED_SIZE_MAX + 64);
    go_quote(&quoted, str_first(text, QUOTED_SIZE_MAX));
    bool is_bool = flag_may_stand_bare(f);
    (void)err_set(err, ERR_INVALID, "invalid %s %.*s for %s-%s: %s",
                  is_bool ? "boolean value" : "value", STRF(buf_view(&quoted)),
                  is_bool ? "" : "flag ", f->name, why);
    buf_deinit(&quoted);
    return -ERR_INVALID;
}

/* Digits as strconv.ParseUint(s, 0, 64) takes them: the base by a prefix, underscores only between
 * digits (or after the prefix). */
static int parse_based(struct str s, uint64_t *ret_value)
{
    unsigned base = 10;
    bool has_prefix = false;
    if (s.n > 1 && s.p[0] == '0') {
        char c = s.p[1];
        base = c == 'x' || c == 'X' ? 16 : c == 'b' || c == 'B' ? 2 : 8;
        has_prefix = true;
        s = str_from(s, base == 8 && c != 'o' && c != 'O' ? 1 : 2);
    }
    uint64_t value = 0;
    bool digit_before = false;
    if (s.n == 0) {
        return -ERR_INVALID;
    }
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '_') {
            if (!(i > 0 ? digit_before : has_prefix) || i + 1 == s.n) {
                return -ERR_INVALID;
            }
            digit_before = false;
            continue;
        }
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : base;
        if (digit >= base) {
            return -ERR_INVALID;
        }
        if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value)) {
            return -ERR_RANGE;
        }
        digit_before = true;
    }
    *ret_value = value;
    return 0;
}

static int parse_based_signed(struct str s, int64_t *ret_value)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
        s = str_from(s, 1);
    }
    uint64_t magnitude;
    int rc = parse_based(s, &magnitude);
    if (rc < 0) {
        return rc;
    }
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return -ERR_RANGE;
    }
    *ret_value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return 0;
}

static int list_add(struct cli_list *l, const struct cli_flag *f, struct str text, struct err *err)
{
    if (l->n == CLI_LIST_MAX) {
        return err_set(err, ERR_TOO_LARGE, "flag -%s is given more than %u times", f->name,
                       CLI_LIST_MAX);
    }
    vec_push(l, text);
    return 0;
}

static int map_add(struct cli_map *m, const struct cli_flag *f, struct str text, struct err *err)
{
    struct cli_pair pair;
    if (!str_cut(text, '=', &pair.key, &pair.value)) {
        char why[ERR_TEXT_SIZE_MAX];
        (void)snprintf(why, sizeof(why), "Missing \"=\" value in argument: %.*s", STRF(text));
        return flag_invalid(err, f, text, why);
    }
    if (m->n == CLI_LIST_MAX) {
        return err_set(err, ERR_TOO_LARGE, "flag -%s is given more than %u times", f->name,
                       CLI_LIST_MAX);
    }
    size_t at = 0;
    while (at < m->n && str_cmp(m->v[at].key, pair.key) < 0) {
        at++;
    }
    if (at < m->n && str_eq(m->v[at].key, pair.key)) {
        m->v[at] = pair;
        return 0;
    }
    vec_push(m, pair);
    memmove(&m->v[at + 1], &m->v[at], (m->n - 1 - at) * sizeof(pair));
    m->v[at] = pair;
    return 0;
}

static int flag_set(const struct cli_flag *f, struct str text, struct err *err)
{
    int rc = 0;
    switch (f->kind) {
    case CLI_BOOL:
        rc = str_parse_bool(text, f->target);
        if (rc < 0 && f->is_bool_value) {
            char why[ERR_TEXT_SIZE_MAX];
            (void)snprintf(why, sizeof(why), "strconv.ParseBool: parsing \"%.*s\": invalid syntax",
                           STRF(text));
            return flag_invalid(err, f, text, why);
        }
        break;
    case CLI_STR:
        *(struct str *)f->target = text;
        break;
    case CLI_INT:
        rc = parse_based_signed(text, f->target);
        break;
    case CLI_UINT:
        rc = parse_based(text, f->target);
        break;
    case CLI_DURATION:
        rc = duration_parse(text, f->target);
        break;
    case CLI_STRLIST:
        return list_add(f->target, f, text, err);
    case CLI_STRMAP:
        return map_add(f->target, f, text, err);
    case CLI_FUNC:
        return f->fn(f->target, f, text, err);
    }
    if (rc < 0) {
        bool is_range = rc == -ERR_RANGE && f->kind != CLI_DURATION;
        return flag_invalid(err, f, text, is_range ? "value out of range" : "parse error");
    }
    return 0;
}

int cli_flags_parse(int argc, char **argv, const struct cli_flag_group *groups, size_t groups_count,
                    struct cli_args *ret_args, struct err *err)
{
    int i = 0;
    while (i < argc) {
        struct str arg = str_from_cstr(argv[i]);
        if (arg.n < 2 || arg.p[0] != '-') {
            break;
        }
        i++;
        struct str name = str_from(arg, arg.p[1] == '-' ? 2 : 1), text = STR_NULL;
        if (name.n == 0) { /* "--" */
            break;
        }
        if (name.p[0] == '-' || name.p[0] == '=') {
            return err_set(err, ERR_INVALID, "bad flag syntax: %.*s", STRF(arg));
        }
        bool has_text = str_cut(name, '=', &name, &text);
        const struct cli_flag *f = flag_find(groups, groups_count, name);
        if (f == NULL) {
            if (str_eq_lit(name, "help") || str_eq_lit(name, "h")) {
                return -ERR_CANCELED; /* the caller shows its help */
            }
            return err_set(err, ERR_INVALID, "flag provided but not defined: -%.*s", STRF(name));
        }
        if (!has_text) {
            if (flag_may_stand_bare(f)) {
                text = STR("true");
            } else if (i < argc) {
                text = str_from_cstr(argv[i++]);
            } else {
                return err_set(err, ERR_INVALID, "flag needs an argument: -%s", f->name);
            }
        }
        int rc = flag_set(f, text, err);
        if (rc < 0) {
            return rc;
        }
    }
    *ret_args = (struct cli_args){argc - i, argv + i};
    return 0;
}

static int flag_cmp(const void *a, const void *b)
{
    const struct cli_flag *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* What stands for the value; "" for a flag that stands bare. */
static const char *flag_type(const struct cli_flag *f)
{
    if (f->type != NULL) {
        return f->type;
    }
    switch (f->kind) {
    case CLI_BOOL:
        return "";
    case CLI_STR:
        return "string";
    case CLI_INT:
        return "int";
    case CLI_UINT:
        return "uint";
    case CLI_DURATION:
        return "duration";
    case CLI_STRLIST:
        return "value";
    case CLI_STRMAP:
        return "key=value";
    case CLI_FUNC:
        return f->is_bool ? "" : "value";
    }
    return "";
}

/* The usage text, wrapped and indented. */
static void help_wrap(FILE *to, const char *text)
{
    size_t column = 0;
    struct str rest = str_from_cstr(text), word;
    while (str_split_next(&rest, ' ', &word)) {
        if (column == 0 || column + 1 + word.n > HELP_WIDTH) {
            fprintf(to, "%s     %.*s", column == 0 ? "" : "\n", STRF(word));
            column = word.n;
        } else {
            fprintf(to, " %.*s", STRF(word));
            column += 1 + word.n;
        }
    }
    fputs("\n\n", to);
}

void cli_flags_help(FILE *to, const struct cli_flag_group *groups, size_t groups_count)
{
    for (size_t g = 0; g < groups_count; g++) {
        VEC(const struct cli_flag *) sorted = {0};
        for (const struct cli_flag *f = groups[g].flags; f->name != NULL; f++) {
            vec_push(&sorted, f);
        }
        if (sorted.n > 0) {
            qsort(sorted.v, sorted.n, sizeof(*sorted.v), flag_cmp);
            fprintf(to, "%s\n\n", groups[g].title);
        }
        for (size_t i = 0; i < sorted.n; i++) {
            const char *type = flag_type(sorted.v[i]);
            bool is_bare = type[0] == '\0';
            fprintf(to, "  -%s%s%s%s\n", sorted.v[i]->name, is_bare ? "" : "=<", type,
                    is_bare ? "" : ">");
            help_wrap(to, sorted.v[i]->usage);
        }
        vec_deinit(&sorted);
    }
}

void cli_list_deinit(struct cli_list *l)
{
    vec_deinit(l);
}

void cli_map_deinit(struct cli_map *m)
{
    vec_deinit(m);
}
