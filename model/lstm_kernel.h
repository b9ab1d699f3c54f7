/* The element-wise half of an LSTM step, and of the step back through it: all gates of a chunk in one pass.
 * Chosen once per process by what the CPU can do. Gate order in memory: input, forget, candidate, output.
 * Source of the equations: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000. */
#ifndef FORESTALL_MODEL_LSTM_KERNEL_H
#define FORESTALL_MODEL_LSTM_KERNEL_H

#include "model/real.h"

/* gates [rows][4 * hidden]: pre-activations in, activations out. c [rows][hidden]: old cell in, new cell out.
 * tanh_c, h [rows][hidden]: out. */
typedef void lstm_kernel_fn(size_t rows, size_t hidden, real *restrict gates, real *restrict c,
                            real *restrict tanh_c, real *restrict h);

lstm_kernel_fn lstm_kernel_generic, lstm_kernel_avx2, lstm_kernel_avx512;

/* One step back. gates: activations in, gradients of the pre-activations out. before, tanh_c [rows][hidden]:
 * the cell before the step, and tanh of the one after it. above [rows][hidden]: gradient of h from the layer
 * above; later: the same from the step after, a row every later_stride numbers. grad_cell [rows][hidden]:
 * gradient of the cell after the step in, of the one before it out. */
typedef void lstm_backward_fn(size_t rows, size_t hidden, real *restrict gates, const real *restrict before,
                              const real *restrict tanh_c, const real *restrict above,
                              const real *restrict later, size_t later_stride, real *restrict grad_cell);

lstm_backward_fn lstm_backward_generic, lstm_backward_avx2, lstm_backward_avx512;

/* ln(1 + e^x) and its slope 1 / (1 + e^-x) of each number, without overflow. */
typedef void lstm_soften_fn(size_t count, const real *restrict x, real *restrict soft, real *restrict rise);

lstm_soften_fn lstm_soften_generic, lstm_soften_avx2, lstm_soften_avx512;

/* The fastest one for this CPU; *name (may be NULL) says which. */
lstm_kernel_fn *lstm_kernel_select(const char **name);
lstm_backward_fn *lstm_backward_select(void);
lstm_soften_fn *lstm_soften_select(void);

#endif
