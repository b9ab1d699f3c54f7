/* Scores of a predictor on recorded executions. Per tick: average precision, Brier score, expected
 * calibration error. Per execution: recall at a lead time, with false alarms per hour. An alarm is a crossing
 * of the threshold from below; it lasts at most the horizon, and one still up after that counts again. It is
 * true when the failure comes within the horizon after its start. */
#ifndef FORESTALL_MODEL_SCORE_H
#define FORESTALL_MODEL_SCORE_H

#include "common/base.h"

/* Area under precision-recall by steps, as scikit-learn's average_precision_score: sum (R_n - R_n-1) P_n over
 * distinct scores, highest first. NAN without positives or out of memory. labels 0/1; weights may be NULL
 * (all 1). */
double score_average_precision(const float *scores, const float *labels, const float *weights, size_t count);
/* Mean squared error of probabilities. */
double score_brier(const float *probabilities, const float *labels, const float *weights, size_t count);
/* Ten equal bins, weighted mean of |mean probability - share of positives|. */
double score_calibration_error(const float *probabilities, const float *labels, const float *weights,
                               size_t count);

/* One execution as a predictor saw it. */
struct score_series {
    const float *scores;    /* [ticks], higher = more alarmed */
    const int64_t *time_ms; /* [ticks], rising */
    size_t ticks;
    int64_t failure_ms; /* when it failed or would have; INT64_MAX = never */
};

#define SCORE_LEADS 3
extern const int64_t score_leads_ms[SCORE_LEADS]; /* 1, 2 and 5 s */

struct score_alarms {
    double recall[SCORE_LEADS];   /* share of failures with a true alarm at least so long before */
    double false_alarms_per_hour; /* of watched time before the failure */
    size_t failures, true_alarms, false_alarms;
    double hours;
};

/* Failures that come sooner after the start than a lead still count in its recall: nothing is left out. */
void score_alarms(const struct score_series *series, size_t count, float threshold, int64_t horizon_ms,
                  struct score_alarms *out);
/* The lowest of the given thresholds (rising) with at most this rate of false alarms; the highest when none
 * has. */
float score_threshold(const struct score_series *series, size_t count, const float *thresholds,
                      size_t threshold_count, int64_t horizon_ms, double false_alarms_per_hour);

#endif
