/* When an attempt is given less, and how much less. */
#include "tests/allocate/policy_stand.h"

static struct stand *idle(void **state)
{
    struct stand *stand = stand_quiet(state);
    stand->risk.limits = (struct msg_limits){.memory_bytes = 1024 * MIB, .cpu_millicores = 2000};
    stand->risk.cpu = (struct msg_demand_quantiles){50, 80, 100};
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
    return stand;
}

static void shrink__quiet_for_long__one_step_and_then_waits(void **state)
{
    struct stand *stand = idle(state);
    stand_pass(stand, 29 * SECOND);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
    stand_pass(stand, 2 * SECOND);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_SHRINK);
    assert_int_equal(stand->decision.limits.memory_bytes, 922 * MIB);
    assert_int_equal(stand->decision.limits.cpu_millicores, 2000); /* it began with that */
    stand->risk.limits = stand->decision.limits;
    stand_pass(stand, 5 * SECOND);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
    stand_pass(stand, 26 * SECOND);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_SHRINK);
}

static void shrink__waits_for_memory__kept(void **state)
{
    struct stand *stand = idle(state);
    for (int i = 0; i < 40; i++) {
        stand->risk.memory_stall_permille = 60;
        stand_pass(stand, SECOND);
        assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
    }
}

static void shrink__in_the_end__keeps_what_peak_and_history_ask_for(void **state)
{
    struct stand *stand = idle(state);
    stand->history = (struct policy_history){.runs = 3, .memory_p95 = 200e6, .memory_max = 200e6};
    stand->input.history = &stand->history;
    for (int i = 0; i < 100; i++) {
        stand_pass(stand, 31 * SECOND);
        if (stand_decide(stand) == MSG_DIRECTION_SHRINK)
            stand->risk.limits = stand->decision.limits;
    }
    assert_true(stand->risk.limits.memory_bytes >= INT64_C(300000000) &&
                stand->risk.limits.memory_bytes < 340 * MIB);
}

static void shrink__neighbour_short__at_once_after_one_horizon(void **state)
{
    struct stand *stand = idle(state);
    stand->input.node_short = true;
    stand_pass(stand, 11 * SECOND);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_SHRINK);
    assert_true(stand->decision.limits.memory_bytes < 90 * MIB);
    assert_true(policy_memory_usable(&policy_defaults, (double)stand->decision.limits.memory_bytes) > 58e6);
    assert_in_range(stand->decision.limits.cpu_millicores, 114, 115);
    assert_non_null(strstr(stand->decision.reason, "neighbour"));
}

/* Nothing is no limit. */
static void shrink__rate_that_nobody_uses__still_limited(void **state)
{
    struct stand *stand = idle(state);
    stand->risk.limits.io_read_bps = stand->risk.limits.io_write_bps = stand->risk.limits.net_egress_bps =
        MIB;
    stand->input.node_short = true;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
    stand_pass(stand, 11 * SECOND);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_SHRINK);
    const struct msg_limits *limits = &stand->decision.limits;
    assert_in_range(limits->net_egress_bps, 64 * 1024, 128 * 1024);
    assert_in_range(limits->io_read_bps, 64 * 1024, 128 * 1024);
    assert_in_range(limits->io_write_bps, 64 * 1024, 128 * 1024);
    stand->risk.limits = (struct msg_limits){.memory_bytes = 80 * MIB, .net_egress_bps = 1000};
    stand_pass(stand, 11 * SECOND);
    (void)stand_decide(stand);
    assert_int_equal(stand->decision.limits.net_egress_bps, 1000);
}

static void shrink__braked_before_or_under_pressure__kept(void **state)
{
    struct stand *stand = idle(state);
    stand->attempt.braked = true;
    stand_pass(stand, 60 * SECOND);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
    stand = idle(state);
    stand_pass(stand, 25 * SECOND);
    stand->risk.probabilities.memory = 0.4f; /* not an alarm, but no calm either */
    (void)stand_decide(stand);
    stand_pass(stand, 25 * SECOND);
    stand->risk.probabilities.memory = 0.01f;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
    stand = idle(state);
    stand_pass(stand, 25 * SECOND);
    stand->risk.levels.memory = 0.4f; /* the same by its level, though this sample is calm */
    (void)stand_decide(stand);
    stand_pass(stand, 25 * SECOND);
    stand->risk.levels.memory = 0.01f;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
}

static void shrink__one_sample_that_is_not_calm__shrunk(void **state)
{
    struct stand *stand = idle(state);
    stand_pass(stand, 25 * SECOND);
    stand->risk.levels.memory = 0.05f;
    stand->risk.probabilities.memory = 0.4f;
    (void)stand_decide(stand);
    stand_pass(stand, 25 * SECOND);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_SHRINK);
}

static void shrink__floor__not_below(void **state)
{
    struct stand *stand = idle(state);
    stand->fixed.floor.memory_bytes = 1000 * MIB;
    stand->input.fixed = &stand->fixed;
    stand->input.node_short = true;
    stand_pass(stand, 31 * SECOND);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_SHRINK);
    assert_int_equal(stand->decision.limits.memory_bytes, 1000 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shrink__quiet_for_long__one_step_and_then_waits),
        cmocka_unit_test(shrink__waits_for_memory__kept),
        cmocka_unit_test(shrink__in_the_end__keeps_what_peak_and_history_ask_for),
        cmocka_unit_test(shrink__neighbour_short__at_once_after_one_horizon),
        cmocka_unit_test(shrink__rate_that_nobody_uses__still_limited),
        cmocka_unit_test(shrink__braked_before_or_under_pressure__kept),
        cmocka_unit_test(shrink__one_sample_that_is_not_calm__shrunk),
        cmocka_unit_test(shrink__floor__not_below),
    };
    return cmocka_run_group_tests(tests, stand_set_up, stand_tear_down);
}
