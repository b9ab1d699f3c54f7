/* See tree.h. Heap order: a parent's weight is at most its children's. */
#include "queue/tree.h"

#include <assert.h>

#include "common/hash.h"

void tree_init(struct tree *tree, tree_compare_fn *compare)
{
    *tree = (struct tree){.compare = compare};
}

/* Puts `child` (may be NULL) where `link` hangs. */
static void replace(struct tree *tree, const struct tree_link *link, struct tree_link *child)
{
    struct tree_link *parent = link->parent;
    if (!parent)
        tree->root = child;
    else if (parent->left == link)
        parent->left = child;
    else
        parent->right = child;
    if (child)
        child->parent = parent;
}

/* Makes `link`, a child of its parent, the parent of it. */
static void rotate_up(struct tree *tree, struct tree_link *link)
{
    struct tree_link *parent = link->parent;
    replace(tree, parent, link);
    if (parent->left == link) {
        parent->left = link->right;
        if (link->right)
            link->right->parent = parent;
        link->right = parent;
    } else {
        parent->right = link->left;
        if (link->left)
            link->left->parent = parent;
        link->left = parent;
    }
    parent->parent = link;
}

void tree_insert(struct tree *tree, struct tree_link *link)
{
    struct tree_link *parent = NULL, **at = &tree->root;
    assert(!link->linked);
    while (*at) {
        parent = *at;
        at = tree->compare(link, parent) < 0 ? &parent->left : &parent->right;
    }
    tree->drawn++;
    *link = (struct tree_link){
        .parent = parent, .weight = hash_bytes(&tree->drawn, sizeof tree->drawn), .linked = true};
    *at = link;
    tree->count++;
    while (link->parent && link->weight < link->parent->weight)
        rotate_up(tree, link);
}

void tree_remove(struct tree *tree, struct tree_link *link)
{
    if (!link->linked)
        return;
    while (link->left && link->right)
        rotate_up(tree, link->left->weight < link->right->weight ? link->left : link->right);
    replace(tree, link, link->left ? link->left : link->right);
    tree->count--;
    *link = (struct tree_link){0};
}

static struct tree_link *leftmost(struct tree_link *link)
{
    while (link && link->left)
        link = link->left;
    return link;
}

struct tree_link *tree_first(const struct tree *tree)
{
    return leftmost(tree->root);
}

struct tree_link *tree_next(const struct tree_link *link)
{
    if (link->right)
        return leftmost(link->right);
    while (link->parent && link->parent->right == link)
        link = link->parent;
    return link->parent;
}
