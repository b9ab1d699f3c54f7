/* The loss of one execution's answers: what training minimises, per counted tick. */
#ifndef FORESTALL_RETRAIN_LOSS_H
#define FORESTALL_RETRAIN_LOSS_H

#include "model/labels.h"

/* Cross entropy of the calibrated probabilities over the causes, plus the pinball loss of the demand
 * quantiles. */
double loss_of(const struct labels *labels, const struct network_output *answers);

/* The cross entropy alone: how good the calibrated probabilities are. */
double loss_calibrated(const struct labels *labels, const struct network_output *answers);

#endif
