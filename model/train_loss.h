/* What training minimises: cross entropy of the causes' logits, at this horizon and the others, and pinball
 * loss of the demand's quantiles. Pure. Labels count by their masks, a sequence by its weight, a kind by
 * trainer_options. */
#ifndef FORESTALL_MODEL_TRAIN_LOSS_H
#define FORESTALL_MODEL_TRAIN_LOSS_H

#include "model/train.h"

/* raw [NETWORK_OUTPUTS]: what the heads say of step `at` of the sequence; becomes the slope of the step's
 * loss by each of these numbers. The loss itself is added to *loss. */
void train_loss_step(real *raw, const struct train_sequence *sequence, size_t at,
                     const struct trainer_options *options, double *loss);

#endif
