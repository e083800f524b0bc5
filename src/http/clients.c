#include "http/front.h"

#include <pthread.h>

#include "base/map.h"
#include "base/mem.h"

struct client {
    uint32_t connections;
};

struct http_clients {
    pthread_mutex_t lock;
    struct map by_ip;
};

struct http_clients *http_clients_new(void)
{
    struct http_clients *c = xcalloc(1, sizeof(*c));
    ASSERT(pthread_mutex_init(&c->lock, NULL) == 0);
    map_init(&c->by_ip, 0);
    return c;
}

struct http_clients *http_clients_free(struct http_clients *c)
{
    if (c == NULL) {
        return NULL;
    }
    size_t pos = 0;
    struct str ip;
    for (void *client; map_next(&c->by_ip, &pos, &ip, &client);) {
        mem_free(client);
    }
    map_deinit(&c->by_ip);
    (void)pthread_mutex_destroy(&c->lock);
    return mem_free(c);
}

bool http_clients_add(struct http_clients *c, struct str ip, uint32_t max)
{
    (void)pthread_mutex_lock(&c->lock);
    struct client *client = map_get(&c->by_ip, ip);
    bool room = max == 0 || client == NULL || client->connections < max;
    if (room) {
        if (client == NULL) {
            client = xcalloc(1, sizeof(*client));
            (void)map_put(&c->by_ip, ip, client);
        }
        client->connections++;
    }
    (void)pthread_mutex_unlock(&c->lock);
    return room;
}

void http_clients_remove(struct http_clients *c, struct str ip)
{
    (void)pthread_mutex_lock(&c->lock);
    struct client *client = map_get(&c->by_ip, ip);
    ASSERT(client != NULL && client->connections > 0);
    if (--client->connections == 0) {
        (void)map_remove(&c->by_ip, ip);
        mem_free(client);
    }
    (void)pthread_mutex_unlock(&c->lock);
}
