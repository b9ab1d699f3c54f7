/* What people change about a code. */
#include "tests/cli/cmocka_all.h"

#include <errno.h>

#include "cli/policy.h"

static char error[256];

static void set__named_limits__others_stay(void **state)
{
    struct msg_code_policy policy = {
        .floor = {.memory_bytes = 5}, .ceiling = {.cpu_millicores = 9}, .held_out_permille = 3};
    struct policy_change change = POLICY_CHANGE_NOTHING;
    (void)state;
    change.ceiling.memory_bytes = 100;
    change.mode = "observe";
    assert_int_equal(policy_apply(&policy, POLICY_SET, &change, error, sizeof error), 0);
    assert_int_equal(policy.floor.memory_bytes, 5);
    assert_int_equal(policy.ceiling.memory_bytes, 100);
    assert_int_equal(policy.ceiling.cpu_millicores, 9);
    assert_int_equal(policy.mode, MSG_MODE_OBSERVE);
    assert_int_equal(policy.held_out_permille, 3);
    change.ceiling.memory_bytes = 0; /* takes it away */
    assert_int_equal(policy_apply(&policy, POLICY_SET, &change, error, sizeof error), 0);
    assert_int_equal(policy.ceiling.memory_bytes, 0);
}

static void pin_unpin__limits_fixed_and_freed(void **state)
{
    struct msg_code_policy policy = {.mode = MSG_MODE_ACT};
    struct policy_change change = POLICY_CHANGE_NOTHING, nothing = POLICY_CHANGE_NOTHING;
    (void)state;
    change.pin.memory_bytes = 64;
    assert_int_equal(policy_apply(&policy, POLICY_PIN, &change, error, sizeof error), 0);
    assert_true(policy.has_pin);
    assert_int_equal(policy.pin.memory_bytes, 64);
    assert_int_equal(policy_apply(&policy, POLICY_UNPIN, &nothing, error, sizeof error), 0);
    assert_false(policy.has_pin);
    assert_int_equal(policy.pin.memory_bytes, 0);
}

static void apply__wrong__refused_with_a_sentence(void **state)
{
    struct msg_code_policy policy = {.floor = {.memory_bytes = 500}};
    struct policy_change change = POLICY_CHANGE_NOTHING;
    (void)state;
    assert_int_equal(policy_apply(&policy, POLICY_SET, &change, error, sizeof error), -EINVAL);
    assert_int_equal(policy_apply(&policy, POLICY_PIN, &change, error, sizeof error), -EINVAL);
    change.ceiling.memory_bytes = 100;
    assert_int_equal(policy_apply(&policy, POLICY_SET, &change, error, sizeof error), -EINVAL);
    assert_non_null(strstr(error, "the floor of memory would be above its ceiling"));
    assert_int_equal(policy_apply(&policy, POLICY_PIN, &change, error, sizeof error), -EINVAL);
    change = (struct policy_change)POLICY_CHANGE_NOTHING;
    change.mode = "maybe";
    assert_int_equal(policy_apply(&policy, POLICY_SET, &change, error, sizeof error), -EINVAL);
    assert_non_null(strstr(error, "--mode maybe is none of act, observe, off"));
    change = (struct policy_change)POLICY_CHANGE_NOTHING;
    change.pin.memory_bytes = 1;
    assert_int_equal(policy_apply(&policy, POLICY_SET, &change, error, sizeof error), -EINVAL);
}

static void limits_from_fields__missing_or_odd__zero(void **state)
{
    const struct store_field fields[] = {{str_of("memory_bytes"), str_of("1048576")},
                                         {str_of("cpu_millicores"), str_of("x")},
                                         {str_of("net_egress_bps"), str_of("7")}};
    struct msg_limits limits;
    (void)state;
    policy_limits_from_fields(fields, FS_COUNT(fields), &limits);
    assert_int_equal(limits.memory_bytes, 1048576);
    assert_int_equal(limits.cpu_millicores, 0);
    assert_int_equal(limits.io_read_bps, 0);
    assert_int_equal(limits.net_egress_bps, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set__named_limits__others_stay),
        cmocka_unit_test(pin_unpin__limits_fixed_and_freed),
        cmocka_unit_test(apply__wrong__refused_with_a_sentence),
        cmocka_unit_test(limits_from_fields__missing_or_odd__zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
