/* See score.h. */
#include "model/score.h"

#include <math.h>
#include <stdlib.h>

const int64_t score_leads_ms[SCORE_LEADS] = {1000, 2000, 5000};

struct ranked {
    float score, label, weight;
};

static int highest_first(const void *a, const void *b)
{
    float left = ((const struct ranked *)a)->score, right = ((const struct ranked *)b)->score;
    return left > right ? -1 : left < right;
}

double score_average_precision(const float *scores, const float *labels, const float *weights, size_t count)
{
    struct ranked *ranked = calloc(count ? count : 1, sizeof *ranked);
    double positives = 0, found = 0, seen = 0, area = 0;
    if (!ranked)
        return NAN;
    for (size_t i = 0; i < count; i++) {
        ranked[i] = (struct ranked){scores[i], labels[i], weights ? weights[i] : 1};
        positives += labels[i] > 0.5f ? (double)ranked[i].weight : 0;
    }
    qsort(ranked, count, sizeof *ranked, highest_first);
    for (size_t i = 0; i < count;) {
        double before = found;
        float score = ranked[i].score;
        for (; i < count && ranked[i].score == score; i++) {
            seen += (double)ranked[i].weight;
            found += ranked[i].label > 0.5f ? (double)ranked[i].weight : 0;
        }
        area += seen > 0 ? (found - before) * (found / seen) : 0;
    }
    free(ranked);
    return positives > 0 ? area / positives : NAN;
}

double score_brier(const float *probabilities, const float *labels, const float *weights, size_t count)
{
    double sum = 0, total = 0;
    for (size_t i = 0; i < count; i++) {
        double weight = weights ? (double)weights[i] : 1, miss = (double)probabilities[i] - (double)labels[i];
        sum += weight * miss * miss;
        total += weight;
    }
    return total > 0 ? sum / total : NAN;
}

double score_calibration_error(const float *probabilities, const float *labels, const float *weights,
                               size_t count)
{
    double weight[10] = {0}, mean[10] = {0}, positive[10] = {0}, total = 0, error = 0;
    for (size_t i = 0; i < count; i++) {
        size_t bin = FS_MIN((size_t)(fmax((double)probabilities[i], 0) * 10), (size_t)9);
        double w = weights ? (double)weights[i] : 1;
        weight[bin] += w;
        mean[bin] += w * (double)probabilities[i];
        positive[bin] += w * (double)labels[i];
        total += w;
    }
    for (size_t bin = 0; bin < 10; bin++)
        error += fabs(mean[bin] - positive[bin]);
    return total > 0 ? error / total : NAN;
}

/* Counts the alarms of one series; *earliest_ms is the start of the first true one, INT64_MAX = none. */
static void count_alarms(const struct score_series *series, float threshold, int64_t horizon_ms,
                         struct score_alarms *out, int64_t *earliest_ms)
{
    bool up = false;
    int64_t since = 0;
    *earliest_ms = INT64_MAX;
    for (size_t i = 0; i < series->ticks && series->time_ms[i] < series->failure_ms; i++) {
        bool above = series->scores[i] >= threshold;
        if (above && (!up || series->time_ms[i] - since >= horizon_ms)) {
            since = series->time_ms[i];
            bool true_alarm = series->failure_ms != INT64_MAX && series->failure_ms - since <= horizon_ms;
            *(true_alarm ? &out->true_alarms : &out->false_alarms) += 1;
            if (true_alarm && *earliest_ms == INT64_MAX)
                *earliest_ms = since;
        }
        up = above;
    }
}

void score_alarms(const struct score_series *series, size_t count, float threshold, int64_t horizon_ms,
                  struct score_alarms *out)
{
    size_t hits[SCORE_LEADS] = {0};
    *out = (struct score_alarms){.hours = 0};
    for (size_t s = 0; s < count; s++) {
        int64_t earliest;
        count_alarms(&series[s], threshold, horizon_ms, out, &earliest);
        if (series[s].ticks > 0) {
            int64_t end = FS_MIN(series[s].time_ms[series[s].ticks - 1], series[s].failure_ms);
            out->hours += (double)FS_MAX(end - series[s].time_ms[0], 0) / 3.6e6;
        }
        if (series[s].failure_ms == INT64_MAX)
            continue;
        out->failures++;
        for (size_t l = 0; l < SCORE_LEADS; l++)
            hits[l] += earliest != INT64_MAX && series[s].failure_ms - earliest >= score_leads_ms[l];
    }
    for (size_t l = 0; l < SCORE_LEADS; l++)
        out->recall[l] = out->failures ? (double)hits[l] / (double)out->failures : NAN;
    out->false_alarms_per_hour = out->hours > 0 ? (double)out->false_alarms / out->hours : 0;
}

float score_threshold(const struct score_series *series, size_t count, const float *thresholds,
                      size_t threshold_count, int64_t horizon_ms, double false_alarms_per_hour)
{
    for (size_t i = 0; i < threshold_count; i++) {
        struct score_alarms alarms;
        score_alarms(series, count, thresholds[i], horizon_ms, &alarms);
        if (alarms.false_alarms_per_hour <= false_alarms_per_hour)
            return thresholds[i];
    }
    return threshold_count ? thresholds[threshold_count - 1] : 1;
}
