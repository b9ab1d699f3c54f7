/* Who waits longest is not who goes first: while the node is full, two executions of codes that nobody raised
 * are submitted, then one of a raised code; when there is room again the raised one must start first. */
#ifndef FORESTALL_DEMO_ORDER_H
#define FORESTALL_DEMO_ORDER_H

#include "demo/trial.h"

#define ORDER_NODE_MEMORY "1200M" /* the node's memory; what is submitted here is made to fit it */
#define ORDER_WAITING 2

struct order {
    bool known;
    bool raised_first;
    int64_t started_us[1 + ORDER_WAITING]; /* the raised one, then those submitted before it */
};

/* Runs the next execution of the raised case into *raised (a TRIAL_NEXT). 0, or negative with a sentence in
 * error. */
FS_MUST_CHECK int order_run(struct order *order, const struct demo_case *what, struct trial *raised,
                            const struct demo_places *places, struct watch *watch, char *error,
                            size_t error_size);

#endif
