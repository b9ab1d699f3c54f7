/* See alarms.h. ETA rules: facts of kerno's rule; run on non-reclaimable memory, which favours them. */
#include "retrain/alarms.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define THRESHOLDS 400

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
        for (size_t t = 0; t < labels->ticks; t++)
            made.scores[used++] = alarms_score(labels, answers->items[e], t, rule);
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

int alarms_threshold(const struct dataset *dataset, const struct answers *answers,
                     double false_alarms_per_hour, float *out)
{
    struct alarms alarms;
    int result = alarms_make(dataset, answers, ALARMS_MODEL, &alarms);
    if (result < 0)
        return result;
    *out = alarms_choose(&alarms, ALARMS_HORIZON_MS, false_alarms_per_hour);
    alarms_fini(&alarms);
    return 0;
}
