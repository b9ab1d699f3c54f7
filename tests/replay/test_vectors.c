/* The rivals against independently computed vectors: what is compared with must be the real thing. VPA by
 * itself: test_vpa.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replay/regression.h"
#include "replay/senpai.h"
#include "replay/simulate.h"
#include "replay/tovar.h"
#include "tests/support/close.h"

#define MIB 1048576.0
#define DAY_S 86400.0

/* --- a code that needs 512 MiB, then 2048 --- */

static void step_trace(struct trace *trace, int good, int after)
{
    assert_int_equal(trace_open(trace), 0);
    for (int i = 0; i < good + after; i++) {
        const struct trace_row row = {.code = str_of("a"),
                                      .start_s = i * 60.0,
                                      .runtime_s = 60,
                                      .peak_bytes = (i < good ? 512 : 2048) * MIB,
                                      .requested_bytes = 600 * MIB,
                                      .input_bytes = NAN,
                                      .evaluate = true};
        assert_int_equal(trace_add(trace, &row), 0);
    }
}

static uint64_t ooms_after(const struct replay_policy *policy, int good)
{
    const struct replay_settings settings = {.node_bytes = 65536 * MIB, .size_factor = 1.2};
    const struct simulate_options options = {.failure_at = 1, .tries_max = 1000};
    struct trace trace;
    struct score score;
    step_trace(&trace, good, 1);
    assert_int_equal(simulate(policy, &settings, &options, &trace, &score), 0);
    assert_int_equal(score.given_up, 0);
    uint64_t ooms = score.ooms_to_recover;
    score_fini(&score);
    trace_close(&trace);
    return ooms;
}

static void vpa__need_grows_fourfold__ooms_until_the_target_covers_it(void **state)
{
    (void)state;
    static const int good[] = {1, 10, 50, 100, 300}, ooms[] = {4, 8, 28, 52, 143};
    for (size_t i = 0; i < FS_COUNT(good); i++)
        assert_int_equal(ooms_after(&policy_vpa, good[i]), ooms[i]);
}

static void doubling__need_grows_fourfold__two_ooms(void **state)
{
    (void)state;
    assert_int_equal(ooms_after(&policy_flotilla, 10), 2);        /* 640, 1280, 2560 */
    assert_int_equal(ooms_after(&policy_witt_percentile, 10), 2); /* 512, 1024, 2048 */
    assert_int_equal(ooms_after(&policy_last_size, 10), 2);       /* 614, 1229, 2458 */
    assert_int_equal(ooms_after(&policy_tovar, 10), 1); /* 512, then the node: 512 is the highest seen */
}

/* --- the others, by their states --- */

struct driven {
    max_align_t state[64];
    const struct replay_policy *policy;
};

static void open_policy(struct driven *driven, const struct replay_policy *policy)
{
    static const struct replay_settings settings = {.node_bytes = 1e12, .size_factor = 1.2};
    *driven = (struct driven){.policy = policy};
    assert_true(policy->state_size <= sizeof driven->state);
    if (policy->begin)
        assert_int_equal(policy->begin(driven->state, &settings, str_of("a")), 0);
}

static void close_policy(struct driven *driven)
{
    if (driven->policy->end)
        driven->policy->end(driven->state);
}

static void finish_run(struct driven *driven, double start_s, double seconds, double peak, double input)
{
    const struct replay_run run = {.started_s = start_s,
                                   .ended_s = start_s + seconds,
                                   .peak_bytes = peak,
                                   .limit_bytes = 2 * peak,
                                   .input_bytes = input,
                                   .attempt = 1};
    assert_int_equal(driven->policy->learn(driven->state, &run), 0);
}

static void fail_run(struct driven *driven, double start_s, double limit)
{
    const struct replay_run run = {.started_s = start_s,
                                   .ended_s = start_s + 60,
                                   .peak_bytes = limit,
                                   .limit_bytes = limit,
                                   .input_bytes = NAN,
                                   .attempt = 1,
                                   .failed = true};
    assert_int_equal(driven->policy->learn(driven->state, &run), 0);
}

static double next_limit(struct driven *driven, double now_s, double input)
{
    const struct replay_request request = {now_s, 777 * MIB, input, 1};
    return driven->policy->allocate(driven->state, &request);
}

static double retry_limit(struct driven *driven, double limit)
{
    const struct replay_request request = {1000, 777 * MIB, NAN, 2};
    const struct replay_run failed = {.limit_bytes = limit, .peak_bytes = limit, .failed = true};
    return driven->policy->retry(driven->state, &request, &failed);
}

static void every_rule__nothing_known__the_request(void **state)
{
    (void)state;
    for (size_t i = 0; i < replay_policy_count; i++) {
        struct driven driven;
        if (replay_policies[i] == &policy_ours)
            continue;
        open_policy(&driven, replay_policies[i]);
        assert_within(next_limit(&driven, 5, NAN), 777 * MIB, 1);
        close_policy(&driven);
    }
}

/* 512 MiB lies in the bucket that ends at 600 MiB; x 1.15. A kill at 1000 MiB: 1200; of 100 MiB: 200. */
static void crane__flat_then_oom__bucket_margin_and_bump(void **state)
{
    (void)state;
    struct driven driven;
    open_policy(&driven, &policy_crane);
    for (int i = 0; i < 10; i++)
        finish_run(&driven, i * 60.0, 60, 512 * MIB, NAN);
    assert_within(next_limit(&driven, 600, NAN) / MIB, 690, 1e-6);
    fail_run(&driven, 600, 1000 * MIB);
    assert_within(next_limit(&driven, 660, NAN) / MIB, 1265, 1e-6); /* p99 now reads 1100, x 1.15 */
    fail_run(&driven, 660, 5000 * MIB);
    assert_true(next_limit(&driven, 720, NAN) >= 6000 * MIB);
    assert_true(next_limit(&driven, 9 * DAY_S, NAN) < 1000 * MIB); /* all older than 168 h: the request */
    close_policy(&driven);
}

static void koordinator__cold_24_h__then_p98_and_a_tenth(void **state)
{
    (void)state;
    struct driven driven;
    open_policy(&driven, &policy_koordinator);
    for (int i = 0; i < 150; i++) /* 25 h */
        finish_run(&driven, 600 * i, 60, 512 * MIB, NAN);
    double now_s = 25 * 3600;
    assert_within(next_limit(&driven, 23 * 3600, NAN), 777 * MIB, 1);
    /* buckets of 5 MiB growing by 1.05: the one with 512 MiB ends at 5 * (1.05^k - 1) / 0.05 */
    double k = floor(log(512 * 0.05 / 5 + 1) / log(1.05)) + 1;
    assert_within(next_limit(&driven, now_s, NAN) / MIB, 1.1 * 5 * (pow(1.05, k) - 1) / 0.05, 1e-6);
    assert_within(next_limit(&driven, now_s + 3600, NAN), 777 * MIB, 1); /* expired */
    close_policy(&driven);
}

/* 99 windows of 100 and one of 1000: by load the large one has 9 % of the weight, so p98 is it. */
static void autopilot__load_adjusted__the_rare_large_one_counts(void **state)
{
    (void)state;
    struct driven driven;
    open_policy(&driven, &policy_autopilot);
    for (int i = 0; i < 99; i++)
        finish_run(&driven, 0, 300, 100 * MIB, NAN);
    finish_run(&driven, 0, 300, 1000 * MIB, NAN);
    double got = next_limit(&driven, 1, NAN) / MIB / 1.15;
    assert_true(got >= 1000 && got < 1050);
    for (int i = 0; i < 2000; i++)
        finish_run(&driven, 10, 300, 100 * MIB, NAN);
    assert_true(next_limit(&driven, 60, NAN) / MIB > 1000); /* the highest of the last hour stands */
    got = next_limit(&driven, 3700, NAN) / MIB / 1.15;
    assert_true(got >= 100 && got < 105);
    close_policy(&driven);
}

static void flotilla__last_30__their_highest_and_a_quarter(void **state)
{
    (void)state;
    struct driven driven;
    open_policy(&driven, &policy_flotilla);
    finish_run(&driven, 0, 60, 900 * MIB, NAN);
    for (int i = 1; i <= 30; i++)
        finish_run(&driven, i * 60.0, 60, (100 + i) * MIB, NAN);
    assert_within(next_limit(&driven, 9999, NAN) / MIB, 130 * 1.25, 1e-6); /* ceil(0.99 * 30) = 30th */
    assert_within(retry_limit(&driven, 300 * MIB) / MIB, 600, 1e-6);
    close_policy(&driven);
}

static void witt__percentile_and_regression(void **state)
{
    (void)state;
    struct driven driven;
    open_policy(&driven, &policy_witt_percentile);
    for (int i = 1; i <= 21; i++)
        finish_run(&driven, i, 60, i * 10 * MIB, NAN);
    assert_within(next_limit(&driven, 99, NAN) / MIB, 200, 1e-6); /* rank 0.95 * 20 = 19 */
    assert_within(retry_limit(&driven, 200 * MIB) / MIB, 400, 1e-6);
    close_policy(&driven);
    open_policy(&driven, &policy_witt_regression);
    for (int i = 1; i <= 5; i++) /* exactly 100 MiB + 2 per byte */
        finish_run(&driven, i, 60, 100 * MIB + 2 * i * MIB, i * MIB);
    assert_within(next_limit(&driven, 99, 50 * MIB) / MIB, 200, 1e-6);
    finish_run(&driven, 7, 60, 118 * MIB, 6 * MIB);
    finish_run(&driven, 8, 60, 108 * MIB, 6 * MIB);
    assert_true(next_limit(&driven, 99, 6 * MIB) > 114 * MIB);
    close_policy(&driven);
}

static void regression__errors__their_relative_spread(void **state)
{
    (void)state;
    static const double inputs[] = {1, 1, 2, 2}, values[] = {90, 110, 180, 220};
    struct samples samples = {0};
    for (size_t i = 0; i < 4; i++) {
        const struct sample sample = {0, values[i], 1, inputs[i]};
        assert_int_equal(samples_add(&samples, &sample), 0);
    }
    struct regression line = regression_fit(&samples);
    assert_within(line.slope, 100, 1e-9);
    assert_within(line.intercept, 0, 1e-9);
    assert_within(line.spread, 0.1, 1e-9);
    samples_fini(&samples);
}

/* Ten runs of 100 and one of 1000, a second each: a = 100 costs 10 * 0 + 1 * (100 + 1000 - 1000) = 100,
 * a = 1000 costs 10 * 900. With four large ones 100 costs 400; with 100 s of the large one against 1 s of the
 * small ones 1000 costs 9000 and 100 costs 100 * 100 = 10000. */
static void tovar__cost_decides(void **state)
{
    (void)state;
    struct samples samples = {0};
    double highest;
    for (int i = 0; i < 10; i++) {
        const struct sample small = {0, 100, 1, NAN};
        assert_int_equal(samples_add(&samples, &small), 0);
    }
    struct sample large = {0, 1000, 1, NAN};
    assert_int_equal(samples_add(&samples, &large), 0);
    assert_within(tovar_choose(&samples, &highest), 100, 0);
    assert_within(highest, 1000, 0);
    samples.items[10].seconds = 100;
    assert_within(tovar_choose(&samples, &highest), 1000, 0);
    samples_fini(&samples);
    assert_within(tovar_choose(&samples, &highest), 0, 0);
}

static void tovar__failures__highest_seen_then_the_node(void **state)
{
    (void)state;
    struct driven driven;
    open_policy(&driven, &policy_tovar);
    for (int i = 0; i < 10; i++)
        finish_run(&driven, i, 1, 100 * MIB, NAN);
    finish_run(&driven, 11, 1, 1000 * MIB, NAN);
    assert_within(next_limit(&driven, 20, NAN) / MIB, 100, 1e-6);
    assert_within(retry_limit(&driven, 100 * MIB) / MIB, 1000, 1e-6);
    assert_within(retry_limit(&driven, 1000 * MIB), 1e12, 1);
    close_policy(&driven);
}

static void last_size__factor_and_double(void **state)
{
    (void)state;
    struct driven driven;
    open_policy(&driven, &policy_last_size);
    finish_run(&driven, 0, 60, 100 * MIB, NAN);
    finish_run(&driven, 60, 60, 50 * MIB, NAN);
    assert_within(next_limit(&driven, 120, NAN) / MIB, 60, 1e-6);
    assert_within(retry_limit(&driven, 60 * MIB) / MIB, 120, 1e-6);
    close_policy(&driven);
}

/* Target 10 ms. 100 ms of stall are 10 targets: 1 + (10 / 20)^2. At 200 ms and more it doubles. */
static void senpai__stall__raises_and_lowers(void **state)
{
    (void)state;
    double gib = 1024 * MIB;
    assert_within(senpai_raised(gib, 10000) / gib, 1 + 0.05 * 0.05, 1e-5);
    assert_within(senpai_raised(gib, 19999) / gib, 1 + 0.05 * 0.05, 1e-5); /* whole targets */
    assert_within(senpai_raised(gib, 100000) / gib, 1.25, 1e-5);
    assert_within(senpai_raised(gib, 200000) / gib, 2, 1e-5);
    assert_within(senpai_raised(gib, 9000000) / gib, 2, 1e-5);
    assert_within(senpai_raised(8 * gib, 9000000) / gib, 10, 1e-5); /* clamped */
    assert_within(senpai_lowered(gib, 0) / gib, 0.99, 1e-5);
    assert_within(senpai_lowered(gib, 1000) / gib, 0.99, 1e-5);            /* 10 targets' worth of quiet */
    assert_within(senpai_lowered(gib, 2000) / gib, 1 - 0.01 * 0.25, 1e-5); /* 5 */
    assert_within(senpai_lowered(50 * MIB, 0) / MIB, 100, 1e-6);
}

static double moment_limit(struct driven *driven, int64_t sequence, double now_s, double limit, double used,
                           double stalled_s)
{
    const struct replay_moment moment = {.now_s = now_s,
                                         .limit_bytes = limit,
                                         .used_bytes = used,
                                         .peak_bytes = used,
                                         .stalled_s = stalled_s,
                                         .attempt = 1,
                                         .sequence = sequence};
    return driven->policy->adjust(driven->state, &moment);
}

static void running__headroom_eta_linear_senpai(void **state)
{
    (void)state;
    struct driven driven;
    open_policy(&driven, &policy_headroom);
    assert_within(moment_limit(&driven, 1, 0.1, 100, 80, 0), 100, 0);
    assert_within(moment_limit(&driven, 2, 0.2, 100, 81, 0), 125, 1e-9);
    open_policy(&driven, &policy_eta);
    assert_within(moment_limit(&driven, 1, 5, 100, 90, 0), 100, 0);
    assert_within(moment_limit(&driven, 2, 10, 100, 90.1, 0), 100, 0);  /* far off */
    assert_within(moment_limit(&driven, 3, 15, 100, 94, 0), 150, 1e-9); /* 7.7 s left, two polls are 10 */
    assert_within(moment_limit(&driven, 4, 20, 100, 94, 0), 100, 0);    /* not growing */
    assert_within(moment_limit(&driven, 5, 25, 100, 96, 0), 150, 1e-9); /* critical and growing */
    open_policy(&driven, &policy_linear);
    assert_within(moment_limit(&driven, 1, 0.1, 100, 10, 0), 100, 0);
    double limit = 100;
    for (int i = 2; i < 60; i++) /* 10 per second, so 10 s ahead are 100 more */
        limit = moment_limit(&driven, i, 0.1 * i, limit, 10 + (i - 1), 0);
    assert_within(limit, 10 + 58 + 100, 2);
    open_policy(&driven, &policy_senpai);
    for (int i = 1; i < 6; i++)
        assert_within(moment_limit(&driven, i, i, 1024 * MIB, MIB, 0), 1024 * MIB, 0);
    assert_true(moment_limit(&driven, 6, 6, 1024 * MIB, MIB, 0) < 1014 * MIB);
    assert_within(moment_limit(&driven, 7, 7, 1024 * MIB, MIB, 0.5), 2048 * MIB, 4096);
}

static void percentiles__as_numpy_and_sql(void **state)
{
    (void)state;
    struct samples samples = {0};
    for (int i = 10; i > 0; i--) {
        const struct sample sample = {0, i, 1, NAN};
        assert_int_equal(samples_add(&samples, &sample), 0);
    }
    assert_within(samples_percentile_linear(&samples, 10, 0.95), 9.55, 1e-9);
    assert_within(samples_percentile_disc(&samples, 10, 0.95), 10, 0);
    assert_within(samples_percentile_disc(&samples, 10, 0.5), 5, 0);
    assert_within(samples_percentile_linear(&samples, 4, 1), 4, 0); /* the newest four are 4, 3, 2, 1 */
    for (int i = 0; i < SAMPLES_MAX; i++) {
        const struct sample sample = {i, 5, 1, NAN};
        assert_int_equal(samples_add(&samples, &sample), 0);
    }
    assert_true(samples.count <= SAMPLES_MAX);
    samples_expire(&samples, SAMPLES_MAX);
    assert_int_equal(samples.count, 0);
    assert_within(samples_percentile_linear(&samples, 4, 1), 0, 0);
    samples_fini(&samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vpa__need_grows_fourfold__ooms_until_the_target_covers_it),
        cmocka_unit_test(doubling__need_grows_fourfold__two_ooms),
        cmocka_unit_test(every_rule__nothing_known__the_request),
        cmocka_unit_test(crane__flat_then_oom__bucket_margin_and_bump),
        cmocka_unit_test(koordinator__cold_24_h__then_p98_and_a_tenth),
        cmocka_unit_test(autopilot__load_adjusted__the_rare_large_one_counts),
        cmocka_unit_test(flotilla__last_30__their_highest_and_a_quarter),
        cmocka_unit_test(witt__percentile_and_regression),
        cmocka_unit_test(regression__errors__their_relative_spread),
        cmocka_unit_test(tovar__cost_decides),
        cmocka_unit_test(tovar__failures__highest_seen_then_the_node),
        cmocka_unit_test(last_size__factor_and_double),
        cmocka_unit_test(senpai__stall__raises_and_lowers),
        cmocka_unit_test(running__headroom_eta_linear_senpai),
        cmocka_unit_test(percentiles__as_numpy_and_sql),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
