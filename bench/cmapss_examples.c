/* See cmapss_examples.h. */
#include "bench/cmapss_examples.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "model/random.h"

#define AGE_CYCLES 100.0     /* unit of the age */
#define LIFE_MOST 125.0      /* life left is taught up to here, as the literature does (Heimes 2008) */
#define CONSTANT_SHARE 1e-7  /* a deviation below so much of the mean is rounding */
#define SETTING_DISTANCE 1.0 /* regimes of the published sets lie 5 apart or more, their noise is 0.01 */
#define ROW_NUMBERS (CMAPSS_INPUTS + 2 * NETWORK_CAUSES + 2 * NETWORK_RESOURCES)

static const size_t horizons[NETWORK_CAUSES] = {CMAPSS_HORIZON, 10, 20, 50, 80};

static size_t nearest_regime(const struct cmapss_scaling *scaling, const double *settings, double *distance)
{
    size_t best = 0;
    *distance = DBL_MAX;
    for (size_t r = 0; r < scaling->regimes; r++) {
        double farthest = 0;
        for (size_t i = 0; i < CMAPSS_SETTINGS; i++)
            farthest = fmax(farthest, fabs(settings[i] - scaling->settings[r][i]));
        if (farthest < *distance) {
            *distance = farthest;
            best = r;
        }
    }
    return best;
}

static const double *row_of(const struct cmapss_engine *engine, size_t cycle)
{
    return engine->rows + cycle * CMAPSS_COLUMNS;
}

static void find_regimes(struct cmapss_scaling *scaling, struct cmapss_choice choice)
{
    for (size_t e = 0; e < choice.count; e++) {
        const struct cmapss_engine *engine = &choice.set->engines[choice.engines[e]];
        for (size_t t = 0; t < engine->cycles; t++) {
            double distance;
            (void)nearest_regime(scaling, row_of(engine, t), &distance); /* only how far it is */
            if (distance > SETTING_DISTANCE && scaling->regimes < CMAPSS_REGIMES_MAX)
                memcpy(scaling->settings[scaling->regimes++], row_of(engine, t), sizeof scaling->settings[0]);
        }
    }
}

/* Welford 1962: one pass, without the cancellation of sums of squares. */
void cmapss_scaling_fit(struct cmapss_scaling *scaling, struct cmapss_choice choice)
{
    double rows[CMAPSS_REGIMES_MAX] = {0}, distance;
    *scaling = (struct cmapss_scaling){0};
    find_regimes(scaling, choice);
    for (size_t e = 0; e < choice.count; e++) {
        const struct cmapss_engine *engine = &choice.set->engines[choice.engines[e]];
        for (size_t t = 0; t < engine->cycles; t++) {
            const double *row = row_of(engine, t);
            size_t r = nearest_regime(scaling, row, &distance);
            rows[r] += 1;
            for (size_t i = 0; i < CMAPSS_COLUMNS; i++) {
                double off = row[i] - scaling->mean[r][i];
                scaling->mean[r][i] += off / rows[r];
                scaling->scale[r][i] += off * (row[i] - scaling->mean[r][i]); /* squares, until below */
            }
        }
    }
    for (size_t r = 0; r < scaling->regimes; r++)
        for (size_t i = 0; i < CMAPSS_COLUMNS; i++) {
            double deviation = sqrt(scaling->scale[r][i] / rows[r]);
            bool constant = deviation <= CONSTANT_SHARE * fabs(scaling->mean[r][i]);
            scaling->scale[r][i] = constant ? 0 : 1 / deviation;
        }
}

/* One series as it is taught: cycle t shows row floor(t / pace) of the engine. */
struct variant {
    const struct cmapss_engine *engine;
    size_t cycles;
    double pace;
};

static void fill_inputs(const struct variant *variant, const struct cmapss_scaling *scaling, float *inputs)
{
    double distance;
    for (size_t t = 0; t < variant->cycles; t++) {
        size_t at = FS_MIN((size_t)((double)t / variant->pace), variant->engine->cycles - 1);
        const double *row = row_of(variant->engine, at);
        float *out = inputs + t * CMAPSS_INPUTS;
        size_t r = nearest_regime(scaling, row, &distance);
        for (size_t i = 0; i < CMAPSS_COLUMNS; i++)
            out[i] = (float)((row[i] - scaling->mean[r][i]) * scaling->scale[r][i]);
        out[CMAPSS_COLUMNS] = (float)((double)(t + 1) / AGE_CYCLES);
    }
}

static float *carve(float **free_numbers, size_t cycles, size_t width)
{
    float *start = *free_numbers;
    *free_numbers += cycles * width;
    return start;
}

static struct train_sequence make_sequence(const struct variant *variant,
                                           const struct cmapss_scaling *scaling, float **numbers)
{
    size_t n = variant->cycles;
    float *inputs = carve(numbers, n, CMAPSS_INPUTS);
    float *labels = carve(numbers, n, NETWORK_CAUSES), *mask = carve(numbers, n, NETWORK_CAUSES);
    float *demand = carve(numbers, n, NETWORK_RESOURCES), *demand_mask = carve(numbers, n, NETWORK_RESOURCES);
    fill_inputs(variant, scaling, inputs);
    for (size_t t = 0; t < n; t++) {
        size_t left = n - 1 - t + variant->engine->remaining;
        for (size_t c = 0; c < NETWORK_CAUSES; c++) {
            labels[t * NETWORK_CAUSES + c] = left <= horizons[c];
            mask[t * NETWORK_CAUSES + c] = 1;
        }
        demand[t * NETWORK_RESOURCES] = (float)(fmin((double)left, LIFE_MOST) / LIFE_MOST);
        demand_mask[t * NETWORK_RESOURCES] = 1; /* of the other resources nothing is known: calloc's 0 */
    }
    return (struct train_sequence){.steps = n,
                                   .features = inputs,
                                   .labels = labels,
                                   .label_mask = mask,
                                   .demand = demand,
                                   .demand_mask = demand_mask,
                                   .weight = 1};
}

static struct variant choose_variant(const struct cmapss_engine *engine, size_t copy,
                                     const struct cmapss_augment *augment, uint64_t *seed)
{
    struct variant variant = {engine, engine->cycles, 1};
    if (copy == 0 || !augment)
        return variant;
    variant.pace = random_log_between(seed, 1 / augment->warp, augment->warp);
    variant.cycles = FS_MAX((size_t)((double)engine->cycles * variant.pace), 1);
    return variant;
}

int cmapss_examples_make(struct cmapss_choice choice, const struct cmapss_scaling *scaling,
                         const struct cmapss_augment *augment, struct cmapss_examples *out)
{
    size_t copies = augment ? augment->copies : 1, numbers;
    uint64_t seed = augment ? augment->seed : 0;
    struct cmapss_examples examples = {.count = choice.count * copies};
    struct variant *variants = calloc(examples.count + 1, sizeof *variants);
    for (size_t i = 0; variants && i < examples.count; i++) {
        const struct cmapss_engine *engine = &choice.set->engines[choice.engines[i % choice.count]];
        variants[i] = choose_variant(engine, i / choice.count, augment, &seed);
        examples.cycles += variants[i].cycles;
    }
    examples.sequences = calloc(examples.count + 1, sizeof *examples.sequences);
    if (size_multiply(examples.cycles + 1, ROW_NUMBERS, &numbers))
        examples.block = calloc(numbers, sizeof *examples.block);
    float *next = examples.block;
    int result = variants && examples.sequences && examples.block ? 0 : -ENOMEM;
    for (size_t i = 0; result == 0 && i < examples.count; i++)
        examples.sequences[i] = make_sequence(&variants[i], scaling, &next);
    free(variants);
    if (result == 0)
        *out = examples;
    else
        cmapss_examples_fini(&examples);
    return result;
}

void cmapss_labels(const struct cmapss_examples *examples, float *labels)
{
    size_t at = 0;
    for (size_t e = 0; e < examples->count; e++)
        for (size_t t = 0; t < examples->sequences[e].steps; t++)
            labels[at++] = examples->sequences[e].labels[t * NETWORK_CAUSES];
}

void cmapss_examples_fini(struct cmapss_examples *examples)
{
    free(examples->sequences);
    free(examples->block);
    *examples = (struct cmapss_examples){0};
}
