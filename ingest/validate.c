/* See validate.h. */
#include "ingest/validate.h"

#include <math.h>

#include "schemas/limits.h"
#include "schemas/name.h"
#include "schemas/request.h"

#define TASKS_MAX (1 << 22) /* the kernel's PID_MAX_LIMIT */
#define CUSTOM_MAX 16
#define CUSTOM_NAME_MAX 64
#define CAPABILITIES_MAX 64
#define ADJUSTMENTS_MAX 256
#define BRAKES_MAX 64
#define SIGNAL_MAX 128
#define TEXT_MAX 4096

static bool within(int64_t value, int64_t most)
{
    return value >= 0 && value <= most;
}

static bool probability(float value)
{
    return value >= 0 && value <= 1; /* false for NaN */
}

bool validate_time(int64_t time_us, int64_t latest_us)
{
    return time_us >= VALID_TIME_LEAST_US && time_us <= latest_us;
}

static const char *custom_fault(const struct msg_custom_metric_array *custom)
{
    if (custom->count > CUSTOM_MAX)
        return "more than 16 custom metrics";
    for (size_t i = 0; i < custom->count; i++) {
        if (custom->items[i].name.size == 0 || custom->items[i].name.size > CUSTOM_NAME_MAX)
            return "the name of a custom metric is not 1..64 bytes";
        if (!isfinite(custom->items[i].value))
            return "a custom metric is not a finite number";
    }
    return NULL;
}

static const char *counters_fault(const struct msg_counters *c)
{
    const int64_t cumulative[] = {
        c->cpu_usage_us,   c->cpu_throttled_us, c->cpu_throttled_periods,
        c->cpu_periods,    c->cpu_some_us,      c->memory_some_us,
        c->memory_full_us, c->io_some_us,       c->io_full_us,
        c->io_stall_us,    c->io_read_bytes,    c->io_write_bytes,
        c->io_read_ops,    c->io_write_ops,     c->net_rx_bytes,
        c->net_tx_bytes,   c->page_faults,      c->major_faults,
        c->oom_kills,      c->brake_us,
    };
    for (size_t i = 0; i < FS_COUNT(cumulative); i++)
        if (!within(cumulative[i], VALID_COUNTER_MAX))
            return "a counter is negative or absurdly high";
    if (!within(c->memory_bytes, VALID_BYTES_MAX) || !within(c->memory_usage_bytes, VALID_BYTES_MAX) ||
        !within(c->memory_peak_bytes, VALID_BYTES_MAX))
        return "memory is negative or above 4 PiB";
    if (!within(c->tasks, TASKS_MAX))
        return "tasks is negative or above 4194304";
    return custom_fault(&c->custom);
}

static const char *sample_fault(const struct msg_sample *sample, int64_t latest_us)
{
    if (sample->attempt < 1 || sample->attempt > VALID_ATTEMPT_MAX)
        return "attempt is outside 1..1000000";
    if (!name_valid(sample->code, NAME_SIZE_MAX))
        return "code is not 1..128 bytes of [A-Za-z0-9._:+@/-]";
    if (!validate_time(sample->started_us, latest_us))
        return "started_us is before 2020 or in the future";
    if (!within(sample->timeout_ms, VALID_TIMEOUT_MAX_MS))
        return "timeout_ms is negative or above a year";
    if (sample->adjusted_sequence < 0)
        return "adjusted_sequence is negative";
    if (sample->command < 0 || !within(sample->input_bytes, INPUT_BYTES_MAX))
        return "command or input_bytes is negative or absurdly high";
    const char *fault = limits_fault(&sample->limits);
    return fault ? fault : counters_fault(&sample->counters);
}

const char *validate_tick(const struct msg_tick *tick, int64_t latest_us)
{
    if (tick->sequence < 0 || tick->dropped < 0 || tick->monotonic_us < 0)
        return "sequence, dropped or monotonic_us is negative";
    if (!validate_time(tick->time_us, latest_us))
        return "time_us is before 2020 or in the future";
    if (tick->samples.count > VALID_SAMPLES_MAX)
        return "more than 4096 samples";
    for (size_t i = 0; i < tick->samples.count; i++) {
        const char *fault = sample_fault(&tick->samples.items[i], latest_us);
        if (fault)
            return fault;
    }
    return NULL;
}

static const char *running_fault(const struct msg_running_attempt *running)
{
    if (running->attempt < 1 || running->attempt > VALID_ATTEMPT_MAX || running->placement < 0)
        return "attempt or placement of a running attempt is out of range";
    if (!name_valid(running->code, NAME_SIZE_MAX))
        return "code of a running attempt is not 1..128 bytes of [A-Za-z0-9._:+@/-]";
    if (!within(running->memory_bytes, VALID_BYTES_MAX))
        return "memory of a running attempt is negative or above 4 PiB";
    return limits_fault(&running->limits);
}

const char *validate_status(const struct msg_node_status *status, int64_t latest_us)
{
    const char *fault = limits_fault(&status->capacity);
    if (!validate_time(status->time_us, latest_us))
        return "time_us is before 2020 or in the future";
    if (!fault)
        fault = limits_fault(&status->committed);
    if (!fault)
        fault = limits_fault(&status->free);
    if (!fault && !within(status->capacity.memory_bytes, VALID_BYTES_MAX))
        fault = "capacity has more than 4 PiB of memory";
    if (!fault &&
        (status->running.count > VALID_SAMPLES_MAX || status->capabilities.count > CAPABILITIES_MAX ||
         status->short_.count > (size_t)VALID_SAMPLES_MAX * MSG_CAUSE_COUNT))
        fault = "too many running attempts, capabilities or refused raises";
    for (size_t i = 0; !fault && i < status->running.count; i++)
        fault = running_fault(&status->running.items[i]);
    for (size_t i = 0; !fault && i < status->short_.count; i++)
        if (status->short_.items[i].wanted < 0)
            fault = "a refused raise wanted less than nothing";
    return fault;
}

const char *validate_event(const struct msg_execution_event *event, int64_t latest_us)
{
    if (event->pool.size == 0 || event->pool.size > NAME_SIZE_MAX)
        return "pool is not 1..128 bytes";
    if (!validate_time(event->time_us, latest_us))
        return "time_us is before 2020 or in the future";
    if (event->kind == MSG_EVENT_KIND_REFUSED)
        return NULL; /* answers an offer that may itself be absurd: the sender must hear of it */
    if (event->attempt < 1 || event->attempt > VALID_ATTEMPT_MAX || event->placement < 0)
        return "attempt or placement is out of range";
    if (!name_valid(event->code, NAME_SIZE_MAX))
        return "code is not 1..128 bytes of [A-Za-z0-9._:+@/-]";
    if (!within(event->memory_peak_bytes, VALID_BYTES_MAX))
        return "memory_peak_bytes is negative or above 4 PiB";
    if (event->exit_status < -1 || event->exit_status > 255 || !within(event->signal, SIGNAL_MAX))
        return "exit_status is outside -1..255 or signal outside 0..128";
    return limits_fault(&event->limits);
}

static const char *series_fault(const struct msg_series_point_array *series, int64_t latest_us)
{
    const char *fault = NULL;
    for (size_t i = 0; !fault && i < series->count; i++) {
        const struct msg_series_point *point = &series->items[i];
        if (!validate_time(point->time_us, latest_us))
            return "the series has a time before 2020 or in the future";
        fault = limits_fault(&point->limits);
        if (!fault)
            fault = counters_fault(&point->counters);
    }
    return fault;
}

static const char *record_limits_fault(const struct msg_execution_record *record)
{
    const char *fault = limits_fault(&record->first_limits);
    if (!fault)
        fault = limits_fault(&record->highest_limits);
    return fault ? fault : limits_fault(&record->last_limits);
}

const char *validate_record(const struct msg_execution_record *record, int64_t latest_us)
{
    if (!name_valid(record->code, NAME_SIZE_MAX))
        return "code is not 1..128 bytes of [A-Za-z0-9._:+@/-]";
    if (record->pool.size == 0 || record->pool.size > NAME_SIZE_MAX)
        return "pool is not 1..128 bytes";
    if (record->attempt < 1 || record->attempt > VALID_ATTEMPT_MAX || record->placement < 0)
        return "attempt or placement is out of range";
    if ((record->started_us != 0 &&
         !validate_time(record->started_us, latest_us)) || /* 0: never got so far */
        !validate_time(record->ended_us, latest_us))
        return "started_us or ended_us is before 2020 or in the future";
    if (record->exit_status < -1 || record->exit_status > 255 || !within(record->signal, SIGNAL_MAX))
        return "exit_status is outside -1..255 or signal outside 0..128";
    if (record->peak_cpu_millicores < 0 || !within(record->peak_io_bps, VALID_COUNTER_MAX) ||
        !within(record->peak_net_bps, VALID_COUNTER_MAX))
        return "a peak is negative or absurdly high";
    if (!probability(record->propensity) || !probability(record->series_inclusion) ||
        record->series_stride < 0)
        return "propensity or series_inclusion is no probability, or series_stride is negative";
    if (record->adjustments.count > ADJUSTMENTS_MAX || record->brakes.count > BRAKES_MAX ||
        record->raised.count > MSG_CAUSE_COUNT || record->adjustments_dropped < 0 ||
        record->detail.size > TEXT_MAX)
        return "more adjustments, brakes or causes than there can be, or a detail of more than 4096 bytes";
    const char *fault = record_limits_fault(record);
    if (!fault)
        fault = counters_fault(&record->totals);
    return fault ? fault : series_fault(&record->series, latest_us);
}
