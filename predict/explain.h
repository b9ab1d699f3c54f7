/* Why a probability is what it is: the step is made again with one feature at its mean each, from the state
 * before it; what the logit changes by is the feature's contribution (positive: it raised the probability).
 * Only the inputs that weigh most in the first layer are tried, so it costs one step of EXPLAIN_TRIED rows.
 */
#ifndef FORESTALL_PREDICT_EXPLAIN_H
#define FORESTALL_PREDICT_EXPLAIN_H

#include "model/network.h"
#include "model/online.h"

#define EXPLAIN_TRIED 16
#define EXPLAIN_TERMS 3

struct explainer;

/* For networks of this shape. NULL when out of memory. */
struct explainer *explainer_create(const struct network *network);
void explainer_destroy(struct explainer *explainer);

struct explain_input {
    const struct network *network;
    struct network_scratch *scratch;
    const real *state;              /* before the step */
    const float *features;          /* of the step */
    const struct online_head *head; /* NULL: none */
    size_t cause;
    float logit; /* calibrated and corrected, of the step */
};

/* Fills terms, largest first, and returns how many. No allocation. */
size_t explain(struct explainer *explainer, const struct explain_input *input,
               struct msg_contribution terms[EXPLAIN_TERMS]);

#endif
