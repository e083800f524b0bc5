#include "http/ui.h"

#include "http/front.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    struct str ending, type;
} content_types[] = {
    {STR_INIT(".html"), STR_INIT("text/html; charset=utf-8")},
    {STR_INIT(".js"), STR_INIT("text/javascript; charset=utf-8")},
    {STR_INIT(".css"), STR_INIT("text/css; charset=utf-8")},
    {STR_INIT(".json"), STR_INIT("application/json")},
    {STR_INIT(".svg"), STR_INIT("image/svg+xml")},
    {STR_INIT(".png"), STR_INIT("image/png")},
    {STR_INIT(".ico"), STR_INIT("image/vnd.microsoft.icon")},
    {STR_INIT(".woff2"), STR_INIT("font/woff2")},
    {STR_INIT(".txt"), STR_INIT("text/plain; charset=utf-8")},
};

static struct str content_type(struct str path)
{
    for (size_t i = 0; i < ARRAY_SIZE(content_types); i++) {
        if (str_has_suffix(path, content_types[i].ending)) {
            return content_types[i].type;
        }
    }
    return STR("application/octet-stream");
}

/* The whole of a plain file below dir into req->out. The path is clean: the router has dealt with
 * "..", and symbolic links out of the directory are the administrator's wish. */
static bool put_file(struct http_req *req, struct str dir, struct str name)
{
    struct str path = arena_printf(req->arena, "%.*s/%.*s", STRF(dir), STRF(name));
    struct stat st;
    int fd = memchr(path.p, '\0', path.n) != NULL ? -1 : open(path.p, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= UI_FILE_SIZE_MAX;
    size_t left = ok ? (size_t)st.st_size : 0;
    char *to = ok ? buf_reserve(req->out, left + 1) : NULL;
    ok = to != NULL;
    while (ok && left > 0) {
        ssize_t n = read(fd, req->out->p + req->out->n, left);
        ok = n > 0;
        if (ok) {
            req->out->n += (size_t)n;
            left -= (size_t)n;
        }
    }
    (void)close(fd);
    return ok;
}

void http_ui(struct http_req *req)
{
    const struct http_options *options = &req->http->front->options;
    if (str_eq_lit(req->path, "/robots.txt")) {
        req->content_type = STR("text/plain; charset=utf-8");
        buf_lit(req->out, "User-agent: *\nDisallow: /\n");
        http_finish(req, 200);
        return;
    }
    struct str name = str_from(req->path, options->ui_content_path.n);
    if (options->ui_dir.n > 0) {
        struct str file = name.n > 0 ? name : STR("index.html");
        if (put_file(req, options->ui_dir, file)) {
            req->content_type = content_type(file);
        } else if (put_file(req, options->ui_dir, STR("index.html"))) {
            req->content_type = STR("text/html; charset=utf-8");
        } else {
            http_finish(req, 404);
            return;
        }
        http_finish(req, 200);
        return;
    }
    req->content_type = STR("text/html; charset=utf-8");
    buf_put(req->out, ui_index_html, ui_index_html_size);
    http_finish(req, 200);
}
