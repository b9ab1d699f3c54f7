/* See metrics.h. */
#include "bench/metrics.h"

#include <math.h>
#include <stdlib.h>

struct ranked {
    float score;
    bool positive;
};

static int lowest_first(const void *a, const void *b)
{
    float left = ((const struct ranked *)a)->score, right = ((const struct ranked *)b)->score;
    return left < right ? -1 : left > right;
}

double metrics_auc(const float *scores, const float *labels, size_t count)
{
    struct ranked *ranked = calloc(count ? count : 1, sizeof *ranked);
    double below = 0, positives = 0, wins = 0; /* below: negatives of lower score */
    if (!ranked)
        return NAN;
    for (size_t i = 0; i < count; i++)
        ranked[i] = (struct ranked){scores[i], labels[i] > 0.5f};
    qsort(ranked, count, sizeof *ranked, lowest_first);
    for (size_t i = 0; i < count;) {
        float score = ranked[i].score;
        double tied[2] = {0, 0};
        for (; i < count && ranked[i].score == score; i++)
            tied[ranked[i].positive] += 1;
        wins += tied[1] * (below + tied[0] / 2);
        positives += tied[1];
        below += tied[0];
    }
    free(ranked);
    return positives > 0 && below > 0 ? wins / (positives * below) : NAN;
}

static double share(size_t part, size_t rest)
{
    return part + rest > 0 ? (double)part / (double)(part + rest) : 0;
}

struct metrics_decisions metrics_decide(const float *scores, const float *labels, size_t count,
                                        float threshold)
{
    struct metrics_decisions d = {0};
    for (size_t i = 0; i < count; i++) {
        bool said = scores[i] >= threshold, is = labels[i] > 0.5f;
        d.true_positives += said && is;
        d.false_positives += said && !is;
        d.false_negatives += !said && is;
        d.true_negatives += !said && !is;
    }
    d.accuracy = share(d.true_positives + d.true_negatives, d.false_positives + d.false_negatives);
    d.precision = share(d.true_positives, d.false_positives);
    d.recall = share(d.true_positives, d.false_negatives);
    d.f1 = share(2 * d.true_positives, d.false_positives + d.false_negatives);
    return d;
}
