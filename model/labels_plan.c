/* Which hypothetical limits and deadlines are asked of a record; see labels.h. Numbers were chosen so that a
 * record gives about as many sequences that fail as that do not. */
#include "model/labels.h"

#include "model/random.h"

struct draw {
    const struct msg_execution_record *record;
    uint64_t seed;
    struct label_plan *plans;
    size_t count;
    double start_bytes, peak_bytes; /* memory near the start, and highest */
};

static void add(struct draw *draw, struct label_plan plan)
{
    if (draw->count < LABEL_PLANS_MAX &&
        (plan.memory_bytes == 0 || labels_hypothetical(draw->record, plan.memory_bytes)))
        draw->plans[draw->count++] = plan;
}

static void find_memory(struct draw *draw)
{
    const int64_t settled_us = 500000; /* loading the program itself is no growth */
    for (size_t i = 0; i < draw->record->series.count; i++) {
        const struct msg_series_point *p = &draw->record->series.items[i];
        double bytes = (double)p->counters.memory_bytes;
        if (i == 0 || p->time_us <= draw->record->started_us + settled_us)
            draw->start_bytes = fmax(draw->start_bytes, bytes);
        draw->peak_bytes = fmax(draw->peak_bytes, bytes);
    }
}

/* A limit that is crossed on the way up: half uniform in the logarithm from the start on, half nearer to the
 * peak. */
static double crossed(struct draw *draw, int i)
{
    double least = i % 2 ? 1.05 * draw->start_bytes : fmax(1.05 * draw->start_bytes, 0.4 * draw->peak_bytes);
    double most = 0.98 * draw->peak_bytes;
    return least < most ? random_log_between(&draw->seed, fmax(least, 1), most) : 0;
}

/* Some with a deadline that is met, so that a deadline alone is no sign. */
static void add_memory(struct draw *draw, double bytes)
{
    double lasted_ms = (double)(draw->record->ended_us - draw->record->started_us) / 1000;
    bool timed = draw->record->outcome == MSG_OUTCOME_FINISHED && random_unit(&draw->seed) < 0.3;
    struct label_plan plan = {.memory_bytes = (int64_t)bytes};
    if (timed)
        plan.timeout_ms = (int64_t)(lasted_ms * random_log_between(&draw->seed, 1.1, 5)) + 1;
    if (plan.memory_bytes > 0)
        add(draw, plan);
}

static void draw_memory(struct draw *draw)
{
    const double least_growth = 2097152; /* less than 2 MiB of growth is nobody's failure */
    if (draw->peak_bytes <= 0)
        return;
    if (draw->peak_bytes - draw->start_bytes > least_growth)
        for (int i = 0; i < 5; i++)
            add_memory(draw, crossed(draw, i));
    add_memory(draw, draw->peak_bytes * random_log_between(&draw->seed, 1.02, 1.15));
    add_memory(draw, draw->peak_bytes * random_log_between(&draw->seed, 1.05, 1.6));
    add_memory(draw, draw->peak_bytes * random_log_between(&draw->seed, 1.3, 8));
    if (draw->peak_bytes - draw->start_bytes <= least_growth || draw->record->totals.oom_kills > 0)
        return;
    for (int i = 0; i < 3; i++)
        add(draw, (struct label_plan){.memory_bytes = (int64_t)(draw->peak_bytes *
                                                                random_log_between(&draw->seed, 0.08, 0.7)),
                                      .raise_at = random_between(&draw->seed, 0.7, 0.98),
                                      .raise_by = random_between(&draw->seed, 1.15, 2.2)});
}

static void draw_deadlines(struct draw *draw)
{
    const struct msg_execution_record *record = draw->record;
    double lasted_ms = (double)(record->ended_us - record->started_us) / 1000;
    bool ended_itself = record->outcome == MSG_OUTCOME_FINISHED,
         missed = record->outcome == MSG_OUTCOME_TIMED_OUT;
    bool scarce = labels_deadline_cause(&record->totals, &record->last_limits,
                                        record->ended_us - record->started_us) != MSG_CAUSE_OTHER;
    if (lasted_ms < 1000 || !(ended_itself || missed))
        return;
    int shorter = scarce ? 3 : random_unit(&draw->seed) < 0.25, longer = ended_itself ? (scarce ? 3 : 1) : 0;
    for (int i = 0; i < shorter; i++)
        add(draw, (struct label_plan){.timeout_ms =
                                          (int64_t)(lasted_ms * random_log_between(&draw->seed, 0.3, 0.97))});
    for (int i = 0; i < longer; i++)
        add(draw, (struct label_plan){.timeout_ms =
                                          (int64_t)(lasted_ms * random_log_between(&draw->seed, 1.03, 4))});
}

size_t label_plans_draw(const struct msg_execution_record *record, uint64_t seed,
                        struct label_plan plans[LABEL_PLANS_MAX])
{
    struct draw draw = {.record = record, .seed = seed, .plans = plans};
    plans[draw.count++] = (struct label_plan){0};
    find_memory(&draw);
    draw_memory(&draw);
    draw_deadlines(&draw);
    return draw.count;
}
