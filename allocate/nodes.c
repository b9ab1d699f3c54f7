/* See nodes.h. */
#include "allocate/nodes.h"

#include <stdlib.h>

#include "allocate/amounts.h"
#include "common/map.h"

struct nodes {
    struct node_view *slots;
    size_t max, used;
    struct map *map;
    uint64_t evicted;
};

struct nodes *nodes_create(size_t max)
{
    struct nodes *nodes = calloc(1, sizeof *nodes);
    if (!nodes)
        return NULL;
    nodes->max = max;
    nodes->slots = calloc(max, sizeof *nodes->slots);
    nodes->map = map_create(max);
    if (nodes->slots && nodes->map)
        return nodes;
    nodes_destroy(nodes);
    return NULL;
}

void nodes_destroy(struct nodes *nodes)
{
    if (!nodes)
        return;
    map_destroy(nodes->map);
    free(nodes->slots);
    free(nodes);
}

/* A free place, or that of the longest silent node: rare, so a walk is good enough. */
static struct node_view *take_slot(struct nodes *nodes)
{
    if (nodes->used < nodes->max)
        return &nodes->slots[nodes->used++];
    struct node_view *oldest = &nodes->slots[0];
    for (size_t i = 1; i < nodes->used; i++)
        if (nodes->slots[i].seen_ms < oldest->seen_ms)
            oldest = &nodes->slots[i];
    (void)map_remove(nodes->map, oldest->name, strlen(oldest->name));
    nodes->evicted++;
    return oldest;
}

static struct node_view *obtain(struct nodes *nodes, struct str name)
{
    struct node_view *node = map_get(nodes->map, name.data, name.size);
    if (node)
        return node;
    node = take_slot(nodes);
    *node = (struct node_view){.seen_ms = 0};
    (void)str_copy(node->name, sizeof node->name, name); /* checked by validate_status() */
    return map_put(nodes->map, node->name, strlen(node->name), node) < 0 ? NULL : node;
}

static bool holds_or_advances(const struct msg_node_status *status)
{
    for (size_t i = 0; i < status->capabilities.count; i++)
        if (str_equal(status->capabilities.items[i], str_of("brake")) ||
            str_equal(status->capabilities.items[i], str_of("advance")))
            return true;
    return false;
}

struct node_view *nodes_update(struct nodes *nodes, const struct msg_node_status *status, int64_t now_ms)
{
    struct node_view *node = obtain(nodes, status->node);
    if (!node)
        return NULL;
    (void)str_copy(node->pool, sizeof node->pool, status->pool);
    node->policy = (struct policy_node){true, holds_or_advances(status), status->capacity, status->free};
    node->is_short = status->short_.count > 0;
    node->seen_ms = now_ms;
    return node;
}

struct node_view *nodes_find(struct nodes *nodes, struct str name, int64_t now_ms)
{
    struct node_view *node = map_get(nodes->map, name.data, name.size);
    return node && now_ms - node->seen_ms <= NODE_SILENT_MS ? node : NULL;
}

void nodes_debit(struct node_view *node, const struct msg_limits *from, const struct msg_limits *to)
{
    for (enum amount amount = 0; amount < AMOUNT_COUNT; amount++) {
        int64_t more = amount_get(to, amount) - amount_get(from, amount);
        if (more > 0)
            amount_set(&node->policy.free, amount, FS_MAX(amount_get(&node->policy.free, amount) - more, 0));
    }
}

struct msg_limits nodes_largest(const struct nodes *nodes, struct str pool, double reserve, int64_t now_ms)
{
    struct msg_limits largest = {0};
    for (size_t i = 0; i < nodes->used; i++) {
        const struct node_view *node = &nodes->slots[i];
        if (now_ms - node->seen_ms > NODE_SILENT_MS || !str_equal(str_of(node->pool), pool))
            continue;
        for (enum amount amount = 0; amount < AMOUNT_COUNT; amount++)
            amount_set(&largest, amount,
                       FS_MAX(amount_get(&largest, amount), amount_get(&node->policy.capacity, amount)));
    }
    largest.memory_bytes -= (int64_t)((double)largest.memory_bytes * reserve);
    return largest;
}

size_t nodes_count(const struct nodes *nodes)
{
    return map_count(nodes->map);
}

uint64_t nodes_evicted(const struct nodes *nodes)
{
    return nodes->evicted;
}
