/* See alarms.h. ETA rules: facts of kerno's rule; run on non-reclaimable memory, which favours them. */
#include "retrain/alarms.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "model/alarm_level.h"

#define THRESHOLDS 400
#define DEADLINES_LEAST 20 /* missed ones, for a share of them to mean something */

const char *alarms_rule_name(enum alarms_rule rule)
{
    static const char *const names[ALARMS_RULE_COUNT] = {"model", "eta_100ms", "eta_5s", "headroom"};
    return names[rule];
}

bool alarms_count(const struct example *example)
{
    const struct msg_execution_record *record = example->record;
    bool moved = example->plan.raise_at > 0 ||
                 (example->plan.memory_bytes == 0 &&
                  record->highest_limits.memory_bytes != record->first_limits.memory_bytes);
    return !moved && example->labels.features[FEATURE_MEMORY_LIMITED] > 0;
}

float alarms_score(const struct labels *labels, const struct network_output *answers, size_t tick,
                   enum alarms_rule rule)
{
    const float *features = labels->features + tick * FEATURE_COUNT;
    if (rule == ALARMS_ETA_FAST)
        return features[FEATURE_MEMORY_EXHAUSTION_FAST];
    if (rule == ALARMS_ETA_SLOW)
        return features[FEATURE_MEMORY_EXHAUSTION_SLOW];
    if (rule == ALARMS_HEADROOM)
        return features[FEATURE_MEMORY_TO_LIMIT];
    return answers[tick].probabilities[MSG_CAUSE_MEMORY - 1];
}

void alarms_levels(const struct labels *labels, const struct network_output *answers, size_t cause,
                   float *out)
{
    float level = 0;
    for (size_t t = 0; t < labels->ticks; t++) {
        const float *now = labels->features + t * FEATURE_COUNT, *before = now - (t ? FEATURE_COUNT : 0);
        bool follows = t && (now[FEATURE_HAS_PROFILE] > 0) == (before[FEATURE_HAS_PROFILE] > 0);
        float keeps = follows ? alarm_level_keeps(labels->time_ms[t] - labels->time_ms[t - 1]) : 0;
        level = alarm_level_next(level, alarm_log_odds(answers[t].probabilities[cause]), keeps);
        out[t] = 1 / (1 + expf(-level));
    }
}

static void score_ticks(const struct labels *labels, const struct network_output *answers,
                        enum alarms_rule rule, float *out)
{
    if (rule == ALARMS_MODEL) {
        alarms_levels(labels, answers, MSG_CAUSE_MEMORY - 1, out);
        return;
    }
    for (size_t t = 0; t < labels->ticks; t++)
        out[t] = alarms_score(labels, answers, t, rule);
}

int alarms_make(const struct dataset *dataset, const struct answers *answers, enum alarms_rule rule,
                struct alarms *out)
{
    struct alarms made = {.series = calloc(dataset->count + 1, sizeof *made.series),
                          .scores = calloc(dataset->ticks + 1, sizeof *made.scores)};
    size_t used = 0;
    if (!made.series || !made.scores) {
        alarms_fini(&made);
        return -ENOMEM;
    }
    for (size_t e = 0; e < dataset->count; e++) {
        const struct example *example = &dataset->items[e];
        const struct labels *labels = &example->labels;
        if (!alarms_count(example))
            continue;
        made.series[made.count++] = (struct score_series){
            .scores = made.scores + used,
            .time_ms = labels->time_ms,
            .ticks = labels->ticks,
            .failure_ms = labels->cause == MSG_CAUSE_MEMORY ? labels->failure_ms : INT64_MAX};
        score_ticks(labels, answers->items[e], rule, made.scores + used);
        used += labels->ticks;
    }
    *out = made;
    return 0;
}

void alarms_fini(struct alarms *alarms)
{
    free(alarms->series);
    free(alarms->scores);
    *alarms = (struct alarms){0};
}

float alarms_choose(const struct alarms *alarms, int32_t horizon_ms, double false_alarms_per_hour)
{
    float thresholds[THRESHOLDS]; /* closer towards 0 and 1, where probabilities crowd */
    for (size_t i = 0; i < THRESHOLDS; i++)
        thresholds[i] = (float)(1 / (1 + exp(-8 + 16 * (double)(THRESHOLDS - 1 - i) / (THRESHOLDS - 1))));
    return score_threshold(alarms->series, alarms->count, thresholds, THRESHOLDS, horizon_ms,
                           false_alarms_per_hour);
}

bool alarms_deadline(const struct example *example, size_t cause)
{
    const struct labels *labels = &example->labels;
    return labels->features[FEATURE_HAS_TIMEOUT] > 0 && labels->mask[cause] > 0;
}

static int rising(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

/* The highest level within the first half of the time, of each deadline that was missed; returns how many
 * there are. levels: room for the ticks of any example. */
static size_t highest_by_half(const struct dataset *dataset, const struct answers *answers, size_t cause,
                              float *levels, float *out)
{
    size_t missed = 0;
    for (size_t e = 0; e < dataset->count; e++) {
        const struct labels *labels = &dataset->items[e].labels;
        if (!alarms_deadline(&dataset->items[e], cause) || labels->label[cause] < 0.5f)
            continue;
        alarms_levels(labels, answers->items[e], cause, levels);
        out[missed] = 0;
        for (size_t t = 0; t < labels->ticks; t++)
            if (labels->features[t * FEATURE_COUNT + FEATURE_ELAPSED_TO_TIMEOUT] <= 0.5f)
                out[missed] = fmaxf(out[missed], levels[t]);
        missed++;
    }
    return missed;
}

/* The highest that so large a share of the missed ones reaches. */
static float deadline_threshold(float *highest, size_t missed, double share)
{
    /* Below, a remote chance would be an alarm; above, what is likelier than not would be none. */
    const float least = 0.25f, most = 0.5f;
    size_t passed_over = (size_t)((1 - share) * (double)missed);
    if (missed < DEADLINES_LEAST)
        return most;
    qsort(highest, missed, sizeof *highest, rising);
    return passed_over < missed ? fminf(fmaxf(highest[passed_over], least), most) : most;
}

int alarms_thresholds(const struct dataset *dataset, const struct answers *answers,
                      const struct alarms_goal *goal, float out[NETWORK_CAUSES])
{
    struct alarms alarms;
    float *highest = calloc(dataset->count + 1, sizeof *highest),
          *levels = calloc(dataset->ticks + 1, sizeof *levels);
    int result = highest && levels ? alarms_make(dataset, answers, ALARMS_MODEL, &alarms) : -ENOMEM;
    if (result == 0) {
        for (size_t cause = 0; cause < NETWORK_CAUSES; cause++)
            out[cause] = 0.5f;
        if (alarms.count > 0)
            out[MSG_CAUSE_MEMORY - 1] = alarms_choose(&alarms, ALARMS_HORIZON_MS, goal->per_hour);
        for (size_t cause = MSG_CAUSE_CPU - 1; cause < MSG_CAUSE_OTHER - 1; cause++)
            out[cause] = deadline_threshold(
                highest, highest_by_half(dataset, answers, cause, levels, highest), goal->foreseen);
        alarms_fini(&alarms);
    }
    free(levels);
    free(highest);
    return result;
}
