/* Learning from one finished attempt: the networks are run over its series as they would have seen it live,
 * each tick is labelled (model/labels.h, as in training), and the code's online heads take one pass over
 * them. Before that the answers are scored on the very record, from which nothing was learned yet: champion
 * and challenger by the same ticks. No broker, no clock. */
#ifndef FORESTALL_PREDICT_LEARN_H
#define FORESTALL_PREDICT_LEARN_H

#include "model/network.h"
#include "predict/codes.h"

struct learner;

/* Running scores of one role over labelled ticks. */
struct learn_score {
    uint64_t ticks;
    double log_loss; /* sums, of the probability of each labelled cause */
    double squared_error;
};

/* ticks: newest points of a series that are used. NULL when out of memory. */
struct learner *learner_create(size_t ticks);
void learner_destroy(struct learner *learner);
/* Learns the record into the code's profile: its head for the champion, its shadow for the challenger (either
 * may be NULL). A head fitted in shadow becomes the head when its network is champion. Number of ticks
 * labelled, 0 without a series, -ENOMEM. */
FS_MUST_CHECK int learn(struct learner *learner, struct code *code, const struct msg_execution_record *record,
                        const struct network *champion, const struct network *challenger);
const struct learn_score *learner_score(const struct learner *learner, bool challenger);

#endif
