/* Labels of hand-made records: leaks, raises, kills, deadlines, open ends; and that every drawn plan can be
 * answered. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "model/labels.h"

#define MIB ((int64_t)1048576)
#define T0 1700000000000000
#define HORIZON_MS 10000
#define POINTS_MAX 1000

struct world {
    struct msg_series_point points[POINTS_MAX];
    struct msg_execution_record record;
    struct labels labels;
};

/* Ticks of 100 ms; memory in MiB as a function of the tick. */
static struct world *world_of(size_t points, double (*memory_mib)(size_t tick), enum msg_outcome outcome,
                              enum msg_cause cause)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    for (size_t i = 0; i < points; i++) {
        struct msg_series_point *p = &world->points[i];
        p->time_us = T0 + (int64_t)(i + 1) * 100000;
        p->counters.memory_bytes = (int64_t)(memory_mib(i) * (double)MIB);
        p->counters.memory_usage_bytes = p->counters.memory_bytes + 4 * MIB;
        p->counters.tasks = 1;
    }
    world->record = (struct msg_execution_record){.attempt = 1,
                                                  .started_us = T0,
                                                  .ended_us = world->points[points - 1].time_us,
                                                  .outcome = outcome,
                                                  .cause = cause,
                                                  .totals = world->points[points - 1].counters,
                                                  .series = {.items = world->points, .count = points}};
    return world;
}

static void free_world(struct world *world)
{
    labels_fini(&world->labels);
    free(world);
}

static void make(struct world *world, struct label_plan plan)
{
    labels_fini(&world->labels);
    assert_int_equal(labels_make(&world->record, &plan, NULL, HORIZON_MS, &world->labels), 0);
}

static float label(const struct world *world, size_t tick, enum msg_cause cause)
{
    return world->labels.label[tick * NETWORK_CAUSES + cause - 1];
}

static float mask(const struct world *world, size_t tick, enum msg_cause cause)
{
    return world->labels.mask[tick * NETWORK_CAUSES + cause - 1];
}

/* -1: not known. horizon: 0 = 2 s, 1 = 30 s. */
static int within(const struct world *world, size_t tick, size_t horizon, enum msg_cause cause)
{
    return world->labels.horizons[(tick * NETWORK_HORIZONS + horizon) * NETWORK_CAUSES + cause - 1];
}

static float demand(const struct world *world, size_t tick, enum demand_resource resource)
{
    return world->labels.demand[tick * NETWORK_RESOURCES + resource];
}

static float demand_mask(const struct world *world, size_t tick, enum demand_resource resource)
{
    return world->labels.demand_mask[tick * NETWORK_RESOURCES + resource];
}

static double leak(size_t tick) /* 1 MiB per tick: 10 MiB/s */
{
    return (double)tick;
}

static double flat(size_t tick)
{
    (void)tick;
    return 50;
}

static void make__hypothetical_limit__cut_there_and_positive_one_horizon_before(void **state)
{
    (void)state;
    struct world *world = world_of(400, leak, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    make(world, (struct label_plan){.memory_bytes = 200 * MIB});
    assert_int_equal(world->labels.ticks, 199); /* tick 199 is the first above 0.99 of it */
    assert_int_equal(world->labels.failure_ms, 20000);
    assert_int_equal(world->labels.cause, MSG_CAUSE_MEMORY);
    assert_true(label(world, 98, MSG_CAUSE_MEMORY) == 0 && label(world, 99, MSG_CAUSE_MEMORY) == 1);
    assert_true(label(world, 198, MSG_CAUSE_MEMORY) == 1 && mask(world, 50, MSG_CAUSE_MEMORY) == 1);
    assert_true(world->labels.features[FEATURE_MEMORY_LIMITED] == 1);
    /* the demand ahead is the recording's own, beyond the limit: 10 s ahead of tick 198 are 298 MiB */
    assert_true(fabs((double)demand(world, 198, DEMAND_MEMORY) - log(299.0 / 199.0)) < 1e-5);
    assert_true(demand_mask(world, 198, DEMAND_MEMORY) == 1);
    free_world(world);
}

static void make__horizons__memory_within_2_and_30_s(void **state)
{
    (void)state;
    struct world *world = world_of(600, leak, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    make(world, (struct label_plan){.memory_bytes = 400 * MIB}); /* crossed by sample 397 */
    size_t last = world->labels.ticks - 1;
    assert_true(within(world, last - 20, 0, MSG_CAUSE_MEMORY) == 0 &&
                within(world, last - 19, 0, MSG_CAUSE_MEMORY) == 1);
    assert_true(label(world, last - 100, MSG_CAUSE_MEMORY) == 0 &&
                label(world, last - 99, MSG_CAUSE_MEMORY) == 1);
    assert_true(within(world, last - 300, 1, MSG_CAUSE_MEMORY) == 0 &&
                within(world, last - 299, 1, MSG_CAUSE_MEMORY) == 1);
    assert_int_equal(within(world, last, 1, MSG_CAUSE_OTHER), 0);
    free_world(world);
}

static void make__horizons__what_comes_after_a_kill_is_not_known(void **state)
{
    (void)state;
    struct world *world = world_of(400, flat, MSG_OUTCOME_KILLED, MSG_CAUSE_NONE);
    make(world, (struct label_plan){.memory_bytes = 100 * MIB});
    size_t last = world->labels.ticks - 1;
    assert_int_equal(within(world, last, 0, MSG_CAUSE_MEMORY), -1);
    assert_int_equal(within(world, last - 50, 0, MSG_CAUSE_MEMORY), 0);
    assert_int_equal(within(world, last - 50, 1, MSG_CAUSE_OTHER), -1);
    assert_int_equal(within(world, last - 350, 1, MSG_CAUSE_OTHER), 0);
    free_world(world);
}

static void make__limit_above_the_peak__negative(void **state)
{
    (void)state;
    struct world *world = world_of(400, leak, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    make(world, (struct label_plan){.memory_bytes = 410 * MIB});
    assert_int_equal(world->labels.ticks, 400);
    assert_int_equal(world->labels.failure_ms, INT64_MAX);
    for (size_t t = 0; t < 400; t++)
        assert_true(label(world, t, MSG_CAUSE_MEMORY) == 0 && mask(world, t, MSG_CAUSE_MEMORY) == 1);
    free_world(world);
}

static void make__raised_in_time__still_positive_for_the_limit_before(void **state)
{
    (void)state;
    struct world *world = world_of(400, leak, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    for (size_t i = 0; i < 400; i++)
        world->points[i].limits.memory_bytes = (i < 180 ? 200 : 500) * MIB;
    make(world, (struct label_plan){0});
    assert_int_equal(world->labels.ticks, 400);
    assert_true(label(world, 100, MSG_CAUSE_MEMORY) == 0 && label(world, 101, MSG_CAUSE_MEMORY) == 1);
    assert_true(label(world, 179, MSG_CAUSE_MEMORY) == 1 && label(world, 180, MSG_CAUSE_MEMORY) == 0);
    free_world(world);
}

static void make__staircase__acts_and_never_dies(void **state)
{
    (void)state;
    struct world *world = world_of(400, leak, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    make(world, (struct label_plan){.memory_bytes = 100 * MIB, .raise_at = 0.9, .raise_by = 2});
    assert_int_equal(world->labels.ticks, 400);
    assert_int_equal(world->labels.failure_ms, INT64_MAX);
    assert_true(label(world, 80, MSG_CAUSE_MEMORY) == 1); /* 100 MiB are crossed in 2 s */
    assert_true(label(world, 92, MSG_CAUSE_MEMORY) == 0); /* 198 MiB in 10.7 s */
    assert_true(label(world, 110, MSG_CAUSE_MEMORY) == 1);
    free_world(world);
}

/* A program three times as large, under three times the limit: only absolute sizes differ. */
static void make__larger_program__same_beside_its_limit(void **state)
{
    (void)state;
    struct world *world = world_of(100, leak, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    struct msg_custom_metric gauges[] = {{str_of("progress"), 0.5}, {str_of("data_bytes"), 150.0 * MIB}};
    for (size_t i = 0; i < 100; i++)
        world->points[i].counters.custom = (struct msg_custom_metric_array){gauges, FS_COUNT(gauges)};
    make(world, (struct label_plan){.memory_bytes = 60 * MIB});
    float as_it_is[FEATURE_COUNT], *larger;
    memcpy(as_it_is, world->labels.features + (size_t)20 * FEATURE_COUNT, sizeof as_it_is);
    make(world, (struct label_plan){.memory_bytes = 60 * MIB, .memory_scale = 3});
    larger = world->labels.features + (size_t)20 * FEATURE_COUNT;
    static const size_t same[] = {FEATURE_MEMORY_TO_LIMIT, FEATURE_DATA_TO_LIMIT, FEATURE_DATA_TO_MEMORY,
                                  FEATURE_PROGRESS};
    for (size_t i = 0; i < FS_COUNT(same); i++)
        assert_true(as_it_is[same[i]] != 0 && fabsf(as_it_is[same[i]] - larger[same[i]]) < 1e-4f);
    assert_true(larger[FEATURE_MEMORY_LOG] > as_it_is[FEATURE_MEMORY_LOG]);
    make(world, (struct label_plan){.memory_bytes = 60 * MIB, .uncounted = true});
    const float *uncounted = world->labels.features + (size_t)20 * FEATURE_COUNT;
    assert_true(uncounted[FEATURE_HAS_DATA] == 0 && uncounted[FEATURE_DATA_TO_LIMIT] == 0);
    assert_true(uncounted[FEATURE_PROGRESS] == as_it_is[FEATURE_PROGRESS]);
    free_world(world);
}

static void make__oom_kill__ends_at_the_first_kill_and_demand_is_a_bound(void **state)
{
    (void)state;
    struct world *world = world_of(400, leak, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
    for (size_t i = 0; i < 400; i++) {
        world->points[i].limits.memory_bytes = 150 * MIB;
        if (i >= 150) { /* a child was killed; the rest lives on */
            world->points[i].counters.memory_bytes = 10 * MIB;
            world->points[i].counters.oom_kills = 1;
        }
    }
    world->record.totals.oom_kills = 1;
    make(world, (struct label_plan){0});
    assert_int_equal(world->labels.ticks, 150);
    assert_int_equal(world->labels.failure_ms, 15100);
    assert_true(label(world, 49, MSG_CAUSE_MEMORY) == 0 && label(world, 50, MSG_CAUSE_MEMORY) == 1);
    assert_true(demand_mask(world, 40, DEMAND_MEMORY) == 1);
    assert_true(demand_mask(world, 60, DEMAND_MEMORY) == -1);
    struct label_plan above = {.memory_bytes = 160 * MIB};
    struct labels unused;
    assert_int_equal(labels_make(&world->record, &above, NULL, HORIZON_MS, &unused), -EINVAL);
    free_world(world);
}

static void throttle(struct world *world, size_t points)
{
    for (size_t i = 0; i < points; i++) {
        struct msg_series_point *p = &world->points[i];
        p->limits.cpu_millicores = 200;
        p->counters.cpu_usage_us = (int64_t)(i + 1) * 20000;
        p->counters.cpu_throttled_us = (int64_t)(i + 1) * 80000;
        p->counters.cpu_periods = (int64_t)i + 1;
        p->counters.cpu_throttled_periods = (int64_t)i + 1;
    }
    world->record.totals = world->points[points - 1].counters;
    world->record.last_limits = world->points[points - 1].limits;
}

static void make__deadline_missed_for_cpu__positive_from_the_start(void **state)
{
    (void)state;
    struct world *world = world_of(300, flat, MSG_OUTCOME_TIMED_OUT, MSG_CAUSE_CPU);
    throttle(world, 300);
    world->record.request.timeout_ms = 30000;
    make(world, (struct label_plan){0});
    for (size_t t = 0; t < 300; t++) {
        assert_true(label(world, t, MSG_CAUSE_CPU) == 1 && mask(world, t, MSG_CAUSE_CPU) == 1);
        assert_true(label(world, t, MSG_CAUSE_IO) == 0 && label(world, t, MSG_CAUSE_OTHER) == 0);
    }
    assert_true(demand_mask(world, 20, DEMAND_CPU) < 0); /* it wanted more */
    make(world, (struct label_plan){.timeout_ms = 20000});
    assert_int_equal(world->labels.ticks, 199);
    assert_int_equal(world->labels.cause, MSG_CAUSE_CPU);
    struct label_plan later = {.timeout_ms = 40000};
    struct labels unused;
    assert_int_equal(labels_make(&world->record, &later, NULL, HORIZON_MS, &unused), -EINVAL);
    free_world(world);
}

static void make__cpu_raised_and_finished__masked_around_the_raise(void **state)
{
    (void)state;
    struct world *world = world_of(300, flat, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    throttle(world, 300);
    for (size_t i = 100; i < 300; i++)
        world->points[i].limits.cpu_millicores = 1000;
    world->record.request.timeout_ms = 60000;
    make(world, (struct label_plan){0});
    assert_true(mask(world, 50, MSG_CAUSE_CPU) == 0 && mask(world, 200, MSG_CAUSE_CPU) == 0);
    assert_true(mask(world, 201, MSG_CAUSE_CPU) == 1 && label(world, 201, MSG_CAUSE_CPU) == 0);
    assert_true(mask(world, 50, MSG_CAUSE_IO) == 1);
    free_world(world);
}

/* One in ten was held out: it answers for the nine whose window is masked. A quiet one answers for itself. */
static void make__held_out__counts_by_the_inverse_of_its_propensity(void **state)
{
    (void)state;
    struct world *world = world_of(100, flat, MSG_OUTCOME_TIMED_OUT, MSG_CAUSE_CPU);
    world->record.request.timeout_ms = 10000;
    world->record.arm = MSG_ARM_HELD_OUT;
    world->record.propensity = 0.1f;
    make(world, (struct label_plan){0});
    assert_float_equal(label(world, 0, MSG_CAUSE_CPU), 1, 0);
    assert_float_equal(mask(world, 0, MSG_CAUSE_CPU), 10, 1e-4);
    assert_float_equal(mask(world, 0, MSG_CAUSE_IO), 1, 0);
    assert_float_equal(mask(world, 0, MSG_CAUSE_MEMORY), 1, 0); /* a raise hides nothing there */
    world->record.outcome = MSG_OUTCOME_FINISHED;
    world->record.cause = MSG_CAUSE_NONE;
    make(world, (struct label_plan){0});
    assert_float_equal(mask(world, 0, MSG_CAUSE_CPU), 1, 0);
    world->record.last_limits.cpu_millicores = 500; /* stalled, and met its deadline */
    world->record.totals.cpu_throttled_us = 5000000;
    world->record.propensity = 0.01f;
    make(world, (struct label_plan){0});
    assert_float_equal(label(world, 0, MSG_CAUSE_CPU), 0, 0);
    assert_float_equal(mask(world, 0, MSG_CAUSE_CPU), 20, 1e-4); /* bounded */
    world->record.arm = MSG_ARM_TREATED;
    make(world, (struct label_plan){0});
    assert_float_equal(mask(world, 0, MSG_CAUSE_CPU), 1, 0);
    free_world(world);
}

static void make__deadline_and_an_oom_kill__unknown_whether_it_was_met(void **state)
{
    (void)state;
    struct world *world = world_of(100, leak, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
    world->record.totals.oom_kills = 1;
    world->record.request.timeout_ms = 60000;
    make(world, (struct label_plan){0});
    assert_true(mask(world, 50, MSG_CAUSE_CPU) == 0 && mask(world, 50, MSG_CAUSE_MEMORY) == 1);
    free_world(world);
}

static void make__crash__other_within_the_horizon(void **state)
{
    (void)state;
    struct world *world = world_of(300, flat, MSG_OUTCOME_CRASHED, MSG_CAUSE_OTHER);
    make(world, (struct label_plan){0});
    assert_true(label(world, 150, MSG_CAUSE_OTHER) == 0 && label(world, 250, MSG_CAUSE_OTHER) == 1);
    assert_int_equal(world->labels.cause, MSG_CAUSE_OTHER);
    free_world(world);
}

static void make__cancelled__the_last_horizon_is_masked(void **state)
{
    (void)state;
    struct world *world = world_of(300, flat, MSG_OUTCOME_KILLED, MSG_CAUSE_NONE);
    make(world, (struct label_plan){0});
    assert_true(mask(world, 150, MSG_CAUSE_MEMORY) == 1 && mask(world, 250, MSG_CAUSE_MEMORY) == 0);
    assert_true(mask(world, 250, MSG_CAUSE_OTHER) == 0);
    assert_true(demand_mask(world, 250, DEMAND_MEMORY) == -1);
    assert_int_equal(world->labels.failure_ms, INT64_MAX);
    free_world(world);
}

static void make__no_series__no_data(void **state)
{
    (void)state;
    struct msg_execution_record record = {.outcome = MSG_OUTCOME_FINISHED};
    struct labels unused;
    assert_int_equal(labels_make(&record, &(struct label_plan){0}, NULL, HORIZON_MS, &unused), -ENODATA);
}

static void make__absurd_times__no_harm(void **state)
{
    (void)state;
    struct world *world = world_of(50, leak, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    for (size_t i = 0; i < 50; i++)
        world->points[i].time_us = i % 3 ? T0 - (int64_t)i : T0 + 90000000;
    make(world, (struct label_plan){.memory_bytes = 20 * MIB});
    for (size_t i = 0; i < world->labels.ticks * FEATURE_COUNT; i++)
        assert_true(isfinite(world->labels.features[i]));
    struct label_plan as_recorded = {0};
    struct labels unused;
    world->points[7].time_us = INT64_MAX - 5;
    assert_int_equal(labels_make(&world->record, &as_recorded, NULL, HORIZON_MS, &unused), -EINVAL);
    free_world(world);
}

static void draw__any_record__every_plan_is_answered(void **state)
{
    (void)state;
    static const enum msg_outcome outcomes[] = {MSG_OUTCOME_FINISHED, MSG_OUTCOME_OOM_KILLED,
                                                MSG_OUTCOME_TIMED_OUT, MSG_OUTCOME_CRASHED,
                                                MSG_OUTCOME_KILLED};
    static const enum msg_cause causes[] = {MSG_CAUSE_NONE, MSG_CAUSE_MEMORY, MSG_CAUSE_CPU, MSG_CAUSE_OTHER,
                                            MSG_CAUSE_NONE};
    for (size_t o = 0; o < FS_COUNT(outcomes); o++) {
        struct world *world = world_of(200, leak, outcomes[o], causes[o]);
        struct label_plan plans[LABEL_PLANS_MAX];
        size_t failing = 0, passing = 0;
        if (outcomes[o] == MSG_OUTCOME_OOM_KILLED) {
            world->record.totals.oom_kills = 1;
            for (size_t i = 0; i < 200; i++)
                world->points[i].limits.memory_bytes = 200 * MIB;
        }
        throttle(world, 200);
        size_t count = label_plans_draw(&world->record, 42, plans);
        assert_true(count >= 1 && count <= LABEL_PLANS_MAX);
        assert_true(plans[0].memory_bytes == 0 && plans[0].timeout_ms == 0);
        for (size_t i = 0; i < count; i++) {
            make(world, plans[i]);
            *(world->labels.failure_ms == INT64_MAX ? &passing : &failing) += 1;
        }
        print_message("%s: %zu plans, %zu fail, %zu do not\n", msg_outcome_name(outcomes[o]), count, failing,
                      passing);
        assert_true(failing >= 2);
        free_world(world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(make__hypothetical_limit__cut_there_and_positive_one_horizon_before),
        cmocka_unit_test(make__horizons__memory_within_2_and_30_s),
        cmocka_unit_test(make__horizons__what_comes_after_a_kill_is_not_known),
        cmocka_unit_test(make__limit_above_the_peak__negative),
        cmocka_unit_test(make__raised_in_time__still_positive_for_the_limit_before),
        cmocka_unit_test(make__staircase__acts_and_never_dies),
        cmocka_unit_test(make__larger_program__same_beside_its_limit),
        cmocka_unit_test(make__oom_kill__ends_at_the_first_kill_and_demand_is_a_bound),
        cmocka_unit_test(make__deadline_missed_for_cpu__positive_from_the_start),
        cmocka_unit_test(make__cpu_raised_and_finished__masked_around_the_raise),
        cmocka_unit_test(make__deadline_and_an_oom_kill__unknown_whether_it_was_met),
        cmocka_unit_test(make__crash__other_within_the_horizon),
        cmocka_unit_test(make__held_out__counts_by_the_inverse_of_its_propensity),
        cmocka_unit_test(make__cancelled__the_last_horizon_is_masked),
        cmocka_unit_test(make__no_series__no_data),
        cmocka_unit_test(make__absurd_times__no_harm),
        cmocka_unit_test(draw__any_record__every_plan_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
