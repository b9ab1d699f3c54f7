/* One source, compiled per instruction set under the names LSTM_KERNEL, LSTM_BACKWARD and LSTM_SOFTEN; the
 * compiler vectorises the inner loops. */
#include "model/lstm_kernel.h"

#include "model/fast_math.h"

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

void LSTM_SOFTEN(size_t count, const real *restrict x, real *restrict soft, real *restrict rise)
{
    for (size_t i = 0; i < count; i++) {
        real small = fast_exp(x[i] < 0 ? x[i] : -x[i]);
        rise[i] = (x[i] < 0 ? small : 1) / (1 + small);
        soft[i] = (x[i] < 0 ? 0 : x[i]) + fast_log1p(small);
    }
}
