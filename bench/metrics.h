/* Scores of yes/no answers that only the benchmarks need; average precision is model/score.h's. */
#ifndef FORESTALL_BENCH_METRICS_H
#define FORESTALL_BENCH_METRICS_H

#include "common/base.h"

/* Area under the ROC curve: the chance that a positive scores above a negative, ties half (Mann & Whitney
 * 1947). NAN without both kinds or out of memory. */
double metrics_auc(const float *scores, const float *labels, size_t count);

struct metrics_decisions {
    size_t true_positives, false_positives, false_negatives, true_negatives;
    double accuracy, precision, recall, f1; /* 0 where nothing is to divide by */
};

/* Positive = a score at or above the threshold. */
struct metrics_decisions metrics_decide(const float *scores, const float *labels, size_t count,
                                        float threshold);

#endif
