/* One source, compiled per instruction set under the names LSTM_KERNEL and LSTM_BACKWARD; the compiler
 * vectorises the loop over hidden units. exp: x = n ln 2 + r with |r| <= ln 2 / 2, e^r by its Taylor
 * polynomial of degree 6 (largest relative error 2e-7, measured by tests/model/test_network.c), 2^n by the
 * exponent bits. Clamped to where single precision has normal numbers. */
#include "model/lstm_kernel.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef FORESTALL_MODEL_DOUBLE
static inline real fast_exp(real x)
{
    return exp(x);
}
#else
static inline real fast_exp(real x)
{
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
}
#endif

static inline real sigmoid(real x)
{
    return (real)1 / ((real)1 + fast_exp(-x));
}

static inline real hyperbolic_tangent(real x)
{
    return (real)2 * sigmoid((real)2 * x) - (real)1;
}

void LSTM_KERNEL(size_t rows, size_t hidden, real *restrict gates, real *restrict c, real *restrict tanh_c,
                 real *restrict h)
{
    for (size_t row = 0; row < rows; row++) {
        real *restrict input = gates + row * 4 * hidden, *restrict forget = input + hidden;
        real *restrict candidate = forget + hidden, *restrict output = candidate + hidden;
        real *restrict cell = c + row * hidden, *restrict squashed = tanh_c + row * hidden,
                       *restrict out = h + row * hidden;
        for (size_t i = 0; i < hidden; i++) {
            real in = sigmoid(input[i]), keep = sigmoid(forget[i]);
            real new = hyperbolic_tangent(candidate[i]), show = sigmoid(output[i]);
            real next = keep * cell[i] + in * new;
            real squash = hyperbolic_tangent(next);
            input[i] = in;
            forget[i] = keep;
            candidate[i] = new;
            output[i] = show;
            cell[i] = next;
            squashed[i] = squash;
            out[i] = show * squash;
        }
    }
}

void LSTM_BACKWARD(size_t rows, size_t hidden, real *restrict gates, const real *restrict before,
                   const real *restrict tanh_c, const real *restrict above, const real *restrict later,
                   size_t later_stride, real *restrict grad_cell)
{
    for (size_t row = 0; row < rows; row++) {
        real *restrict input = gates + row * 4 * hidden, *restrict forget = input + hidden;
        real *restrict candidate = forget + hidden, *restrict output = candidate + hidden;
        const real *restrict cell = before + row * hidden, *restrict squashed = tanh_c + row * hidden;
        const real *restrict from_above = above + row * hidden, *restrict from_later =
                                                                    later + row * later_stride;
        real *restrict grad = grad_cell + row * hidden;
        for (size_t i = 0; i < hidden; i++) {
            real in = input[i], keep = forget[i], new = candidate[i], show = output[i];
            real dh = from_above[i] + from_later[i];
            real dc = grad[i] + dh * show * (1 - squashed[i] * squashed[i]);
            input[i] = dc * new *in *(1 - in);
            forget[i] = dc * cell[i] * keep * (1 - keep);
            candidate[i] = dc * in * (1 - new *new);
            output[i] = dh * squashed[i] * show * (1 - show);
            grad[i] = dc * keep;
        }
    }
}
