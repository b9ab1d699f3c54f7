/* A program, its node and a forecaster in a closed loop with policy_decide(): what the end-to-end run does,
 * in virtual time, so that thousands of executions can be judged in a second.
 *
 * The program follows a curve of memory over its own running time, which stands still while the brake holds
 * it. Samples come every 100 ms; a decision is in force 20 ms after its sample. The brake freezes a step
 * below the limit, 2 ms late, and gives the kernel its killer back after 5 s. The forecaster knows the future
 * and errs on purpose. */
#ifndef FORESTALL_TESTS_ALLOCATE_SIMULATE_H
#define FORESTALL_TESTS_ALLOCATE_SIMULATE_H

#include "allocate/policy.h"

#define SIMULATE_POINTS_MAX 512

struct curve {
    char name[32];
    size_t count;
    double at_ms[SIMULATE_POINTS_MAX], bytes[SIMULATE_POINTS_MAX]; /* straight lines between */
};

struct forecaster {
    double miss;   /* share of ramps for which it says little until the brake */
    double alarm;  /* chance of a false alarm per sample */
    double spread; /* standard deviation of the logarithm of its error */
    double bias;   /* its quantiles are so many times the truth */
};

struct simulation {
    const struct policy_config *config;
    const struct curve *curve;
    double scale;       /* of the curve's memory */
    double limit_bytes; /* at start */
    struct forecaster forecaster;
    const struct policy_history *history;
    bool brake;
    double node_free_bytes; /* beside the limit; 0 = not known */
    uint64_t seed;
};

struct simulated {
    bool killed;
    double peak_bytes, highest_bytes, braked_ms, duration_ms;
    int raises, brakes, adjustments;
};

double curve_peak(const struct curve *curve);
struct simulated simulate(const struct simulation *simulation);
/* Uniform in [0, 1). */
double simulate_random(uint64_t *state);
/* Reads growth_curves.txt; the number of curves, or -1. */
int simulate_load(const char *path, struct curve *curves, int max);

#endif
