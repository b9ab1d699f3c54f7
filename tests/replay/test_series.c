/* Recorded series in the closed loop: the kernel, the brake and its deadline, limits on their way; what is
 * said of dead letters. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "replay/dead.h"
#include "replay/ours.h"

#define MIB 1048576.0
#define TICKS 600
#define START_US 1700000000000000

/* A program whose memory follows a few points, sampled every 100 ms. */
struct recording {
    struct msg_series_point points[TICKS];
    struct msg_execution_record record;
    struct trace_row row;
};

static struct recording recording;
static struct ours_tools *tools;

static const struct trace_row *record(const double (*curve)[2], size_t count)
{
    size_t ticks = (size_t)(curve[count - 1][0] * 10);
    double peak = 0;
    memset(&recording, 0, sizeof recording);
    assert_true(ticks <= TICKS);
    for (size_t i = 0, at = 0; i < ticks; i++) {
        double time_s = 0.1 * (double)(i + 1);
        while (at + 2 < count && curve[at + 1][0] < time_s)
            at++;
        double share = (time_s - curve[at][0]) / (curve[at + 1][0] - curve[at][0]);
        double mib = curve[at][1] + (curve[at + 1][1] - curve[at][1]) * share;
        peak = fmax(peak, mib * MIB);
        recording.points[i].time_us = START_US + (int64_t)(i + 1) * 100000;
        recording.points[i].counters = (struct msg_counters){.memory_bytes = (int64_t)(mib * MIB),
                                                             .memory_usage_bytes = (int64_t)(mib * MIB),
                                                             .memory_peak_bytes = (int64_t)peak,
                                                             .cpu_usage_us = (int64_t)i * 90000,
                                                             .tasks = 1};
    }
    recording.record = (struct msg_execution_record){.attempt = 1,
                                                     .code = str_of("a"),
                                                     .outcome = MSG_OUTCOME_FINISHED,
                                                     .started_us = START_US,
                                                     .ended_us = START_US + (int64_t)ticks * 100000,
                                                     .series = {recording.points, ticks}};
    recording.record.totals.memory_peak_bytes = (int64_t)peak;
    recording.row = (struct trace_row){.code = str_of("a"),
                                       .start_s = START_US / 1e6,
                                       .runtime_s = (double)ticks / 10,
                                       .peak_bytes = peak,
                                       .input_bytes = NAN,
                                       .evaluate = true,
                                       .record = &recording.record};
    return &recording.row;
}

/* A policy of the test's own: raises to what it is told, when it is told. */
struct told {
    double at_s, to_bytes;
    int asked, events;
};
static struct told told;

static double adjust_as_told(void *state, const struct replay_moment *moment)
{
    (void)state;
    told.asked += !moment->extra;
    told.events += moment->extra;
    return moment->now_s - moment->started_s >= told.at_s ? told.to_bytes : moment->limit_bytes;
}

static const struct replay_policy as_told = {
    .name = "told", .period_s = 0.1, .brake = true, .events = true, .adjust = adjust_as_told};

static const struct replay_policy as_told_with_advances = {
    .name = "told", .period_s = 0.1, .advance = true, .events = true, .adjust = adjust_as_told};

static struct attempt_result fly_with(const struct replay_policy *policy, const struct trace_row *row,
                                      double limit, bool brake)
{
    const struct attempt_input input = {.policy = policy,
                                        .row = row,
                                        .start_s = row->start_s,
                                        .limit_bytes = limit,
                                        .brake = brake,
                                        .attempt = 1};
    struct attempt_result result;
    told.asked = told.events = 0;
    attempt_series(&input, &result);
    return result;
}

static struct attempt_result fly(const struct trace_row *row, double limit, bool brake)
{
    return fly_with(&as_told, row, limit, brake);
}

static const double ramp[][2] = {{0, 10}, {10, 210}, {20, 210}};

static void enough__finishes__slack_is_the_area_above(void **state)
{
    (void)state;
    told = (struct told){.at_s = 1e9};
    struct attempt_result result = fly(record(ramp, 3), 310 * MIB, true);
    assert_false(result.failed);
    assert_true(fabs(result.seconds - 20) < 0.01);
    /* 310 - (10 .. 210) over 10 s and 100 over 10 s: 200 * 10 + 100 * 10, less the start from nothing */
    assert_true(fabs(result.wasted_byte_s / MIB - 3000) < 10);
    assert_true(result.stalled_s == 0 && result.changes == 0);
    assert_true(fabs(result.peak_bytes / MIB - 210) < 1);
    assert_in_range(told.asked, 199, 201);
}

static void no_brake__too_small__killed_where_it_crosses(void **state)
{
    (void)state;
    told = (struct told){.at_s = 1e9};
    struct attempt_result result = fly(record(ramp, 3), 113 * MIB, false);
    assert_true(result.failed);
    assert_true(fabs(result.seconds - 5) < 0.1); /* 10 + 20/s, and 3 MiB of the kernel's */
    assert_true(fabs(result.wasted_byte_s / MIB - 113 * 5) < 10);
    assert_true(result.peak_bytes <= 113 * MIB);
}

/* 2 GiB/s: no decision comes in time. The agent gives a fifth at a time, up to four times what was decided.
 */
static void advance__jump__given_in_steps_within_its_bound(void **state)
{
    static const double jump[][2] = {{0, 10}, {1, 10}, {1.1, 210}, {5, 210}};
    (void)state;
    told = (struct told){.at_s = 1e9};
    struct attempt_result result = fly_with(&as_told_with_advances, record(jump, 4), 64 * MIB, false);
    assert_false(result.failed);
    assert_true(result.raises >= 5 && result.raises == result.changes);
    assert_true(result.highest_limit_bytes > 213 * MIB && result.highest_limit_bytes <= 256 * MIB);
    result = fly_with(&as_told_with_advances, record(jump, 4), 40 * MIB, false);
    assert_true(result.failed);
    assert_true(fabs(result.highest_limit_bytes / MIB - 160) < 1);
}

static void brake__raise_comes__program_waits_and_lives(void **state)
{
    (void)state;
    told = (struct told){.at_s = 6, .to_bytes = 300 * MIB};
    struct attempt_result result = fly(record(ramp, 3), 113 * MIB, true);
    assert_false(result.failed);
    /* level: 113 - 7.06 = 105.9, less the kernel's 3: 4.65 s; released at 6.0 + the loop's 20 ms */
    assert_true(fabs(result.stalled_s - (6.02 - 4.65)) < 0.15);
    assert_true(fabs(result.seconds - 20 - result.stalled_s) < 0.01);
    assert_int_equal(result.changes, 1);
    assert_true(result.highest_limit_bytes == 300 * MIB);
    assert_true(told.events >= 2); /* the brake, the new limit */
}

static void brake__no_raise__killed_after_its_deadline(void **state)
{
    (void)state;
    told = (struct told){.at_s = 1e9};
    struct attempt_result result = fly(record(ramp, 3), 113 * MIB, true);
    assert_true(result.failed);
    assert_true(fabs(result.stalled_s - 5) < 0.05);
    assert_true(fabs(result.seconds - (5 + 5)) < 0.2);
}

static void lowered_below_use__refused(void **state)
{
    (void)state;
    told = (struct told){.at_s = 5, .to_bytes = 20 * MIB};
    struct attempt_result result = fly(record(ramp, 3), 300 * MIB, true);
    assert_false(result.failed);
    assert_int_equal(result.changes, 0);
}

static struct score replay(const struct replay_policy *policy, double requested, int times)
{
    struct trace_row rows[8];
    const struct replay_settings settings = {
        .node_bytes = 64 * 1024 * MIB, .size_factor = 1.2, .ours = tools};
    const struct simulate_options options = {.failure_at = 1, .tries_max = 20, .brake = true};
    struct score score;
    assert_true(times <= (int)FS_COUNT(rows));
    for (int i = 0; i < times; i++) {
        rows[i] = recording.row;
        rows[i].start_s += i * 100;
        rows[i].requested_bytes = requested;
    }
    const struct trace trace = {.rows = rows, .count = (size_t)times, .capacity = (size_t)times};
    ours_reset(tools);
    assert_int_equal(simulate(policy, &settings, &options, &trace, &score), 0);
    return score;
}

static void ours__ramp_beyond_its_request__raised_in_time_and_next_time_enough(void **state)
{
    (void)state;
    (void)record(ramp, 3);
    struct score once = replay(&policy_ours, 120 * MIB, 1), thrice = replay(&policy_ours, 120 * MIB, 3);
    assert_int_equal(once.failures, 0);
    assert_true(once.changes >= 1);
    assert_true(score_ratio_median(&once) < 1.5);
    assert_int_equal(thrice.failures, 0);
    assert_true(thrice.changes <= once.changes + 4); /* what changes later is the start's limit */
    struct score fixed = replay(&policy_static, 120 * MIB, 1);
    assert_int_equal(fixed.failures, 1);
    score_fini(&once);
    score_fini(&thrice);
    score_fini(&fixed);
}

static void every_policy__series__ends(void **state)
{
    (void)state;
    static const double saw[][2] = {{0, 20}, {2, 120}, {2.1, 40}, {4, 125}, {4.1, 40}, {6, 122}, {8, 30}};
    (void)record(saw, FS_COUNT(saw));
    for (size_t i = 0; i < replay_policy_count; i++) {
        struct score score = replay(replay_policies[i], 80 * MIB, 4);
        assert_int_equal(score.executions, 4);
        assert_int_equal(score.given_up, 0);
        assert_true(score_wastage(&score) > 0);
        score_fini(&score);
    }
}

/* --- dead letters --- */

static struct dead_verdict judge(const struct msg_execution_record *dead, int expected)
{
    const struct replay_settings settings = {
        .node_bytes = 64 * 1024 * MIB, .size_factor = 1.2, .ours = tools};
    const struct simulate_options options = {.failure_at = 1, .tries_max = 20, .brake = true};
    struct dead_verdict verdict;
    assert_int_equal(dead_judge(dead, &settings, &options, &verdict), expected);
    return verdict;
}

static bool saved_by(const struct dead_verdict *verdict, const struct replay_policy *policy)
{
    for (size_t i = 0; i < replay_policy_count; i++)
        if (replay_policies[i] == policy)
            return verdict->saved_by[i];
    return false;
}

static void dead__memory__growth_and_who_would_have_saved_it(void **state)
{
    (void)state;
    static const double leak[][2] = {{0, 10}, {9, 190}};
    (void)record(leak, 2);
    struct msg_execution_record *dead = &recording.record;
    dead->outcome = MSG_OUTCOME_OOM_KILLED;
    dead->cause = MSG_CAUSE_MEMORY;
    dead->first_limits.memory_bytes = (int64_t)(64 * MIB);
    dead->highest_limits.memory_bytes = (int64_t)(192 * MIB);
    static struct msg_applied_adjustment applied = {.result = MSG_ADJUSTMENT_RESULT_APPLIED};
    applied.adjustment.reason = str_of("memory 150 of 160 MiB used; cut to its ceiling");
    dead->adjustments = (struct msg_applied_adjustment_array){&applied, 1};
    struct dead_verdict verdict = judge(dead, 0);
    assert_true(fabs(verdict.growth / MIB - 20) < 1);
    assert_true(verdict.needed > 390 * MIB && verdict.needed < 450 * MIB);
    assert_true(saved_by(&verdict, &policy_ours));
    assert_true(saved_by(&verdict, &policy_headroom));
    assert_false(saved_by(&verdict, &policy_static));
    assert_false(saved_by(&verdict, &policy_vpa)); /* a minute is too long */
    assert_non_null(strstr(verdict.advice, "ceiling"));
}

static void dead__cpu_and_bug(void **state)
{
    (void)state;
    (void)record(ramp, 3);
    struct msg_execution_record *dead = &recording.record;
    dead->outcome = MSG_OUTCOME_TIMED_OUT;
    dead->cause = MSG_CAUSE_CPU;
    dead->highest_limits.cpu_millicores = 200;
    dead->totals.cpu_throttled_us = (dead->ended_us - dead->started_us) * 3 / 4;
    assert_true(fabs(judge(dead, 0).needed - 800) < 1);
    dead->cause = MSG_CAUSE_OTHER;
    assert_non_null(strstr(judge(dead, -22).advice, "no allocation"));
}

static int open_tools(void **state)
{
    (void)state;
    char error[512];
    const char *model = getenv("FORESTALL_MODEL");
    return ours_open(&tools, model ? model : "", true, 64, error, sizeof error);
}

static int close_tools(void **state)
{
    (void)state;
    ours_close(tools);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enough__finishes__slack_is_the_area_above),
        cmocka_unit_test(no_brake__too_small__killed_where_it_crosses),
        cmocka_unit_test(advance__jump__given_in_steps_within_its_bound),
        cmocka_unit_test(brake__raise_comes__program_waits_and_lives),
        cmocka_unit_test(brake__no_raise__killed_after_its_deadline),
        cmocka_unit_test(lowered_below_use__refused),
        cmocka_unit_test(ours__ramp_beyond_its_request__raised_in_time_and_next_time_enough),
        cmocka_unit_test(every_policy__series__ends),
        cmocka_unit_test(dead__memory__growth_and_who_would_have_saved_it),
        cmocka_unit_test(dead__cpu_and_bug),
    };
    return cmocka_run_group_tests(tests, open_tools, close_tools);
}
