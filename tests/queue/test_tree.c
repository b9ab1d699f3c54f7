/* The ordered tree against a plain array. */
#include "queue/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "queue/list.h"

#define ITEMS 500

struct item {
    int key;
    struct tree_link link;
};

static int compare(const struct tree_link *a, const struct tree_link *b)
{
    const struct item *x = CONTAINER_OF(a, struct item, link), *y = CONTAINER_OF(b, struct item, link);
    return x->key < y->key ? -1 : x->key > y->key;
}

/* In order, all of them, and of a depth that a chain would not have. */
static void check(const struct tree *tree, const struct item *items)
{
    size_t seen = 0;
    int last = -1;
    for (struct tree_link *at = tree_first(tree); at; at = tree_next(at)) {
        int key = CONTAINER_OF(at, struct item, link)->key, depth = 0;
        assert_true(key > last);
        last = key;
        seen++;
        for (const struct tree_link *up = at; up; up = up->parent)
            depth++;
        assert_true(depth < 60);
    }
    assert_int_equal(seen, tree->count);
    for (size_t i = 0; i < ITEMS; i++)
        seen -= items[i].link.linked;
    assert_int_equal(seen, 0);
}

static void tree__random_inserts_and_removals__always_in_order(void **unused)
{
    (void)unused;
    static struct item items[ITEMS];
    struct tree tree;
    unsigned seed = 4711;
    tree_init(&tree, compare);
    for (int i = 0; i < ITEMS; i++)
        items[i] = (struct item){.key = i};
    for (int i = 0; i < ITEMS; i++) /* the worst order for a tree that does not balance itself */
        tree_insert(&tree, &items[i].link);
    check(&tree, items);
    for (int i = 0; i < 20000; i++) {
        struct item *item = &items[(unsigned)rand_r(&seed) % ITEMS];
        if (item->link.linked)
            tree_remove(&tree, &item->link);
        else
            tree_insert(&tree, &item->link);
        if (i % 500 == 0)
            check(&tree, items);
    }
    for (int i = 0; i < ITEMS; i++)
        tree_remove(&tree, &items[i].link); /* also those that are not in it */
    assert_null(tree_first(&tree));
    assert_int_equal(tree.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree__random_inserts_and_removals__always_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
