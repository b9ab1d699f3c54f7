/* Whether a challenger is better than the champion: a pure function of their losses on the same executions.
 * The difference of the mean losses with a 90 % interval from a bootstrap over codes (over executions when
 * there are fewer than COMPARE_CODES_MIN codes), so that one code with many executions does not decide for
 * all. Robust against who sends the executions:
 * - a code counts as at most COMPARE_CODE_TIMES times the mean number of executions of a code;
 * - a gain that is none without the one code or the one tenant that gains most is no gain;
 * - a loss that is not a number loses. */
#ifndef FORESTALL_RETRAIN_COMPARE_H
#define FORESTALL_RETRAIN_COMPARE_H

#include "common/base.h"

#define COMPARE_EXECUTIONS_MIN 20 /* fewer executions decide nothing */
#define COMPARE_CODES_MIN 5
#define COMPARE_CODE_TIMES 2.0
#define COMPARE_GAIN_MIN                                                                                     \
    0.01 /* a swap costs every code its online head: it must be worth 1 % of the loss                        \
          */

struct compare_execution {
    double champion, challenger; /* mean loss per tick */
    uint64_t code;               /* hash of the code */
    uint64_t tenant;             /* who submitted it (check.h) */
    double weight;               /* inverse of its inclusion; 0 = 1 */
};

enum compare_verdict {
    COMPARE_CHAMPION_STAYS, /* not better, or the data do not say */
    COMPARE_UNDECIDED,      /* better on average, not surely */
    COMPARE_CHALLENGER_WINS
};

struct comparison {
    enum compare_verdict verdict;
    size_t executions, codes, tenants;
    double champion, challenger; /* mean losses */
    double low, high;            /* of challenger - champion */
    double without;              /* the difference without the code or tenant that gains most */
    char reason[256];            /* in words and numbers */
};

const char *compare_verdict_name(enum compare_verdict verdict);
/* Repeatable from the seed. 0, -ENOMEM. */
FS_MUST_CHECK int compare_models(const struct compare_execution *executions, size_t count, uint64_t seed,
                                 struct comparison *out);
/* Surely worse: the whole interval lies above zero, on enough executions. */
bool compare_is_worse(const struct comparison *comparison);
/* Not worse by more than this share of the champion's loss, on enough executions. */
bool compare_holds(const struct comparison *comparison, double share);

#endif
