/* Intrusive doubly-linked list: a ring through its head. A link that is in no list points to itself. */
#ifndef FORESTALL_QUEUE_LIST_H
#define FORESTALL_QUEUE_LIST_H

#include "common/base.h"

#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

struct list {
    struct list *next, *previous;
};

static inline void list_init(struct list *list)
{
    list->next = list->previous = list;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_push(struct list *list, struct list *link)
{
    link->previous = list->previous;
    link->next = list;
    list->previous->next = link;
    list->previous = link;
}

/* Also of a link that is in no list. */
static inline void list_remove(struct list *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}

/* Walks a list; the current link may be removed. `at` and `after` are struct list pointers. */
#define LIST_WALK(list, at, after)                                                                           \
    for ((at) = (list)->next, (after) = (at)->next; (at) != (list); (at) = (after), (after) = (at)->next)

#endif
