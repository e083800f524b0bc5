/* pool_news.h - what happens in a pool, on its way from the gossip loop to the home loop.
 *
 *     news = pool_news_new(home, my_ready, me);
 *     pool_news_member(news, SERF_EVENT_MEMBER_JOIN, ref);     // the gossip loop
 *     pool_news_publish(news);                                 // and when the list has it
 *     my_ready(me):  while (pool_news_next(news, &item)) { ...; pool_news_item_deinit(&item); }
 *
 * Bounded: of each kind of news about a member only the last waits, so there are at most five times
 * as many as members; of user events POOL_NEWS_USER_EVENTS_MAX wait, then the oldest goes. Who does
 * not look for a while therefore hears less of how things came about, and all of how they are.
 * Member news come before user events.
 *
 * Whoever hears of a member looks at the list, so news of members are held back until the list that
 * has them is published: it may be ahead of the news, never behind. */
#pragma once
#include "gossip/core/serf.h"
#include "gossip/pool_members.h"

struct loop;
struct pool_news;

#define POOL_NEWS_USER_EVENTS_MAX 1024u

struct pool_news_item {
    enum serf_event_kind kind;
    struct member_ref *member;    /* of a member's kind */
    struct serf_user_event *user; /* SERF_EVENT_USER: one block */
    uint64_t dropped;             /* user events that had to go since the last one */
};

/* ready: on home, after something was put where nothing waited. */
struct pool_news *pool_news_new(struct loop *home, void (*ready)(void *data), void *data);
/* When neither loop runs any more. */
struct pool_news *pool_news_free(struct pool_news *n);
void pool_news_member(struct pool_news *n, enum serf_event_kind kind, struct member_ref *member);
/* What was put about members so far may be told. */
void pool_news_publish(struct pool_news *n);
void pool_news_user(struct pool_news *n, const struct serf_user_event *event); /* copied */
/* On home: the next one, which the caller owns; false: none is left. */
bool pool_news_next(struct pool_news *n, struct pool_news_item *ret);
void pool_news_item_deinit(struct pool_news_item *item);
