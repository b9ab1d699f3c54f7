/* See lstm_kernel.h. */
#include "model/lstm_kernel.h"

struct variant {
    const char *name;
    lstm_kernel_fn *forward;
    lstm_backward_fn *backward;
    lstm_soften_fn *soften;
};

static struct variant select_variant(void)
{
#if defined(__x86_64__) && !defined(FORESTALL_MODEL_DOUBLE)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return (struct variant){"avx512", lstm_kernel_avx512, lstm_backward_avx512, lstm_soften_avx512};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (struct variant){"avx2", lstm_kernel_avx2, lstm_backward_avx2, lstm_soften_avx2};
#endif
    return (struct variant){"generic", lstm_kernel_generic, lstm_backward_generic, lstm_soften_generic};
}

lstm_kernel_fn *lstm_kernel_select(const char **name)
{
    struct variant variant = select_variant();
    if (name)
        *name = variant.name;
    return variant.forward;
}

lstm_backward_fn *lstm_backward_select(void)
{
    return select_variant().backward;
}

lstm_soften_fn *lstm_soften_select(void)
{
    return select_variant().soften;
}
