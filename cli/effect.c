/* See effect.h. */
#include "cli/effect.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "agent/limit_marks.h"
#include "common/map.h"

#define NORMAL_95 1.959963984540054 /* two-sided */
#define GIB_HOUR_US (1073741824.0 * 3600e6)

struct effect {
    struct effect_tally all, *codes;
    size_t count, capacity;
    struct map *by_code; /* value: 1 + index */
    struct map *seen;    /* attempts counted */
    struct map *alarmed; /* held-out attempts with an alarm */
    uint64_t dropped;
};

struct effect *effect_create(void)
{
    struct effect *effect = calloc(1, sizeof *effect);
    if (!effect)
        return NULL;
    effect->by_code = map_create(EFFECT_CODES_MAX);
    effect->seen = map_create(EFFECT_ATTEMPTS_MAX);
    effect->alarmed = map_create(EFFECT_ATTEMPTS_MAX);
    if (effect->by_code && effect->seen && effect->alarmed)
        return effect;
    effect_destroy(effect);
    return NULL;
}

void effect_destroy(struct effect *effect)
{
    if (!effect)
        return;
    map_destroy(effect->by_code);
    map_destroy(effect->seen);
    map_destroy(effect->alarmed);
    free(effect->codes);
    free(effect);
}

struct key {
    uint8_t bytes[20];
};

static struct key key_of(const uint8_t execution[16], int32_t attempt)
{
    struct key key;
    memcpy(key.bytes, execution, 16);
    memcpy(key.bytes + 16, &attempt, sizeof attempt);
    return key;
}

/* 1: it was new; 0: it was there, or does not fit any more; -ENOMEM. */
static int mark(struct effect *effect, struct map *map, const struct key *key)
{
    if (map_get(map, key->bytes, sizeof key->bytes))
        return 0;
    int result = map_put(map, key->bytes, sizeof key->bytes, effect);
    effect->dropped += result == -ENOSPC;
    return result == -ENOSPC ? 0 : result < 0 ? result : 1;
}

int effect_take_risk(struct effect *effect, const struct msg_risk *risk)
{
    if (!risk->above || risk->arm != MSG_ARM_HELD_OUT)
        return 0;
    struct key key = key_of(risk->execution, risk->attempt);
    int result = mark(effect, effect->alarmed, &key);
    return result < 0 ? result : 0;
}

static int grow(struct effect *effect)
{
    if (effect->count < effect->capacity)
        return 0;
    size_t capacity = effect->capacity ? 2 * effect->capacity : 64;
    struct effect_tally *codes = realloc(effect->codes, capacity * sizeof *codes);
    if (!codes)
        return -ENOMEM;
    effect->codes = codes;
    effect->capacity = capacity;
    return 0;
}

/* 0 with *out = NULL when there are too many codes. */
static int tally_of(struct effect *effect, struct str code, struct effect_tally **out)
{
    uintptr_t known = (uintptr_t)map_get(effect->by_code, code.data, code.size);
    *out = NULL;
    if (known == 0) {
        int result = grow(effect);
        if (result == 0)
            result = map_put(effect->by_code, code.data, code.size, (void *)(uintptr_t)(effect->count + 1));
        effect->dropped += result == -ENOSPC;
        if (result < 0)
            return result == -ENOSPC ? 0 : result;
        effect->codes[effect->count] = (struct effect_tally){0};
        (void)str_copy(effect->codes[effect->count].code, sizeof effect->codes->code,
                       code); /* as validated */
        known = ++effect->count;
    }
    *out = &effect->codes[known - 1];
    return 0;
}

/* --- one attempt --- */

static bool is_failure(const struct msg_execution_record *record)
{
    bool ended = record->outcome == MSG_OUTCOME_OOM_KILLED || record->outcome == MSG_OUTCOME_TIMED_OUT ||
                 record->outcome == MSG_OUTCOME_CRASHED;
    return ended && record->cause != MSG_CAUSE_NONE && record->cause != MSG_CAUSE_OTHER;
}

static bool is_raise(const struct msg_applied_adjustment *applied)
{
    return applied->adjustment.direction == MSG_DIRECTION_RAISE &&
           applied->result <= MSG_ADJUSTMENT_RESULT_PARTLY;
}

static bool raised_memory(const struct msg_applied_adjustment *applied)
{
    return is_raise(applied) && applied->after.memory_bytes > applied->before.memory_bytes;
}

static void count_raises(struct effect_tally *tally, const struct msg_execution_record *record)
{
    bool raised = false, memory = false;
    for (size_t i = 0; i < record->adjustments.count; i++) {
        raised |= is_raise(&record->adjustments.items[i]);
        memory |= raised_memory(&record->adjustments.items[i]);
    }
    double first = (double)record->first_limits.memory_bytes, peak = (double)record->totals.memory_peak_bytes;
    tally->raised += raised;
    tally->outgrew += record->outcome == MSG_OUTCOME_FINISHED && first > 0 && peak > first;
    tally->false_alarms += memory && first > 0 && peak <= limit_brake_level(first) &&
                           record->brakes.count == 0 && record->totals.oom_kills == 0;
}

/* What the attempt was given: its limit over time, exact from the adjustments. */
static double given_gib_h(const struct msg_execution_record *record)
{
    double limit = (double)record->first_limits.memory_bytes, sum = 0;
    int64_t from_us = record->started_us;
    for (size_t i = 0; i < record->adjustments.count; i++) {
        const struct msg_applied_adjustment *applied = &record->adjustments.items[i];
        if (applied->result > MSG_ADJUSTMENT_RESULT_PARTLY || applied->applied_us < from_us)
            continue;
        sum += limit * (double)(applied->applied_us - from_us);
        limit = (double)applied->after.memory_bytes;
        from_us = applied->applied_us;
    }
    return (sum + limit * (double)FS_MAX(record->ended_us - from_us, 0)) / GIB_HOUR_US;
}

/* From the series, straight between samples, as many times as the series stands for. */
static void count_slack(struct effect_tally *tally, const struct msg_execution_record *record)
{
    double inclusion = (double)record->series_inclusion;
    double weight = inclusion > 0 && inclusion < 1 ? 1 / inclusion : 1;
    for (size_t i = 1; i < record->series.count; i++) {
        const struct msg_series_point *before = &record->series.items[i - 1], *after = before + 1;
        double span_us = (double)FS_MAX(after->time_us - before->time_us, 0),
               limit = (double)before->limits.memory_bytes;
        double used = ((double)before->counters.memory_bytes + (double)after->counters.memory_bytes) / 2;
        if (limit <= 0)
            continue;
        tally->slack_gib_h += weight * fmax(limit - used, 0) * span_us / GIB_HOUR_US;
        tally->slack_share_s += weight * fmax(1 - used / limit, 0) * span_us / 1e6;
        tally->seconds += weight * span_us / 1e6;
    }
}

static void count_arm(struct effect_tally *tally, const struct msg_execution_record *record)
{
    double propensity = (double)record->propensity;
    if (record->attempt != 1 || !(propensity > 0) || propensity >= 1)
        return;
    struct effect_arm *arm = &tally->arms[record->arm == MSG_ARM_HELD_OUT];
    double weight = 1 / propensity;
    bool failed = is_failure(record);
    arm->attempts++;
    arm->failed += failed;
    arm->weight += weight;
    arm->weight_squares += weight * weight;
    arm->failed_weight += failed ? weight : 0;
}

static void count(struct effect_tally *tally, const struct msg_execution_record *record, bool held_out_alarm)
{
    bool failed = is_failure(record);
    tally->attempts++;
    tally->executions += record->attempt == 1;
    tally->failed += failed;
    tally->held_out_alarms += held_out_alarm;
    tally->held_out_false += held_out_alarm && !failed;
    count_arm(tally, record);
    count_raises(tally, record);
    if (record->outcome == MSG_OUTCOME_FINISHED)
        count_slack(tally, record);
    else if (failed)
        tally->failed_gib_h += given_gib_h(record);
}

int effect_take_record(struct effect *effect, const struct msg_execution_record *record)
{
    struct key key = key_of(record->execution, record->attempt);
    struct effect_tally *tally;
    int result = mark(effect, effect->seen, &key);
    if (result <= 0)
        return result;
    bool alarm = map_get(effect->alarmed, key.bytes, sizeof key.bytes) != NULL;
    count(&effect->all, record, alarm);
    result = tally_of(effect, record->code, &tally);
    if (result == 0 && tally)
        count(tally, record, alarm);
    return result;
}

/* --- what is told --- */

const struct effect_tally *effect_all(const struct effect *effect)
{
    return &effect->all;
}

static int by_name(const void *a, const void *b)
{
    const struct effect_tally *x = a, *y = b;
    return strcmp(x->code, y->code);
}

const struct effect_tally *effect_codes(struct effect *effect, size_t *count)
{
    *count = effect->count;
    if (effect->count == 0)
        return effect->codes;
    qsort(effect->codes, effect->count, sizeof *effect->codes, by_name);
    for (size_t i = 0; i < effect->count; i++) /* present: the value changes in place */
        fs_drop(map_put(effect->by_code, effect->codes[i].code, strlen(effect->codes[i].code),
                        (void *)(uintptr_t)(i + 1)));
    return effect->codes;
}

uint64_t effect_dropped(const struct effect *effect)
{
    return effect->dropped;
}

/* Wilson's interval for a share of n (need not be whole) at 95 %. */
static void wilson(double share, double n, double *low, double *high)
{
    const double z = NORMAL_95, square = z * z;
    double middle = (share + square / (2 * n)) / (1 + square / n);
    double half = z / (1 + square / n) * sqrt(fmax(share * (1 - share), 0) / n + square / (4 * n * n));
    *low = fmax(middle - half, 0);
    *high = fmin(middle + half, 1);
}

bool effect_averted(const struct effect_tally *tally, struct effect_averted *out)
{
    double share[2], low[2], high[2];
    for (size_t i = 0; i < 2; i++) {
        const struct effect_arm *arm = &tally->arms[i];
        if (arm->attempts == 0)
            return false;
        share[i] = arm->failed_weight / arm->weight;
        wilson(share[i], arm->weight * arm->weight / arm->weight_squares, &low[i], &high[i]);
    }
    double more = share[1] - share[0];
    *out = (struct effect_averted){.share = more,
                                   .low = more - hypot(share[1] - low[1], high[0] - share[0]),
                                   .high = more + hypot(high[1] - share[1], share[0] - low[0]),
                                   .count = (double)tally->arms[0].attempts};
    return true;
}
