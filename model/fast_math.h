/* Exponential and logarithm that a compiler turns into vector instructions, for loops over many numbers. In
 * double precision they are the C library's. */
#ifndef FORESTALL_MODEL_FAST_MATH_H
#define FORESTALL_MODEL_FAST_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "model/real.h"

/* e^x: x = n ln 2 + r with |r| <= ln 2 / 2, e^r by its Taylor polynomial of degree 6 (largest relative error
 * 2e-7, measured by tests/model/test_lstm_kernel.c), 2^n by the exponent bits. Clamped to where single precision
 * has normal numbers. */
static inline real fast_exp(real x)
{
#ifdef FORESTALL_MODEL_DOUBLE
    return exp(x);
#else
    x = x < -87.0f ? -87.0f : x > 87.0f ? 87.0f : x;
    float n = x * 1.44269504f;
    int32_t whole = (int32_t)(n + (n < 0 ? -0.5f : 0.5f));
    float r = x - (float)whole * 0.693359375f;
    r = r - (float)whole * -2.12194440e-4f;
    float p =
        1.0f + r * (1.0f + r * (0.5f + r * (1.6666667e-1f +
                                            r * (4.1666668e-2f + r * (8.3333333e-3f + r * 1.3888889e-3f)))));
    int32_t bits = (whole + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
#endif
}

/* ln(1 + x) for x in 0..1: 2 artanh(z) with z = x / (2 + x) <= 1 / 3, by its series up to z^13 (what is left
 * is 2 z^15 / 15 < 1e-8). */
static inline real fast_log1p(real x)
{
#ifdef FORESTALL_MODEL_DOUBLE
    return log1p(x);
#else
    float z = x / (2.0f + x), s = z * z;
    float sum =
        1.0f + s * (3.3333333e-1f +
                    s * (2.0e-1f + s * (1.4285714e-1f +
                                        s * (1.1111111e-1f + s * (9.0909091e-2f + s * 7.6923077e-2f)))));
    return 2.0f * z * sum;
#endif
}

#endif
