/* Platt scaling: slope and intercept that make logits of held-out data honest probabilities.
 * Source: Platt 1999, with the prior-corrected targets of Lin, Lin & Weng 2007, fitted by Newton's method. */
#ifndef FORESTALL_MODEL_CALIBRATE_H
#define FORESTALL_MODEL_CALIBRATE_H

#include "common/base.h"

/* labels are 0 or 1. With fewer than 10 of either kind the identity is kept. */
void calibrate_platt(const float *logits, const float *labels, const float *weights, size_t count,
                     float *slope, float *intercept);

#endif
