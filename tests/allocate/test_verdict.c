/* How failures are judged. */
#include "allocate/verdict.h"
#include "tests/allocate/settle_stand.h"

static struct verdict judged(const struct settle_stand *stand, const struct msg_limits *capacity)
{
    struct verdict verdict;
    verdict_judge(&stand->input, &stand->record, stand->known ? &stand->allocation : NULL, capacity,
                  &verdict);
    return verdict;
}

static void verdict__memory__again_with_more(void **state)
{
    struct settle_stand *stand = settle_stand_failed(state, MSG_CAUSE_MEMORY);
    assert_true(settle_stand_record(stand));
    struct verdict verdict = judged(stand, NULL);
    assert_true(verdict.retry && !verdict.dead_lettered);
    assert_int_equal(verdict.limits.memory_bytes, 96 * MIB);
    assert_string_equal(verdict.reason, "memory failure of attempt 1 of 3: again, with more of it");
}

static void verdict__although_raised__dead_lettered_and_again(void **state)
{
    struct settle_stand *stand = settle_stand_failed(state, MSG_CAUSE_MEMORY);
    settle_stand_raised(stand, 100);
    assert_true(settle_stand_record(stand));
    struct verdict verdict = judged(stand, NULL);
    assert_true(verdict.retry && verdict.dead_lettered);
    assert_int_equal(verdict.limits.memory_bytes, 150 * MIB);
    stand->record.arm = MSG_ARM_HELD_OUT;
    verdict = judged(stand, NULL);
    assert_false(verdict.dead_lettered);
    stand->record.arm = MSG_ARM_TREATED;
    stand->raised[0] = MSG_CAUSE_CPU; /* another resource was */
    verdict = judged(stand, NULL);
    assert_false(verdict.dead_lettered);
}

static void verdict__at_the_ceiling__dead_lettered_and_over(void **state)
{
    struct settle_stand *stand = settle_stand_failed(state, MSG_CAUSE_MEMORY);
    settle_stand_raised(stand, 100);
    stand->fixed.ceiling.memory_bytes = 100 * MIB;
    stand->input.fixed = &stand->fixed;
    assert_true(settle_stand_record(stand));
    struct verdict verdict = judged(stand, NULL);
    assert_true(!verdict.retry && verdict.dead_lettered);
    assert_non_null(strstr(verdict.reason, "nothing more to give"));
}

static void verdict__largest_node_too_small__over(void **state)
{
    struct settle_stand *stand = settle_stand_failed(state, MSG_CAUSE_MEMORY);
    const struct msg_limits capacity = {.memory_bytes =
                                            65 * MIB}; /* 1 MiB more would be the same failure again */
    assert_true(settle_stand_record(stand));
    struct verdict verdict = judged(stand, &capacity);
    assert_false(verdict.retry);
    assert_int_equal(verdict.limits.memory_bytes, 65 * MIB);
}

static void verdict__attempts_used_up__over(void **state)
{
    struct settle_stand *stand = settle_stand_failed(state, MSG_CAUSE_MEMORY);
    stand->record.attempt = 3;
    assert_true(settle_stand_record(stand));
    struct verdict verdict = judged(stand, NULL);
    assert_false(verdict.retry);
    assert_non_null(strstr(verdict.reason, "attempts used up"));
}

static void verdict__own_bug__not_again_unless_asked(void **state)
{
    struct settle_stand *stand = settle_stand_failed(state, MSG_CAUSE_OTHER);
    stand->record.outcome = MSG_OUTCOME_CRASHED;
    struct verdict verdict = judged(stand, NULL);
    assert_true(!verdict.retry && !verdict.dead_lettered);
    stand->record.request.retry_other = true;
    verdict = judged(stand, NULL);
    assert_true(verdict.retry);
    assert_int_equal(verdict.limits.memory_bytes, 64 * MIB);
}

static void verdict__observed_code__not_again(void **state)
{
    struct settle_stand *stand = settle_stand_failed(state, MSG_CAUSE_MEMORY);
    stand->fixed.mode = MSG_MODE_OFF;
    stand->input.fixed = &stand->fixed;
    struct verdict verdict = judged(stand, NULL);
    assert_false(verdict.retry);
    assert_int_equal(verdict.limits.memory_bytes, 64 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdict__memory__again_with_more),
        cmocka_unit_test(verdict__although_raised__dead_lettered_and_again),
        cmocka_unit_test(verdict__at_the_ceiling__dead_lettered_and_over),
        cmocka_unit_test(verdict__largest_node_too_small__over),
        cmocka_unit_test(verdict__attempts_used_up__over),
        cmocka_unit_test(verdict__own_bug__not_again_unless_asked),
        cmocka_unit_test(verdict__observed_code__not_again),
    };
    return cmocka_run_group_tests(tests, settle_stand_set_up, settle_stand_tear_down);
}
