#include "loop/resolve.h"

#include "base/mem.h"
#include "loop/loop_impl.h"

/* Lives on its own, since a lookup that runs cannot be stopped. */
struct lookup {
    uv_getaddrinfo_t request;
    struct resolve *resolve; /* NULL: canceled */
    struct loop *loop;
    char *host;
    struct loop_msg failed_msg;
    int failed; /* uv's: it could not be started */
};

static void lookup_end(struct lookup *k, int status, const struct addrinfo *list)
{
    struct resolve *r = k->resolve;
    if (r == NULL) {
        return;
    }
    r->state = NULL;
    for (const struct addrinfo *i = list; i != NULL && r->count < RESOLVE_ADDRESSES_MAX;
         i = i->ai_next) {
        struct address *a = &r->addresses[r->count];
        if (i->ai_addrlen <= sizeof(a->sa)) {
            *a = (struct address){.size = i->ai_addrlen};
            memcpy(&a->sa, i->ai_addr, i->ai_addrlen);
            address_set_port(a, r->port);
            r->count++;
        }
    }
    if (r->count == 0) {
        const char *why = status == 0 || status == UV_EAI_NONAME || status == UV_EAI_NODATA
                              ? "no such host"
                              : uv_strerror(status);
        (void)err_set(&r->err, ERR_FAILED, "lookup %s: %s", k->host, why);
    }
    r->done(r);
}

static void lookup_free(struct lookup *k)
{
    mem_free(k->host);
    mem_free(k);
}

static void lookup_done(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct lookup *k = container_of(request, struct lookup, request);
    loop_turn_begin(k->loop);
    lookup_end(k, status, list);
    uv_freeaddrinfo(list);
    lookup_free(k);
}

static void lookup_failed(struct loop_msg *msg)
{
    struct lookup *k = container_of(msg, struct lookup, failed_msg);
    lookup_end(k, k->failed, NULL);
    lookup_free(k);
}

void resolve_start(struct loop *l, struct resolve *r, struct str host, uint16_t port)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct lookup *k = xcalloc(1, sizeof(*k));
    r->count = 0;
    r->port = port;
    r->state = k;
    err_clear(&r->err);
    k->resolve = r;
    k->loop = l;
    k->host = str_to_cstr(host);
    k->failed = uv_getaddrinfo(loop_uv(l), &k->request, lookup_done, k->host, NULL, &hints);
    if (k->failed != 0) {
        k->failed_msg.run = lookup_failed;
        loop_post(l, &k->failed_msg);
    }
}

void resolve_cancel(struct resolve *r)
{
    struct lookup *k = r->state;
    if (k != NULL) {
        k->resolve = NULL;
        r->state = NULL;
        (void)uv_cancel((uv_req_t *)&k->request); /* fine when it runs already */
    }
}
