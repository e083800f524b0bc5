/* catalog_internal.h - what the files of the catalog share and nobody else needs. */
#pragma once
#include "store/catalog.h"

/* A key of one or two parts, valid until the buffer is used again. */
struct str catalog_key1(struct buf *b, struct str part);
struct str catalog_key2(struct buf *b, struct str first, struct str second);

/* Move the index a reader of this service (of services of this kind, of every service on this
 * node) waits for. Only upwards. */
void catalog_raise_service(struct store_txn *tx, struct str service, uint64_t index);
void catalog_raise_kind(struct store_txn *tx, struct str kind, uint64_t index);
void catalog_raise_node(struct store_txn *tx, struct str node, uint64_t index);

/* Something was taken from the answers about a service without its index moving, as 1.10.3 has it:
 * an instance that now goes by another name, a check that is now about something else. Those who
 * wait for the service are told by an entry of our own, "service_left.<name>"; caches by a new
 * era. */
void catalog_note_left(struct store_txn *tx, struct str service);
void catalog_note_left_node(struct store_txn *tx, struct str node);
/* That index (0: none), watched; 0 also when nobody waits. */
uint64_t catalog_left_index(const struct store_view *v, struct watch_set *ws, struct str service);
/* The last instance is gone, and with it the need for the entry. */
void catalog_forget_left(struct store_txn *tx, struct str service);

/* The recorded index of a service (0: none), and of services of a kind. */
uint64_t catalog_service_index(const struct store_view *v, struct str service);
uint64_t catalog_kind_index(const struct store_view *v, struct str kind);
/* The index of an answer about a service: its own; when it is missing the last extinction's; when
 * there never was either, that of the tables. */
uint64_t catalog_answer_index(const struct store_view *v, struct str service, bool exists,
                              bool checks);
uint64_t catalog_index_max(const struct store_view *v, bool checks);

void catalog_watch_service(struct watch_set *ws, struct str service);
void catalog_watch_kind(struct watch_set *ws, struct str kind);
void catalog_watch_node(struct watch_set *ws, struct str node);
/* Everything of a table that belongs to one node. */
void catalog_watch_of_node(struct watch_set *ws, enum store_table table, struct str node);

/* Does the instance have every one of these tags? Letter case aside. */
bool catalog_has_tags(const struct node_service *service, const struct strlist *tags);

/* reflect.DeepEqual's view of lists and maps: nil is not the same as empty, and a client can see
 * the difference. */
bool catalog_same_list(struct strlist a, struct strlist b);
bool catalog_same_map(struct strmap a, struct strmap b);
