/* Products of bfloat16 numbers against sums in double precision of the same rounded numbers, and a training's
 * gradient made of them against the one in single precision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "model/bfloat16.h"
#include "model/random.h"
#include "model/train.h"
#include "model/train_products.h"

#define SEED 7

static bool cpu_has_them(void)
{
    if (train_products_available())
        return true;
    print_message("SKIPPED: this CPU has no products of bfloat16 numbers (AVX512_BF16)\n");
    return false;
}

static float *drawn(size_t count, uint64_t *seed)
{
    float *numbers = calloc(count, sizeof *numbers);
    assert_non_null(numbers);
    for (size_t i = 0; i < count; i++)
        numbers[i] = (float)random_between(seed, -2, 2);
    return numbers;
}

/* Without special instructions: half of the last place is added, one less for ties where the last place is
 * even. */
static float rounded(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    bits = (bits + 0x7fffU + (bits >> 16 & 1)) & 0xffff0000U;
    memcpy(&number, &bits, sizeof bits);
    return number;
}

static void round__numbers__to_the_nearest(void **state)
{
    (void)state;
    if (!cpu_has_them())
        skip();
    uint64_t seed = SEED;
    float *in = drawn(100, &seed);
    uint16_t out[101] = {[100] = 0xabcd};
    in[0] = 1.0f + 1.0f / 256;         /* a tie: down to even */
    in[1] = 1.0f + 3.0f / 256;         /* a tie: up to even */
    in[2] = 1.0f + 1.0f / 256 + 1e-6f; /* above the tie */
    bfloat16_round(in, 100, out);
    for (size_t i = 0; i < 100; i++) {
        uint32_t bits = (uint32_t)out[i] << 16;
        float back;
        memcpy(&back, &bits, sizeof back);
        assert_true(back == rounded(in[i]));
    }
    assert_true(out[0] == 0x3f80 && out[1] == 0x3f82 && out[2] == 0x3f81 && out[100] == 0xabcd);
    free(in);
}

/* a [rows][depth] times b [depth][columns], which is given as it is or turned. */
static void check(size_t rows, size_t depth, size_t columns, bool turned, uint64_t *seed)
{
    size_t pairs = (depth + 1) / 2;
    float *a = drawn(rows * depth, seed), *b = drawn(depth * columns, seed),
          *c = drawn(rows * (columns + 3), seed);
    float *before = calloc(rows * (columns + 3), sizeof *before);
    uint16_t *halves = calloc(rows, 2 * pairs * sizeof *halves);
    uint32_t *packed = calloc(bfloat16_packed(depth, columns), sizeof *packed);
    assert_true(before && halves && packed);
    memcpy(before, c, rows * (columns + 3) * sizeof *c);
    for (size_t r = 0; r < rows; r++)
        bfloat16_round(a + r * depth, depth, halves + r * 2 * pairs);
    if (turned)
        bfloat16_pack_turned(b, depth, columns, packed);
    else
        bfloat16_pack(b, depth, columns, packed);
    struct bfloat16_product product = {.rows = rows,
                                       .columns = columns,
                                       .pairs = pairs,
                                       .a = (const void *)halves,
                                       .a_row = pairs,
                                       .a_pair = 1,
                                       .b = packed,
                                       .b_panel = pairs * BFLOAT16_PANEL,
                                       .b_pair = BFLOAT16_PANEL,
                                       .c = c,
                                       .c_row = columns + 3,
                                       .add = depth % 3 == 0};
    bfloat16_multiply(&product);
    double worst = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < columns + 3; i++) {
            double sum = i >= columns || product.add ? (double)before[r * (columns + 3) + i] : 0;
            for (size_t d = 0; i < columns && d < depth; d++)
                sum += (double)rounded(a[r * depth + d]) *
                       (double)rounded(turned ? b[i * depth + d] : b[d * columns + i]);
            worst = fmax(worst, fabs(sum - (double)c[r * (columns + 3) + i]));
        }
    print_message("%zu x %zu x %zu%s%s: largest difference %.2e\n", rows, depth, columns,
                  turned ? ", turned" : "", product.add ? ", added" : "", worst);
    assert_true(worst < 1e-5 * (double)depth);
    free(a);
    free(b);
    free(c);
    free(before);
    free(halves);
    free(packed);
}

static void multiply__any_shape__the_sum_of_products(void **state)
{
    (void)state;
    if (!cpu_has_them())
        skip();
    uint64_t seed = SEED;
    static const size_t shapes[][3] = {{1, 1, 1},    {6, 2, 64},    {7, 3, 65},
                                       {5, 12, 17},  {13, 33, 200}, {64, 137, 256},
                                       {2, 256, 64}, {3, 192, 48},  {128, 129, 128}};
    for (size_t i = 0; i < FS_COUNT(shapes); i++)
        for (int turned = 0; turned < 2; turned++)
            check(shapes[i][0], shapes[i][1], shapes[i][2], turned, &seed);
}

#define STEPS 12
#define INPUTS 9
#define SEQUENCES 21 /* an odd number of lanes: the last has no other to be a pair with */

struct data {
    float features[SEQUENCES][STEPS * INPUTS], labels[SEQUENCES][STEPS * NETWORK_CAUSES];
    float demand[SEQUENCES][STEPS * NETWORK_RESOURCES], ones[STEPS * (NETWORK_CAUSES + NETWORK_RESOURCES)];
    struct train_sequence sequences[SEQUENCES];
};

static void fill(struct data *data, uint64_t *seed)
{
    for (size_t i = 0; i < FS_COUNT(data->ones); i++)
        data->ones[i] = 1;
    for (size_t s = 0; s < SEQUENCES; s++) {
        for (size_t i = 0; i < FS_COUNT(data->features[s]); i++)
            data->features[s][i] = (float)random_between(seed, -2, 2);
        for (size_t i = 0; i < FS_COUNT(data->labels[s]); i++)
            data->labels[s][i] = random_between(seed, -1, 1) > 0 ? 1 : 0;
        for (size_t i = 0; i < FS_COUNT(data->demand[s]); i++)
            data->demand[s][i] = (float)random_between(seed, 0, 2);
        data->sequences[s] = (struct train_sequence){.steps = STEPS - s % 5,
                                                     .features = data->features[s],
                                                     .labels = data->labels[s],
                                                     .label_mask = data->ones,
                                                     .demand = data->demand[s],
                                                     .demand_mask = data->ones,
                                                     .weight = 1};
    }
}

static void gradient__of_bfloat16_products__points_where_the_single_one_does(void **state)
{
    (void)state;
    if (!cpu_has_them())
        skip();
    static const struct network_shape shapes[] = {{INPUTS, 16, 1, 0}, {INPUTS, 24, 2, 0}, {INPUTS, 7, 3, 0}};
    uint64_t seed = SEED;
    static struct data data;
    fill(&data, &seed);
    for (size_t i = 0; i < FS_COUNT(shapes); i++) {
        struct network *network = network_create(&shapes[i], SEED);
        struct trainer *trainers[2];
        const real *gradient[2];
        double loss[2], dot = 0, norms[2] = {0, 0};
        assert_non_null(network);
        for (size_t k = 0; k < 2; k++) {
            struct trainer_options options = trainer_defaults;
            options.lanes = SEQUENCES;
            options.window = STEPS;
            options.bfloat16 = k;
            trainers[k] = trainer_create(network, &options);
            assert_non_null(trainers[k]);
            loss[k] = trainer_gradient(trainers[k], data.sequences, SEQUENCES, &gradient[k]);
        }
        for (size_t w = 0; w < network->weight_count; w++) {
            dot += (double)gradient[0][w] * (double)gradient[1][w];
            for (size_t k = 0; k < 2; k++)
                norms[k] += (double)gradient[k][w] * (double)gradient[k][w];
        }
        double cosine = dot / sqrt(norms[0] * norms[1]);
        print_message("hidden %zu layers %zu: loss %.5f and %.5f, cosine of the gradients %.6f\n",
                      shapes[i].hidden, shapes[i].layers, loss[0], loss[1], cosine);
        assert_true(cosine > 0.9999 && fabs(loss[0] - loss[1]) < 1e-3 * loss[0] && loss[0] != loss[1]);
        assert_true(fabs(norms[0] - norms[1]) < 1e-2 * norms[0]);
        for (size_t k = 0; k < 2; k++)
            trainer_destroy(trainers[k]);
        network_destroy(network);
    }
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round__numbers__to_the_nearest),
        cmocka_unit_test(multiply__any_shape__the_sum_of_products),
        cmocka_unit_test(gradient__of_bfloat16_products__points_where_the_single_one_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
