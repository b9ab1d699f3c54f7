/* What a policy did on a trace. wastage: GiB·h of what was given and not used, and of tries that failed. */
#ifndef FORESTALL_REPLAY_SCORE_H
#define FORESTALL_REPLAY_SCORE_H

#include "common/base.h"

struct score {
    uint64_t executions;
    uint64_t failures;    /* tries that were killed */
    uint64_t retries;     /* tries after a killed one */
    uint64_t given_up;    /* executions that fitted in no try */
    uint64_t first_tries; /* executions that finished in their first try */
    uint64_t changes;     /* of a limit: from one try of a code to its next, and while one runs */
    double slack_gib_h, failed_gib_h;
    double slack_share_s, seconds; /* of tries that finished: share of the limit not used, times its time */
    double stalled_s;              /* held in the brake */
    uint64_t ooms_to_recover; /* most kills of one code between a first try that fitted and the next such */
    double *ratios;           /* highest limit / peak of each that finished, [ratio_count] */
    size_t ratio_count, ratio_capacity;
};

void score_fini(struct score *score);
FS_MUST_CHECK int score_ratio(struct score *score, double ratio);
double score_wastage(const struct score *score);
double score_slack(const struct score *score);
double score_changes(const struct score *score);
/* Median of highest limit / peak; 0 when nothing finished. Sorts. */
double score_ratio_median(struct score *score);

#endif
