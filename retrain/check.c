/* See check.h. */
#include "retrain/check.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/hash.h"

#define SECOND_US 1000000.0
#define DAY_US (86400 * (int64_t)1000000)
#define LONGEST_US (366 * DAY_US)     /* nobody runs longer; and differences stay far from an overflow */
#define SLACK_US 10000000             /* a sample may lie this far outside: clocks are set */
#define BYTES_MOST ((int64_t)1 << 50) /* 1 PiB: more than any machine's memory; also of bytes per second */
#define CORES_MOST 4096.0
#define TIMEOUT_SHARE 0.9 /* of its timeout that a run which timed out must have lasted */

const char *check_fault_name(enum check_fault fault)
{
    static const char *const names[CHECK_FAULT_COUNT] = {"fine", "numbers", "times", "counters", "outcome"};
    return names[fault];
}

static bool is_share(float value)
{
    return isfinite(value) && value >= 0 && value <= 1;
}

static bool times_fit(const struct msg_execution_record *record, int64_t now_us)
{
    if (record->started_us < 0 || record->ended_us < record->started_us ||
        record->ended_us > now_us + DAY_US || record->ended_us - record->started_us > LONGEST_US)
        return false;
    int64_t before_us = record->started_us - SLACK_US;
    for (size_t i = 0; i < record->series.count; i++) {
        int64_t time_us = record->series.items[i].time_us;
        if (time_us < before_us || time_us > record->ended_us + SLACK_US)
            return false;
        before_us = time_us;
    }
    return true;
}

static bool bytes_fit(int64_t value)
{
    return value >= 0 && value <= BYTES_MOST;
}

static bool counters_fit(const struct msg_counters *c, double elapsed_us)
{
    const int64_t counted[] = {c->cpu_throttled_us,
                               c->cpu_throttled_periods,
                               c->cpu_periods,
                               c->cpu_some_us,
                               c->memory_some_us,
                               c->memory_full_us,
                               c->io_some_us,
                               c->io_full_us,
                               c->io_stall_us,
                               c->io_read_bytes,
                               c->io_write_bytes,
                               c->io_read_ops,
                               c->io_write_ops,
                               c->net_rx_bytes,
                               c->net_tx_bytes,
                               c->page_faults,
                               c->major_faults,
                               c->oom_kills,
                               c->tasks,
                               c->brake_us};
    for (size_t i = 0; i < FS_COUNT(counted); i++)
        if (counted[i] < 0)
            return false;
    return bytes_fit(c->memory_bytes) && bytes_fit(c->memory_usage_bytes) &&
           bytes_fit(c->memory_peak_bytes) && c->cpu_usage_us >= 0 &&
           (double)c->cpu_usage_us <= CORES_MOST * (elapsed_us + (double)SLACK_US);
}

static bool limits_fit(const struct msg_limits *l)
{
    return bytes_fit(l->memory_bytes) && bytes_fit(l->io_read_bps) && bytes_fit(l->io_write_bps) &&
           bytes_fit(l->net_egress_bps) && l->cpu_millicores >= 0;
}

static bool measured_fit(const struct msg_execution_record *record)
{
    if (!limits_fit(&record->first_limits) || !limits_fit(&record->highest_limits) ||
        !limits_fit(&record->last_limits) ||
        !counters_fit(&record->totals, (double)(record->ended_us - record->started_us)))
        return false;
    for (size_t i = 0; i < record->series.count; i++) {
        const struct msg_series_point *point = &record->series.items[i];
        if (!limits_fit(&point->limits) ||
            !counters_fit(&point->counters, fmax(0, (double)(point->time_us - record->started_us))))
            return false;
    }
    return true;
}

/* The kernel's counters are the truth about memory, the clock about deadlines (design: agent/outcome.c judges
 * by them, so a record that says otherwise was not written by it). */
static bool outcome_fits(const struct msg_execution_record *record)
{
    bool killed = record->outcome == MSG_OUTCOME_OOM_KILLED;
    double lasted_us = (double)(record->ended_us - record->started_us);
    if (killed != (record->totals.oom_kills > 0))
        return false;
    if (killed)
        return record->cause == MSG_CAUSE_MEMORY;
    if (record->outcome == MSG_OUTCOME_FINISHED)
        return record->exit_status == 0 && record->signal == 0 && record->cause == MSG_CAUSE_NONE;
    if (record->outcome == MSG_OUTCOME_TIMED_OUT)
        return record->request.timeout_ms > 0 &&
               lasted_us >= TIMEOUT_SHARE * 1000 * (double)record->request.timeout_ms;
    if (record->outcome == MSG_OUTCOME_CRASHED)
        return record->cause == MSG_CAUSE_OTHER && (record->exit_status != 0 || record->signal != 0);
    return true;
}

enum check_fault check_record(const struct msg_execution_record *record, int64_t now_us)
{
    if (!is_share(record->series_inclusion) || !is_share(record->propensity))
        return CHECK_NUMBERS;
    if (!times_fit(record, now_us))
        return CHECK_TIMES;
    if (!measured_fit(record))
        return CHECK_COUNTERS;
    return outcome_fits(record) ? CHECK_FINE : CHECK_OUTCOME;
}

uint64_t check_tenant(const struct msg_execution_record *record)
{
    uint64_t parts[2] = {hash_bytes(record->pool.data, record->pool.size),
                         hash_bytes(record->request.user.data, record->request.user.size)};
    return hash_bytes(parts, sizeof parts);
}

/* --- how many of one --- */

struct crowd {
    uint64_t group;
    int64_t ended_us;
    size_t index;
};

/* By group, the newest first; among equals by index, so that the choice is repeatable. */
static int by_group(const void *a, const void *b)
{
    const struct crowd *left = a, *right = b;
    if (left->group != right->group)
        return left->group < right->group ? -1 : 1;
    if (left->ended_us != right->ended_us)
        return left->ended_us > right->ended_us ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

/* Unmarks what is more than this share; returns how many. alone: also where all are one group. */
static size_t thin(struct crowd *crowd, size_t count, double share, bool alone, bool *kept)
{
    size_t most = FS_MAX((size_t)(share * (double)count), (size_t)CHECK_LEAST), dropped = 0, rank = 0;
    qsort(crowd, count, sizeof *crowd, by_group);
    if (count == 0 || (!alone && crowd[0].group == crowd[count - 1].group))
        return 0;
    for (size_t i = 0; i < count; i++) {
        rank = i > 0 && crowd[i].group == crowd[i - 1].group ? rank + 1 : 0;
        if (rank < most)
            continue;
        kept[crowd[i].index] = false;
        dropped++;
    }
    return dropped;
}

static size_t gather(const struct msg_execution_record *records, size_t count, const bool *kept, bool tenants,
                     struct crowd *crowd)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        if (kept[i])
            crowd[used++] = (struct crowd){tenants ? check_tenant(&records[i])
                                                   : hash_bytes(records[i].code.data, records[i].code.size),
                                           records[i].ended_us, i};
    return used;
}

int64_t check_choose(const struct msg_execution_record *records, size_t count,
                     const struct check_limits *limits, size_t *chosen, struct check_counts *counts)
{
    struct crowd *crowd = calloc(count + 1, sizeof *crowd);
    bool *kept = calloc(count + 1, sizeof *kept);
    int64_t used = 0;
    *counts = (struct check_counts){0};
    if (!crowd || !kept) {
        free(crowd);
        free(kept);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        enum check_fault fault = check_record(&records[i], limits->now_us);
        counts->faulty[fault]++;
        kept[i] = fault == CHECK_FINE;
    }
    counts->crowded = thin(crowd, gather(records, count, kept, false, crowd), limits->code_share, true, kept);
    counts->crowded +=
        thin(crowd, gather(records, count, kept, true, crowd), limits->tenant_share, false, kept);
    for (size_t i = 0; i < count; i++)
        if (kept[i])
            chosen[used++] = i;
    free(crowd);
    free(kept);
    return used;
}
