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

static double worst_difference(const struct network_shape *shape, unsigned seed)
{
    struct sample samples[SEQUENCES];
    struct train_sequence sequences[SEQUENCES];
    struct trainer_options options = trainer_defaults;
    struct network *network = network_create(shape, seed);
    options.lanes = SEQUENCES;
    options.window = WINDOW;
    struct trainer *trainer = trainer_create(network, &options);
    assert_true(network && trainer);
    for (size_t i = 0; i < SEQUENCES; i++)
        draw(&samples[i], &sequences[i], WINDOW - i, &seed); /* lanes end at different steps */
    const real *gradient;
    double *analytic = calloc(network->weight_count, sizeof *analytic), worst = 0;
    assert_true(isfinite(trainer_gradient(trainer, sequences, SEQUENCES, &gradient)));
    memcpy(analytic, gradient, network->weight_count * sizeof *analytic);
    for (size_t i = 0; i < network->weight_count; i++) {
        real kept = network->weights[i];
        network->weights[i] = kept + STEP;
        double above = trainer_gradient(trainer, sequences, SEQUENCES, &gradient);
        network->weights[i] = kept - STEP;
        double below = trainer_gradient(trainer, sequences, SEQUENCES, &gradient);
        network->weights[i] = kept;
        double numeric = (above - below) / (2 * STEP), scale = fmax(fabs(numeric) + fabs(analytic[i]), 1e-4);
        worst = fmax(worst, fabs(numeric - analytic[i]) / scale);
    }
    free(analytic);
    trainer_destroy(trainer);
    network_destroy(network);
    return worst;
}

static void gradient__finite_differences__agree(void **state)
{
    (void)state;
    static const struct network_shape shapes[] = {{5, 4, 1}, {5, 3, 2}, {5, 6, 3}};
    for (size_t i = 0; i < FS_COUNT(shapes); i++)
        for (unsigned seed = 1; seed <= 3; seed++) {
            double worst = worst_difference(&shapes[i], seed);
            print_message("inputs %zu hidden %zu layers %zu seed %u: largest relative difference %.2e\n",
                          shapes[i].inputs, shapes[i].hidden, shapes[i].layers, seed, worst);
            assert_true(worst < 1e-5);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradient__finite_differences__agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
