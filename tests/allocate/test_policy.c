/* One decision at a time: what is asked, what bounds it, what is waited for. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "allocate/demand.h"
#include "allocate/policy.h"
#include "common/base.h"

#define MIB ((int64_t)1 << 20)
#define SECOND ((int64_t)1000000)

struct stand {
    struct msg_risk risk;
    struct policy_history history;
    struct msg_code_policy fixed;
    struct policy_node node;
    struct policy_attempt attempt;
    struct policy_decision decision;
    struct policy_input input;
};

/* 58 of 64 MiB used, 90 MiB expected; nothing else known. */
static struct stand *alarmed(void **state)
{
    struct stand *stand = *state;
    *stand = (struct stand){.risk = {.attempt = 1,
                                     .horizon_ms = 10000,
                                     .threshold = 0.5f,
                                     .above = true,
                                     .probability = 0.9f,
                                     .probabilities = {.memory = 0.9f},
                                     .cause = MSG_CAUSE_MEMORY,
                                     .tasks = 1,
                                     .memory = {90e6, 100e6, 120e6},
                                     .memory_bytes = 58 * MIB,
                                     .memory_peak_bytes = 58 * MIB,
                                     .started_us = SECOND,
                                     .sampled_us = 4 * SECOND}};
    stand->risk.limits.memory_bytes = 64 * MIB;
    stand->input = (struct policy_input){.risk = &stand->risk, .now_us = 4 * SECOND};
    return stand;
}

static struct stand *quiet(void **state)
{
    struct stand *stand = alarmed(state);
    stand->risk.above = false;
    stand->risk.probability = stand->risk.probabilities.memory = 0.01f;
    stand->risk.memory = (struct msg_demand_quantiles){58e6, 60e6, 62e6};
    return stand;
}

static enum msg_direction decide(struct stand *stand)
{
    policy_decide(&policy_defaults, &stand->input, &stand->attempt, &stand->decision);
    return stand->decision.direction;
}

/* The next sample, by so much later. */
static void pass(struct stand *stand, int64_t us)
{
    stand->risk.sampled_us += us;
    stand->input.now_us += us;
    stand->risk.sequence++;
}

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct stand));
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

/* --- demand */

static void demand__quantiles__probabilities_of_the_quantiles(void **state)
{
    (void)state;
    struct demand demand = {100, 150, 300};
    assert_true(fabs(demand_exceeds(&demand, 100) - 0.5) < 1e-9);
    assert_true(fabs(demand_exceeds(&demand, 150) - 0.1) < 1e-9);
    assert_true(fabs(demand_exceeds(&demand, 300) - 0.01) < 1e-9);
    assert_true(demand_exceeds(&demand, 0) == 0);
}

static void demand__equal_or_crossing_quantiles__finite(void **state)
{
    (void)state;
    struct demand same = {100, 100, 100}, crossing = {100, 90, 80}, nothing = {0, 0, 0};
    assert_true(demand_exceeds(&same, 110) < 1e-6 && demand_exceeds(&same, 90) > 1 - 1e-6);
    double crossed = demand_exceeds(&crossing, 100);
    assert_true(isfinite(crossed) && crossed >= 0 && crossed <= 1);
    assert_true(demand_exceeds(&nothing, 10) == 0);
}

static void demand__within__grows_straight_from_now(void **state)
{
    (void)state;
    struct demand demand = demand_within(&(struct demand){200, 300, 50}, 100, 2500, 10000);
    assert_true(fabs(demand.p50 - 125) < 1e-9 && fabs(demand.p90 - 150) < 1e-9 &&
                fabs(demand.p99 - 100) < 1e-9);
}

/* --- memory */

static void memory__usable_and_limit__inverse(void **state)
{
    (void)state;
    for (double usable = 1; usable < 1e11; usable *= 3)
        assert_true(
            fabs(policy_memory_usable(&policy_defaults, policy_memory_limit(&policy_defaults, usable)) -
                 usable) < 1);
}

static void memory__alarm__raised_within_the_headroom(void **state)
{
    struct stand *stand = alarmed(state);
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    assert_true(stand->decision.act);
    assert_int_equal(stand->decision.cause, MSG_CAUSE_MEMORY);
    assert_true(stand->decision.probability > 0.89f);
    int64_t limit = stand->decision.limits.memory_bytes;
    assert_true(limit > 64 * MIB && limit <= (int64_t)(58 * 1.4) * MIB + 7 * MIB && limit % MIB == 0);
    assert_true(stand->decision.expected_cost < stand->decision.kept_cost);
    assert_non_null(strstr(stand->decision.reason, "58 of 64 MiB"));
    assert_non_null(strstr(stand->decision.reason, "p=0.90"));
}

static void memory__demand_far_above_the_headroom__raised_by_all_of_it(void **state)
{
    struct stand *stand = alarmed(state);
    stand->risk.memory = (struct msg_demand_quantiles){5e9, 6e9, 7e9};
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    assert_in_range(stand->decision.limits.memory_bytes, 86 * MIB, 88 * MIB);
}

static void memory__alarm_of_another_cause__kept(void **state)
{
    struct stand *stand = alarmed(state);
    stand->risk.probabilities = (struct msg_cause_probabilities){.other = 0.9f};
    stand->risk.cause = MSG_CAUSE_OTHER;
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
}

static void memory__probable_cause_at_half_the_threshold__raised(void **state)
{
    struct stand *stand = alarmed(state);
    stand->risk.probability = 0.55f; /* several causes together */
    stand->risk.probabilities.memory = 0.3f;
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
}

static void memory__room_enough__kept(void **state)
{
    struct stand *stand = alarmed(state);
    stand->risk.limits.memory_bytes = 200 * MIB;
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
}

static void memory__no_limit__kept(void **state)
{
    struct stand *stand = alarmed(state);
    stand->risk.limits.memory_bytes = 0;
    stand->risk.brake_engaged = true;
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
}

static void memory__brake_and_silent_model__raised_out_of_it(void **state)
{
    for (int64_t limit = 12 * MIB; limit < 40960 * MIB; limit *= 3) {
        struct stand *stand = quiet(state);
        stand->risk.limits.memory_bytes = limit;
        stand->risk.memory_bytes = limit / 2; /* an old sample */
        stand->risk.memory = (struct msg_demand_quantiles){1, 1, 1};
        stand->risk.brake_engaged = true;
        assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
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
    struct stand *stand = quiet(state);
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
    pass(stand, SECOND);
    stand->risk.oom_kills = 1;
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    pass(stand, SECOND);
    stand->risk.limits = stand->decision.limits;
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
}

static void memory__growth_seen__covered_though_the_model_says_little(void **state)
{
    struct stand *slow = alarmed(state);
    slow->risk.memory = (struct msg_demand_quantiles){59e6, 60e6, 61e6};
    slow->risk.memory_bytes = 57 * MIB;
    (void)decide(slow);
    slow->attempt.wanted_us = 0;
    pass(slow, SECOND / 10);
    slow->risk.memory_bytes = 58 * MIB;
    (void)decide(slow);
    int64_t slow_limit = slow->decision.limits.memory_bytes;
    struct stand *fast = alarmed(state);
    fast->risk.memory = (struct msg_demand_quantiles){59e6, 60e6, 61e6};
    fast->risk.memory_bytes = 38 * MIB;
    (void)decide(fast);
    fast->attempt.wanted_us = 0;
    pass(fast, SECOND / 10);
    fast->risk.memory_bytes = 58 * MIB;
    assert_int_equal(decide(fast), MSG_DIRECTION_RAISE);
    assert_true(fast->decision.limits.memory_bytes > slow_limit);
}

static void memory__history__false_alarm_within_it_kept(void **state)
{
    struct stand *stand = alarmed(state);
    stand->history = (struct policy_history){.runs = 5, .memory_p95 = 60e6, .memory_max = 62e6};
    stand->input.history = &stand->history;
    stand->risk.limits.memory_bytes = 90 * MIB;
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
}

static void memory__history__raised_to_what_it_reached_at_once(void **state)
{
    struct stand *stand = alarmed(state);
    stand->history = (struct policy_history){.runs = 5, .memory_p95 = 400e6, .memory_max = 420e6};
    stand->input.history = &stand->history;
    stand->risk.memory =
        (struct msg_demand_quantiles){3000e6, 3100e6, 3200e6}; /* everything within the cover */
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    assert_true(stand->decision.limits.memory_bytes > 400 * 1000 * 1000);
    assert_true(stand->decision.limits.memory_bytes < 520 * 1000 * 1000);
}

/* --- bounds */

static void bounds__ceiling__never_passed(void **state)
{
    struct stand *stand = alarmed(state);
    stand->fixed.ceiling.memory_bytes = 70 * MIB;
    stand->input.fixed = &stand->fixed;
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    assert_int_equal(stand->decision.limits.memory_bytes, 70 * MIB);
    assert_non_null(strstr(stand->decision.reason, "ceiling"));
    pass(stand, SECOND);
    stand->risk.limits.memory_bytes = 70 * MIB;
    stand->risk.brake_engaged = true;
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
}

static void bounds__floor_above__raised_to_it(void **state)
{
    struct stand *stand = quiet(state);
    stand->fixed = (struct msg_code_policy){.floor = {.memory_bytes = 128 * MIB}, .author = str_of("ann")};
    stand->input.fixed = &stand->fixed;
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    assert_int_equal(stand->decision.limits.memory_bytes, 128 * MIB);
    assert_non_null(strstr(stand->decision.reason, "ann"));
}

static void bounds__new_ceiling_below_use__nobody_is_killed(void **state)
{
    struct stand *stand = quiet(state);
    stand->fixed.ceiling.memory_bytes = 32 * MIB;
    stand->input.fixed = &stand->fixed;
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
    stand->fixed.ceiling.memory_bytes = 63 * MIB;
    stand->risk.memory_bytes = 20 * MIB;
    assert_int_equal(decide(stand), MSG_DIRECTION_SHRINK);
    assert_int_equal(stand->decision.limits.memory_bytes, 63 * MIB);
}

static void bounds__pin__exactly_that_whatever_the_risk(void **state)
{
    struct stand *stand = alarmed(state);
    stand->fixed =
        (struct msg_code_policy){.has_pin = true, .pin = {.memory_bytes = 80 * MIB, .cpu_millicores = 500}};
    stand->input.fixed = &stand->fixed;
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    assert_true(policy_limits_equal(&stand->decision.limits, &stand->fixed.pin));
    pass(stand, SECOND);
    stand->risk.limits = stand->fixed.pin;
    stand->risk.brake_engaged = true;
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
}

static void bounds__node_has_less__cut_to_it(void **state)
{
    struct stand *stand = alarmed(state);
    stand->node = (struct policy_node){
        .known = true, .capacity = {.memory_bytes = 1024 * MIB}, .free = {.memory_bytes = 12 * MIB}};
    stand->input.node = &stand->node;
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    assert_int_equal(stand->decision.limits.memory_bytes, 76 * MIB);
    assert_non_null(strstr(stand->decision.reason, "cut to what the node has"));
}

static void bounds__node_full__least_is_asked_for(void **state)
{
    struct stand *stand = alarmed(state);
    stand->node = (struct policy_node){.known = true, .capacity = {.memory_bytes = 1024 * MIB}};
    stand->input.node = &stand->node;
    stand->risk.brake_engaged = true;
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    assert_true(stand->decision.limits.memory_bytes >= 73 * MIB &&
                stand->decision.limits.memory_bytes <= 76 * MIB);
    assert_non_null(strstr(stand->decision.reason, "no room"));
}

static void bounds__refused_though_it_fits__less_is_asked_for(void **state)
{
    struct stand *stand = alarmed(state);
    stand->node = (struct policy_node){
        .known = true, .capacity = {.memory_bytes = 1024 * MIB}, .free = {.memory_bytes = 900 * MIB}};
    stand->input.node = &stand->node;
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    int64_t refused = stand->decision.limits.memory_bytes;
    stand->attempt.refused_bytes = refused;
    pass(stand, SECOND);
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    assert_true(stand->decision.limits.memory_bytes < refused &&
                stand->decision.limits.memory_bytes > 64 * MIB);
}

static void bounds__cpu_without_room__does_not_take_memory_down_with_it(void **state)
{
    struct stand *stand = alarmed(state);
    stand->risk.probabilities.cpu = 0.9f;
    stand->risk.limits.cpu_millicores = 500;
    stand->risk.cpu_millicores = 500;
    stand->risk.throttled_permille = 1000;
    stand->risk.tasks = 8;
    stand->node = (struct policy_node){.known = true,
                                       .capacity = {.memory_bytes = 1024 * MIB, .cpu_millicores = 4000},
                                       .free = {.memory_bytes = 900 * MIB}};
    stand->input.node = &stand->node;
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    assert_true(stand->decision.limits.memory_bytes > 64 * MIB);
    assert_int_equal(stand->decision.limits.cpu_millicores, 500);
}

/* --- who is not acted on */

static void arms__held_out_and_observed__decided_for_the_log(void **state)
{
    struct stand *stand = alarmed(state);
    int64_t due_us;
    stand->risk.arm = MSG_ARM_HELD_OUT;
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    assert_false(stand->decision.act);
    assert_false(policy_is_open(&policy_defaults, &stand->attempt, &due_us));
    stand = alarmed(state);
    stand->fixed.mode = MSG_MODE_OBSERVE;
    stand->input.fixed = &stand->fixed;
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    assert_false(stand->decision.act);
}

static void arms__off__nothing(void **state)
{
    struct stand *stand = alarmed(state);
    stand->fixed.mode = MSG_MODE_OFF;
    stand->input.fixed = &stand->fixed;
    stand->risk.brake_engaged = true;
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
}

/* --- waiting for an answer */

static void open__no_sample_shows_it__asked_again_ever_later(void **state)
{
    struct stand *stand = alarmed(state);
    int64_t due_us = 0, before_us = 0, wait_us = 0;
    int asked = 0;
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP); /* at the same instant: on its way */
    while (policy_is_open(&policy_defaults, &stand->attempt, &due_us) && asked < 100) {
        before_us = stand->input.now_us;
        stand->input.now_us = due_us;
        assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
        assert_true(due_us - before_us >= wait_us);
        wait_us = due_us - before_us;
        asked++;
    }
    assert_int_equal(asked, 6);
    assert_true(wait_us <= 2 * SECOND);
}

static void open__sample_shows_it__closed(void **state)
{
    struct stand *stand = alarmed(state);
    int64_t due_us;
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    assert_true(policy_is_open(&policy_defaults, &stand->attempt, &due_us));
    pass(stand, SECOND / 20);
    stand->risk.limits = stand->decision.limits;
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
    assert_false(policy_is_open(&policy_defaults, &stand->attempt, &due_us));
}

/* --- shrinking */

static struct stand *idle(void **state)
{
    struct stand *stand = quiet(state);
    stand->risk.limits = (struct msg_limits){.memory_bytes = 1024 * MIB, .cpu_millicores = 2000};
    stand->risk.cpu = (struct msg_demand_quantiles){50, 80, 100};
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
    return stand;
}

static void shrink__quiet_for_long__one_step_and_then_waits(void **state)
{
    struct stand *stand = idle(state);
    pass(stand, 29 * SECOND);
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
    pass(stand, 2 * SECOND);
    assert_int_equal(decide(stand), MSG_DIRECTION_SHRINK);
    assert_int_equal(stand->decision.limits.memory_bytes, 922 * MIB);
    assert_int_equal(stand->decision.limits.cpu_millicores, 2000); /* it began with that */
    stand->risk.limits = stand->decision.limits;
    pass(stand, 5 * SECOND);
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
    pass(stand, 26 * SECOND);
    assert_int_equal(decide(stand), MSG_DIRECTION_SHRINK);
}

static void shrink__in_the_end__keeps_what_peak_and_history_ask_for(void **state)
{
    struct stand *stand = idle(state);
    stand->history = (struct policy_history){.runs = 3, .memory_p95 = 200e6, .memory_max = 200e6};
    stand->input.history = &stand->history;
    for (int i = 0; i < 100; i++) {
        pass(stand, 31 * SECOND);
        if (decide(stand) == MSG_DIRECTION_SHRINK)
            stand->risk.limits = stand->decision.limits;
    }
    assert_true(stand->risk.limits.memory_bytes >= 300 * 1000 * 1000 &&
                stand->risk.limits.memory_bytes < 340 * MIB);
}

static void shrink__neighbour_short__at_once_after_one_horizon(void **state)
{
    struct stand *stand = idle(state);
    stand->input.node_short = true;
    pass(stand, 11 * SECOND);
    assert_int_equal(decide(stand), MSG_DIRECTION_SHRINK);
    assert_true(stand->decision.limits.memory_bytes < 90 * MIB);
    assert_true(policy_memory_usable(&policy_defaults, (double)stand->decision.limits.memory_bytes) > 58e6);
    assert_in_range(stand->decision.limits.cpu_millicores, 114, 115);
    assert_non_null(strstr(stand->decision.reason, "neighbour"));
}

static void shrink__braked_before_or_under_pressure__kept(void **state)
{
    struct stand *stand = idle(state);
    stand->attempt.braked = true;
    pass(stand, 60 * SECOND);
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
    stand = idle(state);
    pass(stand, 25 * SECOND);
    stand->risk.probability = 0.4f; /* not an alarm, but no calm either */
    (void)decide(stand);
    pass(stand, 25 * SECOND);
    stand->risk.probability = 0.01f;
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
}

static void shrink__floor__not_below(void **state)
{
    struct stand *stand = idle(state);
    stand->fixed.floor.memory_bytes = 1000 * MIB;
    stand->input.fixed = &stand->fixed;
    stand->input.node_short = true;
    pass(stand, 31 * SECOND);
    assert_int_equal(decide(stand), MSG_DIRECTION_SHRINK);
    assert_int_equal(stand->decision.limits.memory_bytes, 1000 * MIB);
}

/* --- CPU without a quota */

static void cpu__no_quota__weight_goes_up_and_stops(void **state)
{
    struct stand *stand = quiet(state);
    stand->risk.above = true;
    stand->risk.probability = stand->risk.probabilities.cpu = 0.9f;
    stand->risk.cause = MSG_CAUSE_CPU;
    int raises = 0;
    for (int i = 0; i < 10; i++) {
        pass(stand, 2 * SECOND);
        if (decide(stand) != MSG_DIRECTION_RAISE)
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
    struct stand *stand = quiet(state);
    stand->risk.timeout_ms = 10000;
    stand->risk.sampled_us = 7 * SECOND;
    stand->risk.limits.cpu_millicores = 100;
    stand->risk.cpu_millicores = 100;
    stand->risk.throttled_permille = 1000;
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    assert_int_equal(stand->decision.limits.cpu_millicores, 1000);
    assert_non_null(strstr(stand->decision.reason, "by its deadline: 6 of 10 s gone"));
}

static void cpu__history_meets_the_deadline__kept(void **state)
{
    struct stand *stand = quiet(state);
    stand->history =
        (struct policy_history){.runs = 4, .memory_max = 60e6, .memory_p95 = 60e6, .duration_p95_s = 60};
    stand->input.history = &stand->history;
    stand->risk.timeout_ms = 100000;
    stand->risk.sampled_us = 21 * SECOND;
    stand->risk.limits.cpu_millicores = 100;
    stand->risk.cpu_millicores = 100;
    stand->risk.throttled_permille = 1000;
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
}

static void io__slow_device__left_alone(void **state)
{
    struct stand *stand = quiet(state);
    stand->risk.timeout_ms = 10000;
    stand->risk.sampled_us = 6 * SECOND;
    stand->risk.io_stall_permille = 900;
    stand->risk.limits.io_read_bps = 100000000;
    stand->risk.io_bps = 1000000;
    assert_int_equal(decide(stand), MSG_DIRECTION_KEEP);
    stand->risk.io_bps = 99000000;
    assert_int_equal(decide(stand), MSG_DIRECTION_RAISE);
    assert_int_equal(stand->decision.cause, MSG_CAUSE_IO);
    assert_int_equal(stand->decision.limits.io_write_bps, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(demand__quantiles__probabilities_of_the_quantiles),
        cmocka_unit_test(demand__equal_or_crossing_quantiles__finite),
        cmocka_unit_test(demand__within__grows_straight_from_now),
        cmocka_unit_test(memory__usable_and_limit__inverse),
        cmocka_unit_test(memory__alarm__raised_within_the_headroom),
        cmocka_unit_test(memory__demand_far_above_the_headroom__raised_by_all_of_it),
        cmocka_unit_test(memory__alarm_of_another_cause__kept),
        cmocka_unit_test(memory__probable_cause_at_half_the_threshold__raised),
        cmocka_unit_test(memory__room_enough__kept),
        cmocka_unit_test(memory__no_limit__kept),
        cmocka_unit_test(memory__brake_and_silent_model__raised_out_of_it),
        cmocka_unit_test(memory__child_killed__raised_once),
        cmocka_unit_test(memory__growth_seen__covered_though_the_model_says_little),
        cmocka_unit_test(memory__history__false_alarm_within_it_kept),
        cmocka_unit_test(memory__history__raised_to_what_it_reached_at_once),
        cmocka_unit_test(bounds__ceiling__never_passed),
        cmocka_unit_test(bounds__floor_above__raised_to_it),
        cmocka_unit_test(bounds__new_ceiling_below_use__nobody_is_killed),
        cmocka_unit_test(bounds__pin__exactly_that_whatever_the_risk),
        cmocka_unit_test(bounds__node_has_less__cut_to_it),
        cmocka_unit_test(bounds__node_full__least_is_asked_for),
        cmocka_unit_test(bounds__refused_though_it_fits__less_is_asked_for),
        cmocka_unit_test(bounds__cpu_without_room__does_not_take_memory_down_with_it),
        cmocka_unit_test(arms__held_out_and_observed__decided_for_the_log),
        cmocka_unit_test(arms__off__nothing),
        cmocka_unit_test(open__no_sample_shows_it__asked_again_ever_later),
        cmocka_unit_test(open__sample_shows_it__closed),
        cmocka_unit_test(shrink__quiet_for_long__one_step_and_then_waits),
        cmocka_unit_test(shrink__in_the_end__keeps_what_peak_and_history_ask_for),
        cmocka_unit_test(shrink__neighbour_short__at_once_after_one_horizon),
        cmocka_unit_test(shrink__braked_before_or_under_pressure__kept),
        cmocka_unit_test(shrink__floor__not_below),
        cmocka_unit_test(cpu__no_quota__weight_goes_up_and_stops),
        cmocka_unit_test(cpu__one_task__never_more_than_it_can_use),
        cmocka_unit_test(cpu__history_meets_the_deadline__kept),
        cmocka_unit_test(io__slow_device__left_alone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
