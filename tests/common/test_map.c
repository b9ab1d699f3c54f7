/* The map against a plain array as the oracle, its bound, and every allocation failing once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/map.h"
#include "common/uuid.h"
#include "tests/support/allocations.h"

#define KEYS 200
#define STEPS 20000
#define SEED 7u

static void map_put__random_puts_and_removes__as_the_oracle(void **state)
{
    static int oracle[KEYS], values[3];
    struct map *map = map_create(KEYS / 2);
    unsigned random = SEED;
    size_t count = 0;
    (void)state;
    print_message("seed %u\n", SEED);
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525u + 1013904223u;
        unsigned key = (random >> 8) % KEYS;
        int which = (int)(random >> 28) % 3;
        if (which == 0) {
            assert_ptr_equal(map_remove(map, &key, sizeof key), oracle[key] ? &values[oracle[key]] : NULL);
            count -= oracle[key] != 0;
            oracle[key] = 0;
        } else if (oracle[key] || count < KEYS / 2) {
            assert_int_equal(map_put(map, &key, sizeof key, &values[which]), 0);
            count += oracle[key] == 0;
            oracle[key] = which;
        } else {
            assert_int_equal(map_put(map, &key, sizeof key, &values[which]), -ENOSPC);
        }
        assert_ptr_equal(map_get(map, &key, sizeof key), oracle[key] ? &values[oracle[key]] : NULL);
        assert_int_equal(map_count(map), count);
    }
    size_t cursor = 0, met = 0;
    struct str key;
    void *value;
    for (; map_next(map, &cursor, &key, &value); met++)
        assert_ptr_equal(map_remove(map, key.data, key.size), value); /* removing while walking */
    assert_int_equal(met, count);
    assert_int_equal(map_count(map), 0);
    map_destroy(map);
}

static bool fill_everything(void)
{
    struct map *map = map_create(64);
    struct arena *arena = arena_create(64, 4096);
    struct buffer buffer;
    bool whole = map && arena;
    buffer_init(&buffer, 0);
    for (int i = 0; i < 40 && map; i++)
        whole = map_put(map, &i, sizeof i, &buffer) == 0 && whole;
    for (int i = 0; i < 20 && arena; i++)
        whole = arena_alloc(arena, 3, 11) != NULL && whole;
    for (int i = 0; i < 200; i++)
        buffer_append_u64be(&buffer, 1);
    whole = buffer_error(&buffer) == 0 && whole;
    map_destroy(map);
    arena_destroy(arena);
    buffer_fini(&buffer);
    return whole;
}

static void map_arena_buffer__each_allocation_fails_once__told(void **state)
{
    size_t failure = 0;
    (void)state;
    for (bool reached = true; reached; failure++) {
        allocations_fail(failure);
        bool whole = fill_everything();
        reached = allocations_failed();
        assert_int_equal(whole, !reached);
    }
    print_message("%zu allocations failed in turn\n", failure - 1);
    assert_true(failure > 20);
}

static void arena_alloc__limit_overflow_reset__bounded(void **state)
{
    struct arena *arena = arena_create(64, 128);
    (void)state;
    assert_null(arena_alloc(arena, SIZE_MAX, 2));
    uint8_t *memory = arena_alloc(arena, 1, 100);
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % 16, 0);
    memset(memory, 1, 100);
    assert_null(arena_alloc(arena, 1, 32));
    arena_reset(arena);
    assert_int_equal(arena_used(arena), 0);
    memory = arena_alloc(arena, 1, 100);
    assert_int_equal(memory[99], 0);
    arena_destroy(arena);
}

static void uuid_v7__text_and_back__same(void **state)
{
    uint8_t id[UUID_SIZE], back[UUID_SIZE];
    char text[UUID_TEXT_SIZE];
    (void)state;
    uuid_v7(id, 0x0123456789ab);
    uuid_format(id, text);
    assert_memory_equal(text, "01234567-89ab-7", 15);
    assert_int_equal(uuid_parse(str_of(text), back), 0);
    assert_memory_equal(id, back, sizeof id);
    text[8] = '0';
    assert_int_equal(uuid_parse(str_of(text), back), -EINVAL);
    assert_int_equal(uuid_parse(str_of("short"), back), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_put__random_puts_and_removes__as_the_oracle),
        cmocka_unit_test(map_arena_buffer__each_allocation_fails_once__told),
        cmocka_unit_test(arena_alloc__limit_overflow_reset__bounded),
        cmocka_unit_test(uuid_v7__text_and_back__same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
