/* predict/table: bounds, order of use, and held against a plain list under random use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "predict/table.h"

static void add__full__drops_the_longest_unused(void **state)
{
    (void)state;
    struct table *table = table_create(3, 8, sizeof(int));
    for (int i = 0; i < 3; i++)
        *(int *)table_add(table, &i, sizeof i) = i;
    int zero = 0, three = 3, one = 1;
    table_touch(table, table_find(table, &zero, sizeof zero));
    assert_int_equal(*(int *)table_oldest(table), 1);
    *(int *)table_add(table, &three, sizeof three) = 3;
    assert_null(table_find(table, &one, sizeof one));
    assert_non_null(table_find(table, &zero, sizeof zero));
    assert_int_equal(table_evicted(table), 1);
    assert_int_equal(table_count(table), 3);
    table_destroy(table);
}

static void add__key_empty_or_too_long__refused(void **state)
{
    (void)state;
    struct table *table = table_create(3, 8, 1);
    assert_null(table_add(table, "", 0));
    assert_null(table_add(table, "123456789", 9));
    assert_null(table_find(table, "123456789", 9));
    assert_non_null(table_add(table, "12345678", 8));
    assert_true(str_equal(table_key(table, table_oldest(table)), str_of("12345678")));
    table_destroy(table);
}

static void add__after_remove__value_is_zero_again(void **state)
{
    (void)state;
    struct table *table = table_create(1, 8, sizeof(int));
    *(int *)table_add(table, "a", 1) = 9;
    table_remove(table, table_find(table, "a", 1));
    assert_int_equal(table_count(table), 0);
    assert_null(table_oldest(table));
    assert_int_equal(*(int *)table_add(table, "b", 1), 0);
    table_destroy(table);
}

static void create__nonsense__refused(void **state)
{
    (void)state;
    assert_null(table_create(0, 8, 8));
    assert_null(table_create(8, 0, 8));
    assert_null(table_create(8, 8, 0));
    assert_null(table_create(SIZE_MAX / 2, 8, 8));
}

#define CAPACITY 50
#define KEYS 120

/* Keys in order of use, oldest first. */
struct list {
    int keys[CAPACITY];
    size_t count;
};

static void list_remove(struct list *list, int key)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->keys[i] != key)
            continue;
        memmove(list->keys + i, list->keys + i + 1, (list->count - i - 1) * sizeof *list->keys);
        list->count--;
        return;
    }
}

static void compare(const struct table *table, const struct list *list)
{
    size_t i = 0;
    assert_int_equal(table_count(table), list->count);
    for (void *value = table_oldest(table); value; value = table_newer(table, value))
        assert_int_equal(*(int *)value, list->keys[i++]);
    assert_int_equal(i, list->count);
}

static void random_use__held_against_a_list__equal(void **state)
{
    (void)state;
    struct table *table = table_create(CAPACITY, 16, sizeof(int));
    struct list list = {.count = 0};
    unsigned seed = 7;
    for (int step = 0; step < 20000; step++) {
        int key = (int)(rand_r(&seed) % KEYS);
        char name[16];
        size_t size = (size_t)snprintf(name, sizeof name, "key-%d", key);
        int *value = table_find(table, name, size);
        if (value && rand_r(&seed) % 3 == 0) {
            table_remove(table, value);
            list_remove(&list, key);
            continue;
        }
        if (value)
            table_touch(table, value);
        else
            *(int *)table_add(table, name, size) = key;
        list_remove(&list, key);
        if (list.count == CAPACITY)
            list_remove(&list, list.keys[0]);
        list.keys[list.count++] = key;
        if (step % 50 == 0)
            compare(table, &list);
    }
    compare(table, &list);
    table_destroy(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add__full__drops_the_longest_unused),
        cmocka_unit_test(add__key_empty_or_too_long__refused),
        cmocka_unit_test(add__after_remove__value_is_zero_again),
        cmocka_unit_test(create__nonsense__refused),
        cmocka_unit_test(random_use__held_against_a_list__equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
