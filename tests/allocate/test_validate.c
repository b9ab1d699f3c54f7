/* What must hold of a message, fault by fault; and an allocation as the fields of Redis. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "allocate/fields.h"
#include "allocate/validate.h"

#define MIB ((int64_t)1 << 20)

static struct msg_risk valid_risk(void)
{
    return (struct msg_risk){
        .code = str_of("a/b.c:1"), .node = str_of("n"), .attempt = 1, .horizon_ms = 1000};
}

static void validate__risk__each_fault_named(void **state)
{
    (void)state;
    const struct str key = str_of("a/b.c:1");
    struct msg_risk risk = valid_risk();
    assert_null(validate_risk(&risk, key));
    assert_non_null(validate_risk(&risk, str_of("other")));
#define FAULT(change)                                                                                        \
    do {                                                                                                     \
        risk = valid_risk();                                                                                 \
        change;                                                                                              \
        assert_non_null(validate_risk(&risk, risk.code));                                                    \
    } while (0)
    FAULT(risk.code = str_of(""));
    FAULT(risk.code = str_of("has space"));
    FAULT(risk.node = str_of(""));
    FAULT(risk.attempt = 0);
    FAULT(risk.horizon_ms = 0);
    FAULT(risk.probability = NAN);
    FAULT(risk.probabilities.net = 1.5f);
    FAULT(risk.memory.p99 = INFINITY);
    FAULT(risk.cpu.p50 = -1);
    FAULT(risk.limits.memory_bytes = -1);
    FAULT(risk.limits.memory_bytes = INT64_MAX);
    FAULT(risk.limits.cpu_millicores = INT32_MAX);
    FAULT(risk.limits.cpu_weight = 10001);
    FAULT(risk.memory_bytes = -5);
#undef FAULT
}

static void validate__others__each_fault_named(void **state)
{
    (void)state;
    const struct str c = str_of("c");
    struct msg_execution_record record = {.code = c, .pool = c, .attempt = 1};
    assert_null(validate_record(&record, c));
    record.totals.memory_peak_bytes = -1;
    assert_non_null(validate_record(&record, c));
    struct msg_code_policy policy = {
        .code = c, .floor = {.memory_bytes = 10}, .ceiling = {.memory_bytes = 20}};
    assert_null(validate_policy(&policy, c));
    policy.floor.memory_bytes = 21;
    assert_non_null(validate_policy(&policy, c));
    policy.floor.memory_bytes = 0;
    policy.held_out_permille = 1001;
    assert_non_null(validate_policy(&policy, c));
    struct msg_node_status status = {.node = c, .pool = c};
    assert_null(validate_status(&status, c));
    status.free.memory_bytes = -1;
    assert_non_null(validate_status(&status, c));
    struct msg_allocation allocation = {.code = c, .before = {.io_read_bps = -2}};
    assert_non_null(validate_allocation(&allocation, c));
    struct msg_code_profile profile = {.code = c};
    assert_null(validate_profile(&profile, c));
    assert_non_null(validate_profile(&profile, str_of("d")));
}

static struct msg_allocation allocation_of(int64_t revision)
{
    return (struct msg_allocation){.code = str_of("c"),
                                   .revision = revision,
                                   .limits = {.memory_bytes = revision * MIB},
                                   .reason = str_of("because"),
                                   .runs = 3,
                                   .updated_us = 9};
}

static void fields__allocation__names_and_decimals(void **state)
{
    (void)state;
    static const char *const expected[][2] = {{"memory_bytes", "7340032"},
                                              {"cpu_millicores", "0"},
                                              {"cpu_weight", "0"},
                                              {"io_read_bps", "0"},
                                              {"io_write_bps", "0"},
                                              {"io_weight", "0"},
                                              {"net_egress_bps", "123456789012"},
                                              {"net_priority", "0"},
                                              {"before_memory_bytes", "5"},
                                              {"before_cpu_millicores", "0"},
                                              {"before_io_read_bps", "0"},
                                              {"before_io_write_bps", "0"},
                                              {"before_net_egress_bps", "0"},
                                              {"probability", "0.25"},
                                              {"reason", "because"},
                                              {"raised", "memory,cpu,io,net"},
                                              {"good_since_raise", "4"},
                                              {"pinned", "1"},
                                              {"memory_most_bytes", "1048576000"},
                                              {"held_out_permille", "20"},
                                              {"runs", "3"},
                                              {"updated_us", "9"},
                                              {"memory_by_input", "1000:2000000,4000:5000000"}};
    enum msg_cause raised[] = {MSG_CAUSE_MEMORY, MSG_CAUSE_CPU, MSG_CAUSE_IO, MSG_CAUSE_NET};
    struct msg_allocation allocation = allocation_of(7);
    struct fields fields;
    allocation.limits.net_egress_bps = 123456789012;
    allocation.before.memory_bytes = 5;
    allocation.probability = 0.25f;
    allocation.raised = (struct msg_cause_array){raised, 4};
    allocation.good_since_raise = 4;
    allocation.pinned = true;
    allocation.held_out_permille = 20;
    allocation.memory_most_bytes = 1048576000;
    struct msg_input_knot knots[] = {{1000, 2e6}, {4000, 5e6}};
    allocation.by_input = (struct msg_input_knot_array){knots, 2};
    fields_fill(&fields, &allocation);
    assert_int_equal(fields.count, FS_COUNT(expected));
    for (size_t i = 0; i < fields.count; i++) {
        assert_true(str_equal(fields.items[i].name, str_of(expected[i][0])));
        assert_true(str_equal(fields.items[i].value, str_of(expected[i][1])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(validate__risk__each_fault_named),
        cmocka_unit_test(validate__others__each_fault_named),
        cmocka_unit_test(fields__allocation__names_and_decimals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
