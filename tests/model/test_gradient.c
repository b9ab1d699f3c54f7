/* Back-propagation against central finite differences, in double: the very code that trains (see
 * FORESTALL_MODEL_DOUBLE). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "model/train.h"

#define STEP 1e-5 /* rounding 1e-16 / STEP and truncation STEP^2 are about equal */
#define WINDOW 7
#define SEQUENCES 3

struct sample {
    float features[WINDOW * 5], labels[WINDOW * NETWORK_CAUSES], label_mask[WINDOW * NETWORK_CAUSES];
    float demand[WINDOW * NETWORK_RESOURCES], demand_mask[WINDOW * NETWORK_RESOURCES];
    int8_t horizons[WINDOW * NETWORK_HORIZONS * NETWORK_CAUSES];
};

static float drawn(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(*seed >> 8) / 8388608.0f - 1;
}

static void draw(struct sample *sample, struct train_sequence *sequence, size_t steps, unsigned *seed)
{
    for (size_t i = 0; i < FS_COUNT(sample->features); i++)
        sample->features[i] = 2 * drawn(seed);
    for (size_t i = 0; i < FS_COUNT(sample->labels); i++) {
        sample->labels[i] = drawn(seed) > 0;
        sample->label_mask[i] = drawn(seed) > -0.5f ? 1 + drawn(seed) / 2 : 0;
    }
    for (size_t i = 0; i < FS_COUNT(sample->demand); i++) {
        sample->demand[i] = 3 * drawn(seed);
        sample->demand_mask[i] =
            drawn(seed) > -0.5f ? (drawn(seed) > 0 ? 1 : -0.5f) : 0; /* some are lower bounds */
    }
    for (size_t i = 0; i < FS_COUNT(sample->horizons); i++)
        sample->horizons[i] = (int8_t)lroundf(1.5f * drawn(seed)); /* some are not known */
    *sequence = (struct train_sequence){.steps = steps,
                                        .features = sample->features,
                                        .labels = sample->labels,
                                        .label_mask = sample->label_mask,
                                        .demand = sample->demand,
                                        .demand_mask = sample->demand_mask,
                                        .horizons = sample->horizons,
                                        .weight = 1.5f + drawn(seed)};
}

struct bench {
    struct sample samples[SEQUENCES];
    struct train_sequence sequences[SEQUENCES];
    struct network *network;
    struct trainer *trainer;
};

/* horizons: with labels of the other horizons. */
static void bench_init(struct bench *bench, const struct network_shape *shape, unsigned seed, bool horizons)
{
    struct trainer_options options = trainer_defaults;
    options.lanes = SEQUENCES;
    options.window = WINDOW;
    bench->network = network_create(shape, seed);
    bench->trainer = trainer_create(bench->network, &options);
    assert_true(bench->network && bench->trainer);
    for (size_t i = 0; i < SEQUENCES; i++) {
        draw(&bench->samples[i], &bench->sequences[i], WINDOW - i, &seed); /* lanes end at different steps */
        if (!horizons)
            bench->sequences[i].horizons = NULL;
    }
}

static void bench_fini(struct bench *bench)
{
    trainer_destroy(bench->trainer);
    network_destroy(bench->network);
}

static double *analytic_gradient(struct bench *bench)
{
    const real *gradient;
    double *copy = calloc(bench->network->weight_count, sizeof *copy);
    assert_non_null(copy);
    assert_true(isfinite(trainer_gradient(bench->trainer, bench->sequences, SEQUENCES, &gradient)));
    memcpy(copy, gradient, bench->network->weight_count * sizeof *copy);
    return copy;
}

/* Of the weights from `first` on. */
static double worst_difference(struct bench *bench, size_t first)
{
    const real *gradient;
    double *analytic = analytic_gradient(bench), worst = 0;
    struct network *network = bench->network;
    for (size_t i = first; i < network->weight_count; i++) {
        real kept = network->weights[i];
        network->weights[i] = kept + STEP;
        double above = trainer_gradient(bench->trainer, bench->sequences, SEQUENCES, &gradient);
        network->weights[i] = kept - STEP;
        double below = trainer_gradient(bench->trainer, bench->sequences, SEQUENCES, &gradient);
        network->weights[i] = kept;
        double numeric = (above - below) / (2 * STEP), scale = fmax(fabs(numeric) + fabs(analytic[i]), 1e-4);
        worst = fmax(worst, fabs(numeric - analytic[i]) / scale);
    }
    free(analytic);
    return worst;
}

static void gradient__finite_differences__agree(void **state)
{
    (void)state;
    static const struct network_shape shapes[] = {{5, 4, 1, 0}, {5, 3, 2, 0}, {5, 6, 3, 0}, {5, 4, 2, 4}};
    for (size_t i = 0; i < FS_COUNT(shapes); i++)
        for (unsigned seed = 1; seed <= 3; seed++) {
            struct bench bench;
            bench_init(&bench, &shapes[i], seed, false);
            double worst = worst_difference(&bench, 0);
            bench_fini(&bench);
            print_message("inputs %zu hidden %zu layers %zu seed %u: largest relative difference %.2e\n",
                          shapes[i].inputs, shapes[i].hidden, shapes[i].layers, seed, worst);
            assert_true(worst < 1e-5);
        }
}

static void gradient__other_horizons__reach_their_heads_only(void **state)
{
    (void)state;
    static const struct network_shape shape = {5, 4, 2, 0};
    struct bench with, without;
    bench_init(&with, &shape, 1, true);
    bench_init(&without, &shape, 1, false);
    size_t heads = (size_t)(with.network->head_weight - with.network->weights);
    double *all = analytic_gradient(&with), *alarms = analytic_gradient(&without), own = 0;
    for (size_t i = 0; i < with.network->weight_count; i++)
        if (i < heads || (i - heads) % NETWORK_OUTPUTS < NETWORK_OUTPUTS_LEAST)
            assert_true(all[i] == alarms[i]);
        else
            own += fabs(all[i]);
    assert_true(own > 0);
    assert_true(worst_difference(&with, heads) < 1e-5);
    free(all);
    free(alarms);
    bench_fini(&with);
    bench_fini(&without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient__finite_differences__agree),
        cmocka_unit_test(gradient__other_horizons__reach_their_heads_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
