/* Address templates: {{ GetPrivateIP }}, {{ GetInterfaceIP "eth0" }}, {{ GetAllInterfaces | include
 * "network" "10.0.0.0/8" | attr "address" }}.
 *
 * The language is the part of Go's text/template that such templates use: text with actions in
 * double braces (with a dash, blanks beside them are dropped), each a comment or a pipeline of
 * calls; what comes out of one call is the last argument of the next. Values are texts and lists of
 * interface addresses. There are no conditions, loops and variables. */
#include "agent/config_template.h"
#include "base/buf.h"
#include "base/gofmt.h"

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '+';
}

/* The next operand: a quoted text, a word or number, or "." (the list of all addresses). */
static int operand_next(struct template *t, struct str *rest, struct str *ret_text,
                        bool *ret_is_literal)
{
    char first = rest->p[0];
    if (first == '"' || first == '`') {
        ptrdiff_t end = str_find_byte(str_from(*rest, 1), first);
        if (end < 0) {
            return err_set(t->err, ERR_INVALID, "unterminated quoted string");
        }
        *ret_text = str_make(rest->p + 1, (size_t)end);
        *rest = str_trim(str_from(*rest, (size_t)end + 2));
        *ret_is_literal = true;
        return 0;
    }
    size_t n = first == '.' ? 1 : 0;
    while (first != '.' && n < rest->n && is_word_char(rest->p[n])) {
        n++;
    }
    if (n == 0) {
        return err_set(t->err, ERR_INVALID, "unexpected \"%c\" in operand", first);
    }
    *ret_text = str_first(*rest, n);
    *rest = str_trim(str_from(*rest, n));
    *ret_is_literal = (first >= '0' && first <= '9') || first == '-' || first == '+';
    return 0;
}

static int call_eval(struct template *t, struct str name, const struct str *args, size_t count,
                     bool has_list, struct iface_list in, struct tvalue *ret_value)
{
    if (str_eq_lit(name, "printf") && count > 0 && !has_list) {
        return template_printf(t, args, count, ret_value);
    }
    const struct template_function *f = template_function_find(name);
    if (f == NULL) {
        t->is_malformed = true;
        return err_set(t->err, ERR_INVALID, "function \"%.*s\" not defined", STRF(name));
    }
    if (count != f->arg_count || has_list != f->takes_list) {
        return err_set(t->err, ERR_INVALID, "wrong number of args for %s: want %u got %zu", f->name,
                       f->arg_count + f->takes_list, count + has_list);
    }
    return f->fn(t, args, in, ret_value);
}

/* One call of a pipeline, up to the bar or the end. `value` is what the call before it gave. */
static int command_eval(struct template *t, struct str *rest, bool has_value, struct tvalue *value)
{
    struct str name, args[TEMPLATE_ARGS_MAX + 1];
    size_t count = 0;
    bool is_literal, has_list = false;
    struct iface_list list = t->all;
    int rc = operand_next(t, rest, &name, &is_literal);
    if (rc < 0) {
        return rc;
    }
    if (is_literal || str_eq_lit(name, ".")) {
        *value = (struct tvalue){.is_list = !is_literal, .text = name, .list = t->all};
        return 0;
    }
    while (rest->n > 0 && rest->p[0] != '|') {
        if (count >= TEMPLATE_ARGS_MAX) {
            return err_set(t->err, ERR_INVALID, "wrong number of args for %.*s", STRF(name));
        }
        rc = operand_next(t, rest, &args[count], &is_literal);
        if (rc < 0) {
            return rc;
        }
        if (str_eq_lit(args[count], ".") && !is_literal) {
            has_list = true;
        } else {
            count++;
        }
    }
    if (has_value && value->is_list) {
        has_list = true;
        list = value->list;
    } else if (has_value) {
        args[count++] = value->text;
    }
    return call_eval(t, name, args, count, has_list, list, value);
}

static int action_eval(struct template *t, struct str action, struct str *ret_text)
{
    struct str rest = str_trim(action);
    struct tvalue value = {0};
    for (unsigned calls = 0;; calls++) {
        if (rest.n == 0) {
            t->is_malformed = true;
            return err_set(t->err, ERR_INVALID, "missing value for command");
        }
        if (calls >= TEMPLATE_CALLS_MAX) {
            return err_set(t->err, ERR_INVALID, "more than %u calls in a pipeline",
                           TEMPLATE_CALLS_MAX);
        }
        int rc = command_eval(t, &rest, calls > 0, &value);
        if (rc < 0) {
            return rc;
        }
        if (rest.n == 0) {
            break;
        }
        if (rest.p[0] != '|') {
            return err_set(t->err, ERR_INVALID, "unexpected \"%c\" in command", rest.p[0]);
        }
        rest = str_trim(str_from(rest, 1));
    }
    if (value.is_list) {
        return err_set(t->err, ERR_INVALID,
                       "the pipeline ends in a list of interfaces, not in "
                       "text: attr or join is missing");
    }
    *ret_text = value.text;
    return 0;
}

/* What stands between the braces, and where the text goes on behind them. */
static int action_find(struct template *t, struct str tail, struct str *ret_action,
                       struct str *ret_rest)
{
    bool is_trimmed = str_has_prefix(tail, STR("-"));
    struct str inner = is_trimmed ? str_trim(str_from(tail, 1)) : tail;
    if (str_has_prefix(inner, STR("/*"))) {
        ptrdiff_t comment_end = str_find(inner, STR("*/"));
        if (comment_end < 0) {
            t->is_malformed = true;
            return err_set(t->err, ERR_INVALID, "unclosed comment");
        }
        tail = str_trim(str_from(inner, (size_t)comment_end + 2));
        if (str_has_prefix(tail, STR("-}}"))) {
            *ret_rest = str_trim(str_from(tail, 3));
        } else if (str_has_prefix(tail, STR("}}"))) {
            *ret_rest = str_from(tail, 2);
        } else {
            t->is_malformed = true;
            return err_set(t->err, ERR_INVALID, "comment ends before closing delimiter");
        }
        *ret_action = STR_NULL;
        return 0;
    }
    ptrdiff_t end = str_find(inner, STR("}}"));
    if (end < 0) {
        t->is_malformed = true;
        return err_set(t->err, ERR_INVALID, "unclosed action");
    }
    *ret_action = str_first(inner, (size_t)end);
    *ret_rest = str_from(inner, (size_t)end + 2);
    if (str_has_suffix(*ret_action, STR(" -"))) {
        ret_action->n -= 2;
        *ret_rest = str_trim(*ret_rest); /* at its end nothing but blanks would be lost, either */
    }
    return 0;
}

static int expand(struct template *t, struct str text, struct buf *out)
{
    while (text.n > 0) {
        ptrdiff_t start = str_find(text, STR("{{"));
        if (start < 0) {
            buf_str(out, text);
            break;
        }
        struct str tail = str_from(text, (size_t)start + 2), action, result;
        struct str before = str_first(text, (size_t)start);
        if (str_has_prefix(tail, STR("- "))) {
            before = str_trim(before);
        }
        buf_str(out, before);
        int rc = action_find(t, tail, &action, &text);
        if (rc == 0 && action.p != NULL) {
            rc = action_eval(t, action, &result);
            if (rc == 0) {
                buf_str(out, result);
            }
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int template_expand(struct arena *a, struct str text, struct str *ret_text, struct err *err)
{
    if (str_find(text, STR("{{")) < 0) {
        *ret_text = text;
        return 0;
    }
    struct template t = {.a = a, .err = err};
    int rc = iface_list_read(a, &t.all, err);
    struct buf out;
    buf_init(&out, 65536);
    if (rc == 0) {
        rc = expand(&t, text, &out);
    }
    if (rc == 0) {
        *ret_text = arena_str(a, buf_view(&out));
    } else if (t.is_malformed) {
        (void)err_wrap(err, "unable to parse template %.*s: template: sockaddr.Parse:1",
                       STRF(go_quoted(a, text)));
    } else {
        (void)err_wrap(err, "unable to execute sockaddr input %.*s", STRF(go_quoted(a, text)));
    }
    buf_deinit(&out);
    return rc;
}
