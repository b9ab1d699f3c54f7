/* What training minimises: cross entropy of the causes' logits, at this horizon and the others, and pinball
 * loss of the demand's quantiles. Pure. Labels count by their masks, a sequence by its weight, a kind by
 * trainer_options. */
#ifndef FORESTALL_MODEL_TRAIN_LOSS_H
#define FORESTALL_MODEL_TRAIN_LOSS_H

#include "model/train.h"

struct train_loss_row {      /* [NETWORK_OUTPUTS] each */
    real *raw;               /* what the heads say of a step */
    const real *soft, *rise; /* of each of these numbers, see lstm_soften_fn */
};

/* The loss of step `at` of the sequence; raw becomes its slope by each of these numbers. */
double train_loss_step(struct train_loss_row row, const struct train_sequence *sequence, size_t at,
                       const struct trainer_options *options);

#endif
