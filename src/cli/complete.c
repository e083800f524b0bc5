#include "cli/complete.h"

#include "base/vec.h"
#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>

typedef VEC(struct str) words;

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The words of a line; an empty one at the end when it ends with a blank. Of the last,
 * "-flag=value" is two. */
static words line_split(struct arena *a, struct str line)
{
    words list = {0};
    size_t at = 0;
    while (at < line.n) {
        size_t from = at;
        while (at < line.n && !is_space(line.p[at])) {
            at++;
        }
        if (at > from) {
            avec_push(a, &list, str_make(line.p + from, at - from));
        }
        at++;
    }
    if (line.n > 0 && is_space(line.p[line.n - 1])) {
        avec_push(a, &list, STR(""));
    }
    if (list.n > 0) {
        struct str rest = list.v[--list.n], part;
        while (str_split_next(&rest, '=', &part)) {
            avec_push(a, &list, part);
        }
    }
    return list;
}

/* The word of a command's name below a prefix ("kv" of "kv get" below ""); false when it is none.
 */
static bool name_below(struct str name, struct str prefix, struct str *ret_word)
{
    struct str rest = name, tail;
    if (prefix.n > 0) {
        if (!str_has_prefix(name, prefix) || name.n == prefix.n || name.p[prefix.n] != ' ') {
            return false;
        }
        rest = str_from(name, prefix.n + 1);
    }
    (void)str_cut(rest, ' ', ret_word, &tail);
    return true;
}

static bool is_below(struct str prefix, struct str word)
{
    const struct cli_command *c;
    struct str name;
    for (size_t i = 0; (c = cli_command_at(i)) != NULL; i++) {
        if (name_below(str_from_cstr(c->name), prefix, &name) && str_eq(name, word)) {
            return true;
        }
    }
    return false;
}

static int word_cmp(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void word_add(struct arena *a, words *list, struct str word, struct str typed)
{
    bool has = !str_has_prefix(word, typed);
    for (size_t i = 0; i < list->n && !has; i++) {
        has = str_eq(list->v[i], word);
    }
    if (!has) {
        avec_push(a, list, word);
    }
}

struct strlist complete_line(struct arena *a, struct str line, size_t point)
{
    static const struct str top_flags[] = {STR_INIT("-autocomplete-install"),
                                           STR_INIT("-autocomplete-uninstall"), STR_INIT("-help"),
                                           STR_INIT("-version")};
    words list = line_split(a, str_first(line, point)), found = {0};
    struct str prefix = STR(""), name;
    struct str typed = list.n > 0 ? list.v[list.n - 1] : STR("");
    /* The first word is the program, the last is being typed. */
    for (size_t i = 1; i + 1 < list.n; i++) {
        if (is_below(prefix, list.v[i])) {
            prefix = prefix.n == 0 ? list.v[i]
                                   : arena_printf(a, "%.*s %.*s", STRF(prefix), STRF(list.v[i]));
        }
    }
    const struct cli_command *c;
    for (size_t i = 0; (c = cli_command_at(i)) != NULL; i++) {
        if (name_below(str_from_cstr(c->name), prefix, &name)) {
            word_add(a, &found, name, typed);
        }
    }
    for (size_t i = 0;
         prefix.n == 0 && str_has_prefix(typed, STR("-")) && i < ARRAY_SIZE(top_flags); i++) {
        word_add(a, &found, top_flags[i], typed);
    }
    if (found.n > 0) {
        qsort(found.v, found.n, sizeof(*found.v), word_cmp);
    }
    return (struct strlist){found.v, found.n};
}

bool complete_answer(void)
{
    struct arena a = {0};
    struct str line = str_from_cstr(getenv("COMP_LINE"));
    struct str text = str_from_cstr(getenv("COMP_POINT"));
    int64_t point;
    if (line.n == 0) {
        return false;
    }
    if (str_parse_i64(text, &point) < 0 || point < 0) {
        point = (int64_t)line.n;
    }
    struct strlist found = complete_line(&a, line, (size_t)point);
    for (size_t i = 0; i < found.n; i++) {
        printf("%.*s\n", STRF(found.v[i]));
    }
    arena_deinit(&a);
    return true;
}
