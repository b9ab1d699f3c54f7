/* What is element-wise in an LSTM, forwards, back and in its loss, of every instruction set that this CPU
 * has, against libm. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "common/base.h"
#include "model/lstm_kernel.h"
#include "model/random.h"

#define SEED 20

static float drawn(uint64_t *seed, float width)
{
    return (float)random_between(seed, -(double)width, (double)width);
}

struct kernel_error {
    double gate, cell, hidden;
};

static double apart(real a, double b)
{
    return fabs((double)a - b);
}

static void kernel_step(lstm_kernel_fn *kernel, size_t hidden, float width, uint64_t *seed,
                        struct kernel_error *worst)
{
    enum { ROWS = 3, WIDEST = 130 };
    static real gates[(size_t)ROWS * 4 * WIDEST], cell[ROWS * WIDEST], squashed[ROWS * WIDEST],
        out[ROWS * WIDEST];
    static real before[ROWS * 4 * WIDEST], cell_before[ROWS * WIDEST];
    for (size_t i = 0; i < (size_t)ROWS * 4 * hidden; i++)
        before[i] = gates[i] = drawn(seed, width);
    for (size_t i = 0; i < ROWS * hidden; i++)
        cell_before[i] = cell[i] = drawn(seed, 3);
    kernel(ROWS, hidden, gates, cell, squashed, out);
    for (size_t i = 0; i < ROWS * hidden; i++) {
        size_t at = i / hidden * 4 * hidden + i % hidden;
        double in = 1 / (1 + exp(-(double)before[at])), keep = 1 / (1 + exp(-(double)before[at + hidden]));
        double new = tanh((double)before[at + 2 * hidden]),
               show = 1 / (1 + exp(-(double)before[at + 3 * hidden]));
        double next = keep * (double)cell_before[i] + in * new;
        worst->gate = fmax(worst->gate, fmax(apart(gates[at], in), apart(gates[at + hidden], keep)));
        worst->gate =
            fmax(worst->gate, fmax(apart(gates[at + 2 * hidden], new), apart(gates[at + 3 * hidden], show)));
        worst->cell = fmax(worst->cell, fmax(apart(cell[i], next), apart(squashed[i], tanh(next))));
        worst->hidden = fmax(worst->hidden, apart(out[i], show * tanh(next)));
    }
}

static double backward_error(lstm_backward_fn *backward, size_t hidden, uint64_t *seed)
{
    enum { ROWS = 3, WIDEST = 130, STRIDE = 2 * WIDEST };
    static real gates[(size_t)ROWS * 4 * WIDEST], acted[(size_t)ROWS * 4 * WIDEST], before[ROWS * WIDEST],
        squashed[ROWS * WIDEST], above[ROWS * WIDEST], later[ROWS * STRIDE], grad[ROWS * WIDEST],
        grad_in[ROWS * WIDEST];
    double worst = 0;
    for (size_t i = 0; i < (size_t)ROWS * 4 * hidden; i++)
        acted[i] = gates[i] = drawn(seed, 1);
    for (size_t i = 0; i < ROWS * hidden; i++) {
        before[i] = drawn(seed, 2);
        squashed[i] = drawn(seed, 1);
        above[i] = drawn(seed, 1);
        grad_in[i] = grad[i] = drawn(seed, 1);
    }
    for (size_t i = 0; i < (size_t)ROWS * STRIDE; i++)
        later[i] = drawn(seed, 1);
    backward(ROWS, hidden, gates, before, squashed, above, later, STRIDE, grad);
    for (size_t i = 0; i < ROWS * hidden; i++) {
        size_t at = i / hidden * 4 * hidden + i % hidden;
        double in = (double)acted[at], keep = (double)acted[at + hidden],
               new = (double)acted[at + 2 * hidden], show = (double)acted[at + 3 * hidden],
               tanh_c = (double)squashed[i];
        double dh = (double)above[i] + (double)later[i / hidden * STRIDE + i % hidden];
        double dc = (double)grad_in[i] + dh * show * (1 - tanh_c * tanh_c);
        worst = fmax(worst, apart(gates[at], dc * new *in *(1 - in)));
        worst = fmax(worst, apart(gates[at + hidden], dc * (double)before[i] * keep * (1 - keep)));
        worst = fmax(worst, apart(gates[at + 2 * hidden], dc * in * (1 - new *new)));
        worst = fmax(worst, apart(gates[at + 3 * hidden], dh * tanh_c * show * (1 - show)));
        worst = fmax(worst, apart(grad[i], dc * keep));
    }
    return worst;
}

/* The formulas are checked by finite differences (test_gradient.c), in the generic variant; here the others.
 */
static void check_backward(lstm_backward_fn *backward, const char *name)
{
    double worst = 0;
    uint64_t seed = SEED;
    for (size_t hidden = 1; hidden <= 130; hidden += hidden < 20 ? 1 : 11)
        worst = fmax(worst, backward_error(backward, hidden, &seed));
    print_message("%s: largest difference of the step back %.2e\n", name, worst);
    assert_true(worst < 1e-5);
}

static void check_kernel(lstm_kernel_fn *kernel, const char *name)
{
    static const float widths[] = {0.01f, 1, 10, 100, 1e6f};
    struct kernel_error worst = {0};
    uint64_t seed = SEED;
    for (size_t hidden = 1; hidden <= 130; hidden += hidden < 20 ? 1 : 11)
        for (size_t w = 0; w < FS_COUNT(widths); w++)
            kernel_step(kernel, hidden, widths[w], &seed, &worst);
    print_message("%s: largest difference to libm: gates %.2e, cells %.2e, hidden %.2e\n", name, worst.gate,
                  worst.cell, worst.hidden);
    assert_true(worst.gate < 1e-6 && worst.cell < 2e-6 && worst.hidden < 2e-6);
}

/* Errors beside 1 or the truth, whichever is more. */
static void check_soften(lstm_soften_fn *soften, const char *name)
{
    enum { COUNT = 4001 };
    static real x[COUNT], soft[COUNT], rise[COUNT];
    double worst_soft = 0, worst_rise = 0;
    for (size_t i = 0; i < COUNT; i++)
        x[i] = 0.03f * (float)i - 60;
    soften(COUNT, x, soft, rise);
    for (size_t i = 0; i < COUNT; i++) {
        double at = (double)x[i], truth = fmax(at, 0) + log1p(exp(-fabs(at))), slope = 1 / (1 + exp(-at));
        worst_soft = fmax(worst_soft, fabs((double)soft[i] - truth) / fmax(truth, 1e-30));
        worst_rise = fmax(worst_rise, fabs((double)rise[i] - slope) / slope);
    }
    print_message("%s: softplus and logistic: relative error %.2e and %.2e\n", name, worst_soft, worst_rise);
    assert_true(worst_soft < 1e-6 && worst_rise < 1e-6);
}

static void check_variant(lstm_kernel_fn *kernel, lstm_backward_fn *backward, lstm_soften_fn *soften,
                          const char *name)
{
    check_soften(soften, name);
    check_kernel(kernel, name);
    check_backward(backward, name);
}

static void kernel__every_instruction_set__is_libm(void **state)
{
    (void)state;
    const char *chosen;
    assert_non_null(lstm_kernel_select(&chosen));
    print_message("chosen: %s\n", chosen);
    check_variant(lstm_kernel_generic, lstm_backward_generic, lstm_soften_generic, "generic");
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        check_variant(lstm_kernel_avx2, lstm_backward_avx2, lstm_soften_avx2, "avx2");
    else
        print_message("SKIPPED: this CPU has no AVX2\n");
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        check_variant(lstm_kernel_avx512, lstm_backward_avx512, lstm_soften_avx512, "avx512");
    else
        print_message("SKIPPED: this CPU has no AVX-512\n");
#endif
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {cmocka_unit_test(kernel__every_instruction_set__is_libm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
