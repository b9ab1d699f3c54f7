/* Pools, codes, and the order of what waits.
 *
 * Each pool has two orders of the same executions: by rank (raised first, then priority, then time) and by
 * age. The mark of a code is part of the rank, so its executions are put in again when the mark changes. */
#include <errno.h>
#include <stdlib.h>

#include "queue/ledger_internal.h"

/* --- orders --- */

static int compare_ages(const struct execution *a, const struct execution *b)
{
    if (a->enqueued_us != b->enqueued_us)
        return a->enqueued_us < b->enqueued_us ? -1 : 1;
    return memcmp(a->id, b->id, sizeof a->id);
}

static int compare_age(const struct tree_link *a, const struct tree_link *b)
{
    return compare_ages(CONTAINER_OF(a, struct execution, in_age), CONTAINER_OF(b, struct execution, in_age));
}

static int compare_rank(const struct tree_link *a, const struct tree_link *b)
{
    const struct execution *x = CONTAINER_OF(a, struct execution, in_order);
    const struct execution *y = CONTAINER_OF(b, struct execution, in_order);
    if (x->ranked_raised != y->ranked_raised)
        return x->ranked_raised ? -1 : 1;
    if (x->priority != y->priority)
        return x->priority > y->priority ? -1 : 1;
    return compare_ages(x, y);
}

int line_compare_backoff(const struct tree_link *a, const struct tree_link *b)
{
    const struct execution *x = CONTAINER_OF(a, struct execution, in_backoff);
    const struct execution *y = CONTAINER_OF(b, struct execution, in_backoff);
    if (x->not_before_us != y->not_before_us)
        return x->not_before_us < y->not_before_us ? -1 : 1;
    return memcmp(x->id, y->id, sizeof x->id);
}

static bool is_raised(const struct execution *execution)
{
    return execution->code->allocation.raised != 0 || execution->retry_raised != 0;
}

void line_add(struct ledger *ledger, struct execution *execution, struct moment at)
{
    struct pool *pool = execution->pool;
    struct code *code = execution->code;
    execution->ranked_raised = is_raised(execution);
    execution->ready_us = FS_MAX(execution->ready_us, execution->enqueued_us);
    execution->placeable_seen = at.seen_us;
    tree_insert(&pool->order, &execution->in_order);
    tree_insert(&pool->age, &execution->in_age);
    if (list_empty(&code->waiting)) { /* its mark may be old */
        list_remove(&code->to_read);
        list_push(&ledger->unread, &code->to_read);
    }
    list_push(&code->waiting, &execution->in_code);
    pool->dirty = true;
}

void line_remove(struct ledger *ledger, struct execution *execution)
{
    (void)ledger;
    tree_remove(&execution->pool->order, &execution->in_order);
    tree_remove(&execution->pool->age, &execution->in_age);
    list_remove(&execution->in_code);
    if (list_empty(&execution->code->waiting))
        list_remove(&execution->code->to_read);
    if (execution->reserved) {
        execution->reserved->reserved_for = NULL;
        execution->reserved = NULL;
    }
    execution->refused_by = NULL;
}

int64_t ledger_oldest_us(const struct ledger *ledger, struct moment at)
{
    int64_t oldest_us = at.now_us;
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(ledger->pools, &cursor, &key, &value)) {
        const struct pool *pool = value;
        const struct tree_link *first = tree_first(&pool->age);
        if (first)
            oldest_us = FS_MIN(oldest_us, CONTAINER_OF(first, struct execution, in_age)->enqueued_us);
    }
    return at.now_us - oldest_us;
}

/* --- pools --- */

struct pool *pool_get(struct ledger *ledger, struct str name)
{
    struct pool *pool = map_get(ledger->pools, name.data, name.size);
    if (pool)
        return pool;
    pool = calloc(1, sizeof *pool);
    if (!pool || map_put(ledger->pools, name.data, name.size, pool) < 0) {
        free(pool);
        ledger->error = -ENOMEM;
        return NULL;
    }
    (void)str_copy(pool->name, sizeof pool->name, name); /* checked before */
    tree_init(&pool->order, compare_rank);
    tree_init(&pool->age, compare_age);
    list_init(&pool->nodes);
    return pool;
}

const struct msg_limits *pool_largest(const struct ledger *ledger, struct pool *pool)
{
    static const struct msg_limits nothing;
    struct list *link, *after;
    if (pool->measured)
        return &pool->largest;
    pool->largest = nothing;
    pool->measured = true;
    LIST_WALK(&pool->nodes, link, after)
    {
        const struct node *node = CONTAINER_OF(link, struct node, in_pool);
        struct msg_limits free = room_free(&node->capacity, &nothing, ledger->config->raise_reserve);
        if (node->heard)
            room_larger(&pool->largest, &free);
    }
    return &pool->largest;
}

void pool_release(struct ledger *ledger, struct pool *pool)
{
    if (--pool->refs > 0)
        return;
    (void)map_remove(ledger->pools, pool->name, strlen(pool->name));
    free(pool);
}

/* --- codes --- */

struct code *code_get(struct ledger *ledger, struct str name)
{
    struct code *code = map_get(ledger->codes, name.data, name.size);
    if (!code) {
        code = calloc(1, sizeof *code);
        if (!code || map_put(ledger->codes, name.data, name.size, code) < 0) {
            free(code);
            ledger->error = -ENOMEM;
            return NULL;
        }
        (void)str_copy(code->name, sizeof code->name, name); /* checked before */
        list_init(&code->waiting);
        list_init(&code->to_read);
    } else if (code->refs == 0) {
        list_remove(&code->to_read);
        ledger->idle_codes--;
    }
    code->refs++;
    return code;
}

void code_release(struct ledger *ledger, struct code *code)
{
    if (--code->refs > 0)
        return;
    list_remove(&code->to_read);
    list_push(&ledger->idle, &code->to_read);
    if (++ledger->idle_codes <= ledger->config->max_codes)
        return;
    struct code *oldest = CONTAINER_OF(ledger->idle.next, struct code, to_read);
    list_remove(&oldest->to_read);
    ledger->idle_codes--;
    (void)map_remove(ledger->codes, oldest->name, strlen(oldest->name));
    free(oldest);
}

struct str ledger_code_name(const struct code *code)
{
    return str_of(code->name);
}

/* The mark is part of the rank. */
static void rank_again(struct code *code)
{
    struct list *link, *after;
    LIST_WALK(&code->waiting, link, after)
    {
        struct execution *execution = CONTAINER_OF(link, struct execution, in_code);
        struct tree *order = &execution->pool->order;
        execution->pool->dirty = true;
        if (execution->ranked_raised == is_raised(execution))
            continue;
        tree_remove(order, &execution->in_order);
        execution->ranked_raised = is_raised(execution);
        tree_insert(order, &execution->in_order);
    }
}

void ledger_learn(struct ledger *ledger, struct code *code, const struct allocation *allocation,
                  struct moment at)
{
    code->round = ledger->round;
    code->read_us = at.now_us;
    if (!list_empty(&code->waiting)) {
        list_remove(&code->to_read);
        list_push(&ledger->rotation, &code->to_read);
    }
    if (!allocation ||
        (code->allocation.read && code->allocation.exists == allocation->exists &&
         code->allocation.revision == allocation->revision)) /* a revision never changes its content */
        return;
    code->allocation = *allocation;
    rank_again(code);
}

void line_destroy(struct ledger *ledger)
{
    size_t cursor = 0;
    struct str key;
    void *value;
    while (ledger->pools && map_next(ledger->pools, &cursor, &key, &value))
        free(value);
    cursor = 0;
    while (ledger->codes && map_next(ledger->codes, &cursor, &key, &value))
        free(value);
}
