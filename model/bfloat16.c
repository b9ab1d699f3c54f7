/* See bfloat16.h: what needs no special instructions. */
#include "model/bfloat16.h"

#include <string.h>

bool bfloat16_available(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16");
}

size_t bfloat16_packed(size_t depth, size_t columns)
{
    return (columns + BFLOAT16_PANEL - 1) / BFLOAT16_PANEL * ((depth + 1) / 2) * BFLOAT16_PANEL;
}

void bfloat16_pack(const float *in, size_t depth, size_t columns, uint32_t *out)
{
    static const uint16_t none[BFLOAT16_PANEL];
    for (size_t first = 0; first < columns; first += BFLOAT16_PANEL) {
        size_t count = columns - first < BFLOAT16_PANEL ? columns - first : BFLOAT16_PANEL;
        for (size_t d = 0; d < depth; d += 2, out += BFLOAT16_PANEL) {
            uint16_t rounded[2][BFLOAT16_PANEL];
            bfloat16_round(in + d * columns + first, count, rounded[0]);
            if (d + 1 < depth)
                bfloat16_round(in + (d + 1) * columns + first, count, rounded[1]);
            bfloat16_pair(rounded[0], d + 1 < depth ? rounded[1] : none, count, out);
            memset(out + count, 0, (BFLOAT16_PANEL - count) * sizeof *out);
        }
    }
}

void bfloat16_pack_turned(const float *in, size_t depth, size_t columns, uint32_t *out)
{
    size_t pairs = (depth + 1) / 2;
    memset(out, 0, bfloat16_packed(depth, columns) * sizeof *out);
    for (size_t c = 0; c < columns; c++) {
        uint32_t *to = out + c / BFLOAT16_PANEL * pairs * BFLOAT16_PANEL + c % BFLOAT16_PANEL;
        for (size_t first = 0; first < depth; first += BFLOAT16_PANEL) {
            uint16_t rounded[BFLOAT16_PANEL] = {0};
            size_t count = depth - first < BFLOAT16_PANEL ? depth - first : BFLOAT16_PANEL;
            bfloat16_round(in + c * depth + first, count, rounded);
            for (size_t i = 0; i < count; i += 2)
                to[(first + i) / 2 * BFLOAT16_PANEL] = (uint32_t)rounded[i + 1] << 16 | rounded[i];
        }
    }
}
