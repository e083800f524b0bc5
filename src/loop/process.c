/* A child and the pipe it writes to are two uv handles; the object is freed when both are closed.
 *
 * The child may end before its output was read to the end, and the pipe may outlive the child when
 * a grandchild inherited it: exited() waits for both, but once the child was killed it waits for
 * the child alone, since a grandchild that left the group can keep the pipe for ever. */
#include "loop/process.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "loop/loop_impl.h"

struct process {
    struct loop_handle handle; /* first: the handles' data */
    struct loop *loop;
    uv_process_t uv;
    uv_pipe_t pipe;
    uv_pipe_t input; /* when it has one */
    uv_write_t input_write;
    char *input_bytes;
    bool has_input;
    void (*output_cb)(void *data, struct process *p, struct str bytes);
    void (*exited)(void *data, struct process *p);
    void *data;
    struct process_status status;
    int pid;
    uint32_t open_handles;
    bool has_exited, has_eof, is_killed, is_reported, is_freed;
    /* The last bytes written, as a ring. */
    char *output;
    size_t output_size_max;
    uint64_t output_total;
};

static void process_release(struct process *p)
{
    mem_free(p->input_bytes);
    mem_free(p->output);
    mem_free(p);
}

static void process_closed(uv_handle_t *handle)
{
    struct process *p = (struct process *)handle->data;
    loop_turn_begin(p->loop);
    p->open_handles--;
    if (p->open_handles == 0 && p->is_freed) {
        process_release(p);
    }
}

static void close_once(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, process_closed);
    }
}

static void close_input(struct process *p)
{
    if (p->has_input) {
        close_once((uv_handle_t *)&p->input);
    }
}

static void process_check_done(struct process *p)
{
    if (!p->has_exited || !(p->has_eof || p->is_killed)) {
        return;
    }
    close_once((uv_handle_t *)&p->pipe);
    close_input(p);
    if (!p->is_reported && !p->is_freed) {
        p->is_reported = true;
        p->exited(p->data, p);
    }
}

static void exit_cb(uv_process_t *uv, int64_t exit_code, int term_signal)
{
    struct process *p = uv->data;
    loop_turn_begin(p->loop);
    p->has_exited = true;
    p->status = (struct process_status){.exit_code = exit_code, .signal = term_signal};
    close_once((uv_handle_t *)uv);
    process_check_done(p);
}

static void alloc_cb(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct process *p = handle->data;
    loop_turn_begin(p->loop);
    *buf = uv_buf_init(loop_read_buffer(p->loop), LOOP_READ_BUFFER_SIZE);
}

static void ring_put(struct process *p, const char *bytes, size_t n)
{
    size_t max = p->output_size_max;
    uint64_t at = p->output_total;
    p->output_total += n;
    if (max == 0) {
        return;
    }
    if (n > max) {
        at += n - max;
        bytes += n - max;
        n = max;
    }
    size_t start = (size_t)(at % max);
    size_t first = MIN(n, max - start);
    memcpy(p->output + start, bytes, first);
    memcpy(p->output, bytes + first, n - first);
}

static void read_cb(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct process *p = stream->data;
    loop_turn_begin(p->loop);
    if (n > 0) {
        ring_put(p, buf->base, (size_t)n);
        if (p->output_cb != NULL && !p->is_freed) {
            p->output_cb(p->data, p, str_make(buf->base, (size_t)n));
        }
    } else if (n < 0) {
        p->has_eof = true;
        close_once((uv_handle_t *)stream);
        process_check_done(p);
    }
}

static void process_shutdown(struct loop_handle *h)
{
    struct process *p = container_of(h, struct process, handle);
    process_kill(p);
    p->is_freed = true;
    close_once((uv_handle_t *)&p->uv);
    close_once((uv_handle_t *)&p->pipe);
    close_input(p);
}

/* All was taken, or it reads no more (it may have ended without reading): its end of file either
 * way. */
static void input_cb(uv_write_t *w, int status)
{
    struct process *p = w->data;
    (void)status;
    loop_turn_begin(p->loop);
    close_input(p);
}

static void start_input(struct process *p, struct str input)
{
    p->input_bytes = xmemdup(input.p, input.n);
    uv_buf_t bytes = uv_buf_init(p->input_bytes, (unsigned)input.n);
    p->input_write.data = p;
    if (uv_write(&p->input_write, (uv_stream_t *)&p->input, &bytes, 1, input_cb) < 0) {
        close_input(p);
    }
}

int process_start(struct loop *l, const struct process_options *options,
                  struct process **ret_process, struct err *err)
{
    uv_file fds[2];
    int rc = uv_pipe(fds, UV_NONBLOCK_PIPE, 0);
    if (rc < 0) {
        return err_from_errno(err, -rc, "pipe");
    }
    struct process *p = xcalloc(1, sizeof(*p));
    p->handle.shutdown = process_shutdown;
    p->loop = l;
    p->output_cb = options->output;
    p->exited = options->exited;
    p->data = options->data;
    p->output_size_max = MIN(options->output_size_max, (size_t)PROCESS_OUTPUT_SIZE_MAX);
    p->output = xmalloc(MAX(p->output_size_max, (size_t)1));
    p->open_handles = 2;
    p->uv.data = p->pipe.data = p;
    ASSERT(uv_pipe_init(loop_uv(l), &p->pipe, 0) == 0);
    ASSERT(uv_pipe_open(&p->pipe, fds[0]) == 0);

    if (options->input.n > 0) {
        p->has_input = true;
        p->open_handles++;
        p->input.data = p;
        ASSERT(uv_pipe_init(loop_uv(l), &p->input, 0) == 0);
    }
    uv_stdio_container_t stdio[3] = {
        {.flags = p->has_input ? UV_CREATE_PIPE | UV_READABLE_PIPE : UV_IGNORE,
         .data.stream = (uv_stream_t *)&p->input},
        {.flags = UV_INHERIT_FD, .data.fd = fds[1]},
        {.flags = UV_INHERIT_FD, .data.fd = fds[1]},
    };
    uv_process_options_t o = {
        .exit_cb = exit_cb,
        .file = options->args[0],
        .args = (char **)(uintptr_t)options->args,
        .env = (char **)(uintptr_t)options->env,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = ARRAY_SIZE(stdio),
        .stdio = stdio,
    };
    rc = uv_spawn(loop_uv(l), &p->uv, &o);
    (void)close(fds[1]);
    if (rc < 0) {
        /* The handle was initialized all the same, and must be closed. */
        p->is_freed = true;
        close_once((uv_handle_t *)&p->uv);
        close_once((uv_handle_t *)&p->pipe);
        close_input(p);
        return err_set(err, -rc, "%s", uv_strerror(rc));
    }
    p->pid = p->uv.pid;
    if (p->has_input) {
        start_input(p, options->input);
    }
    ASSERT(uv_read_start((uv_stream_t *)&p->pipe, alloc_cb, read_cb) == 0);
    *ret_process = p;
    return 0;
}

void process_kill(struct process *p)
{
    /* Also when the child is gone but its pipe is held: what it left behind in its group ends too.
     */
    if (p->pid > 0 && !(p->has_exited && p->has_eof)) {
        (void)kill(-p->pid, SIGKILL);
    }
    p->is_killed = true;
    process_check_done(p);
}

void process_free(struct process *p)
{
    if (p == NULL) {
        return;
    }
    ASSERT(!p->is_freed);
    p->is_freed = true;
    process_kill(p);
    close_once((uv_handle_t *)&p->pipe);
    close_input(p);
    if (p->open_handles == 0) {
        process_release(p);
    }
}

struct process_status process_status(const struct process *p)
{
    return p->status;
}

uint64_t process_output(const struct process *p, struct buf *to)
{
    size_t max = p->output_size_max;
    if (p->output_total <= max) {
        buf_put(to, p->output, (size_t)p->output_total);
    } else if (max > 0) {
        size_t start = (size_t)(p->output_total % max);
        buf_put(to, p->output + start, max - start);
        buf_put(to, p->output, start);
    }
    return p->output_total;
}

int process_id(const struct process *p)
{
    return p->pid;
}

void process_pause(struct process *p)
{
    if (!p->has_eof) {
        (void)uv_read_stop((uv_stream_t *)&p->pipe);
    }
}

void process_resume(struct process *p)
{
    if (!p->has_eof && !uv_is_closing((uv_handle_t *)&p->pipe)) {
        (void)uv_read_start((uv_stream_t *)&p->pipe, alloc_cb, read_cb);
    }
}
