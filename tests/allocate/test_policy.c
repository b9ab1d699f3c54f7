/* One decision at a time about memory: what is asked, who is not acted on, what is waited for; and the rates
 * of attempts without a quota. */
#include "tests/allocate/policy_stand.h"

#include <math.h>

static void memory__usable_and_limit__inverse(void **state)
{
    (void)state;
    for (int power = 0; power < 24; power++) {
        double usable = pow(3, power), limit = policy_memory_limit(&policy_defaults, usable);
        assert_true(fabs(policy_memory_usable(&policy_defaults, limit) - usable) < 1);
    }
}

static void memory__alarm__raised_within_the_headroom(void **state)
{
    struct stand *stand = stand_alarmed(state);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_true(stand->decision.act);
    assert_int_equal(stand->decision.cause, MSG_CAUSE_MEMORY);
    assert_true(stand->decision.probability > 0.89f);
    int64_t limit = stand->decision.limits.memory_bytes;
    assert_true(limit > 64 * MIB && limit <= (int64_t)(58 * 1.4) * MIB + 7 * MIB && limit % MIB == 0);
    assert_true(stand->decision.expected_cost < stand->decision.kept_cost);
    assert_non_null(strstr(stand->decision.reason, "58 of 64 MiB"));
    assert_non_null(strstr(stand->decision.reason, "p=0.90"));
}

static void memory__node_with_a_brake__raised_within_the_tighter_headroom(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->node = (struct policy_node){.known = true, .brake = true};
    stand->input.node = &stand->node;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_in_range(stand->decision.limits.memory_bytes, 65 * MIB, (int64_t)(58 * 1.12) * MIB + 7 * MIB);
    stand->node.known = false; /* nothing heard of it lately */
    stand->attempt = (struct policy_attempt){0};
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_true(stand->decision.limits.memory_bytes > (int64_t)(58 * 1.3) * MIB);
}

static void memory__alarm_far_below_the_limit__raised_only_without_a_brake(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->risk.limits.memory_bytes = 10 * MIB;
    stand->risk.memory_bytes = stand->risk.memory_peak_bytes = 2 * MIB;
    stand->node = (struct policy_node){.known = true, .brake = true};
    stand->input.node = &stand->node;
    stand->attempt = (struct policy_attempt){.growth_bps = 8e6, .seen_us = stand->risk.sampled_us};
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP); /* as of any program that just began */
    stand->risk.brake_engaged = true; /* then it has met the limit, whatever the sample says */
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    stand = stand_alarmed(state);
    stand->risk.limits.memory_bytes = 10 * MIB;
    stand->risk.memory_bytes = stand->risk.memory_peak_bytes = 2 * MIB;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
}

static void memory__demand_far_above_the_headroom__raised_by_all_of_it(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->risk.memory = (struct msg_demand_quantiles){5e9, 6e9, 7e9};
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_in_range(stand->decision.limits.memory_bytes, 86 * MIB, 88 * MIB);
}

static void memory__alarm_of_another_cause__kept(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->risk.probabilities = (struct msg_cause_probabilities){.other = 0.9f};
    stand->risk.cause = MSG_CAUSE_OTHER;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
}

static void memory__alarm__by_its_own_threshold(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->risk.probabilities = (struct msg_cause_probabilities){.memory = 0.3f, .other = 0.6f};
    stand->risk.cause = MSG_CAUSE_OTHER;
    assert_int_equal(stand_decide(stand),
                     MSG_DIRECTION_KEEP); /* one threshold for all: only other is above */
    stand->risk.thresholds = (struct msg_cause_probabilities){0.25f, 0.5f, 0.5f, 0.5f, 0.5f};
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    stand = stand_alarmed(state);
    stand->risk.thresholds = (struct msg_cause_probabilities){0.95f, 0.5f, 0.5f, 0.5f, 0.5f};
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
}

static void memory__alarm__by_its_level(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->risk.levels = (struct msg_cause_probabilities){.memory = 0.3f, .other = 0.6f};
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP); /* for a tick only, it is above */
    stand = stand_alarmed(state);
    stand->risk.probabilities.memory = 0.3f;
    stand->risk.levels = (struct msg_cause_probabilities){.memory = 0.6f};
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
}

static void memory__room_enough__kept(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->risk.limits.memory_bytes = 200 * MIB;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
}

static void memory__no_limit__kept(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->risk.limits.memory_bytes = 0;
    stand->risk.brake_engaged = true;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
}

static void memory__brake_and_silent_model__raised_out_of_it(void **state)
{
    for (int64_t limit = 12 * MIB; limit < 40960 * MIB; limit *= 3) {
        struct stand *stand = stand_quiet(state);
        stand->risk.limits.memory_bytes = limit;
        stand->risk.memory_bytes = limit / 2; /* an old sample */
        stand->risk.memory = (struct msg_demand_quantiles){1, 1, 1};
        stand->risk.brake_engaged = true;
        assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
        /* It met the brake at the step below the limit: the new step must be above that. */
        double met = policy_memory_usable(&policy_defaults, (double)limit);
        assert_true(policy_memory_usable(&policy_defaults, (double)stand->decision.limits.memory_bytes) >
                    met * 1.01);
        assert_true(stand->decision.limits.memory_bytes <= limit * 2);
        assert_non_null(strstr(stand->decision.reason, "in the brake"));
    }
}

static void memory__child_killed__raised_once(void **state)
{
    struct stand *stand = stand_quiet(state);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
    stand_pass(stand, SECOND);
    stand->risk.oom_kills = 1;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    stand_pass(stand, SECOND);
    stand->risk.limits = stand->decision.limits;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
}

static void memory__child_killed_before_a_restart__not_raised_again(void **state)
{
    struct stand *stand = stand_quiet(state);
    stand->risk.oom_kills = 1;
    policy_recall(&stand->attempt, &stand->risk);
    stand_pass(stand, SECOND);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
    stand_pass(stand, SECOND);
    stand->risk.oom_kills = 2;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
}

/* The node's clock was wrong and is put right: growth from then on counts. */
static void memory__clock_of_the_node_set_back__growth_goes_on_being_seen(void **state)
{
    struct stand *stand = stand_quiet(state);
    (void)stand_decide(stand);
    stand->risk.sampled_us -= 600 * SECOND;
    (void)stand_decide(stand);
    for (int i = 0; i < 5; i++) {
        stand->risk.sampled_us += SECOND / 10;
        stand->risk.memory_bytes += MIB;
        (void)stand_decide(stand);
    }
    assert_true(stand->attempt.growth_bps > 8.0 * (double)MIB);
}

static void memory__growth_seen__covered_though_the_model_says_little(void **state)
{
    struct stand *slow = stand_alarmed(state);
    slow->risk.memory = (struct msg_demand_quantiles){59e6, 60e6, 61e6};
    slow->risk.memory_bytes = 57 * MIB;
    (void)stand_decide(slow);
    slow->attempt.wanted_us = 0;
    stand_pass(slow, SECOND / 10);
    slow->risk.memory_bytes = 58 * MIB;
    (void)stand_decide(slow);
    int64_t slow_limit = slow->decision.limits.memory_bytes;
    struct stand *fast = stand_alarmed(state);
    fast->risk.memory = (struct msg_demand_quantiles){59e6, 60e6, 61e6};
    fast->risk.memory_bytes = 38 * MIB;
    (void)stand_decide(fast);
    fast->attempt.wanted_us = 0;
    stand_pass(fast, SECOND / 10);
    fast->risk.memory_bytes = 58 * MIB;
    assert_int_equal(stand_decide(fast), MSG_DIRECTION_RAISE);
    assert_true(fast->decision.limits.memory_bytes > slow_limit);
}

static void memory__history__false_alarm_within_it_kept(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->history = (struct policy_history){.runs = 5, .memory_p95 = 60e6, .memory_max = 62e6};
    stand->input.history = &stand->history;
    stand->risk.limits.memory_bytes = 90 * MIB;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
}

static void memory__history__raised_to_what_it_reached_at_once(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->history = (struct policy_history){.runs = 5, .memory_p95 = 400e6, .memory_max = 420e6};
    stand->input.history = &stand->history;
    stand->risk.memory =
        (struct msg_demand_quantiles){3000e6, 3100e6, 3200e6}; /* everything within the cover */
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_true(stand->decision.limits.memory_bytes > INT64_C(400000000));
    assert_true(stand->decision.limits.memory_bytes < INT64_C(520000000));
}

/* --- who is not acted on */

static void arms__held_out_and_observed__decided_for_the_log(void **state)
{
    struct stand *stand = stand_alarmed(state);
    int64_t due_us;
    stand->risk.arm = MSG_ARM_HELD_OUT;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_false(stand->decision.act);
    assert_false(policy_is_open(&policy_defaults, &stand->attempt, &due_us));
    stand = stand_alarmed(state);
    stand->fixed.mode = MSG_MODE_OBSERVE;
    stand->input.fixed = &stand->fixed;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_false(stand->decision.act);
}

static void arms__off__nothing(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->fixed.mode = MSG_MODE_OFF;
    stand->input.fixed = &stand->fixed;
    stand->risk.brake_engaged = true;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
}

/* --- waiting for an answer */

static void open__no_sample_shows_it__asked_again_ever_later(void **state)
{
    struct stand *stand = stand_alarmed(state);
    int64_t due_us = 0, before_us = 0, wait_us = 0;
    int asked = 0;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP); /* at the same instant: on its way */
    while (policy_is_open(&policy_defaults, &stand->attempt, &due_us) && asked < 100) {
        before_us = stand->input.now_us;
        stand->input.now_us = due_us;
        assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
        assert_true(due_us - before_us >= wait_us);
        wait_us = due_us - before_us;
        asked++;
    }
    assert_int_equal(asked, 6);
    assert_true(wait_us <= 2 * SECOND);
}

static void open__sample_shows_it__closed(void **state)
{
    struct stand *stand = stand_alarmed(state);
    int64_t due_us;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_true(policy_is_open(&policy_defaults, &stand->attempt, &due_us));
    stand_pass(stand, SECOND / 20);
    stand->risk.limits = stand->decision.limits;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
    assert_false(policy_is_open(&policy_defaults, &stand->attempt, &due_us));
}

/* --- CPU and I/O */

static void cpu__no_quota__weight_goes_up_and_stops(void **state)
{
    struct stand *stand = stand_quiet(state);
    stand->risk.above = true;
    stand->risk.probability = stand->risk.probabilities.cpu = 0.9f;
    stand->risk.cause = MSG_CAUSE_CPU;
    int raises = 0;
    for (int i = 0; i < 10; i++) {
        stand_pass(stand, 2 * SECOND);
        if (stand_decide(stand) != MSG_DIRECTION_RAISE)
            continue;
        assert_int_equal(stand->decision.cause, MSG_CAUSE_CPU);
        stand->risk.limits = stand->decision.limits;
        raises++;
    }
    assert_int_equal(raises, 4);
    assert_int_equal(stand->risk.limits.cpu_weight, 10000);
}

static void cpu__one_task__never_more_than_it_can_use(void **state)
{
    struct stand *stand = stand_quiet(state);
    stand->risk.timeout_ms = 10000;
    stand->risk.sampled_us = 7 * SECOND;
    stand->risk.limits.cpu_millicores = 100;
    stand->risk.cpu_millicores = 100;
    stand->risk.throttled_permille = 1000;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_int_equal(stand->decision.limits.cpu_millicores, 1000);
    assert_non_null(strstr(stand->decision.reason, "by its deadline: 6 of 10 s gone"));
}

static void cpu__history_meets_the_deadline__kept(void **state)
{
    struct stand *stand = stand_quiet(state);
    stand->history =
        (struct policy_history){.runs = 4, .memory_max = 60e6, .memory_p95 = 60e6, .duration_p95_s = 60};
    stand->input.history = &stand->history;
    stand->risk.timeout_ms = 100000;
    stand->risk.sampled_us = 21 * SECOND;
    stand->risk.limits.cpu_millicores = 100;
    stand->risk.cpu_millicores = 100;
    stand->risk.throttled_permille = 1000;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
}

/* A limit just above what it holds: its files are read again and again, whatever the model says. */
static void memory__stalled__room_for_page_cache_up_to_twice_the_use(void **state)
{
    struct stand *stand = stand_quiet(state);
    stand->risk.memory_stall_permille = 400;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_int_equal(stand->decision.cause, MSG_CAUSE_MEMORY);
    assert_int_equal(stand->decision.limits.memory_bytes, 90 * MIB);
    stand->risk.limits.memory_bytes = stand->decision.limits.memory_bytes;
    stand_pass(stand, SECOND / 2);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP); /* the last second was mostly before it */
    int raises = 1;
    for (int half = 0; half < 20; half++) {
        stand_pass(stand, SECOND / 2);
        raises += stand_decide(stand) == MSG_DIRECTION_RAISE;
        stand->risk.limits.memory_bytes = stand->decision.limits.memory_bytes;
    }
    assert_int_equal(raises, 2); /* as much for the cache as the 58 MiB of its own */
    assert_int_equal(stand->risk.limits.memory_bytes, 116 * MIB);
}

static void memory__stalled_far_below_the_limit__its_own_affair(void **state)
{
    struct stand *stand = stand_quiet(state);
    stand->risk.memory_stall_permille = 400;
    stand->risk.memory_bytes = 20 * MIB;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
}

static void io__slow_device__left_alone(void **state)
{
    struct stand *stand = stand_quiet(state);
    stand->risk.timeout_ms = 10000;
    stand->risk.sampled_us = 6 * SECOND;
    stand->risk.io_stall_permille = 900;
    stand->risk.limits.io_read_bps = 100000000;
    stand->risk.io_bps = 1000000;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
    stand->risk.io_bps = 99000000;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_int_equal(stand->decision.cause, MSG_CAUSE_IO);
    assert_int_equal(stand->decision.limits.io_write_bps, 0);
}

/* A tenth of a second after its start, its rate in use in full, with an alarm. */
static struct stand *begun_in_full(void **state)
{
    struct stand *stand = stand_quiet(state);
    stand->risk.above = true;
    stand->risk.probability = stand->risk.probabilities.io = 0.6f;
    stand->risk.cause = MSG_CAUSE_IO;
    stand->risk.timeout_ms = 12000;
    stand->risk.sampled_us = stand->risk.started_us + SECOND / 10;
    stand->risk.io_stall_permille = 340;
    stand->risk.limits.io_read_bps = stand->risk.io_bps = 32000000;
    return stand;
}

static void io__alarm_right_after_the_start__kept_where_history_meets_the_deadline(void **state)
{
    struct stand *stand = begun_in_full(state);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE); /* nothing is known of others */
    stand = begun_in_full(state);
    stand->history =
        (struct policy_history){.runs = 1, .memory_max = 60e6, .memory_p95 = 60e6, .duration_p95_s = 2};
    stand->input.history = &stand->history;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
    stand_pass(stand, 3 * SECOND / 2);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory__usable_and_limit__inverse),
        cmocka_unit_test(memory__alarm__raised_within_the_headroom),
        cmocka_unit_test(memory__node_with_a_brake__raised_within_the_tighter_headroom),
        cmocka_unit_test(memory__alarm_far_below_the_limit__raised_only_without_a_brake),
        cmocka_unit_test(memory__demand_far_above_the_headroom__raised_by_all_of_it),
        cmocka_unit_test(memory__alarm_of_another_cause__kept),
        cmocka_unit_test(memory__alarm__by_its_own_threshold),
        cmocka_unit_test(memory__alarm__by_its_level),
        cmocka_unit_test(memory__room_enough__kept),
        cmocka_unit_test(memory__stalled__room_for_page_cache_up_to_twice_the_use),
        cmocka_unit_test(memory__stalled_far_below_the_limit__its_own_affair),
        cmocka_unit_test(memory__no_limit__kept),
        cmocka_unit_test(memory__brake_and_silent_model__raised_out_of_it),
        cmocka_unit_test(memory__child_killed__raised_once),
        cmocka_unit_test(memory__child_killed_before_a_restart__not_raised_again),
        cmocka_unit_test(memory__clock_of_the_node_set_back__growth_goes_on_being_seen),
        cmocka_unit_test(memory__growth_seen__covered_though_the_model_says_little),
        cmocka_unit_test(memory__history__false_alarm_within_it_kept),
        cmocka_unit_test(memory__history__raised_to_what_it_reached_at_once),
        cmocka_unit_test(arms__held_out_and_observed__decided_for_the_log),
        cmocka_unit_test(arms__off__nothing),
        cmocka_unit_test(open__no_sample_shows_it__asked_again_ever_later),
        cmocka_unit_test(open__sample_shows_it__closed),
        cmocka_unit_test(cpu__no_quota__weight_goes_up_and_stops),
        cmocka_unit_test(cpu__one_task__never_more_than_it_can_use),
        cmocka_unit_test(cpu__history_meets_the_deadline__kept),
        cmocka_unit_test(io__slow_device__left_alone),
        cmocka_unit_test(io__alarm_right_after_the_start__kept_where_history_meets_the_deadline),
    };
    return cmocka_run_group_tests(tests, stand_set_up, stand_tear_down);
}
