/* The LSTM step: the batched step against plain loops in double, files there and back, and no allocation on
 * the way. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buffer.h"
#include "model/network.h"
#include "tests/support/allocations.h"

#define SEED 20u

static float drawn(unsigned *seed, float width)
{
    *seed = *seed * 1664525u + 1013904223u;
    return ((float)(*seed >> 8) / 8388608.0f - 1) * width;
}

/* --- the step --- */

static double apart(real a, double b)
{
    return fabs((double)a - b);
}

struct world {
    struct network *network;
    struct network_scratch *scratch;
    size_t executions, state_size;
    float *features;
    real *block, **states, *reference;
    struct network_output *out;
};

static void world_init(struct world *world, size_t inputs, size_t hidden, size_t layers, size_t executions)
{
    struct network_shape shape = {inputs, hidden, layers, inputs / 4};
    unsigned seed = SEED;
    world->network = network_create(&shape, 7);
    world->scratch = network_scratch_create(&shape);
    assert_true(world->network && world->scratch);
    world->executions = executions;
    world->state_size = network_state_size(&shape);
    world->features = calloc(executions * inputs, sizeof *world->features);
    world->block = calloc(executions * world->state_size, sizeof *world->block);
    world->reference = calloc(executions * world->state_size, sizeof *world->reference);
    world->states = calloc(executions, sizeof *world->states);
    world->out = calloc(executions, sizeof *world->out);
    for (size_t i = 0; i < executions; i++)
        world->states[i] = world->block + (i * 7919 % executions) * world->state_size; /* not in order */
    for (size_t i = 0; i < inputs; i++) {
        world->network->mean[i] = drawn(&seed, 1);
        world->network->scale[i] = 1 + drawn(&seed, 0.5f);
    }
    for (size_t i = 0; i < shape.segments; i++)
        world->network->segments[i] =
            (struct network_segment){i * 5 % inputs, drawn(&seed, 1), 2 + drawn(&seed, 1)};
    world->network->bound = 1.5f; /* some of the features below lie outside */
    for (size_t i = 0; i < NETWORK_OUTPUTS; i++)
        world->network->head_bias[i] = (real)drawn(&seed, 1);
}

static void world_fini(struct world *world)
{
    network_destroy(world->network);
    network_scratch_destroy(world->scratch);
    free(world->features);
    free(world->block);
    free(world->reference);
    free(world->states);
    free(world->out);
}

static double output_apart(const struct network_output *a, const struct network_output *b)
{
    double worst = 0;
    for (size_t i = 0; i < NETWORK_CAUSES; i++) {
        worst = fmax(worst, apart(a->logits[i], (double)b->logits[i]));
        worst = fmax(worst, apart(a->probabilities[i], (double)b->probabilities[i]));
    }
    for (size_t r = 0; r < NETWORK_RESOURCES; r++)
        for (size_t q = 0; q < NETWORK_QUANTILES; q++)
            worst = fmax(worst, apart(a->demand[r][q], (double)b->demand[r][q]));
    return worst;
}

/* Largest difference to the reference over some steps in which everybody has other features. */
static double run_both(struct world *world, size_t steps)
{
    unsigned seed = SEED;
    double worst = 0;
    size_t inputs = world->network->shape.inputs;
    for (size_t t = 0; t < steps; t++) {
        for (size_t i = 0; i < world->executions * inputs; i++)
            world->features[i] = drawn(&seed, 2);
        network_step(world->network, world->scratch, world->features, world->states, world->out,
                     world->executions);
        for (size_t i = 0; i < world->executions; i++) {
            struct network_output expected;
            real *state = world->reference + (size_t)(world->states[i] - world->block);
            network_step_reference(world->network, world->features + i * inputs, state, &expected);
            worst = fmax(worst, output_apart(&world->out[i], &expected));
        }
    }
    return worst;
}

static void step__batched__is_the_reference(void **state)
{
    (void)state;
    static const size_t cases[][4] = {{1, 1, 1, 1},     {65, 32, 1, 5},   {65, 64, 2, 127}, {65, 64, 2, 128},
                                      {65, 33, 3, 129}, {70, 17, 4, 300}, {3, 128, 2, 2}};
    for (size_t i = 0; i < FS_COUNT(cases); i++) {
        struct world world;
        world_init(&world, cases[i][0], cases[i][1], cases[i][2], cases[i][3]);
        double worst = run_both(&world, 20);
        print_message("inputs %zu hidden %zu layers %zu executions %zu: largest difference %.2e\n",
                      cases[i][0], cases[i][1], cases[i][2], cases[i][3], worst);
        assert_true(worst < 2e-5);
        world_fini(&world);
    }
}

static void step__alone_or_in_a_batch__gives_the_same(void **state)
{
    (void)state;
    struct world together, alone;
    world_init(&together, 65, 32, 1, 40);
    world_init(&alone, 65, 32, 1, 40);
    unsigned seed = SEED;
    for (size_t t = 0; t < 10; t++) {
        for (size_t i = 0; i < (size_t)40 * 65; i++)
            together.features[i] = alone.features[i] = drawn(&seed, 2);
        network_step(together.network, together.scratch, together.features, together.states, together.out,
                     40);
        for (size_t i = 0; i < 40; i++)
            network_step(alone.network, alone.scratch, alone.features + i * 65, alone.states + i,
                         alone.out + i, 1);
    }
    for (size_t i = 0; i < 40; i++)
        assert_true(output_apart(&together.out[i], &alone.out[i]) < 1e-5);
    world_fini(&together);
    world_fini(&alone);
}

static void step__steady_state__allocates_nothing(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 65, 64, 2, 300);
    network_step(world.network, world.scratch, world.features, world.states, world.out, 300);
    size_t before = allocations_count();
    for (int i = 0; i < 50; i++)
        network_step(world.network, world.scratch, world.features, world.states, world.out, 300);
    assert_int_equal(allocations_count(), before);
    world_fini(&world);
}

static void decode__any_head__quantiles_rise_and_probabilities_are_calibrated(void **state)
{
    (void)state;
    struct network *network = network_create(&(struct network_shape){1, 1, 1, 0}, 1);
    unsigned seed = SEED;
    network->slope[0] = 2;
    network->intercept[0] = -1;
    for (int round = 0; round < 1000; round++) {
        real raw[NETWORK_OUTPUTS];
        struct network_output out;
        for (size_t i = 0; i < NETWORK_OUTPUTS; i++)
            raw[i] = (real)drawn(&seed, 100);
        network_decode(network, raw, &out);
        assert_true(apart(out.probabilities[0], 1 / (1 + exp(1 - 2 * (double)raw[0]))) < 1e-6);
        for (size_t r = 0; r < NETWORK_RESOURCES; r++)
            for (size_t q = 1; q < NETWORK_QUANTILES; q++)
                assert_true(out.demand[r][q] >= out.demand[r][q - 1]);
    }
    network_destroy(network);
}

static void inputs__beyond_the_bound_and_along_a_segment__held(void **state)
{
    (void)state;
    struct network *network = network_create(&(struct network_shape){2, 1, 1, 2}, 1);
    network->mean[1] = 10;
    network->scale[1] = 0.5f;
    network->segments[0] = (struct network_segment){1, 8, 0.25f};
    network->segments[1] = (struct network_segment){0, 0, 1000};
    static const struct {
        float features[2];
        double inputs[4];
    } cases[] = {
        {{1, 12}, {1, 1, 0.5, 0.5}}, {{-90, 9}, {-3, -0.5, -0.25, -0.5}}, {{0, -1000}, {0, -3, -0.5, -0.5}}};
    network->bound = 3;
    for (size_t c = 0; c < FS_COUNT(cases); c++) {
        real out[4];
        network_inputs(network, cases[c].features, out);
        for (size_t i = 0; i < 4; i++)
            assert_true(apart(out[i], cases[c].inputs[i]) < 1e-6);
    }
    network_destroy(network);
}

/* --- files --- */

static const char *const *numbered_names(size_t count)
{
    static char texts[NETWORK_INPUTS_MAX][32];
    static const char *names[NETWORK_INPUTS_MAX];
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "feature_%zu", i);
        names[i] = texts[i];
    }
    return names;
}

static void load__what_save_wrote__steps_the_same(void **state)
{
    (void)state;
    struct world world;
    struct buffer bytes;
    struct network *loaded;
    char error[256];
    world_init(&world, 65, 32, 2, 10);
    for (size_t i = 0; i < NETWORK_CAUSES; i++)
        world.network->thresholds[i] = 0.123f + 0.1f * (float)i;
    world.network->slope[3] = 1.7f;
    world.network->intercept[4] = -0.4f;
    world.network->features_version = 9;
    buffer_init(&bytes, 0);
    assert_int_equal(network_save(world.network, numbered_names(65), &bytes), 0);
    assert_int_equal(strlen(world.network->version), 64);
    assert_int_equal(network_load(buffer_str(&bytes), &loaded, error, sizeof error), 0);
    assert_string_equal(loaded->version, world.network->version);
    assert_memory_equal(&loaded->shape, &world.network->shape, sizeof loaded->shape);
    assert_memory_equal(loaded->weights, world.network->weights, loaded->weight_count * sizeof(real));
    assert_memory_equal(loaded->mean, world.network->mean, sizeof loaded->mean);
    for (size_t i = 0; i < loaded->shape.segments; i++) {
        const struct network_segment *ours = &world.network->segments[i], *theirs = &loaded->segments[i];
        assert_true(theirs->feature == ours->feature && theirs->low == ours->low &&
                    theirs->scale == ours->scale);
    }
    assert_true(loaded->shape.segments == 16 && loaded->bound == world.network->bound);
    assert_memory_equal(loaded->slope, world.network->slope, sizeof loaded->slope);
    assert_memory_equal(loaded->intercept, world.network->intercept, sizeof loaded->intercept);
    assert_memory_equal(loaded->thresholds, world.network->thresholds, sizeof loaded->thresholds);
    assert_true(loaded->features_version == 9 && loaded->horizon_ms == 10000);
    network_destroy(loaded);
    buffer_fini(&bytes);
    world_fini(&world);
}

static void load__of_a_network_without_bound__has_none(void **state)
{
    (void)state;
    struct network *network = network_create(&(struct network_shape){3, 4, 1, 0}, 1), *loaded;
    struct buffer bytes;
    char error[256];
    buffer_init(&bytes, 0);
    assert_int_equal(network_save(network, numbered_names(3), &bytes), 0);
    assert_int_equal(network_load(buffer_str(&bytes), &loaded, error, sizeof error), 0);
    assert_true(isinf(loaded->bound));
    network_destroy(loaded);
    network_destroy(network);
    buffer_fini(&bytes);
}

/* The bytes of a file with one word of its header changed, as long as before. */
static void rename_in(struct buffer *bytes, const char *word, const char *other)
{
    size_t size = strlen(word), found = 0;
    for (size_t at = 0; at + size <= bytes->size; at++)
        if (memcmp(bytes->data + at, word, size) == 0) {
            memcpy(bytes->data + at, other, size);
            found++;
        }
    assert_int_equal(found, 1);
}

static void load__one_threshold_and_no_horizons__reads_as_it_was_meant(void **state)
{
    (void)state;
    struct world world;
    struct buffer bytes;
    struct network *loaded;
    char error[256];
    world_init(&world, 7, 5, 1, 3);
    for (size_t i = 0; i < NETWORK_CAUSES; i++)
        world.network->thresholds[i] = 0.2f + 0.1f * (float)i;
    world.network->has_horizons = false;
    buffer_init(&bytes, 0);
    assert_int_equal(network_save(world.network, numbered_names(7), &bytes), 0);
    rename_in(&bytes, "\"thresholds\"", "\"threshold_\"");
    assert_int_equal(network_load(buffer_str(&bytes), &loaded, error, sizeof error), 0);
    for (size_t i = 0; i < NETWORK_CAUSES; i++)
        assert_true(loaded->thresholds[i] == 0.2f);
    assert_false(loaded->has_horizons);
    for (size_t row = 0; row < 5; row++)
        for (size_t i = 0; i < NETWORK_OUTPUTS; i++)
            assert_true(
                loaded->head_weight[row * NETWORK_OUTPUTS + i] ==
                (i < NETWORK_OUTPUTS_LEAST ? world.network->head_weight[row * NETWORK_OUTPUTS + i] : 0));
    network_destroy(loaded);
    buffer_fini(&bytes);
    world_fini(&world);
}

static void expect_refused(struct buffer *bytes, const char *why)
{
    struct network *loaded;
    char error[256] = "";
    int result = network_load(buffer_str(bytes), &loaded, error, sizeof error);
    if (result != -EBADMSG || !error[0])
        fail_msg("%s: result %d, error '%s'", why, result, error);
    print_message("%s: %s\n", why, error);
}

static void load__damaged_file__says_what_is_wrong(void **state)
{
    (void)state;
    struct network *network = network_create(&(struct network_shape){4, 8, 1, 0}, 3);
    struct buffer bytes;
    buffer_init(&bytes, 0);
    assert_int_equal(network_save(network, numbered_names(4), &bytes), 0);
    size_t whole = bytes.size;
    bytes.size = whole - 4;
    expect_refused(&bytes, "cut short");
    bytes.size = whole;
    memset(bytes.data + whole - 4, 0xff, 4); /* a NaN */
    expect_refused(&bytes, "not finite");
    buffer_reset(&bytes);
    network->thresholds[3] = 1.5f;
    assert_int_equal(network_save(network, numbered_names(4), &bytes), 0);
    expect_refused(&bytes, "threshold out of range");
    network_destroy(network);
    buffer_fini(&bytes);
}

static void create__each_allocation_failing__gives_null(void **state)
{
    (void)state;
    static const struct network_shape shape = {8, 8, 2, 0};
    for (size_t nth = 0;; nth++) {
        allocations_fail(nth);
        struct network *network = network_create(&shape, 1);
        struct network_scratch *scratch = network_scratch_create(&shape);
        bool done = !allocations_failed();
        assert_true(!done || (network && scratch));
        assert_true(done || !network || !scratch);
        network_destroy(network);
        network_scratch_destroy(scratch);
        if (done)
            break;
    }
    assert_null(network_create(&(struct network_shape){8, 8, 1, NETWORK_SEGMENTS_MAX + 1}, 1));
    assert_null(network_create(&(struct network_shape){0, 8, 1, 0}, 1));
    assert_null(network_create(&(struct network_shape){8, 8, NETWORK_LAYERS_MAX + 1, 0}, 1));
    assert_null(network_create(&(struct network_shape){8, NETWORK_HIDDEN_MAX + 1, 1, 0}, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step__batched__is_the_reference),
        cmocka_unit_test(step__alone_or_in_a_batch__gives_the_same),
        cmocka_unit_test(step__steady_state__allocates_nothing),
        cmocka_unit_test(decode__any_head__quantiles_rise_and_probabilities_are_calibrated),
        cmocka_unit_test(inputs__beyond_the_bound_and_along_a_segment__held),
        cmocka_unit_test(load__of_a_network_without_bound__has_none),
        cmocka_unit_test(load__what_save_wrote__steps_the_same),
        cmocka_unit_test(load__one_threshold_and_no_horizons__reads_as_it_was_meant),
        cmocka_unit_test(load__damaged_file__says_what_is_wrong),
        cmocka_unit_test(create__each_allocation_failing__gives_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
