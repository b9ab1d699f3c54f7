/* Small repeatable random numbers: SplitMix64 (Steele, Lea, Flood 2014). Not for secrets. */
#ifndef FORESTALL_MODEL_RANDOM_H
#define FORESTALL_MODEL_RANDOM_H

#include <math.h>
#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 <= x < 1 */
static inline double random_unit(uint64_t *state)
{
    return (double)(random_next(state) >> 11) * 0x1p-53;
}

static inline double random_between(uint64_t *state, double least, double most)
{
    return least + random_unit(state) * (most - least);
}

/* Uniform in the logarithm; both positive. */
static inline double random_log_between(uint64_t *state, double least, double most)
{
    return exp(random_between(state, log(least), log(most)));
}

#endif
