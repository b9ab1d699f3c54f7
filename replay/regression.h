/* Least squares of peaks over input sizes, and the spread of its relative errors. */
#ifndef FORESTALL_REPLAY_REGRESSION_H
#define FORESTALL_REPLAY_REGRESSION_H

#include "replay/samples.h"

struct regression {
    double intercept, slope;
    double spread; /* standard deviation of (value - fitted) / fitted */
    size_t count;  /* samples it was made from */
};

/* Samples without an input are left out; when none has one, or all are equal, the slope is 0. */
struct regression regression_fit(const struct samples *samples);
double regression_at(const struct regression *regression, double input);

#endif
