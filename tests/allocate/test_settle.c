/* What records, raises and people make of an allocation. */
#include "tests/allocate/settle_stand.h"

#include "schemas/limits.h"

/* --- records that finished */

static void finished__first__peak_overhead_margin_and_brake_step(void **state)
{
    struct settle_stand *stand = settle_stand_finished(state, 256, 100);
    assert_true(settle_stand_record(stand));
    double usable = policy_memory_usable(&policy_defaults, (double)stand->allocation.limits.memory_bytes);
    assert_true(usable >= 1.15 * 100 * (double)MIB && usable < 1.17 * 100 * (double)MIB);
    assert_int_equal(stand->allocation.revision, 1);
    assert_int_equal(stand->allocation.runs, 1);
    assert_int_equal(stand->allocation.raised.count, 0);
    assert_int_equal(stand->allocation.updated_us, 77);
    assert_true(limits_equal(&stand->allocation.limits, &stand->allocation.before));
}

static void finished__many_runs__margin_narrows(void **state)
{
    struct settle_stand *stand = settle_stand_finished(state, 256, 100);
    stand->history = (struct policy_history){.runs = 100,
                                             .memory_p95 = 100e6,
                                             .memory_max = 105e6,
                                             .memory_count = 1,
                                             .memory = {{100.0 * (double)MIB, 1}}};
    stand->input.history = &stand->history;
    assert_true(settle_stand_record(stand));
    double usable = policy_memory_usable(&policy_defaults, (double)stand->allocation.limits.memory_bytes);
    assert_true(usable >= 1.06 * 100 * (double)MIB && usable < 1.08 * 100 * (double)MIB);
}

static void finished__rare_large_runs__cost_decides(void **state)
{
    /* Nine runs of 100 MiB and one of 600, 30 s each: room for all costs 0.9 * 500 * 30 = 13,500 MiB*s a run,
     * the raise that may fail 0.1 * 600 * 90 = 5,400. With three large ones in ten it is the other way round.
     */
    struct settle_stand *stand = settle_stand_finished(state, 1024, 100);
    stand->history =
        (struct policy_history){.runs = 10,
                                .memory_max = 600.0 * (double)MIB,
                                .duration_p50_s = 30,
                                .memory_count = 2,
                                .memory = {{100.0 * (double)MIB, 0.9}, {600.0 * (double)MIB, 0.1}}};
    stand->input.history = &stand->history;
    assert_true(settle_stand_record(stand));
    assert_in_range(stand->allocation.limits.memory_bytes, 115 * MIB, 150 * MIB);
    assert_true(stand->allocation.probability > 0.09f && stand->allocation.probability < 0.11f);
    stand->history.memory[0].weight = 0.7;
    stand->history.memory[1].weight = 0.3;
    assert_true(settle_stand_record(stand));
    assert_true(stand->allocation.limits.memory_bytes > 600 * MIB);
    assert_true(stand->allocation.probability < 0.01f);
}

static void finished__no_history_at_hand__one_small_run_lowers_slowly(void **state)
{
    struct settle_stand *stand = settle_stand_finished(state, 1024, 600);
    assert_true(settle_stand_record(stand));
    assert_true(settle_stand_record(stand));
    int64_t before = stand->allocation.limits.memory_bytes;
    stand->record.totals.memory_peak_bytes = 50 * MIB;
    assert_true(settle_stand_record(stand));
    assert_int_equal(stand->allocation.limits.memory_bytes, (int64_t)((double)before * 0.9));
}

/* Peaks of 50 to 400 MiB in turns. Where every execution that outgrew its start was saved, the start need not
 * cover the largest; where each was killed and ran again with more, it does. */
static void finished__outgrown_and_saved__start_below_the_largest(void **state)
{
    for (int killed = 0; killed < 2; killed++) {
        struct settle_stand *stand = settle_stand_finished(state, 64, 50);
        struct msg_execution_record *record = &stand->record;
        record->ended_us = 60000000;
        for (int i = 0; i < 60; i++) {
            int64_t had = i > 0 ? stand->allocation.limits.memory_bytes : 64 * MIB;
            int64_t peak = (50 + i * 13 % 8 * 50) * MIB;
            record->first_limits.memory_bytes = had;
            record->totals.memory_peak_bytes = killed ? FS_MIN(had, peak) : peak;
            record->highest_limits.memory_bytes = killed ? had : FS_MAX(had, peak * 23 / 20);
            record->outcome = killed && peak > had ? MSG_OUTCOME_OOM_KILLED : MSG_OUTCOME_FINISHED;
            record->cause = killed && peak > had ? MSG_CAUSE_MEMORY : MSG_CAUSE_NONE;
            assert_true(settle_stand_record(stand));
        }
        record->outcome = MSG_OUTCOME_FINISHED;
        record->cause = MSG_CAUSE_NONE;
        record->totals.memory_peak_bytes = 400 * MIB;
        record->highest_limits.memory_bytes = 460 * MIB;
        assert_true(settle_stand_record(stand));
        const char *reason = stand->storage[stand->turn].reason;
        print_message("%s\n", reason);
        assert_true((stand->allocation.limits.memory_bytes < 400 * MIB) == !killed);
        assert_true((strstr(reason, "is raised; ") != NULL) == !killed);
    }
}

/* The second run of a code needed a quarter of the first one. Only where nothing saves what outgrows its
 * start is it covered. */
static void finished__twice_and_others_saved__start_follows_the_runs(void **state)
{
    const struct policy_history history = {.runs = 1,
                                           .memory_count = 1,
                                           .memory = {{400.0 * MIB, 1}},
                                           .memory_max = 400.0 * MIB,
                                           .duration_p50_s = 30};
    for (int saved = 0; saved < 2; saved++) {
        struct settle_stand *stand = settle_stand_finished(state, 800, 400);
        stand->record.ended_us = 30000000;
        stand->input.saved = saved ? 0.95 : 0;
        assert_true(settle_stand_record(stand));
        assert_true(stand->allocation.limits.memory_bytes > 400 * MIB);
        stand->input.history = &history;
        stand->record.totals.memory_peak_bytes = 100 * MIB;
        assert_true(settle_stand_record(stand));
        print_message("%s\n", stand->storage[stand->turn].reason);
        assert_true((stand->allocation.limits.memory_bytes < 200 * MIB) == (saved == 1));
        assert_true(stand->allocation.limits.memory_bytes > 100 * MIB);
    }
}

static void failure__pinned_or_at_its_ceiling__says_nothing_of_raises(void **state)
{
    struct settle_stand *stand = settle_stand_failed(state, MSG_CAUSE_MEMORY);
    stand->fixed = (struct msg_code_policy){.mode = MSG_MODE_ACT, .ceiling = {.memory_bytes = 64 * MIB}};
    stand->input.fixed = &stand->fixed;
    assert_true(settle_stand_record(stand));
    assert_true(stand->allocation.outgrown == 0);
    stand->fixed.ceiling.memory_bytes = 65 * MIB;
    assert_true(settle_stand_record(stand));
    assert_true(stand->allocation.outgrown == 1 && stand->allocation.outgrown_failed == 1);
    stand->fixed.has_pin = true;
    stand->fixed.pin.memory_bytes = 64 * MIB;
    assert_true(settle_stand_record(stand));
    assert_true(stand->allocation.outgrown == 1);
}

static void finished__no_limit__none_is_made(void **state)
{
    struct settle_stand *stand = settle_stand_finished(state, 0, 100);
    assert_true(settle_stand_record(stand));
    assert_int_equal(stand->allocation.limits.memory_bytes, 0);
}

static void finished__rates__follow_raises_and_come_down_slowly(void **state)
{
    struct settle_stand *stand = settle_stand_finished(state, 128, 64);
    struct msg_execution_record *record = &stand->record;
    record->first_limits.cpu_millicores = record->highest_limits.cpu_millicores = 200;
    record->highest_limits.cpu_millicores = 800;
    record->peak_cpu_millicores = 800;
    assert_true(settle_stand_record(stand));
    assert_int_equal(stand->allocation.limits.cpu_millicores, 800);
    record->first_limits.cpu_millicores = 800;
    for (int i = 0; i < 50; i++) /* uses all of it: nothing to give back, and it does not creep up */
        assert_true(settle_stand_record(stand));
    assert_int_equal(stand->allocation.limits.cpu_millicores, 800);
    record->peak_cpu_millicores = 300;
    assert_true(settle_stand_record(stand));
    assert_int_equal(stand->allocation.limits.cpu_millicores, 720);
    for (int i = 0; i < 50; i++)
        assert_true(settle_stand_record(stand));
    assert_int_equal(stand->allocation.limits.cpu_millicores, 330);
}

/* --- marks */

static void marks__raise__end_after_20_good_executions(void **state)
{
    struct settle_stand *stand = settle_stand_finished(state, 64, 80);
    settle_stand_raised(stand, 110);
    stand->record.cause = MSG_CAUSE_NONE;
    struct policy_decision decision = {.direction = MSG_DIRECTION_RAISE,
                                       .cause = MSG_CAUSE_MEMORY,
                                       .probability = 0.8f,
                                       .limits = {.memory_bytes = 110 * MIB},
                                       .reason = "because"};
    struct msg_allocation next;
    assert_true(
        settle_raise(&stand->input, NULL, &stand->record.first_limits, &decision, &stand->storage[0], &next));
    assert_int_equal(next.limits.memory_bytes, 110 * MIB);
    assert_int_equal(next.before.memory_bytes, 64 * MIB);
    assert_int_equal(next.raised.count, 1);
    assert_true(next.probability > 0.79f);
    assert_non_null(strstr(stand->storage[0].reason, "because"));
    stand->allocation = next;
    stand->known = true;
    assert_true(settle_stand_record(stand)); /* the raised execution itself */
    assert_int_equal(stand->allocation.good_since_raise, 0);
    stand->record.adjustments.count = 0;
    for (int i = 1; i <= 19; i++) {
        assert_true(settle_stand_record(stand));
        assert_int_equal(stand->allocation.good_since_raise, i);
        assert_int_equal(stand->allocation.raised.count, 1);
        assert_int_equal(stand->allocation.before.memory_bytes, 64 * MIB);
    }
    assert_true(settle_stand_record(stand));
    assert_int_equal(stand->allocation.raised.count, 0);
    assert_true(limits_equal(&stand->allocation.before, &stand->allocation.limits));
}

static void marks__back_at_the_level_before__end(void **state)
{
    struct settle_stand *stand = settle_stand_failed(state, MSG_CAUSE_MEMORY);
    assert_true(settle_stand_record(stand));
    assert_int_equal(stand->allocation.raised.count, 1);
    stand->record.outcome = MSG_OUTCOME_FINISHED;
    stand->record.cause = MSG_CAUSE_NONE;
    stand->record.totals.memory_peak_bytes = 20 * MIB;
    stand->history =
        (struct policy_history){.runs = 5, .memory_max = 20e6, .memory_count = 1, .memory = {{20e6, 1}}};
    stand->input.history = &stand->history;
    assert_true(settle_stand_record(stand));
    assert_true(stand->allocation.limits.memory_bytes < 64 * MIB);
    assert_int_equal(stand->allocation.raised.count, 0);
}

/* A raise that allocate learns of from the record alone, because the agent made it, marks the code like any
 * other. */
static void record__raised_by_its_agent__marked(void **state)
{
    struct settle_stand *stand = settle_stand_finished(state, 64, 90);
    settle_stand_raised(stand, 110);
    stand->adjustment.adjustment.cause = MSG_CAUSE_MEMORY;
    stand->adjustment.result = MSG_ADJUSTMENT_RESULT_APPLIED;
    assert_true(settle_stand_record(stand));
    assert_int_equal(stand->allocation.raised.count, 1);
    assert_int_equal(stand->allocation.raised.items[0], MSG_CAUSE_MEMORY);
    assert_int_equal(stand->allocation.good_since_raise, 0);
    assert_true(stand->allocation.limits.memory_bytes > 90 * MIB);
}

static void raise__known_already__nothing(void **state)
{
    struct settle_stand *stand = settle_stand_finished(state, 64, 50);
    struct policy_decision decision = {
        .direction = MSG_DIRECTION_RAISE, .cause = MSG_CAUSE_MEMORY, .limits = {.memory_bytes = 110 * MIB}};
    struct msg_allocation first, second, third;
    assert_true(settle_raise(&stand->input, NULL, &stand->record.first_limits, &decision, &stand->storage[0],
                             &first));
    assert_false(settle_raise(&stand->input, &first, &stand->record.first_limits, &decision,
                              &stand->storage[1], &second));
    decision.limits.memory_bytes = 90 * MIB; /* of another attempt that needs less */
    assert_false(settle_raise(&stand->input, &first, &stand->record.first_limits, &decision,
                              &stand->storage[1], &second));
    decision.cause = MSG_CAUSE_CPU;
    decision.limits = (struct msg_limits){.memory_bytes = 90 * MIB, .cpu_millicores = 500};
    first.limits.cpu_millicores = 100;
    assert_true(settle_raise(&stand->input, &first, &stand->record.first_limits, &decision,
                             &stand->storage[1], &third));
    assert_int_equal(third.limits.memory_bytes, 110 * MIB);
    assert_int_equal(third.limits.cpu_millicores, 500);
    assert_int_equal(third.raised.count, 2);
    assert_int_equal(third.revision, first.revision + 1);
}

static void raise__not_a_raise_or_observed__nothing(void **state)
{
    struct settle_stand *stand = settle_stand_finished(state, 64, 50);
    struct policy_decision decision = {.direction = MSG_DIRECTION_SHRINK,
                                       .limits = {.memory_bytes = 40 * MIB}};
    struct msg_allocation next;
    assert_false(
        settle_raise(&stand->input, NULL, &stand->record.first_limits, &decision, &stand->storage[0], &next));
    decision.direction = MSG_DIRECTION_RAISE;
    decision.cause = MSG_CAUSE_MEMORY;
    stand->fixed.mode = MSG_MODE_OBSERVE;
    stand->input.fixed = &stand->fixed;
    assert_false(
        settle_raise(&stand->input, NULL, &stand->record.first_limits, &decision, &stand->storage[0], &next));
}

/* --- failures */

static void failure__memory__step_from_what_it_had(void **state)
{
    struct settle_stand *stand = settle_stand_failed(state, MSG_CAUSE_MEMORY);
    assert_true(settle_stand_record(stand));
    assert_int_equal(stand->allocation.limits.memory_bytes, 96 * MIB);
    assert_int_equal(stand->allocation.before.memory_bytes, 64 * MIB);
    const struct msg_cause_array *raised = &stand->allocation.raised;
    assert_int_equal(raised->items ? raised->items[0] : MSG_CAUSE_NONE, MSG_CAUSE_MEMORY);
    for (int i = 0; i < 9; i++) /* nine more that failed at the same time */
        assert_true(settle_stand_record(stand));
    assert_int_equal(stand->allocation.limits.memory_bytes, 96 * MIB);
}

static void failure__memory_with_history__what_history_asks_for(void **state)
{
    struct settle_stand *stand = settle_stand_failed(state, MSG_CAUSE_MEMORY);
    stand->history =
        (struct policy_history){.runs = 4, .memory_max = 300e6, .memory_count = 1, .memory = {{300e6, 1}}};
    stand->input.history = &stand->history;
    assert_true(settle_stand_record(stand));
    assert_true(stand->allocation.limits.memory_bytes > INT64_C(310000000));
}

static void failure__cpu__what_the_throttling_asks_for(void **state)
{
    struct settle_stand *stand = settle_stand_failed(state, MSG_CAUSE_CPU);
    stand->record.first_limits.cpu_millicores = stand->record.highest_limits.cpu_millicores = 200;
    stand->record.totals.cpu_throttled_us = stand->record.ended_us * 2 / 3;
    assert_true(settle_stand_record(stand));
    assert_int_equal(stand->allocation.limits.cpu_millicores, 600);
    assert_int_equal(stand->allocation.limits.memory_bytes, 64 * MIB);
}

static void failure__own_bug_cancel_lost__says_nothing(void **state)
{
    struct settle_stand *stand = settle_stand_failed(state, MSG_CAUSE_OTHER);
    stand->record.outcome = MSG_OUTCOME_CRASHED;
    assert_false(settle_stand_record(stand));
    stand->record.outcome = MSG_OUTCOME_KILLED;
    stand->record.cause = MSG_CAUSE_NONE;
    assert_false(settle_stand_record(stand));
    stand->record.outcome = MSG_OUTCOME_LOST;
    assert_false(settle_stand_record(stand));
}

static void failed__outcomes__need_a_verdict(void **state)
{
    static const bool expected[MSG_OUTCOME_COUNT] = {
        [MSG_OUTCOME_OOM_KILLED] = true, [MSG_OUTCOME_TIMED_OUT] = true, [MSG_OUTCOME_CRASHED] = true};
    struct settle_stand *stand = settle_stand_finished(state, 64, 50);
    for (int outcome = 0; outcome < MSG_OUTCOME_COUNT; outcome++) {
        stand->record.outcome = (enum msg_outcome)outcome;
        assert_int_equal(settle_failed(&stand->record), expected[outcome]);
    }
}

static void settle__observed_code__left_alone(void **state)
{
    struct settle_stand *stand = settle_stand_finished(state, 256, 100);
    stand->fixed.mode = MSG_MODE_OBSERVE;
    stand->input.fixed = &stand->fixed;
    assert_false(settle_stand_record(stand));
}

/* --- bounds */

static void bounds__ceiling_floor_and_pin__hold(void **state)
{
    struct settle_stand *stand = settle_stand_failed(state, MSG_CAUSE_MEMORY);
    stand->fixed = (struct msg_code_policy){.ceiling = {.memory_bytes = 80 * MIB}, .held_out_permille = 20};
    stand->input.fixed = &stand->fixed;
    assert_true(settle_stand_record(stand));
    assert_int_equal(stand->allocation.limits.memory_bytes, 80 * MIB);
    assert_int_equal(stand->allocation.held_out_permille, 20);
    stand->fixed = (struct msg_code_policy){.floor = {.memory_bytes = 500 * MIB}};
    assert_true(settle_stand_record(stand));
    assert_int_equal(stand->allocation.limits.memory_bytes, 500 * MIB);
    stand->fixed = (struct msg_code_policy){.has_pin = true, .pin = {.memory_bytes = 70 * MIB}};
    assert_true(settle_stand_record(stand));
    assert_int_equal(stand->allocation.limits.memory_bytes, 70 * MIB);
    assert_true(stand->allocation.pinned);
}

/* Who has not run has no limits to bound, but an agent must not pass a ceiling on its own either. */
static void fixed__ceiling_before_the_first_run__carried_without_limits(void **state)
{
    struct settle_stand *stand = settle_stand_finished(state, 0, 0);
    struct msg_allocation next, later;
    stand->fixed = (struct msg_code_policy){.floor = {.memory_bytes = 50 * MIB}};
    stand->input.fixed = &stand->fixed;
    assert_false(settle_fixed(&stand->input, NULL, &stand->storage[0], &next));
    stand->fixed = (struct msg_code_policy){.ceiling = {.memory_bytes = 80 * MIB}};
    assert_true(settle_fixed(&stand->input, NULL, &stand->storage[0], &next));
    assert_int_equal(next.memory_most_bytes, 80 * MIB);
    assert_true(next.limits.memory_bytes == 0 && next.limits.cpu_millicores == 0 && !next.pinned);
    assert_false(settle_fixed(&stand->input, &next, &stand->storage[1], &later));
    stand->fixed.mode = MSG_MODE_OBSERVE;
    assert_true(settle_fixed(&stand->input, &next, &stand->storage[1], &later));
    assert_true(later.memory_most_bytes == 0 && later.limits.memory_bytes == 0);
    stand->input.fixed = NULL;
    assert_true(settle_fixed(&stand->input, &next, &stand->storage[1], &later));
    assert_true(later.memory_most_bytes == INT64_MAX && later.limits.memory_bytes == 0);
}

/* Who ran without a limit has limits to bound: none. */
static void fixed__ceiling_after_a_run_without_limits__becomes_the_limit(void **state)
{
    struct settle_stand *stand = settle_stand_finished(state, 0, 50);
    struct msg_allocation next;
    assert_true(settle_stand_record(stand));
    assert_int_equal(stand->allocation.limits.memory_bytes, 0);
    stand->fixed = (struct msg_code_policy){.ceiling = {.memory_bytes = 80 * MIB}};
    stand->input.fixed = &stand->fixed;
    assert_true(settle_fixed(&stand->input, &stand->allocation, &stand->storage[stand->turn ^ 1], &next));
    assert_int_equal(next.limits.memory_bytes, 80 * MIB);
}

/* The first run begins the limits with what it had, as if there had been no allocation. */
static void fixed__ceiling_before_the_first_run__then_it_runs(void **state)
{
    struct settle_stand *stand = settle_stand_finished(state, 100, 50);
    struct msg_allocation blank, with, without;
    stand->fixed = (struct msg_code_policy){.ceiling = {.memory_bytes = 500 * MIB}};
    stand->input.fixed = &stand->fixed;
    assert_true(settle_fixed(&stand->input, NULL, &stand->storage[0], &blank));
    assert_true(settle_record(&stand->input, &blank, &stand->record, &stand->storage[1], &with));
    assert_true(settle_record(&stand->input, NULL, &stand->record, &stand->storage[0], &without));
    assert_int_equal(with.limits.memory_bytes, without.limits.memory_bytes);
    assert_int_equal(with.limits.cpu_millicores, without.limits.cpu_millicores);
    assert_int_equal(with.memory_most_bytes, 500 * MIB);
}

static void fixed__pin_makes_an_allocation(void **state)
{
    struct settle_stand *stand = settle_stand_finished(state, 0, 0);
    struct msg_allocation next, later;
    stand->input.fixed = &stand->fixed;
    stand->fixed =
        (struct msg_code_policy){.has_pin = true, .pin = {.memory_bytes = 70 * MIB}, .author = str_of("ann")};
    assert_true(settle_fixed(&stand->input, NULL, &stand->storage[0], &next));
    assert_true(next.pinned && next.revision == 1 && next.limits.memory_bytes == 70 * MIB);
    assert_string_equal(stand->storage[0].reason, "pinned by ann");
    assert_false(settle_fixed(&stand->input, &next, &stand->storage[1], &later));
    stand->input.fixed = NULL;
    assert_true(settle_fixed(&stand->input, &next, &stand->storage[1], &later));
    assert_true(!later.pinned && later.revision == 2);
}

static void record__code_deleted_and_run_again__revision_above_all_of_before(void **state)
{
    struct settle_stand *stand = settle_stand_finished(state, 256, 100);
    const int64_t day_us = 86400000000;
    stand->input.now_us = 20000 * day_us;
    for (int i = 0; i < 1000; i++, stand->input.now_us += 10000) {
        int64_t before = stand->allocation.revision;
        assert_true(settle_stand_record(stand));
        assert_true(i == 0 || stand->allocation.revision == before + 1);
    }
    int64_t last = stand->allocation.revision;
    stand->known = false;
    stand->input.now_us += 30 * day_us;
    assert_true(settle_stand_record(stand));
    assert_true(stand->allocation.revision > last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finished__first__peak_overhead_margin_and_brake_step),
        cmocka_unit_test(finished__many_runs__margin_narrows),
        cmocka_unit_test(finished__rare_large_runs__cost_decides),
        cmocka_unit_test(finished__no_history_at_hand__one_small_run_lowers_slowly),
        cmocka_unit_test(finished__outgrown_and_saved__start_below_the_largest),
        cmocka_unit_test(finished__twice_and_others_saved__start_follows_the_runs),
        cmocka_unit_test(failure__pinned_or_at_its_ceiling__says_nothing_of_raises),
        cmocka_unit_test(finished__no_limit__none_is_made),
        cmocka_unit_test(finished__rates__follow_raises_and_come_down_slowly),
        cmocka_unit_test(marks__raise__end_after_20_good_executions),
        cmocka_unit_test(marks__back_at_the_level_before__end),
        cmocka_unit_test(record__raised_by_its_agent__marked),
        cmocka_unit_test(raise__known_already__nothing),
        cmocka_unit_test(raise__not_a_raise_or_observed__nothing),
        cmocka_unit_test(failure__memory__step_from_what_it_had),
        cmocka_unit_test(failure__memory_with_history__what_history_asks_for),
        cmocka_unit_test(failure__cpu__what_the_throttling_asks_for),
        cmocka_unit_test(failure__own_bug_cancel_lost__says_nothing),
        cmocka_unit_test(failed__outcomes__need_a_verdict),
        cmocka_unit_test(settle__observed_code__left_alone),
        cmocka_unit_test(bounds__ceiling_floor_and_pin__hold),
        cmocka_unit_test(fixed__pin_makes_an_allocation),
        cmocka_unit_test(record__code_deleted_and_run_again__revision_above_all_of_before),
        cmocka_unit_test(fixed__ceiling_before_the_first_run__carried_without_limits),
        cmocka_unit_test(fixed__ceiling_before_the_first_run__then_it_runs),
        cmocka_unit_test(fixed__ceiling_after_a_run_without_limits__becomes_the_limit),
    };
    return cmocka_run_group_tests(tests, settle_stand_set_up, settle_stand_tear_down);
}
