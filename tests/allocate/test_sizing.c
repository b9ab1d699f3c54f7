/* What the next execution starts with, from the newest runs: each way of reading them on the code it is made
 * for, and what follows a start that was too small. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "allocate/recent.h"

#define MIB 1048576.0

static struct recent recent;

static void begin(void)
{
    recent_read(NULL, NULL, 0, &recent);
}

static void run(double mib, double seconds, double input)
{
    const struct sizing_run done = {mib * MIB, seconds, input};
    recent_add(&recent, &sizing_defaults, &done);
}

static double start(void)
{
    enum sizing_method method = sizing_pick(&recent.code, recent.costs, false);
    return sizing_start(&sizing_defaults, &recent.code, method, NAN) / MIB;
}

static double again(double failed_mib)
{
    enum sizing_method method = sizing_pick(&recent.code, recent.costs, false);
    return sizing_retry(&sizing_defaults, &recent.code, method, NAN, failed_mib * MIB) / MIB;
}

static double start_for(double input)
{
    enum sizing_method method = sizing_pick(&recent.code, recent.costs, true);
    return sizing_start(&sizing_defaults, &recent.code, method, input) / MIB;
}

/* Uniform in [0, 1). */
static double draw(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) * 0x1p-53;
}

static void nothing_known__nothing_said(void **state)
{
    (void)state;
    begin();
    assert_true(start() == 0 && again(100) == 0);
}

static void equal_runs__margin_falls_with_their_number(void **state)
{
    (void)state;
    double before = INFINITY;
    begin();
    for (int i = 0; i < SIZING_RUNS_MAX + 5; i++) {
        run(512, 60, NAN);
        assert_true(start() >= 512 && start() <= before);
        before = start();
    }
    assert_true(before < 1.005 * 512);
    assert_int_equal(recent.code.count, SIZING_RUNS_MAX);
}

static void noise__covers_what_comes_without_much_more(void **state)
{
    (void)state;
    int failed = 0;
    double slack = 0;
    begin();
    for (int i = 0; i < 300; i++) {
        double need = 512 * (0.97 + 0.06 * draw());
        if (i >= 10) {
            failed += need > start();
            slack += start() / need - 1;
        }
        run(need, 40, NAN);
    }
    assert_true(failed <= 6);
    assert_true(slack / 290 < 0.06);
}

/* 512 MiB, then 2048: the retry covers it, and so does every start after it. */
static void new_version__one_failure_and_it_stays(void **state)
{
    (void)state;
    static const int good[] = {3, 10, 50, 100, 300};
    for (size_t i = 0; i < FS_COUNT(good); i++) {
        begin();
        for (int k = 0; k < good[i]; k++)
            run(512, 60, NAN);
        double retried = again(start());
        assert_true(retried >= 2048 && retried <= 1.5 * 2048);
        for (int k = 0; k < 30; k++) {
            run(2048, 60, NAN);
            assert_true(start() >= 2048 && start() <= 1.2 * 2048);
        }
    }
}

static void need_falls__down_within_five_runs(void **state)
{
    (void)state;
    begin();
    for (int k = 0; k < 100; k++)
        run(2048, 60, NAN);
    for (int k = 0; k < 5; k++)
        run(512, 60, NAN);
    assert_true(start() < 1.2 * 512);
    for (int k = 0; k < 100; k++) {
        run(512, 60, NAN);
        assert_true(start() < 1.2 * 512);
    }
}

static void slow_growth__followed(void **state)
{
    (void)state;
    int failed = 0;
    double slack = 0;
    begin();
    for (int i = 0; i < 200; i++) {
        double need = 200 * pow(1.01, i) * (0.98 + 0.04 * draw());
        if (i >= 20) {
            failed += need > start();
            slack += start() / need - 1;
        }
        run(need, 40, NAN);
    }
    assert_true(failed <= 6);
    assert_true(slack / 180 < 0.12);
}

/* Stretches of twenty small runs and twenty large ones: after the first rounds only the change itself is
 * missed. */
static void sizes_in_turns__told_apart(void **state)
{
    (void)state;
    int failed = 0, wasted = 0;
    begin();
    for (int i = 0; i < 400; i++) {
        bool large = i / 20 % 2;
        if (i >= 80) {
            failed += large && start() < 1200;
            wasted += !large && start() > 600;
        }
        run((large ? 1200 : 200) * (0.98 + 0.02 * draw()), 60, NAN);
    }
    assert_true(failed <= 20);
    assert_true(wasted <= 40);
}

/* One run in four needs six times as much, at random: with short runs all start large, with long ones the
 * few fail: what it costs decides, and the retry goes to what large ones need. */
static void two_sizes_at_random__cost_decides_and_a_failure_tells_which(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 200; i++)
        run(draw() < 0.25 ? 1200 + 10 * draw() : 200 + 2 * draw(), 600, NAN);
    run(200, 600, NAN);
    assert_true(start() < 250);
    assert_true(again(start()) >= 1200 && again(start()) < 1300);
}

/* Peaks that lie fivefold apart: where what is too small is raised while it runs, a start need not cover
 * them; where one in two dies of it, it must. A failed try is answered the same either way. */
static void raised_while_running__start_need_not_cover_all(void **state)
{
    (void)state;
    struct sizing_config config = sizing_defaults;
    begin();
    for (int i = 0; i < 30; i++)
        run(100 * pow(5, draw()), 20, NAN);
    double all = sizing_start(&config, &recent.code, SIZING_LEVEL, NAN) / MIB;
    double again_all = sizing_retry(&config, &recent.code, SIZING_LEVEL, NAN, 200 * MIB);
    assert_true(all > 450 && all < 600);
    config.unsaved = 0.02;
    double few = sizing_start(&config, &recent.code, SIZING_LEVEL, NAN) / MIB;
    assert_true(few > 100 && few < 0.8 * all);
    assert_true(sizing_retry(&config, &recent.code, SIZING_LEVEL, NAN, 200 * MIB) == again_all);
    config.unsaved = 0.5;
    double half = sizing_start(&config, &recent.code, SIZING_LEVEL, NAN) / MIB;
    assert_true(half > few && half <= all);
}

static void raised_while_running__equal_runs_still_fit(void **state)
{
    (void)state;
    struct sizing_config config = sizing_defaults;
    config.unsaved = 0.02;
    begin();
    for (int i = 0; i < 30; i++)
        run(512, 60, NAN);
    double bytes = sizing_start(&config, &recent.code, SIZING_LEVEL, NAN) / MIB;
    assert_true(bytes >= 512 && bytes < 1.01 * 512);
}

static struct msg_execution_record outgrown(double first_mib, double peak_mib, bool killed)
{
    return (struct msg_execution_record){.outcome = killed ? MSG_OUTCOME_OOM_KILLED : MSG_OUTCOME_FINISHED,
                                         .cause = killed ? MSG_CAUSE_MEMORY : MSG_CAUSE_NONE,
                                         .first_limits.memory_bytes = (int64_t)(first_mib * MIB),
                                         .totals.memory_peak_bytes = (int64_t)(peak_mib * MIB)};
}

static double unsaved_after(struct msg_allocation *allocation, struct msg_execution_record record)
{
    recent_outgrown(&record, allocation);
    recent_read(allocation, NULL, 0, &recent);
    return recent.unsaved;
}

static void outgrown__share_learned_and_forgotten(void **state)
{
    (void)state;
    struct msg_allocation allocation = {.revision = 1};
    struct msg_execution_record held_out = outgrown(64, 64, true);
    held_out.arm = MSG_ARM_HELD_OUT;
    assert_true(unsaved_after(&allocation, outgrown(64, 60, false)) == 1); /* it fitted */
    assert_true(unsaved_after(&allocation, outgrown(0, 60, false)) == 1);  /* there was no limit */
    assert_true(unsaved_after(&allocation, held_out) == 1);                /* nobody was to save it */
    assert_true(fabs(unsaved_after(&allocation, outgrown(64, 100, false)) - 2.0 / 3) < 1e-6);
    for (int i = 0; i < 60; i++)
        (void)unsaved_after(&allocation, outgrown(64, 100, false));
    assert_true(recent.unsaved < 0.08);
    assert_true(unsaved_after(&allocation, outgrown(64, 64, true)) > 0.08);
    for (int i = 0; i < 60; i++)
        (void)unsaved_after(&allocation, outgrown(64, 64, true));
    assert_true(recent.unsaved > 0.8 && recent.unsaved < 1);
    for (int i = 0; i < 120; i++)
        (void)unsaved_after(&allocation, outgrown(64, 100, false));
    assert_true(recent.unsaved < 0.08); /* what was long ago is forgotten */
}

static void outgrown__absurd_counts__as_if_nothing_was_seen(void **state)
{
    (void)state;
    static const float absurd[][2] = {{NAN, 0}, {INFINITY, 0}, {1e9f, 0}, {3, NAN},
                                      {3, 5},   {-4, -5},      {-2, 0}};
    for (size_t i = 0; i < FS_COUNT(absurd); i++) {
        struct msg_allocation allocation = {.outgrown = absurd[i][0], .outgrown_failed = absurd[i][1]};
        recent_read(&allocation, NULL, 0, &recent);
        assert_true(recent.unsaved == 1);
        assert_true(fabs(unsaved_after(&allocation, outgrown(64, 100, false)) - 2.0 / 3) < 1e-6);
    }
}

/* A code of which nothing is known is taken for one of all; its own soon count for more. */
static void outgrown__others_speak_until_the_code_does(void **state)
{
    (void)state;
    struct msg_allocation allocation = {.revision = 1};
    recent_read(NULL, NULL, 0.95, &recent);
    assert_true(fabs(recent.unsaved - 0.05) < 1e-9);
    for (int i = 0; i < 10; i++) {
        const struct msg_execution_record killed = outgrown(64, 64, true);
        recent_outgrown(&killed, &allocation);
    }
    recent_read(&allocation, NULL, 0.95, &recent);
    assert_true(recent.unsaved > 0.75);
}

static void rare_large_ones_of_before__wait_for_a_failure(void **state)
{
    (void)state;
    const struct policy_history history = {
        .runs = 500, .memory_count = 2, .memory = {{100 * MIB, 0.98}, {900 * MIB, 0.02}}};
    struct msg_recent_run runs[10];
    for (size_t i = 0; i < FS_COUNT(runs); i++)
        runs[i] = (struct msg_recent_run){100 * MIB, 60, -1};
    const struct msg_allocation allocation = {.recent = {runs, FS_COUNT(runs)}};
    recent_read(&allocation, &history, 0, &recent);
    assert_int_equal(recent.code.older_count, 1);
    assert_true(start() < 120);
    assert_true(again(start()) >= 850 && again(start()) < 1100);
}

static void input_told__curve(void **state)
{
    (void)state;
    int failed = 0;
    double slack = 0;
    begin();
    for (int i = 0; i < 100; i++) {
        double input = pow(10, 6 + 2 * draw()), need = 60 + 3 * input / MIB * (0.97 + 0.06 * draw());
        if (i >= 10) {
            failed += need > start_for(input);
            slack += start_for(input) / need - 1;
        }
        run(need, 30, input);
    }
    assert_true(failed <= 6);
    assert_true(slack / 90 < 0.12);
    assert_true(sizing_pick(&recent.code, recent.costs, true) == SIZING_INPUT);
    assert_true(sizing_pick(&recent.code, recent.costs, false) != SIZING_INPUT);
    struct knot knots[SIZING_KNOTS_MAX];
    size_t count = sizing_curve(&sizing_defaults, &recent.code, knots);
    assert_int_equal(count, SIZING_KNOTS_MAX);
    for (int i = 0; i < 9; i++) {
        double input = 1e6 * pow(1.7, i);
        double read = knots_value(knots, count, input) / MIB;
        assert_true(read > 0.97 * (60 + 3 * input / MIB) && read < 1.25 * (60 + 3 * input / MIB));
    }
}

static void input_told_and_of_no_use__not_taken(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 60; i++)
        run(300 * (i / 20 % 2 ? 3 : 1), 30, pow(10, 6 + 2 * draw()));
    assert_true(sizing_pick(&recent.code, recent.costs, true) != SIZING_INPUT);
}

/* The largest that the published curve says for an input. */
static double read_at(double input)
{
    struct knot knots[SIZING_KNOTS_MAX];
    size_t count = sizing_curve(&sizing_defaults, &recent.code, knots);
    return fmax(start_for(input), knots_value(knots, count, input) / MIB);
}

/* As recorded of a decompressor and of a statistics tool: what lies between two inputs has another reason
 * than they. */
static void few_inputs_close_together__say_nothing_of_others(void **state)
{
    static const double falling[][2] = {{90, 10.5e6}, {72, 10.5e6}, {63, 11.5e6}, {63, 11.5e6}, {61, 11.5e6}};
    static const double rising[][2] = {{61, 10.5e6}, {63, 10.5e6}, {90, 11.5e6}, {91, 11.5e6}};
    (void)state;
    begin();
    for (size_t i = 0; i < FS_COUNT(falling); i++)
        run(falling[i][0], 5, falling[i][1]);
    assert_true(read_at(5e6) < 150 && read_at(1e6) < 150 && read_at(12e6) < 150);
    assert_true(read_at(5e6) > 30);
    begin();
    for (size_t i = 0; i < FS_COUNT(rising); i++)
        run(rising[i][0], 5, rising[i][1]);
    assert_true(read_at(23e6) > 90 && read_at(23e6) < 280);
    assert_true(read_at(5e6) > 15 && read_at(5e6) < 110);
}

/* Nearly all of what a program needs for a file of 87 bytes it needs without it. */
static void a_tiny_input__says_little_of_large_ones(void **state)
{
    (void)state;
    begin();
    run(8, 1, 87);
    assert_true(read_at(6.7e6) >= 8 && read_at(6.7e6) < 150);
    for (int i = 0; i < 4; i++)
        run(8 + 0.1 * i, 1, 80 + 20 * i);
    assert_true(read_at(6.7e6) >= 8 && read_at(6.7e6) < 150);
    begin();
    run(300, 1, 10e6); /* and of a large file the program's own part is not known to be small */
    assert_true(read_at(9e6) > 200 && read_at(40e6) > 300);
}

static void absurd_runs__left_out(void **state)
{
    (void)state;
    struct msg_recent_run runs[] = {
        {NAN, 1, 1}, {-5, 1, 1}, {100, INFINITY, 1}, {100, 1, NAN}, {1e300, 0, 1e300}};
    float costs[] = {(float)NAN, 1};
    const struct msg_allocation allocation = {.recent = {runs, FS_COUNT(runs)}, .method_costs = {costs, 2}};
    recent_read(&allocation, NULL, 0, &recent);
    assert_int_equal(recent.code.count, 2);
    assert_true(recent.costs[0] == 0 && recent.costs[1] == 1);
    for (int i = 0; i < 5; i++)
        run(1, 0, 5 * i);
    assert_true(isfinite(start()) && start() > 0);
    assert_true(isfinite(start_for(1e9)) && isfinite(again(3)));
}

static void storage__written_and_read__the_same(void **state)
{
    (void)state;
    static struct recent_storage storage;
    struct msg_allocation allocation = {.revision = 1};
    struct recent copy;
    begin();
    for (int i = 0; i < 50; i++)
        run(100 + i, i, i % 2 ? (double)NAN : 1000.0 + i);
    recent_write(&recent, &storage, &allocation);
    recent_read(&allocation, NULL, 0, &copy);
    assert_int_equal(copy.code.count, SIZING_RUNS_MAX);
    assert_memory_equal(copy.costs, recent.costs, sizeof copy.costs);
    for (size_t i = 0; i < copy.code.count; i++) {
        assert_true(copy.runs[i].peak == recent.runs[i].peak &&
                    copy.runs[i].seconds == recent.runs[i].seconds);
        assert_true(isnan(copy.runs[i].input) == isnan(recent.runs[i].input));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_known__nothing_said),
        cmocka_unit_test(equal_runs__margin_falls_with_their_number),
        cmocka_unit_test(noise__covers_what_comes_without_much_more),
        cmocka_unit_test(new_version__one_failure_and_it_stays),
        cmocka_unit_test(need_falls__down_within_five_runs),
        cmocka_unit_test(slow_growth__followed),
        cmocka_unit_test(sizes_in_turns__told_apart),
        cmocka_unit_test(two_sizes_at_random__cost_decides_and_a_failure_tells_which),
        cmocka_unit_test(raised_while_running__start_need_not_cover_all),
        cmocka_unit_test(raised_while_running__equal_runs_still_fit),
        cmocka_unit_test(outgrown__share_learned_and_forgotten),
        cmocka_unit_test(outgrown__others_speak_until_the_code_does),
        cmocka_unit_test(outgrown__absurd_counts__as_if_nothing_was_seen),
        cmocka_unit_test(rare_large_ones_of_before__wait_for_a_failure),
        cmocka_unit_test(input_told__curve),
        cmocka_unit_test(input_told_and_of_no_use__not_taken),
        cmocka_unit_test(few_inputs_close_together__say_nothing_of_others),
        cmocka_unit_test(a_tiny_input__says_little_of_large_ones),
        cmocka_unit_test(absurd_runs__left_out),
        cmocka_unit_test(storage__written_and_read__the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
