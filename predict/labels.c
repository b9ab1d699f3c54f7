/* See labels.h. Walks the series from its end, so that what happens within the horizon of a tick is known
 * when it is met. */
#include "predict/labels.h"

/* Whether the end of the attempt is a failure of this cause. */
static bool ends_by(const struct msg_execution_record *record, enum msg_cause cause)
{
    switch (cause) {
    case MSG_CAUSE_MEMORY:
        return record->outcome == MSG_OUTCOME_OOM_KILLED;
    case MSG_CAUSE_CPU:
    case MSG_CAUSE_IO:
    case MSG_CAUSE_NET:
        return record->outcome == MSG_OUTCOME_TIMED_OUT && record->cause == cause;
    default:
        return record->outcome == MSG_OUTCOME_CRASHED;
    }
}

static bool cut_short(const struct msg_execution_record *record)
{
    return record->outcome == MSG_OUTCOME_KILLED || record->outcome == MSG_OUTCOME_LOST ||
           record->outcome == MSG_OUTCOME_NONE;
}

/* The limit crossed by what came later within the horizon; a killed program never gets past its limit, so
 * that the kernel's own count says it. `highest` is the most memory used within the horizon after the tick.
 */
static bool memory_fails(const struct msg_series_point *point, int64_t highest, int64_t kills)
{
    int64_t limit = point->limits.memory_bytes;
    return limit > 0 && (highest > limit || kills > point->counters.oom_kills);
}

static bool acted_near(const struct msg_execution_record *record, enum msg_cause cause, int64_t time_us,
                       int64_t horizon_us)
{
    for (size_t i = 0; i < record->adjustments.count; i++) {
        const struct msg_applied_adjustment *applied = &record->adjustments.items[i];
        int64_t apart_us = applied->applied_us - time_us;
        if (applied->adjustment.cause == cause && applied->adjustment.direction == MSG_DIRECTION_RAISE &&
            applied->result == MSG_ADJUSTMENT_RESULT_APPLIED && apart_us <= horizon_us &&
            apart_us >= -horizon_us)
            return true;
    }
    return false;
}

/* Most memory and kills within the horizon after point i: both only matter as "more than", so the window's
 * end is found by a second index that moves back with i, and the maximum by looking again when it left the
 * window. */
struct window {
    size_t last; /* last point within the horizon of the current one */
    size_t highest;
};

static int64_t memory_at(const struct msg_series_point *points, size_t i)
{
    return points[i].counters.memory_bytes;
}

static void window_move(struct window *window, const struct msg_series_point *points, size_t i,
                        int64_t horizon_us)
{
    while (window->last > i && points[window->last].time_us - points[i].time_us > horizon_us)
        window->last--;
    if (window->highest <= window->last) {
        if (memory_at(points, i) > memory_at(points, window->highest))
            window->highest = i;
        return;
    }
    window->highest = i;
    for (size_t j = i; j <= window->last; j++)
        if (memory_at(points, j) > memory_at(points, window->highest))
            window->highest = j;
}

static int8_t label(const struct msg_execution_record *record, const struct msg_series_point *point,
                    enum msg_cause cause, bool crossed, int64_t horizon_us)
{
    bool end_near = record->ended_us - point->time_us <= horizon_us;
    if (crossed || (end_near && ends_by(record, cause)))
        return cause == MSG_CAUSE_MEMORY && point->limits.memory_bytes <= 0 ? 0 : 1;
    if (end_near && cut_short(record))
        return -1;
    if (cause >= MSG_CAUSE_CPU && cause <= MSG_CAUSE_NET &&
        acted_near(record, cause, point->time_us, horizon_us))
        return -1;
    return 0;
}

void labels_of(const struct msg_execution_record *record, size_t first, size_t count, int64_t horizon_ms,
               int8_t (*labels)[ONLINE_CAUSES])
{
    const struct msg_series_point *points = record->series.items;
    if (count == 0)
        return;
    struct window window = {.last = first + count - 1, .highest = first + count - 1};
    for (size_t i = first + count; i-- > first;) {
        window_move(&window, points, i, horizon_ms * 1000);
        bool crossed = memory_fails(&points[i], memory_at(points, window.highest),
                                    points[window.last].counters.oom_kills);
        for (size_t c = 0; c < ONLINE_CAUSES; c++) {
            enum msg_cause cause = (enum msg_cause)(MSG_CAUSE_MEMORY + c);
            labels[i - first][c] =
                label(record, &points[i], cause, crossed && cause == MSG_CAUSE_MEMORY, horizon_ms * 1000);
        }
    }
}
