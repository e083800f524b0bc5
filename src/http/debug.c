/* /debug/pprof/: what this program can say of its own insides.
 *
 * Consul serves the profiles of Go's runtime here. There is none in a C program, so the index shows
 * the process's own figures, and the profiles are refused by name: perf(1) and the heap profilers
 * of C are better at that job. Without ACLs Consul lets anyone look at the index. */
#include "http/http.h"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#define PROC_FILE_SIZE_MAX (64u * 1024u)

static void put_file(struct buf *to, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (size_t total = 0; fd >= 0 && total < PROC_FILE_SIZE_MAX;) {
        char *p = buf_reserve(to, 4096);
        ssize_t n = p == NULL ? 0 : read(fd, p, 4096);
        if (n <= 0) {
            break;
        }
        to->n += (size_t)n;
        total += (size_t)n;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* Without a word when not. */
static bool may_look(struct http_req *req)
{
    bool may = req->who_err == NULL && http_may(req, ACL_OPERATOR_READ, STR(""));
    if (!may) {
        http_finish(req, 403);
    }
    return may;
}

static void pprof_index(struct http_req *req)
{
    if (!may_look(req)) {
        return;
    }
    if (req->tail.n > 0) {
        http_error(req, 501, "the Go profile %.*s does not exist in this program", STRF(req->tail));
        return;
    }
    struct mallinfo2 heap = mallinfo2();
    req->content_type = STR("text/html; charset=utf-8");
    http_set_header(req, STR("X-Content-Type-Options"), STR("nosniff"));
    buf_lit(req->out, "<!doctype html>\n<html><head><title>/debug/pprof/</title></head><body>\n"
                      "<p>No Go runtime, so no Go profiles; <a href=\"/v1/agent/metrics\">"
                      "metrics</a> are elsewhere.</p>\n<pre>\n");
    buf_printf(req->out, "heap in use: %zu\nheap free: %zu\nmapped: %zu\n\n", heap.uordblks,
               heap.fordblks, heap.hblkhd);
    put_file(req->out, "/proc/self/status");
    buf_lit(req->out, "</pre>\n</body></html>\n");
    http_finish(req, 200);
}

/* The command line with NULs between, as Go's. */
static void pprof_cmdline(struct http_req *req)
{
    if (!may_look(req)) {
        return;
    }
    req->content_type = STR("text/plain; charset=utf-8");
    http_set_header(req, STR("X-Content-Type-Options"), STR("nosniff"));
    put_file(req->out, "/proc/self/cmdline");
    if (req->out->n > 0 && req->out->p[req->out->n - 1] == '\0') {
        req->out->n--;
    }
    http_finish(req, 200);
}

const struct http_route http_debug_routes[] = {
    {"/debug/pprof/", 0, "", HTTP_ROUTE_PREFIX | HTTP_ROUTE_PLAIN | HTTP_ROUTE_ACL, pprof_index},
    {"/debug/pprof/cmdline", 0, "", HTTP_ROUTE_PLAIN | HTTP_ROUTE_ACL, pprof_cmdline},
};
const size_t http_debug_routes_count = ARRAY_SIZE(http_debug_routes);
