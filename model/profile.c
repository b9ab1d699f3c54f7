/* See profile.h. */
#include "model/profile.h"

#define GROWTH 1.05 /* VPA's */

/* Smallest bucket and largest value of each histogram. Memory starts at 1 MiB (VPA: 10 MB): executions may be
 * small. */
static const struct {
    double first, max;
} scales[PROFILE_QUANTITY_COUNT] = {
    [PROFILE_MEMORY_PEAK] = {1048576, 1e12}, [PROFILE_CPU_PEAK] = {10, 1e6},
    [PROFILE_CPU_TIME] = {0.05, 1e7},        [PROFILE_DURATION] = {0.05, 1e7},
    [PROFILE_IO_PEAK] = {65536, 1e11},       [PROFILE_NET_PEAK] = {65536, 1e11},
    [PROFILE_IO_TOTAL] = {1048576, 1e13},    [PROFILE_NET_TOTAL] = {1048576, 1e13},
};

void profile_init(struct profile *profile, struct str code)
{
    memset(profile, 0, sizeof *profile);
    str_copy(profile->code, sizeof profile->code, code);
    for (size_t i = 0; i < PROFILE_QUANTITY_COUNT; i++)
        histogram_init(&profile->histograms[i], scales[i].first, scales[i].max, GROWTH, PROFILE_HALF_LIFE_S);
    online_reset(&profile->head, "");
    online_reset(&profile->shadow, "");
}

static struct profile_position *find_position(const struct profile *profile, const char *topic,
                                              int32_t partition)
{
    for (uint32_t i = 0; i < profile->through_count; i++) {
        const struct profile_position *position = &profile->through[i];
        if (position->partition == partition && str_equal(str_of(position->topic), str_of(topic)))
            return (struct profile_position *)position;
    }
    return NULL;
}

bool profile_contains(const struct profile *profile, const struct profile_position *position)
{
    const struct profile_position *through = find_position(profile, position->topic, position->partition);
    return position->offset >= 0 && through && position->offset <= through->offset;
}

static void advance(struct profile *profile, const struct profile_position *position)
{
    if (position->offset < 0)
        return;
    struct profile_position *through = find_position(profile, position->topic, position->partition);
    if (!through && profile->through_count < PROFILE_THROUGH_MAX)
        through = &profile->through[profile->through_count++];
    if (!through) { /* a code lives on one partition; so many means topics were remade: drop the oldest */
        memmove(profile->through, profile->through + 1, sizeof profile->through - sizeof profile->through[0]);
        through = &profile->through[PROFILE_THROUGH_MAX - 1];
    }
    *through = *position;
}

static void add(struct profile *profile, enum profile_quantity quantity, double value, int64_t time_us)
{
    (void)histogram_add(&profile->histograms[quantity], value, 1, time_us); /* absurd values are left out */
}

static void add_demand(struct profile *profile, const struct msg_execution_record *record)
{
    const struct msg_counters *totals = &record->totals;
    int64_t time_us = record->ended_us;
    if (record->outcome != MSG_OUTCOME_FINISHED && record->outcome != MSG_OUTCOME_OOM_KILLED &&
        record->outcome != MSG_OUTCOME_TIMED_OUT)
        return;
    double peak = (double)totals->memory_peak_bytes *
                  (record->outcome == MSG_OUTCOME_OOM_KILLED ? PROFILE_OOM_BUMP : 1);
    struct profile_run run = {.what = request_identity(&record->request), .memory_peak = (float)peak};
    add(profile, PROFILE_MEMORY_PEAK, peak, time_us);
    add(profile, PROFILE_CPU_PEAK, record->peak_cpu_millicores, time_us);
    add(profile, PROFILE_IO_PEAK, (double)record->peak_io_bps, time_us);
    add(profile, PROFILE_NET_PEAK, (double)record->peak_net_bps, time_us);
    if (record->outcome == MSG_OUTCOME_FINISHED) {
        double cpu_s = (double)totals->cpu_usage_us * 1e-6,
               io = (double)totals->io_read_bytes + (double)totals->io_write_bytes;
        double duration_s = (double)(record->ended_us - record->started_us) * 1e-6,
               net = (double)totals->net_tx_bytes;
        add(profile, PROFILE_CPU_TIME, cpu_s, time_us);
        add(profile, PROFILE_DURATION, duration_s, time_us);
        add(profile, PROFILE_IO_TOTAL, io, time_us);
        add(profile, PROFILE_NET_TOTAL, net, time_us);
        run.finished = true;
        run.cpu_time_s = (float)cpu_s;
        run.duration_s = (float)duration_s;
        run.io_total = (float)io;
        run.net_total = (float)net;
        run.rise = rise_of_record(record);
    }
    fs_drop(profile_recent_add(profile, &run)); /* absurd ones are left out */
}

int profile_count(struct profile *profile, const struct msg_execution_record *record,
                  const struct profile_position *position, int64_t now_us)
{
    if (profile_contains(profile, position))
        return 0;
    advance(profile, position);
    profile->runs++;
    profile->finished += record->outcome == MSG_OUTCOME_FINISHED;
    if (record->cause > MSG_CAUSE_NONE && record->cause < MSG_CAUSE_COUNT)
        profile->failures[record->cause]++;
    add_demand(profile, record);
    profile->revision++;
    profile->updated_us = now_us;
    return 1;
}

static double quantile(const struct profile *profile, enum profile_quantity quantity, double share)
{
    return histogram_percentile(&profile->histograms[quantity], share);
}

void profile_summarise(const struct profile *profile, const struct request_identity *what,
                       struct profile_summary *out)
{
    *out = (struct profile_summary){
        .runs = profile->runs,
        .finished = profile->finished,
        .memory_p50 = quantile(profile, PROFILE_MEMORY_PEAK, 0.5),
        .memory_p95 = quantile(profile, PROFILE_MEMORY_PEAK, 0.95),
        .memory_max = histogram_max(&profile->histograms[PROFILE_MEMORY_PEAK]),
        .cpu_peak_p95 = quantile(profile, PROFILE_CPU_PEAK, 0.95),
        .cpu_time_p50_s = quantile(profile, PROFILE_CPU_TIME, 0.5),
        .cpu_time_p95_s = quantile(profile, PROFILE_CPU_TIME, 0.95),
        .duration_p50_s = quantile(profile, PROFILE_DURATION, 0.5),
        .duration_p95_s = quantile(profile, PROFILE_DURATION, 0.95),
        .io_peak_p95 = quantile(profile, PROFILE_IO_PEAK, 0.95),
        .net_peak_p95 = quantile(profile, PROFILE_NET_PEAK, 0.95),
        .io_total_p50 = quantile(profile, PROFILE_IO_TOTAL, 0.5),
        .net_total_p50 = quantile(profile, PROFILE_NET_TOTAL, 0.5),
    };
    if (what)
        profile_recent_summarise(profile, what, out);
}
