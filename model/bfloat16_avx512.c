/* See bfloat16.h; compiled for CPUs with AVX512_BF16. A tile of up to 6 rows by 64 columns is kept in 24
 * registers while its sums are made: 4 registers of b and one broadcast pair of a serve 24 multiplications.
 */
#include "model/bfloat16.h"

#include <immintrin.h>
#include <string.h>

enum { TILE_ROWS = 6, VECTOR = 16, TILE_VECTORS = 4 };

static inline __mmask16 columns_of(size_t left, size_t vector)
{
    size_t before = vector * VECTOR, count = left > before ? left - before : 0;
    return (__mmask16)(count < VECTOR ? (1U << count) - 1 : 0xffffU);
}

/* GCC 12 lays arrays of vectors where they are not aligned when the address sanitizer looks for uses after
 * return, and the program ends by the first that is stored there. */
#define UNWATCHED __attribute__((no_sanitize("address")))

/* rows is a constant where this is called, so that the loops over it unroll and the sums stay in registers.
 */
static inline __attribute__((always_inline)) UNWATCHED void tile(const struct bfloat16_product *p,
                                                                 size_t rows, size_t row, size_t panel)
{
    const uint32_t *a = p->a + row * p->a_row, *b = p->b + panel * p->b_panel;
    float *c = p->c + row * p->c_row + panel * BFLOAT16_PANEL;
    size_t left = p->columns - panel * BFLOAT16_PANEL, a_row = p->a_row, a_pair = p->a_pair,
           b_pair = p->b_pair;
    __m512 sum[TILE_ROWS][TILE_VECTORS];
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < TILE_VECTORS; v++)
            sum[r][v] = p->add ? _mm512_maskz_loadu_ps(columns_of(left, v), c + r * p->c_row + v * VECTOR)
                               : _mm512_setzero_ps();
    for (size_t pair = 0; pair < p->pairs; pair++) {
        __m512i column[TILE_VECTORS];
        for (size_t v = 0; v < TILE_VECTORS; v++)
            column[v] = _mm512_loadu_si512(b + pair * b_pair + v * VECTOR);
        for (size_t r = 0; r < rows; r++) {
            __m512i both = _mm512_set1_epi32((int)a[r * a_row + pair * a_pair]);
            for (size_t v = 0; v < TILE_VECTORS; v++)
                sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh)both, (__m512bh)column[v]);
        }
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < TILE_VECTORS; v++)
            _mm512_mask_storeu_ps(c + r * p->c_row + v * VECTOR, columns_of(left, v), sum[r][v]);
}

UNWATCHED static void last_rows(const struct bfloat16_product *p, size_t row, size_t panel)
{
    switch (p->rows - row) {
    case 1:
        tile(p, 1, row, panel);
        break;
    case 2:
        tile(p, 2, row, panel);
        break;
    case 3:
        tile(p, 3, row, panel);
        break;
    case 4:
        tile(p, 4, row, panel);
        break;
    case 5:
        tile(p, 5, row, panel);
        break;
    default:
        break;
    }
}

UNWATCHED void bfloat16_multiply(const struct bfloat16_product *p)
{
    for (size_t panel = 0; panel * BFLOAT16_PANEL < p->columns; panel++) {
        size_t row = 0;
        for (; row + TILE_ROWS <= p->rows; row += TILE_ROWS)
            tile(p, TILE_ROWS, row, panel);
        last_rows(p, row, panel);
    }
}

void bfloat16_round(const float *in, size_t count, uint16_t *out)
{
    for (size_t i = 0; i < count; i += VECTOR) {
        __mmask16 mask = columns_of(count - i, 0);
        __m256i rounded = (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, in + i));
        _mm256_mask_storeu_epi16(out + i, mask, rounded);
    }
}

void bfloat16_pair(const uint16_t *first, const uint16_t *second, size_t count, uint32_t *out)
{
    for (size_t i = 0; i < count; i += VECTOR) {
        __mmask16 mask = columns_of(count - i, 0);
        __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, first + i));
        __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, second + i));
        _mm512_mask_storeu_epi32(out + i, mask, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    }
}
