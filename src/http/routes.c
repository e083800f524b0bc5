/* From a path to its handler, by the rules of Go's ServeMux and of Consul's wrapper around each
 * endpoint: unprintable characters, cleaning, the longest pattern, blocked endpoints, OPTIONS,
 * methods, who may write. */
#include "base/err.h"
#include "base/gofmt.h"
#include "http/front.h"
#include "http/ui.h"
#include "server/delegate.h"
#include "server/worker.h"

static bool is_printable_path(struct str path)
{
    for (size_t i = 0; i < path.n; i++) {
        uint8_t c = (uint8_t)path.p[i];
        if (c >= 0x20 && c < 0x7f) {
            continue;
        }
        uint32_t rune;
        size_t size = c < 0x80 ? 1 : str_utf8_next(str_from(path, i), &rune);
        if (c < 0x80 || (size > 0 && !go_is_printable(rune))) {
            return false;
        }
        i += size > 0 ? size - 1 : 0; /* not UTF-8: Go sees U+FFFD there, which is printable */
    }
    return true;
}

/* Whether path.Clean would change anything: an empty, "." or ".." element. */
static bool is_clean(struct str path)
{
    if (path.n == 0 || path.p[0] != '/') {
        return false;
    }
    const char *p = path.p, *end = path.p + path.n;
    while ((p = memchr(p, '/', (size_t)(end - p))) != NULL) {
        p++;
        size_t left = (size_t)(end - p);
        if (left == 0) {
            break;
        }
        if (p[0] == '/' || (p[0] == '.' && (left == 1 || p[1] == '/' ||
                                            (p[1] == '.' && (left == 2 || p[2] == '/'))))) {
            return false;
        }
    }
    return true;
}

bool http_clean_path(struct arena *a, struct str path, struct str *ret_path)
{
    if (is_clean(path)) {
        return false;
    }
    char *to = arena_alloc(a, path.n + 2);
    size_t n = 0;
    struct str rest = path, piece;
    while (str_split_next(&rest, '/', &piece)) {
        if (piece.n == 0 || str_eq_lit(piece, ".")) {
            continue;
        }
        if (str_eq_lit(piece, "..")) {
            while (n > 0 && to[--n] != '/') {
            }
            continue;
        }
        to[n++] = '/';
        memcpy(to + n, piece.p, piece.n);
        n += piece.n;
    }
    if (n == 0 || (path.n > 0 && path.p[path.n - 1] == '/')) {
        to[n++] = '/';
    }
    *ret_path = str_make(to, n);
    return true;
}

/* --- the routes ------------------------------------------------------------------------------ */

/* How many patterns sort before a path, or are it. */
static size_t place_of(const struct http_front *f, struct str path)
{
    size_t low = 0, high = f->entries_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_cmp(f->entries[middle]->pattern, path) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_pattern(const struct http_front *f, size_t place, struct str path)
{
    return place > 0 && str_eq(f->entries[place - 1]->pattern, path);
}

static bool ends_in_slash(struct str s)
{
    return s.n > 0 && s.p[s.n - 1] == '/';
}

/* The path's own pattern, else the longest that ends in a slash and that the path begins with. It
 * is the one right before the path's place, or one of those that that begins with: between a string
 * and a prefix of it there is only what has the same prefix. */
static struct http_entry *entry_at(const struct http_front *f, size_t place, struct str path)
{
    struct http_entry *e = place > 0 ? f->entries[place - 1] : NULL;
    while (e != NULL && !str_eq(e->pattern, path) &&
           !(ends_in_slash(e->pattern) && str_has_prefix(path, e->pattern))) {
        e = e->parent;
    }
    return e;
}

struct http_entry *http_route_find(const struct http_front *f, struct str path)
{
    return entry_at(f, place_of(f, path), path);
}

static bool is_slashed(struct str pattern, struct str path)
{
    return pattern.n == path.n + 1 && ends_in_slash(pattern) && str_has_prefix(pattern, path);
}

/* Is there a pattern that is the path with a slash? Those that begin with the path follow its
 * place. */
static bool has_slashed(const struct http_front *f, size_t place, struct str path)
{
    for (; place < f->entries_count; place++) {
        struct str pattern = f->entries[place]->pattern;
        if (is_slashed(pattern, path)) {
            return true;
        }
        if (!str_has_prefix(pattern, path)) {
            break;
        }
    }
    return false;
}

static void add_route(struct http_front *f, const struct http_route *route)
{
    struct str pattern = str_from_cstr(route->pattern);
    size_t at = place_of(f, pattern);
    if (is_pattern(f, at, pattern)) {
        return; /* an earlier file has it */
    }
    struct http_entry *e = ARENA_NEW(&f->strings, struct http_entry);
    *e = (struct http_entry){.route = route, .pattern = pattern};
    if (route->methods != 0) {
        e->allow = arena_printf(&f->strings, "OPTIONS,%s", route->methods_text);
    }
    memmove(f->entries + at + 1, f->entries + at, (f->entries_count - at) * sizeof(e));
    f->entries[at] = e;
    f->entries_count++;
}

void http_routes_init(struct http_front *f)
{
    const struct http_route_set *sets = f->options.route_sets;
    size_t count = 0;
    for (const struct http_route_set *set = sets; set->routes != NULL; set++) {
        count += *set->count;
    }
    f->entries = ARENA_ARRAY(&f->strings, struct http_entry *, count);
    for (const struct http_route_set *set = sets; set->routes != NULL; set++) {
        for (size_t i = 0; i < *set->count; i++) {
            add_route(f, &set->routes[i]);
        }
    }
    for (size_t i = 1; i < f->entries_count; i++) {
        struct http_entry *e = f->entries[i], *parent = f->entries[i - 1];
        while (parent != NULL && !str_has_prefix(e->pattern, parent->pattern)) {
            parent = parent->parent;
        }
        e->parent = parent;
    }
}

/* --- answers that are no endpoint's ----------------------------------------------------------- */

static void put_html_escaped(struct buf *to, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '&':
            buf_lit(to, "&amp;");
            break;
        case '<':
            buf_lit(to, "&lt;");
            break;
        case '>':
            buf_lit(to, "&gt;");
            break;
        case '"':
            buf_lit(to, "&#34;");
            break;
        case '\'':
            buf_lit(to, "&#39;");
            break;
        default:
            buf_byte(to, (uint8_t)s.p[i]);
        }
    }
}

/* As http.Redirect: a little HTML for GET, nothing for the rest. */
static void redirect(struct http_req *req, struct str path, bool with_query)
{
    struct buf url = {0};
    http1_escape_path(&url, path);
    if (with_query && req->query.n > 0) {
        buf_byte(&url, '?');
        buf_str(&url, req->query);
    }
    http_set_header(req, STR("Location"), buf_view(&url));
    if (req->method == HTTP_GET || req->method == HTTP_HEAD) {
        req->content_type = STR("text/html; charset=utf-8");
    }
    if (req->method == HTTP_GET) {
        buf_lit(req->out, "<a href=\"");
        put_html_escaped(req->out, buf_view(&url));
        buf_lit(req->out, "\">Moved Permanently</a>.\n\n");
    }
    buf_deinit(&url);
    http_finish(req, 301);
}

/* What no pattern has. */
static void index_page(struct http_req *req)
{
    const struct http_options *options = &req->http->front->options;
    if (options->ui_content_path.n > 0 && (str_has_prefix(req->path, options->ui_content_path) ||
                                           str_eq_lit(req->path, "/robots.txt"))) {
        http_ui(req);
    } else if (!str_eq_lit(req->path, "/")) {
        http_finish(req, 404);
    } else if (options->ui_content_path.n > 0) {
        redirect(req, options->ui_content_path, false);
    } else {
        buf_lit(req->out, "Consul Agent");
        http_finish(req, 200);
    }
}

static bool is_blocked(const struct http_options *options, struct str path)
{
    for (size_t i = 0; i < options->block_endpoints.n; i++) {
        if (str_has_prefix(path, options->block_endpoints.v[i])) {
            return true;
        }
    }
    return false;
}

static bool may_write(const struct http_req *req)
{
    const struct http_options *options = &req->http->front->options;
    return req->method == HTTP_GET || req->method == HTTP_HEAD || req->method == HTTP_OPTIONS ||
           options->allow_write_from.n == 0 ||
           config_cidrs_contain(options->allow_write_from, req->remote_ip);
}

static void call_endpoint(struct http_flight *f, struct http_entry *e)
{
    struct http_req *req = &f->req;
    const struct http_options *options = &req->http->front->options;
    f->is_api = true;
    f->entry = e;
    req->route = e->route;
    req->tail = str_from(req->path, e->pattern.n);
    if (http_parse_params(req) < 0) {
        http_finish(req, 500); /* without a word, as Consul */
        return;
    }
    req->pretty = options->is_dev || http_has_param(req, STR("pretty"));
    http_parse_token(req);
    if (is_blocked(options, req->path)) {
        http_error(req, 403, "Endpoint is blocked by agent configuration");
    } else if (e->allow.n > 0 && req->method == HTTP_OPTIONS) {
        http_set_header(req, STR("Allow"), e->allow);
        http_finish(req, 200);
    } else if (e->allow.n > 0 && (e->route->methods & req->method) == 0) {
        http_set_header(req, STR("Allow"), e->allow);
        http_error(req, 405, "method %.*s not allowed", STRF(req->method_text));
    } else if (!may_write(req)) {
        http_error(req, 403, "Access is restricted");
    } else if ((e->route->flags & HTTP_ROUTE_ACL) != 0 && req->worker->delegate->acl.enabled) {
        http_identify_as(req, req->token, e->route->handler);
    } else {
        e->route->handler(req);
    }
}

/* Where a path is to go instead: cleaned, or with the slash that only its pattern has. */
static bool find_redirect(struct http_req *req, size_t place, struct str *ret_path)
{
    const struct http_front *front = req->http->front;
    struct str path = req->path;
    bool changed = http_clean_path(req->arena, path, &path);
    if (changed) {
        place = place_of(front, path);
    }
    if (!ends_in_slash(path) && !is_pattern(front, place, path) &&
        (is_slashed(front->options.ui_content_path, path) || has_slashed(front, place, path))) {
        path = arena_concat(req->arena, path, STR("/"));
        changed = true;
    }
    *ret_path = path;
    return changed;
}

void http_dispatch(struct http_flight *f)
{
    struct http_req *req = &f->req;
    const struct http_front *front = req->http->front;
    struct str path;
    if (str_eq_lit(f->target, "*")) {
        f->is_bare = true;
        http_finish(req, req->method == HTTP_OPTIONS ? 200 : 400);
        return;
    }
    if (!front->options.allow_unprintable_paths && !is_printable_path(req->path)) {
        f->is_bare = true;
        http_finish(req, 400);
        return;
    }
    size_t place = place_of(front, req->path);
    if (!str_eq_lit(req->method_text, "CONNECT") && find_redirect(req, place, &path)) {
        f->is_bare = true;
        redirect(req, path, true);
        return;
    }
    struct http_entry *e = entry_at(front, place, req->path);
    if (e != NULL) {
        call_endpoint(f, e);
    } else {
        index_page(req);
    }
}
