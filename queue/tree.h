/* Intrusive ordered tree (a treap): insert, remove and next in O(log n) expected, no memory of its own.
 * The weights decide the shape only; they should look random and must not be chosen by whoever chooses the
 * keys, so they are drawn from a counter here. */
#ifndef FORESTALL_QUEUE_TREE_H
#define FORESTALL_QUEUE_TREE_H

#include "common/base.h"

struct tree_link {
    struct tree_link *left, *right, *parent;
    uint64_t weight;
    bool linked;
};

/* Negative: a before b. Never 0 for two different links; the keys must not change while linked. */
typedef int tree_compare_fn(const struct tree_link *a, const struct tree_link *b);

struct tree {
    struct tree_link *root;
    tree_compare_fn *compare;
    size_t count;
    uint64_t drawn;
};

void tree_init(struct tree *tree, tree_compare_fn *compare);
void tree_insert(struct tree *tree, struct tree_link *link);
/* Also of a link that is not linked. */
void tree_remove(struct tree *tree, struct tree_link *link);
struct tree_link *tree_first(const struct tree *tree);
/* NULL after the last. */
struct tree_link *tree_next(const struct tree_link *link);

#endif
