/* See stretch.h. Between two samples every counter is a straight line. */
#include "retrain/stretch.h"

#include <errno.h>
#include <stdlib.h>

#include "schemas/hints.h"

#define TICK_US 100000

#define COUNTER(field) offsetof(struct msg_counters, field)

/* Counters whose rate stays; their totals are multiplied. */
static const size_t rates[] = {
    COUNTER(cpu_usage_us), COUNTER(cpu_throttled_us), COUNTER(cpu_throttled_periods), COUNTER(cpu_periods),
    COUNTER(cpu_some_us),  COUNTER(memory_some_us),   COUNTER(memory_full_us),        COUNTER(io_some_us),
    COUNTER(io_full_us),   COUNTER(io_stall_us),      COUNTER(io_read_bytes),         COUNTER(io_write_bytes),
    COUNTER(io_read_ops),  COUNTER(io_write_ops),     COUNTER(net_rx_bytes),          COUNTER(net_tx_bytes),
    COUNTER(brake_us),
};
/* Those that follow memory: the same total, more slowly; so do the gauges that agents measure. */
static const size_t levels[] = {
    COUNTER(memory_bytes), COUNTER(memory_usage_bytes), COUNTER(memory_peak_bytes),
    COUNTER(page_faults),  COUNTER(major_faults),
};

static int64_t *field(struct msg_counters *counters, size_t offset)
{
    return (int64_t *)((char *)counters + offset);
}

static int64_t read_field(const struct msg_counters *counters, size_t offset)
{
    return *(const int64_t *)((const char *)counters + offset);
}

static int64_t between(int64_t before, int64_t after, double share, double factor)
{
    return (int64_t)(((double)before + ((double)after - (double)before) * share) * factor);
}

static bool is_level(struct str gauge)
{
    return str_equal(gauge, str_of(GAUGE_DATA)) || str_equal(gauge, str_of(GAUGE_INPUT_READ));
}

static const struct msg_custom_metric *find_gauge(const struct msg_series_point *point, struct str name)
{
    for (size_t i = 0; i < point->counters.custom.count; i++)
        if (str_equal(point->counters.custom.items[i].name, name))
            return &point->counters.custom.items[i];
    return NULL;
}

/* room: for as many gauges as either has. */
static void interpolate_gauges(const struct msg_series_point *before, const struct msg_series_point *after,
                               double share, struct msg_custom_metric *room, struct msg_series_point *out)
{
    struct msg_custom_metric_array *gauges = &out->counters.custom;
    for (size_t i = 0; i < gauges->count; i++) {
        room[i] = gauges->items[i];
        const struct msg_custom_metric *a = find_gauge(before, room[i].name),
                                       *b = find_gauge(after, room[i].name);
        if (a && b && is_level(room[i].name))
            room[i].value = a->value + (b->value - a->value) * share;
    }
    gauges->items = room;
}

static void interpolate(const struct msg_series_point *before, const struct msg_series_point *after,
                        double share, double factor, struct msg_custom_metric *room,
                        struct msg_series_point *out)
{
    /* Limits, kills, tasks, brake and the program's own gauges stay until the next sample. */
    *out = share < 1 ? *before : *after;
    interpolate_gauges(before, after, share, room, out);
    for (size_t i = 0; i < FS_COUNT(rates); i++)
        *field(&out->counters, rates[i]) = between(read_field(&before->counters, rates[i]),
                                                   read_field(&after->counters, rates[i]), share, factor);
    for (size_t i = 0; i < FS_COUNT(levels); i++)
        *field(&out->counters, levels[i]) = between(read_field(&before->counters, levels[i]),
                                                    read_field(&after->counters, levels[i]), share, 1);
}

static size_t most_gauges(const struct msg_execution_record *record)
{
    size_t most = 0;
    for (size_t i = 0; i < record->series.count; i++)
        most = FS_MAX(most, record->series.items[i].counters.custom.count);
    return most;
}

/* room: for `each` gauges of every point. */
static void fill(const struct msg_execution_record *record, double factor, struct msg_custom_metric *room,
                 size_t each, struct msg_execution_record *out)
{
    const struct msg_series_point *points = record->series.items;
    size_t last = record->series.count - 1, at = 0;
    double start = (double)record->started_us;
    for (size_t i = 0; i < out->series.count; i++) {
        struct msg_series_point *to = &out->series.items[i];
        int64_t time_us = out->started_us + (int64_t)(i + 1) * TICK_US;
        double source = start + ((double)time_us - start) / factor;
        while (at < last && (double)points[at + 1].time_us < source)
            at++;
        const struct msg_series_point *before = &points[at], *after = &points[FS_MIN(at + 1, last)];
        double span = (double)after->time_us - (double)before->time_us,
               share = (source - (double)before->time_us) / span;
        interpolate(before, after, span > 0 ? FS_MAX(FS_MIN(share, 1.0), 0.0) : 1, factor, room + i * each,
                    to);
        to->time_us = time_us;
    }
    out->series.items[out->series.count - 1].counters.oom_kills = points[last].counters.oom_kills;
}

int stretch_record(const struct msg_execution_record *record, double factor, struct msg_execution_record *out)
{
    if (record->series.count == 0 || !(factor >= 1) || !(factor <= 1000))
        return -EINVAL;
    double lasted_us = (double)(record->ended_us - record->started_us) * factor;
    if (!(lasted_us >= TICK_US) || lasted_us / TICK_US > STRETCH_POINTS_MAX)
        return -EINVAL;
    struct msg_execution_record made = *record;
    made.series.count = (size_t)(lasted_us / TICK_US);
    size_t each = most_gauges(record);
    if (each > STRETCH_GAUGES_MAX)
        return -EINVAL;
    /* One block, points and then their gauges. */
    made.series.items =
        calloc(made.series.count, sizeof *made.series.items + each * sizeof(struct msg_custom_metric));
    if (!made.series.items)
        return -ENOMEM;
    made.ended_us = record->started_us + (int64_t)lasted_us;
    made.request.timeout_ms = (int64_t)((double)record->request.timeout_ms * factor);
    for (size_t i = 0; i < FS_COUNT(rates); i++)
        *field(&made.totals, rates[i]) = between(read_field(&record->totals, rates[i]), 0, 0, factor);
    fill(record, factor, (struct msg_custom_metric *)(made.series.items + made.series.count), each, &made);
    *out = made;
    return 0;
}
