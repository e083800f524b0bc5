/* GET /v1/agent/monitor: log lines as they are written, until the client goes.
 *
 * The sink runs on whatever thread logs, one line at a time, and must not wait: lines go into a
 * bounded buffer, and one message brings them to the worker. What a slow client does not take in
 * time is dropped, counted, and said when it leaves. */
#include <pthread.h>

#include "agent/state.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/agent_request.h"

#define MONITOR_PENDING_MAX (128u * 1024u)

struct monitor {
    struct http_req *req; /* NULL: the client has gone; the worker's thread */
    struct loop *loop;
    struct log_sink *sink;
    struct loop_msg msg;
    pthread_mutex_t lock; /* of the rest; held for a copy */
    struct buf pending;
    uint64_t dropped;
    bool is_posted;
};

static void monitor_free(struct monitor *m)
{
    pthread_mutex_destroy(&m->lock);
    buf_deinit(&m->pending);
    mem_free(m);
}

static void monitor_flush(struct loop_msg *msg)
{
    struct monitor *m = container_of(msg, struct monitor, msg);
    pthread_mutex_lock(&m->lock);
    struct buf lines = m->pending;
    m->pending = (struct buf){.max = MONITOR_PENDING_MAX};
    m->is_posted = false;
    pthread_mutex_unlock(&m->lock);
    if (m->req == NULL) {
        buf_deinit(&lines);
        monitor_free(m);
        return;
    }
    if (!http_stream_write(m->req, buf_view(&lines))) {
        pthread_mutex_lock(&m->lock);
        for (size_t i = 0; i < lines.n; i++) {
            m->dropped += lines.p[i] == '\n';
        }
        pthread_mutex_unlock(&m->lock);
    }
    buf_deinit(&lines);
}

static void monitor_line(void *data, enum log_level level, struct str line)
{
    (void)level;
    struct monitor *m = data;
    pthread_mutex_lock(&m->lock);
    bool fits = m->pending.n + line.n <= MONITOR_PENDING_MAX;
    if (fits) {
        buf_str(&m->pending, line);
    } else {
        m->dropped++;
    }
    bool post = fits && !m->is_posted;
    m->is_posted |= post;
    pthread_mutex_unlock(&m->lock);
    if (post) {
        loop_post(m->loop, &m->msg);
    }
}

static void monitor_closed(struct http_req *req)
{
    struct monitor *m = req->data;
    log_sink_remove(m->sink); /* no line comes after this */
    m->req = NULL;
    if (m->dropped > 0) {
        log_write(LOG_WARN, "agent", "Dropped logs during monitor request",
                  LOG_UINT("dropped_count", m->dropped));
    }
    if (!m->is_posted) {
        monitor_free(m);
    }
}

void agent_monitor_handle(struct http_req *req)
{
    struct str text = http_param_value(req, STR("loglevel"));
    enum log_level level = LOG_INFO;
    if (!http_permit(req, ACL_AGENT_READ, http_node_name(req))) {
        return;
    }
    if (text.n > 0 && log_level_parse(text, &level) < 0) {
        http_error(req, 400, "Bad request: Unknown log level: %.*s", STRF(text));
        return;
    }
    struct monitor *m = xcalloc(1, sizeof(*m));
    m->req = req;
    m->loop = req->worker->loop;
    m->msg.run = monitor_flush;
    m->pending.max = MONITOR_PENDING_MAX;
    ASSERT(pthread_mutex_init(&m->lock, NULL) == 0);
    req->data = m;
    req->on_close = monitor_closed;
    http_stream_begin(req, 200);
    m->sink = log_sink_add(level, http_has_param(req, STR("logjson")), monitor_line, m);
}
