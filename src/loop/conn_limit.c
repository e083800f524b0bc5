#include "loop/conn_limit.h"

#include <pthread.h>

#include "base/map.h"
#include "base/mem.h"

struct client {
    uint32_t connections;
};

struct conn_limit {
    pthread_mutex_t lock;
    struct map by_ip;
};

struct conn_limit *conn_limit_new(void)
{
    struct conn_limit *l = xcalloc(1, sizeof(*l));
    ASSERT(pthread_mutex_init(&l->lock, NULL) == 0);
    map_init(&l->by_ip, 0);
    return l;
}

struct conn_limit *conn_limit_free(struct conn_limit *l)
{
    if (l == NULL) {
        return NULL;
    }
    size_t pos = 0;
    struct str ip;
    for (void *client; map_next(&l->by_ip, &pos, &ip, &client);) {
        mem_free(client);
    }
    map_deinit(&l->by_ip);
    (void)pthread_mutex_destroy(&l->lock);
    return mem_free(l);
}

bool conn_limit_add(struct conn_limit *l, struct str ip, uint32_t max)
{
    (void)pthread_mutex_lock(&l->lock);
    struct client *client = map_get(&l->by_ip, ip);
    bool room = max == 0 || client == NULL || client->connections < max;
    if (room) {
        if (client == NULL) {
            client = xcalloc(1, sizeof(*client));
            (void)map_put(&l->by_ip, ip, client);
        }
        client->connections++;
    }
    (void)pthread_mutex_unlock(&l->lock);
    return room;
}

void conn_limit_remove(struct conn_limit *l, struct str ip)
{
    (void)pthread_mutex_lock(&l->lock);
    struct client *client = map_get(&l->by_ip, ip);
    ASSERT(client != NULL && client->connections > 0);
    if (--client->connections == 0) {
        (void)map_remove(&l->by_ip, ip);
        mem_free(client);
    }
    (void)pthread_mutex_unlock(&l->lock);
}
