/* What keeps a bad model out: drift against known streams; records that contradict themselves, and too many
 * of one; gains that are one code's or one tenant's; trials that end in time. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "model/random.h"
#include "retrain/adwin.h"
#include "retrain/check.h"
#include "retrain/trial.h"
#include "tests/retrain/made.h"

/* --- drift --- */

/* Where the first change to the worse is told in a stream whose mean steps from one value to another at
 * `step`; 0: never. */
static size_t first_rise(double before, double after, double noise, size_t step, size_t length, uint64_t seed)
{
    struct adwin adwin;
    adwin_init(&adwin, 0.002);
    for (size_t i = 1; i <= length; i++) {
        double mean = i <= step ? before : after;
        if (adwin_add(&adwin, mean + random_between(&seed, -noise, noise)) == ADWIN_ROSE)
            return i;
    }
    return 0;
}

static void adwin__stationary__hardly_ever_told(void **state)
{
    (void)state;
    size_t told = 0;
    for (uint64_t seed = 1; seed <= 50; seed++)
        told += first_rise(0.3, 0.3, 0.3, 1000, 2000, seed) > 0;
    print_message("false alarms in 50 stationary streams of 2000: %zu\n", told);
    assert_true(told <= 2);
}

static void adwin__step_up__told_soon_and_the_old_part_forgotten(void **state)
{
    (void)state;
    size_t worst = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        size_t at = first_rise(0.2, 0.5, 0.2, 1000, 1200, seed);
        assert_true(at > 1000);
        worst = FS_MAX(worst, at - 1000);
    }
    print_message("a step of 0.3 told after at most %zu values\n", worst);
    assert_true(worst <= 60);
    struct adwin adwin;
    uint64_t seed = 3;
    adwin_init(&adwin, 0.002);
    for (int i = 0; i < 2000; i++)
        fs_drop((int)adwin_add(&adwin, (i < 1000 ? 0.2 : 0.5) + random_between(&seed, -0.1, 0.1)));
    assert_true(fabs(adwin_mean(&adwin) - 0.5) < 0.02);
    assert_true(adwin_width(&adwin) <= 1024);
}

static void adwin__step_down__no_rise(void **state)
{
    (void)state;
    struct adwin adwin;
    uint64_t seed = 5;
    bool fell = false;
    adwin_init(&adwin, 0.002);
    for (int i = 0; i < 1500; i++) {
        enum adwin_change change =
            adwin_add(&adwin, (i < 1000 ? 0.6 : 0.2) + random_between(&seed, -0.1, 0.1));
        assert_int_not_equal(change, ADWIN_ROSE);
        fell = fell || change == ADWIN_FELL;
    }
    assert_true(fell);
}

static void adwin__slow_slope__told_in_the_end(void **state)
{
    (void)state;
    struct adwin adwin;
    uint64_t seed = 7;
    size_t told = 0;
    adwin_init(&adwin, 0.002);
    for (int i = 0; i < 4000; i++)
        told += adwin_add(&adwin, 0.2 + 0.6 * i / 4000 + random_between(&seed, -0.1, 0.1)) == ADWIN_ROSE;
    assert_true(told > 0);
}

/* The histogram's mean and variance are those of the values in its window. */
static void adwin__window__has_the_moments_of_its_values(void **state)
{
    (void)state;
    struct adwin adwin;
    double values[3000], mean = 0, variance = 0;
    uint64_t seed = 9;
    adwin_init(&adwin, 0.002);
    for (size_t i = 0; i < FS_COUNT(values); i++) {
        values[i] = random_unit(&seed) < (i < 1500 ? 0.1 : 0.7);
        fs_drop((int)adwin_add(&adwin, values[i]));
    }
    size_t width = (size_t)adwin_width(&adwin), first = FS_COUNT(values) - width;
    for (size_t i = first; i < FS_COUNT(values); i++)
        mean += values[i] / (double)width;
    for (size_t i = first; i < FS_COUNT(values); i++)
        variance += (values[i] - mean) * (values[i] - mean);
    assert_true(width < 1700 && width > 1000);
    assert_true(fabs(adwin_mean(&adwin) - mean) < 1e-9);
    assert_true(fabs(adwin.variance - variance) < 1e-6 * variance + 1e-9);
}

static void adwin__no_numbers_and_absurd_ones__bounded(void **state)
{
    (void)state;
    struct adwin adwin;
    adwin_init(&adwin, 0.002);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(adwin_add(&adwin, NAN), ADWIN_SAME);
        assert_int_equal(adwin_add(&adwin, INFINITY), ADWIN_SAME);
    }
    assert_true(adwin_width(&adwin) == 100 && adwin_mean(&adwin) == 1);
}

/* --- records --- */

#define NOW (T0 + 3600 * (int64_t)1000000)

static void check__a_good_record__believed(void **state)
{
    (void)state;
    static struct made made;
    make(&made, 1, "good", 100);
    assert_int_equal(check_record(&made.record, NOW), CHECK_FINE);
}

static void check__no_numbers__refused(void **state)
{
    (void)state;
    static struct made made;
    const float bad[] = {NAN, INFINITY, -1, 1e30f};
    for (size_t i = 0; i < FS_COUNT(bad); i++) {
        make(&made, 1, "nan", 100);
        made.record.series_inclusion = bad[i];
        assert_int_equal(check_record(&made.record, NOW), CHECK_NUMBERS);
        make(&made, 1, "nan", 100);
        made.record.propensity = bad[i];
        assert_int_equal(check_record(&made.record, NOW), CHECK_NUMBERS);
    }
}

static void check__absurd__refused(void **state)
{
    (void)state;
    static struct made made;
    make(&made, 1, "absurd", 100);
    made.points[5].counters.memory_bytes = INT64_MAX;
    assert_int_equal(check_record(&made.record, NOW), CHECK_COUNTERS);
    make(&made, 1, "absurd", 100);
    made.points[5].counters.io_read_bytes = -1;
    assert_int_equal(check_record(&made.record, NOW), CHECK_COUNTERS);
    make(&made, 1, "absurd", 100);
    made.points[59].counters.cpu_usage_us = (int64_t)1 << 60;
    assert_int_equal(check_record(&made.record, NOW), CHECK_COUNTERS);
    make(&made, 1, "absurd", 100);
    made.points[5].limits.memory_bytes = -5;
    assert_int_equal(check_record(&made.record, NOW), CHECK_COUNTERS);
    make(&made, 1, "absurd", 100);
    made.record.ended_us = INT64_MAX;
    assert_int_equal(check_record(&made.record, NOW), CHECK_TIMES);
    make(&made, 1, "absurd", 100);
    made.record.started_us = INT64_MIN;
    assert_int_equal(check_record(&made.record, NOW), CHECK_TIMES);
    make(&made, 1, "absurd", 100);
    made.points[6].time_us = made.points[5].time_us - 1;
    assert_int_equal(check_record(&made.record, NOW), CHECK_TIMES);
    make(&made, 1, "from tomorrow", 100);
    assert_int_equal(check_record(&made.record, T0 - (int64_t)2 * 86400 * 1000000), CHECK_TIMES);
}

static void check__mislabelled__refused(void **state)
{
    (void)state;
    static struct made made;
    make(&made, 1, "no kill counted", 100);
    made.record.outcome = MSG_OUTCOME_OOM_KILLED;
    made.record.cause = MSG_CAUSE_MEMORY;
    assert_int_equal(check_record(&made.record, NOW), CHECK_OUTCOME);
    made.record.totals.oom_kills = 1;
    assert_int_equal(check_record(&made.record, NOW), CHECK_FINE);
    made.record.cause = MSG_CAUSE_NET;
    assert_int_equal(check_record(&made.record, NOW), CHECK_OUTCOME);
    made.record.outcome = MSG_OUTCOME_FINISHED; /* a failure told as a success */
    made.record.cause = MSG_CAUSE_NONE;
    assert_int_equal(check_record(&made.record, NOW), CHECK_OUTCOME);
    make(&made, 1, "no deadline", 100);
    made.record.outcome = MSG_OUTCOME_TIMED_OUT;
    made.record.cause = MSG_CAUSE_CPU;
    assert_int_equal(check_record(&made.record, NOW), CHECK_OUTCOME);
    made.record.request.timeout_ms = 60000; /* lasted 6 s */
    assert_int_equal(check_record(&made.record, NOW), CHECK_OUTCOME);
    made.record.request.timeout_ms = 6000;
    assert_int_equal(check_record(&made.record, NOW), CHECK_FINE);
    make(&made, 1, "crashed well", 100);
    made.record.outcome = MSG_OUTCOME_CRASHED;
    made.record.cause = MSG_CAUSE_OTHER;
    assert_int_equal(check_record(&made.record, NOW), CHECK_OUTCOME);
}

struct crowd {
    struct made made[400];
    struct msg_execution_record records[400];
    size_t chosen[400];
    struct check_counts counts;
};

/* `flood` records of one code and then others, ten each. */
static struct crowd *crowd_of(size_t count, size_t flood, bool many_codes)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);
    assert_non_null(crowd);
    for (size_t i = 0; i < count; i++) {
        char code[32];
        bool flooding = i < flood;
        (void)snprintf(code, sizeof code, "%s-%zu", flooding ? "flood" : "code",
                       flooding && !many_codes ? 0 : i / 10);
        make(&crowd->made[i], (int)i, code, 100);
        crowd->records[i] = crowd->made[i].record;
        crowd->records[i].ended_us += (int64_t)i;
        crowd->records[i].pool = str_of("default");
        crowd->records[i].request.user = str_of(flooding ? "mallory" : "alice");
    }
    return crowd;
}

static size_t chosen_of(const struct crowd *crowd, size_t chosen, const char *user)
{
    size_t count = 0;
    for (size_t i = 0; i < chosen; i++)
        count += str_equal(crowd->records[crowd->chosen[i]].request.user, str_of(user));
    return count;
}

static void choose__one_code_floods__capped_newest_kept(void **state)
{
    (void)state;
    const struct check_limits limits = {.now_us = NOW, .code_share = 0.2, .tenant_share = 1};
    struct crowd *crowd = crowd_of(400, 300, false);
    int64_t used = check_choose(crowd->records, 400, &limits, crowd->chosen, &crowd->counts);
    assert_int_equal(used, 180);
    assert_int_equal(chosen_of(crowd, (size_t)used, "mallory"), 80);
    assert_int_equal(crowd->chosen[0], 220); /* the newest of the flood */
    assert_int_equal(crowd->counts.crowded, 220);
    free(crowd);
}

static void choose__one_tenant_floods_with_many_codes__capped(void **state)
{
    (void)state;
    const struct check_limits limits = {.now_us = NOW, .code_share = 0.2, .tenant_share = 0.5};
    struct crowd *crowd = crowd_of(400, 300, true);
    int64_t used = check_choose(crowd->records, 400, &limits, crowd->chosen, &crowd->counts);
    assert_int_equal(chosen_of(crowd, (size_t)used, "mallory"), 200);
    assert_int_equal(chosen_of(crowd, (size_t)used, "alice"), 100);
    free(crowd);
    crowd = crowd_of(100, 0, true); /* one tenant only: nobody is crowded out */
    assert_int_equal(check_choose(crowd->records, 100, &limits, crowd->chosen, &crowd->counts), 100);
    free(crowd);
}

/* --- the gate --- */

static struct comparison compared(const struct compare_execution *executions, size_t count)
{
    struct comparison out;
    assert_int_equal(compare_models(executions, count, 1, &out), 0);
    print_message("%s: %s\n", compare_verdict_name(out.verdict), out.reason);
    return out;
}

static void gate__one_code_floods__does_not_decide(void **state)
{
    (void)state;
    struct compare_execution executions[120];
    for (size_t i = 0; i < 120; i++) /* code 0: 100 executions, much better; twenty others: a little worse */
        executions[i] = (struct compare_execution){
            .champion = 1, .challenger = i < 100 ? 0.2 : 1.1, .code = i < 100 ? 0 : i};
    assert_int_equal(compared(executions, 120).verdict, COMPARE_CHAMPION_STAYS);
}

static void gate__one_tenant_floods_with_many_codes__does_not_decide(void **state)
{
    (void)state;
    struct compare_execution executions[120];
    for (size_t i = 0; i < 120; i++) /* tenant 1 invents 100 codes that all gain; the other's do not */
        executions[i] = (struct compare_execution){
            .champion = 1, .challenger = i < 100 ? 0.5 : 1.05, .code = i, .tenant = i < 100};
    struct comparison out = compared(executions, 120);
    assert_int_equal(out.verdict, COMPARE_CHAMPION_STAYS);
    assert_int_equal(out.tenants, 2);
    for (size_t i = 0; i < 120; i++)
        executions[i].tenant = 0; /* the same as one tenant's own service: who else should judge */
    assert_int_equal(compared(executions, 120).verdict, COMPARE_CHALLENGER_WINS);
}

static void gate__no_numbers__lose(void **state)
{
    (void)state;
    struct compare_execution executions[40];
    for (size_t i = 0; i < 40; i++)
        executions[i] = (struct compare_execution){.champion = 1, .challenger = i ? 0.5 : NAN, .code = i / 4};
    assert_int_equal(compared(executions, 40).verdict, COMPARE_CHAMPION_STAYS);
    executions[0].challenger = -INFINITY;
    assert_int_equal(compared(executions, 40).verdict, COMPARE_CHAMPION_STAYS);
    executions[0].challenger = 0.5;
    assert_int_equal(compared(executions, 40).verdict, COMPARE_CHALLENGER_WINS);
}

static void gate__reference__holds_within_its_share(void **state)
{
    (void)state;
    struct compare_execution executions[40];
    for (size_t i = 0; i < 40; i++)
        executions[i] = (struct compare_execution){.champion = 1, .challenger = 1.015, .code = i / 4};
    struct comparison out = compared(executions, 40);
    assert_true(compare_holds(&out, 0.02) && !compare_holds(&out, 0.01));
    out = compared(executions, 10);
    assert_false(compare_holds(&out, 0.02)); /* too few to say that nothing was lost */
}

/* --- trials --- */

static void run_trial(struct trial *trial, size_t from, size_t to, double young, struct trial_rule rule,
                      enum trial_end *end, struct comparison *why)
{
    for (size_t i = from; i < to; i++) {
        struct compare_execution e = {.champion = 1 + 0.1 * (double)(i % 3),
                                      .challenger = young + 0.1 * (double)(i % 5),
                                      .code = i % 7};
        assert_true(trial_add(trial, i + 1, &e));
        assert_int_equal(trial_look(trial, &rule, end, why), 0);
        if (*end != TRIAL_GOES_ON)
            return;
    }
}

static void trial__better_worse_or_neither__ends_so(void **state)
{
    (void)state;
    static struct trial trial;
    const struct trial_rule rule = {.least = 30, .most = 120, .seed = 1};
    enum trial_end end;
    struct comparison why;
    assert_true(trial_set(&trial, "a", "b"));
    run_trial(&trial, 0, 200, 0.5, rule, &end, &why);
    assert_true(end == TRIAL_YOUNG && trial.count == 30);
    assert_true(trial_set(&trial, "a", "c"));
    run_trial(&trial, 0, 200, 1.5, rule, &end, &why);
    assert_true(end == TRIAL_OLD && trial.count == 30);
    assert_true(trial_set(&trial, "a", "d"));
    run_trial(&trial, 0, 200, 0.9, rule, &end, &why); /* the same on average */
    assert_true(end == TRIAL_OVER && trial.count == 120);
}

static void trial__twice_and_other_models__counted_once_and_anew(void **state)
{
    (void)state;
    static struct trial trial;
    const struct compare_execution e = {.champion = 1, .challenger = 1};
    assert_false(trial_add(&trial, 1, &e)); /* no trial */
    assert_true(trial_set(&trial, "a", "b"));
    assert_false(trial_set(&trial, "a", "b"));
    assert_true(trial_add(&trial, 1, &e));
    assert_false(trial_add(&trial, 1, &e));
    assert_true(trial_set(&trial, "b", "c"));
    assert_int_equal(trial.count, 0);
    assert_true(trial_set(&trial, "c", "c") &&
                !trial_running(&trial)); /* a model against itself is no trial */
    assert_false(trial_set(&trial, "", "c"));
    assert_true(trial_set(&trial, "a", "b"));
    for (uint64_t i = 0; i < TRIAL_MOST; i++)
        assert_true(trial_add(&trial, i, &e));
    assert_false(trial_add(&trial, TRIAL_MOST, &e)); /* bounded */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adwin__stationary__hardly_ever_told),
        cmocka_unit_test(adwin__step_up__told_soon_and_the_old_part_forgotten),
        cmocka_unit_test(adwin__step_down__no_rise),
        cmocka_unit_test(adwin__slow_slope__told_in_the_end),
        cmocka_unit_test(adwin__window__has_the_moments_of_its_values),
        cmocka_unit_test(adwin__no_numbers_and_absurd_ones__bounded),
        cmocka_unit_test(check__a_good_record__believed),
        cmocka_unit_test(check__no_numbers__refused),
        cmocka_unit_test(check__absurd__refused),
        cmocka_unit_test(check__mislabelled__refused),
        cmocka_unit_test(choose__one_code_floods__capped_newest_kept),
        cmocka_unit_test(choose__one_tenant_floods_with_many_codes__capped),
        cmocka_unit_test(gate__one_code_floods__does_not_decide),
        cmocka_unit_test(gate__one_tenant_floods_with_many_codes__does_not_decide),
        cmocka_unit_test(gate__no_numbers__lose),
        cmocka_unit_test(gate__reference__holds_within_its_share),
        cmocka_unit_test(trial__better_worse_or_neither__ends_so),
        cmocka_unit_test(trial__twice_and_other_models__counted_once_and_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
