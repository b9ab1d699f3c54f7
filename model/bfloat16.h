/* Matrix products of bfloat16 numbers with sums in single precision, on CPUs that have them (AVX512_BF16):
 * twice as many a second as of single precision. A pair of numbers that meet in a sum lies in one word, the
 * first in the lower half. Source of the format and its rounding: Intel, BFLOAT16 - Hardware Numerics
 * Definition (2018): single precision without its lower 16 bits, rounded to the nearest, ties to even. */
#ifndef FORESTALL_MODEL_BFLOAT16_H
#define FORESTALL_MODEL_BFLOAT16_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BFLOAT16_PANEL ((size_t)64) /* columns that are worked at once */

struct bfloat16_product {
    size_t rows, columns, pairs; /* of the result; of what is summed */
    const uint32_t *a;           /* pair p of row r: a[r * a_row + p * a_pair] */
    size_t a_row, a_pair;
    const uint32_t *b; /* pair p of column c: b[c / PANEL * b_panel + p * b_pair + c % PANEL] */
    size_t b_panel, b_pair;
    float *c; /* [rows][c_row] */
    size_t c_row;
    bool add; /* to what is in c */
};

/* Whether this CPU has them. The functions below are to be called only then. */
bool bfloat16_available(void);

/* All of b's panels must be readable to their ends. */
void bfloat16_multiply(const struct bfloat16_product *product);
/* Numbers of single precision, rounded. */
void bfloat16_round(const float *in, size_t count, uint16_t *out);
/* out[i] = first[i] in the lower, second[i] in the upper half. */
void bfloat16_pair(const uint16_t *first, const uint16_t *second, size_t count, uint32_t *out);

/* b of a product from numbers of single precision: in [depth][columns], or turned [columns][depth], of which
 * the depth is summed over. out: as many words as bfloat16_packed says. b_panel is (depth + 1) / 2 *
 * BFLOAT16_PANEL, b_pair is BFLOAT16_PANEL. */
size_t bfloat16_packed(size_t depth, size_t columns);
void bfloat16_pack(const float *in, size_t depth, size_t columns, uint32_t *out);
void bfloat16_pack_turned(const float *in, size_t depth, size_t columns, uint32_t *out);

#endif
