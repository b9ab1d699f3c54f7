/* With which limits an attempt starts, its arm, and what is read from Redis about it. */
#include "queue/start.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "queue/allocations.h"
#include "queue/room.h"

#define MIB ((int64_t)1 << 20)

static const struct start_config config = {.default_memory_bytes = 256 * MIB};
static const struct allocation none = {.exists = false};
static uint8_t id[16] = {1, 2, 3};

static struct start_wish wish(int32_t attempt, int64_t memory_bytes, int32_t cpu)
{
    return (struct start_wish){.execution = id,
                               .attempt = attempt,
                               .requested = {.memory_bytes = memory_bytes, .cpu_millicores = cpu},
                               .largest = {.memory_bytes = 1000 * MIB,
                                           .cpu_millicores = 4000,
                                           .io_read_bps = INT64_MAX,
                                           .io_write_bps = INT64_MAX,
                                           .net_egress_bps = INT64_MAX}};
}

static struct start choose(struct start_wish wanted, const struct allocation *allocation)
{
    struct start start;
    start_choose(&config, &wanted, allocation, &start);
    return start;
}

static void start__nothing_known__requested_limits_or_the_default(void **unused)
{
    (void)unused;
    struct start start = choose(wish(1, 64 * MIB, 500), &none);
    assert_int_equal(start.limits.memory_bytes, 64 * MIB);
    assert_int_equal(start.limits.cpu_millicores, 500);
    assert_int_equal(start.revision, 0);
    assert_int_equal(start.raised, 0);
    start = choose(wish(1, 0, 0), &none);
    assert_int_equal(start.limits.memory_bytes, 256 * MIB);
    assert_int_equal(start.limits.cpu_millicores, 0);
}

static void start__allocation__replaces_what_was_requested_where_it_says_something(void **unused)
{
    (void)unused;
    struct allocation allocation = {.exists = true,
                                    .revision = 4,
                                    .limits = {.memory_bytes = 32 * MIB},
                                    .raised = CAUSE_BIT(MSG_CAUSE_MEMORY)};
    struct start start = choose(wish(1, 64 * MIB, 500), &allocation);
    assert_int_equal(start.limits.memory_bytes, 32 * MIB); /* less, too: it was learned */
    assert_int_equal(start.limits.cpu_millicores, 500);
    assert_int_equal(start.revision, 4);
    assert_int_equal(start.raised, CAUSE_BIT(MSG_CAUSE_MEMORY));
    allocation.pinned = true;
    start = choose(wish(1, 64 * MIB, 500), &allocation);
    assert_int_equal(start.limits.cpu_millicores, 0); /* a pin is taken as it is */
}

static void start__more_than_the_largest_node__clipped_unless_asked_for(void **unused)
{
    (void)unused;
    struct allocation allocation = {.exists = true,
                                    .limits = {.memory_bytes = 5000 * MIB, .cpu_millicores = 9000}};
    struct start start = choose(wish(1, 64 * MIB, 0), &allocation);
    assert_int_equal(start.limits.memory_bytes, 1000 * MIB);
    assert_int_equal(start.limits.cpu_millicores, 4000);
    start = choose(wish(1, 5000 * MIB, 8000), &none);
    assert_int_equal(start.limits.memory_bytes,
                     5000 * MIB); /* it fits nowhere, and that is said in the end */
    assert_int_equal(start.limits.cpu_millicores, 4000);
    allocation.pinned = true;
    start = choose(wish(1, 64 * MIB, 0), &allocation);
    assert_int_equal(start.limits.memory_bytes, 5000 * MIB);
}

static void start__retry__at_least_what_the_verdict_said(void **unused)
{
    (void)unused;
    struct start_wish wanted = wish(2, 64 * MIB, 500);
    wanted.retry = (struct msg_limits){.memory_bytes = 96 * MIB, .cpu_millicores = 500};
    wanted.retry_revision = 8;
    wanted.retry_raised = CAUSE_BIT(MSG_CAUSE_MEMORY);
    struct start start = choose(wanted, &none);
    assert_int_equal(start.limits.memory_bytes, 96 * MIB);
    assert_int_equal(start.revision, 8);
    assert_int_equal(start.raised, CAUSE_BIT(MSG_CAUSE_MEMORY));
    struct allocation newer = {.exists = true, .revision = 9, .limits = {.memory_bytes = 120 * MIB}};
    assert_int_equal(choose(wanted, &newer).limits.memory_bytes, 120 * MIB);
    newer.limits.memory_bytes = 80 * MIB;
    assert_int_equal(choose(wanted, &newer).limits.memory_bytes, 96 * MIB);
    newer.pinned = true;
    assert_int_equal(choose(wanted, &newer).limits.memory_bytes, 80 * MIB);
    newer.revision = 8; /* there was no verdict, and nobody knew */
    assert_int_equal(choose(wanted, &newer).limits.memory_bytes, 80 * MIB);
    newer.pinned = false;
    newer.ceiling.memory_bytes = 90 * MIB;
    assert_int_equal(choose(wanted, &newer).limits.memory_bytes, 90 * MIB);
}

static void start__rates__may_be_lessened_to_what_was_requested(void **unused)
{
    (void)unused;
    struct allocation allocation = {
        .exists = true, .limits = {.memory_bytes = 32 * MIB, .cpu_millicores = 2000, .io_read_bps = 1000}};
    struct start start = choose(wish(1, 64 * MIB, 500), &allocation);
    assert_int_equal(start.least.memory_bytes, 32 * MIB);
    assert_int_equal(start.least.cpu_millicores, 500);
    assert_int_equal(start.least.io_read_bps, 500); /* nobody asked: half */
    struct start_wish retry = wish(2, 64 * MIB, 500);
    retry.retry.cpu_millicores = 1500;
    retry.retry_raised = CAUSE_BIT(MSG_CAUSE_CPU);
    assert_int_equal(choose(retry, &allocation).least.cpu_millicores, 1500);
}

static void held_out__share_of_first_attempts__logged_with_its_propensity(void **unused)
{
    (void)unused;
    struct allocation allocation = {.exists = true,
                                    .revision = 3,
                                    .limits = {.memory_bytes = 500 * MIB},
                                    .raised = CAUSE_BIT(MSG_CAUSE_MEMORY),
                                    .held_out_permille = 200};
    int held = 0;
    for (int i = 0; i < 5000; i++) {
        memcpy(id + 4, &i, sizeof i);
        struct start start = choose(wish(1, 64 * MIB, 0), &allocation),
                     again = choose(wish(1, 64 * MIB, 0), &allocation);
        assert_int_equal(start.arm, again.arm);
        if (start.arm == MSG_ARM_HELD_OUT) {
            held++;
            assert_int_equal(start.limits.memory_bytes, 64 * MIB); /* without the code's raise */
            assert_int_equal(start.raised, 0);
            assert_int_equal(start.revision, 0);
            assert_true(start.propensity > 0.199f && start.propensity < 0.201f);
        } else {
            assert_true(start.propensity > 0.799f && start.propensity < 0.801f);
            assert_int_equal(start.limits.memory_bytes, 500 * MIB);
        }
        start = choose(wish(2, 64 * MIB, 0), &allocation);
        assert_int_equal(start.arm, MSG_ARM_TREATED);
    }
    assert_in_range(held, 850, 1150); /* 1000 +- 5 standard deviations */
    allocation.held_out_permille = 0;
    assert_true(choose(wish(1, 64 * MIB, 0), &allocation).propensity == 1.0f);
}

static void raise__failed_resource__times_the_step_under_every_bound(void **unused)
{
    (void)unused;
    const struct msg_limits largest = {
        .memory_bytes = 1000 * MIB, .cpu_millicores = 4000, .io_read_bps = INT64_MAX};
    struct msg_limits limits = {.memory_bytes = 100 * MIB, .io_read_bps = 10};
    assert_true(start_raise(&limits, MSG_CAUSE_MEMORY, 1.5, &none, &largest));
    assert_int_equal(limits.memory_bytes, 150 * MIB);
    assert_true(start_raise(&limits, MSG_CAUSE_IO, 1.5, &none, &largest));
    assert_int_equal(limits.io_read_bps, 15);
    assert_int_equal(limits.io_write_bps, 0); /* no limit stays no limit */
    assert_false(start_raise(&limits, MSG_CAUSE_CPU, 1.5, &none, &largest));
    limits.memory_bytes = 900 * MIB;
    assert_true(start_raise(&limits, MSG_CAUSE_MEMORY, 1.5, &none, &largest));
    assert_int_equal(limits.memory_bytes, 1000 * MIB);
    assert_false(start_raise(&limits, MSG_CAUSE_MEMORY, 1.5, &none, &largest));
    struct allocation bounded = {.exists = true, .ceiling = {.memory_bytes = 120 * MIB}};
    limits.memory_bytes = 100 * MIB;
    assert_true(start_raise(&limits, MSG_CAUSE_MEMORY, 1.5, &bounded, &largest));
    assert_int_equal(limits.memory_bytes, 120 * MIB);
    bounded.pinned = true;
    assert_false(start_raise(&limits, MSG_CAUSE_MEMORY, 1.5, &bounded, &largest));
}

static void fit__every_resource__whole_less_or_not(void **unused)
{
    (void)unused;
    struct msg_limits given, capacity = {.memory_bytes = 1000, .cpu_millicores = 4000},
                             committed = {.memory_bytes = 500};
    struct msg_limits free = room_free(&capacity, &committed, 0.1);
    assert_int_equal(free.memory_bytes, 400); /* 1000 - 10 % - 500 */
    assert_int_equal(free.io_read_bps, INT64_MAX);
    struct msg_limits wanted = {.memory_bytes = 400, .cpu_millicores = 4000, .net_egress_bps = 1 << 30};
    struct msg_limits least = {.memory_bytes = 400, .cpu_millicores = 1000};
    assert_int_equal(room_fit(&wanted, &least, &free, false, &given), ROOM_FIT_WHOLE);
    wanted.memory_bytes = 401;
    assert_int_equal(room_fit(&wanted, &least, &free, true, &given),
                     ROOM_FIT_NO); /* memory is never lessened */
    wanted.memory_bytes = 100;
    free.cpu_millicores = 1500;
    assert_int_equal(room_fit(&wanted, &least, &free, false, &given), ROOM_FIT_NO);
    assert_int_equal(room_fit(&wanted, &least, &free, true, &given), ROOM_FIT_LESS);
    assert_int_equal(given.cpu_millicores, 1500);
    free.cpu_millicores = 900;
    assert_int_equal(room_fit(&wanted, &least, &free, true, &given), ROOM_FIT_NO);
    committed.memory_bytes = INT64_MAX;
    room_add(&committed, &capacity, 1);
    assert_int_equal(committed.memory_bytes, INT64_MAX);
    assert_int_equal(room_free(&capacity, &committed, 0.1).memory_bytes, 0);
}

static void start__input_told__by_the_curve(void **unused)
{
    (void)unused;
    struct allocation allocation = {.exists = true,
                                    .limits = {.memory_bytes = 300 * MIB},
                                    .by_input = {{1e6, 100 * (double)MIB}, {1e8, 900 * (double)MIB}},
                                    .by_input_count = 2};
    struct start_wish wanted = wish(1, 64 * MIB, 0);
    assert_int_equal(choose(wanted, &allocation).limits.memory_bytes, 300 * MIB); /* not told */
    wanted.input_bytes = 1e6;
    assert_int_equal(choose(wanted, &allocation).limits.memory_bytes, 100 * MIB);
    wanted.input_bytes = 1e7;
    assert_int_equal(choose(wanted, &allocation).limits.memory_bytes, 300 * MIB); /* half way in logarithms */
    wanted.input_bytes = 2e9;
    assert_int_equal(choose(wanted, &allocation).limits.memory_bytes, 1000 * MIB); /* clipped to the node */
    wanted.attempt = 2;
    wanted.input_bytes = 1e6;
    wanted.retry.memory_bytes = 200 * MIB;
    assert_int_equal(choose(wanted, &allocation).limits.memory_bytes, 200 * MIB); /* at least the verdict's */
    wanted.attempt = 1;
    allocation.pinned = true;
    assert_int_equal(choose(wanted, &allocation).limits.memory_bytes, 300 * MIB);
}

/* --- what Redis says --- */

static struct store_field field(const char *name, const char *value)
{
    return (struct store_field){str_of(name), str_of(value)};
}

static void parse__all_fields__as_written(void **unused)
{
    (void)unused;
    const struct store_field fields[] = {
        field("revision", "12"),        field("memory_bytes", "1048576"),
        field("cpu_millicores", "250"), field("raised", "memory,io"),
        field("pinned", "1"),           field("held_out_permille", "20"),
        field("reason", "anything"),    field("ceiling_memory_bytes", "99"),
        field("net_priority", "3"),     field("memory_by_input", "10:20,30:40")};
    struct allocation allocation;
    assert_int_equal(allocation_parse(fields, FS_COUNT(fields), &allocation), 0);
    assert_true(allocation.exists && allocation.pinned);
    assert_int_equal(allocation.revision, 12);
    assert_int_equal(allocation.limits.memory_bytes, 1048576);
    assert_int_equal(allocation.limits.cpu_millicores, 250);
    assert_int_equal(allocation.limits.net_priority, 3);
    assert_int_equal(allocation.ceiling.memory_bytes, 99);
    assert_int_equal(allocation.raised, CAUSE_BIT(MSG_CAUSE_MEMORY) | CAUSE_BIT(MSG_CAUSE_IO));
    assert_int_equal(allocation.held_out_permille, 20);
    assert_int_equal(allocation.by_input_count, 2);
    assert_true(allocation.by_input[1].at == 30 && allocation.by_input[1].value == 40);
}

/* What a running execution may be given at once is what a retry without a verdict may be given, too. */
static void parse__bound_of_advances__is_the_ceiling(void **unused)
{
    (void)unused;
    struct store_field fields[] = {field("revision", "1"), field("memory_most_bytes", "1048576")};
    struct allocation allocation;
    assert_int_equal(allocation_parse(fields, 2, &allocation), 0);
    assert_true(allocation.read && allocation.memory_most_bytes == 1048576);
    assert_int_equal(allocation.ceiling.memory_bytes, 1048576);
    fields[1] = field("memory_most_bytes", "9223372036854775807");
    assert_int_equal(allocation_parse(fields, 2, &allocation), 0);
    assert_true(allocation.memory_most_bytes == INT64_MAX && allocation.ceiling.memory_bytes == 0);
    assert_int_equal(allocation_parse(fields, 1, &allocation), 0); /* written by an older allocate */
    assert_int_equal(allocation.memory_most_bytes, 0);
}

static void parse__anything_absurd__refused_whole(void **unused)
{
    (void)unused;
    const struct store_field wrong[] = {
        field("memory_bytes", "-1"),           field("memory_bytes", "99999999999999999999"),
        field("memory_bytes", "12x"),          field("memory_bytes", ""),
        field("cpu_millicores", "2147483648"), field("cpu_weight", "10001"),
        field("raised", "memory,dragon"),      field("pinned", "2"),
        field("held_out_permille", "1001"),    field("revision", "first"),
        field("memory_by_input", "10:x")};
    struct allocation allocation = {.revision = 77};
    for (size_t i = 0; i < FS_COUNT(wrong); i++) {
        struct store_field fields[] = {wrong[i], field("revision", "1")};
        assert_int_equal(allocation_parse(fields, 2, &allocation), -22);
    }
    assert_int_equal(allocation_parse(NULL, 0, &allocation), -22); /* no revision: nobody's hash */
    assert_int_equal(allocation.revision, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start__nothing_known__requested_limits_or_the_default),
        cmocka_unit_test(start__allocation__replaces_what_was_requested_where_it_says_something),
        cmocka_unit_test(start__more_than_the_largest_node__clipped_unless_asked_for),
        cmocka_unit_test(start__retry__at_least_what_the_verdict_said),
        cmocka_unit_test(start__rates__may_be_lessened_to_what_was_requested),
        cmocka_unit_test(held_out__share_of_first_attempts__logged_with_its_propensity),
        cmocka_unit_test(raise__failed_resource__times_the_step_under_every_bound),
        cmocka_unit_test(fit__every_resource__whole_less_or_not),
        cmocka_unit_test(start__input_told__by_the_curve),
        cmocka_unit_test(parse__all_fields__as_written),
        cmocka_unit_test(parse__bound_of_advances__is_the_ceiling),
        cmocka_unit_test(parse__anything_absurd__refused_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
