/* What the nodes said last: capacity, what is free, who is short. Pure, bounded: when all places are taken
 * the longest silent node makes room. */
#ifndef FORESTALL_ALLOCATE_NODES_H
#define FORESTALL_ALLOCATE_NODES_H

#include "allocate/policy.h"

#define NODE_NAME_MAX 256
#define NODE_SILENT_MS 10000 /* statuses come every second: what is silent for so long is not counted on */

struct node_view {
    char name[NODE_NAME_MAX], pool[NODE_NAME_MAX];
    struct policy_node policy;
    bool is_short; /* a raise was refused there */
    int64_t seen_ms;
};

struct nodes;

struct nodes *nodes_create(size_t max);
void nodes_destroy(struct nodes *nodes);
/* Takes a status in; NULL only when out of memory. */
struct node_view *nodes_update(struct nodes *nodes, const struct msg_node_status *status, int64_t now_ms);
/* NULL: never heard of, or silent. */
struct node_view *nodes_find(struct nodes *nodes, struct str name, int64_t now_ms);
/* A raise was sent: until its next status the node has that much less. */
void nodes_debit(struct node_view *node, const struct msg_limits *from, const struct msg_limits *to);
/* Per resource, the most one node of the pool offers to an admission, which leaves the share reserve of its
 * memory free; 0 = not known or not rationed. O(nodes). */
struct msg_limits nodes_largest(const struct nodes *nodes, struct str pool, double reserve, int64_t now_ms);
size_t nodes_count(const struct nodes *nodes);
uint64_t nodes_evicted(const struct nodes *nodes);

#endif
