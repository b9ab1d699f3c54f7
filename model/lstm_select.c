/* See lstm_kernel.h. */
#include "model/lstm_kernel.h"

lstm_kernel_fn *lstm_kernel_select(const char **name)
{
    const char *unused;
    if (!name)
        name = &unused;
#if defined(__x86_64__) && !defined(FORESTALL_MODEL_DOUBLE)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        *name = "avx512";
        return lstm_kernel_avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        *name = "avx2";
        return lstm_kernel_avx2;
    }
#endif
    *name = "generic";
    return lstm_kernel_generic;
}
