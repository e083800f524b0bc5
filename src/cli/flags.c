#include "cli/flags.h"

#include "base/clock.h"
#include "base/vec.h"

#include <stdlib.h>

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

static int flag_invalid(struct err *err, const struct cli_flag *f, struct str text)
{
    return err_set(err, ERR_INVALID, "invalid %s \"%.*s\" for %s-%s: parse error",
                   f->kind == CLI_BOOL ? "boolean value" : "value", STRF(text),
                   f->kind == CLI_BOOL ? "" : "flag ", f->name);
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

static int flag_set(const struct cli_flag *f, struct str text, struct err *err)
{
    int rc = 0;
    switch (f->kind) {
    case CLI_BOOL:
        rc = str_parse_bool(text, f->target);
        break;
    case CLI_STR:
        *(struct str *)f->target = text;
        break;
    case CLI_INT:
        rc = str_parse_i64(text, f->target);
        break;
    case CLI_UINT:
        rc = str_parse_u64(text, f->target);
        break;
    case CLI_DURATION:
        rc = duration_parse(text, f->target);
        break;
    case CLI_STRLIST:
        return list_add(f->target, f, text, err);
    case CLI_FUNC:
        return f->fn(f->target, f, text, err);
    }
    return rc < 0 ? flag_invalid(err, f, text) : 0;
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

static const char *flag_type(const struct cli_flag *f)
{
    switch (f->kind) {
    case CLI_BOOL:
        return "";
    case CLI_STR:
    case CLI_STRLIST:
        return "=<string>";
    case CLI_INT:
        return "=<int>";
    case CLI_UINT:
        return "=<uint>";
    case CLI_DURATION:
        return "=<duration>";
    case CLI_FUNC:
        return f->is_bool ? "" : "=<value>";
    }
    return "";
}

/* The usage text, wrapped and indented. */
static void help_wrap(FILE *to, const char *text)
{
    size_t column = 0;
    struct str rest = str_from_cstr(text), word;
    while (str_split_next(&rest, ' ', &word)) {
        if (column == 0 || column + 1 + word.n > 72) {
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
            fprintf(to, "  -%s%s\n", sorted.v[i]->name, flag_type(sorted.v[i]));
            help_wrap(to, sorted.v[i]->usage);
        }
        vec_deinit(&sorted);
    }
}

void cli_list_deinit(struct cli_list *l)
{
    vec_deinit(l);
}
