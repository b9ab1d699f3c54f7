/* What bounds a decision: floor, ceiling, pin, and the room on the node. */
#include "tests/allocate/policy_stand.h"

#include "schemas/limits.h"

static void bounds__ceiling__never_passed(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->fixed.ceiling.memory_bytes = 70 * MIB;
    stand->input.fixed = &stand->fixed;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_int_equal(stand->decision.limits.memory_bytes, 70 * MIB);
    assert_non_null(strstr(stand->decision.reason, "ceiling"));
    stand_pass(stand, SECOND);
    stand->risk.limits.memory_bytes = 70 * MIB;
    stand->risk.brake_engaged = true;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
}

static void bounds__floor_above__raised_to_it(void **state)
{
    struct stand *stand = stand_quiet(state);
    stand->fixed = (struct msg_code_policy){.floor = {.memory_bytes = 128 * MIB}, .author = str_of("ann")};
    stand->input.fixed = &stand->fixed;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_int_equal(stand->decision.limits.memory_bytes, 128 * MIB);
    assert_non_null(strstr(stand->decision.reason, "ann"));
}

static void bounds__new_ceiling_below_use__nobody_is_killed(void **state)
{
    struct stand *stand = stand_quiet(state);
    stand->fixed.ceiling.memory_bytes = 32 * MIB;
    stand->input.fixed = &stand->fixed;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
    stand->fixed.ceiling.memory_bytes = 63 * MIB;
    stand->risk.memory_bytes = 20 * MIB;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_SHRINK);
    assert_int_equal(stand->decision.limits.memory_bytes, 63 * MIB);
}

/* The node does not enforce it, or has no room for it: memory is raised all the same, and it is asked for
 * again. */
static void bounds__fixed_and_never_in_force__other_raises_go_on(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->fixed = (struct msg_code_policy){.ceiling = {.net_egress_bps = MIB}};
    stand->input.fixed = &stand->fixed;
    bool raised = false, asked_again = false;
    for (int i = 0; i < 20; i++) {
        if (stand_decide(stand) == MSG_DIRECTION_RAISE && stand->decision.cause == MSG_CAUSE_MEMORY) {
            raised = true;
            stand->risk.limits.memory_bytes = stand->decision.limits.memory_bytes;
        } else if (raised && stand->decision.limits.net_egress_bps == MIB) {
            asked_again = true;
        }
        stand_pass(stand, SECOND);
    }
    assert_true(raised);
    assert_true(asked_again);
}

static void bounds__pin__exactly_that_whatever_the_risk(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->fixed =
        (struct msg_code_policy){.has_pin = true, .pin = {.memory_bytes = 80 * MIB, .cpu_millicores = 500}};
    stand->input.fixed = &stand->fixed;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_true(limits_equal(&stand->decision.limits, &stand->fixed.pin));
    stand_pass(stand, SECOND);
    stand->risk.limits = stand->fixed.pin;
    stand->risk.brake_engaged = true;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_KEEP);
}

static void bounds__node_has_less__cut_to_it(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->node = (struct policy_node){
        .known = true, .capacity = {.memory_bytes = 1024 * MIB}, .free = {.memory_bytes = 12 * MIB}};
    stand->input.node = &stand->node;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_int_equal(stand->decision.limits.memory_bytes, 76 * MIB);
    assert_non_null(strstr(stand->decision.reason, "cut to what the node has"));
}

static void bounds__node_full__least_is_asked_for(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->node = (struct policy_node){.known = true, .capacity = {.memory_bytes = 1024 * MIB}};
    stand->input.node = &stand->node;
    stand->risk.brake_engaged = true;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_true(stand->decision.limits.memory_bytes >= 70 * MIB &&
                stand->decision.limits.memory_bytes <= 76 * MIB);
    assert_non_null(strstr(stand->decision.reason, "no room"));
}

static void bounds__refused_though_it_fits__less_is_asked_for(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->node = (struct policy_node){
        .known = true, .capacity = {.memory_bytes = 1024 * MIB}, .free = {.memory_bytes = 900 * MIB}};
    stand->input.node = &stand->node;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    int64_t refused = stand->decision.limits.memory_bytes;
    stand->attempt.refused_bytes = refused;
    stand_pass(stand, SECOND);
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_true(stand->decision.limits.memory_bytes < refused &&
                stand->decision.limits.memory_bytes > 64 * MIB);
}

static void bounds__cpu_without_room__does_not_take_memory_down_with_it(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->risk.probabilities.cpu = 0.9f;
    stand->risk.limits.cpu_millicores = 500;
    stand->risk.cpu_millicores = 500;
    stand->risk.throttled_permille = 1000;
    stand->risk.tasks = 8;
    stand->node = (struct policy_node){.known = true,
                                       .capacity = {.memory_bytes = 1024 * MIB, .cpu_millicores = 4000},
                                       .free = {.memory_bytes = 900 * MIB}};
    stand->input.node = &stand->node;
    assert_int_equal(stand_decide(stand), MSG_DIRECTION_RAISE);
    assert_true(stand->decision.limits.memory_bytes > 64 * MIB);
    assert_int_equal(stand->decision.limits.cpu_millicores, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds__ceiling__never_passed),
        cmocka_unit_test(bounds__floor_above__raised_to_it),
        cmocka_unit_test(bounds__new_ceiling_below_use__nobody_is_killed),
        cmocka_unit_test(bounds__fixed_and_never_in_force__other_raises_go_on),
        cmocka_unit_test(bounds__pin__exactly_that_whatever_the_risk),
        cmocka_unit_test(bounds__node_has_less__cut_to_it),
        cmocka_unit_test(bounds__node_full__least_is_asked_for),
        cmocka_unit_test(bounds__refused_though_it_fits__less_is_asked_for),
        cmocka_unit_test(bounds__cpu_without_room__does_not_take_memory_down_with_it),
    };
    return cmocka_run_group_tests(tests, stand_set_up, stand_tear_down);
}
