/* Finished executions under a policy: what counts as what. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "replay/ours.h"
#include "replay/simulate.h"
#include "tests/support/close.h"

#define GIB 1073741824.0
#define MIB 1048576.0

struct stand {
    struct trace trace;
    struct replay_settings settings;
    struct simulate_options options;
    struct score score;
};

static struct stand stand;

static int set_up(void **state)
{
    (void)state;
    char error[256];
    stand = (struct stand){.settings = {.node_bytes = 64 * GIB, .size_factor = 1.2},
                           .options = {.failure_at = 1, .tries_max = 50}};
    if (trace_open(&stand.trace) < 0)
        return -1;
    return ours_open(&stand.settings.ours, "", false, 64, error, sizeof error);
}

static int tear_down(void **state)
{
    (void)state;
    ours_close(stand.settings.ours);
    score_fini(&stand.score);
    trace_close(&stand.trace);
    return 0;
}

static void add(const char *code, double start_s, double peak, double requested, bool evaluate)
{
    const struct trace_row row = {.code = str_of(code),
                                  .start_s = start_s,
                                  .runtime_s = 3600,
                                  .peak_bytes = peak,
                                  .requested_bytes = requested,
                                  .input_bytes = NAN,
                                  .evaluate = evaluate};
    assert_int_equal(trace_add(&stand.trace, &row), 0);
}

static const struct score *run(const struct replay_policy *policy)
{
    score_fini(&stand.score);
    assert_int_equal(simulate(policy, &stand.settings, &stand.options, &stand.trace, &stand.score), 0);
    return &stand.score;
}

static void static_request__fits__slack_only(void **state)
{
    (void)state;
    add("a", 0, 1 * GIB, 4 * GIB, true);
    add("a", 4000, 3 * GIB, 4 * GIB, true);
    const struct score *score = run(&policy_static);
    assert_int_equal(score->executions, 2);
    assert_int_equal(score->failures, 0);
    assert_int_equal(score->first_tries, 2);
    assert_close(score_wastage(score), 4);
    assert_close(score_slack(score), 0.5); /* 3/4 and 1/4, an hour each */
    assert_close(score_changes(score), 0);
    assert_int_equal(score->ooms_to_recover, 0);
}

static void static_request__too_small__each_failed_try_costs_its_allocation(void **state)
{
    (void)state;
    add("a", 0, 3 * GIB, 1 * GIB, true); /* 1, 2, 4: 1 + 2 failed, 1 slack */
    const struct score *score = run(&policy_static);
    assert_int_equal(score->failures, 2);
    assert_int_equal(score->retries, 2);
    assert_int_equal(score->ooms_to_recover, 2);
    assert_int_equal(score->first_tries, 0);
    assert_close(score_wastage(score), 4);
    assert_close(score_changes(score), 2);
    stand.options.failure_at = 0.5; /* killed half way */
    score = run(&policy_static);
    assert_close(score_wastage(score), 2.5);
    assert_close(score->failed_gib_h, 1.5);
}

static void exactly_the_peak__fits(void **state)
{
    (void)state;
    add("a", 0, 1 * GIB, 1 * GIB, true);
    assert_int_equal(run(&policy_static)->failures, 0);
    assert_close(score_wastage(&stand.score), 0);
}

static void rows_that_only_teach__are_learned_and_not_counted(void **state)
{
    (void)state;
    add("a", 0, 2 * GIB, 8 * GIB, false);
    add("a", 4000, 2 * GIB, 8 * GIB, true);
    const struct score *score = run(&policy_last_size);
    assert_int_equal(score->executions, 1);
    assert_close(score_wastage(score), 0.4);
    assert_close(score_changes(score), 0);
}

static void never_fits__given_up_at_the_bound(void **state)
{
    (void)state;
    add("a", 0, 100 * GIB, 1 * GIB, true);
    const struct score *score = run(&policy_static);
    assert_int_equal(score->failures, 50);
    assert_int_equal(score->retries, 49);
    assert_int_equal(score->given_up, 1);
}

static void recovery__counts_until_a_first_try_fits(void **state)
{
    (void)state;
    /* witt-percentile: p95 of 20 runs of 1 GiB and few of 4 stays near 1, so every one of them fails. */
    for (int i = 0; i < 20; i++)
        add("a", i * 4000.0, 1 * GIB, 1 * GIB, true);
    add("a", 20 * 4000.0, 4 * GIB, 1 * GIB, true);
    assert_int_equal(run(&policy_witt_percentile)->ooms_to_recover, 2); /* 1, 2, 4 */
    add("a", 21 * 4000.0, 4 * GIB, 1 * GIB, true);
    assert_int_equal(run(&policy_witt_percentile)->ooms_to_recover, 4);
    assert_int_equal(run(&policy_last_size)->ooms_to_recover, 2);
}

static void codes__are_learned_apart(void **state)
{
    (void)state;
    add("a", 0, 1 * GIB, 8 * GIB, true);
    add("b", 1, 6 * GIB, 8 * GIB, true);
    add("a", 4000, 1 * GIB, 8 * GIB, true);
    const struct score *score = run(&policy_last_size);
    assert_close(score_wastage(score), 7 + 2 + 0.2);
    assert_int_equal(score->failures, 0);
}

static void ours__same_trace_again__the_same(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++)
        add("a", i * 4000.0, (1 + 0.01 * (i % 7)) * GIB, 4 * GIB, true);
    double first = score_wastage(run(&policy_ours));
    ours_reset(stand.settings.ours);
    assert_close(score_wastage(run(&policy_ours)), first);
    assert_int_equal(stand.score.failures, 0);
    assert_true(first < score_wastage(run(&policy_static)));
}

static void every_policy__long_mixed_trace__ends_and_is_finite(void **state)
{
    (void)state;
    uint32_t random = 7;
    char code[32];
    for (int i = 0; i < 3000; i++) {
        random = random * 1664525 + 1013904223;
        (void)snprintf(code, sizeof code, "code-%u", random % 13);
        add(code, i * 600.0, (double)(random >> 8) * 100, 300 * MIB, i > 50);
    }
    for (size_t i = 0; i < replay_policy_count; i++) {
        ours_reset(stand.settings.ours);
        const struct score *score = run(replay_policies[i]);
        assert_int_equal(score->executions, 2949);
        assert_int_equal(score->given_up, 0);
        assert_true(isfinite(score_wastage(score)) && score_wastage(score) > 0);
        assert_true(score_slack(score) >= 0 && score_slack(score) <= 1);
        assert_int_equal(score->failures, score->retries);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(static_request__fits__slack_only),
        TEST(static_request__too_small__each_failed_try_costs_its_allocation),
        TEST(exactly_the_peak__fits),
        TEST(rows_that_only_teach__are_learned_and_not_counted),
        TEST(never_fits__given_up_at_the_bound),
        TEST(recovery__counts_until_a_first_try_fits),
        TEST(codes__are_learned_apart),
        TEST(ours__same_trace_again__the_same),
        TEST(every_policy__long_mixed_trace__ends_and_is_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
