/* See answers.h. Many examples are stepped side by side, so that a step is one matrix product. */
#include "retrain/answers.h"

#include <errno.h>
#include <stdlib.h>

#define LANES 128

struct lanes {
    const struct dataset *dataset;
    struct answers *answers;
    size_t example[LANES], next[LANES]; /* example and its next tick of each lane in use */
    size_t used, upcoming;
    real *memory[LANES], *states;
    float *features;
    struct network_output *out;
};

void answers_fini(struct answers *answers)
{
    for (size_t i = 0; i < answers->count; i++)
        free(answers->items[i]);
    free(answers->items);
    *answers = (struct answers){0};
}

/* Fills free lanes and drops finished ones; false when nothing is left. */
static bool refill(struct lanes *lanes, size_t state_size)
{
    for (size_t i = 0; i < lanes->used;) {
        if (lanes->next[i] < lanes->dataset->items[lanes->example[i]].labels.ticks) {
            i++;
            continue;
        }
        size_t last = --lanes->used;
        real *freed = lanes->memory[i];
        lanes->example[i] = lanes->example[last];
        lanes->next[i] = lanes->next[last];
        lanes->memory[i] = lanes->memory[last];
        lanes->memory[last] = freed;
    }
    while (lanes->used < LANES && lanes->upcoming < lanes->dataset->count) {
        lanes->example[lanes->used] = lanes->upcoming++;
        lanes->next[lanes->used] = 0;
        memset(lanes->memory[lanes->used], 0, state_size * sizeof(real));
        lanes->used++;
    }
    return lanes->used > 0;
}

static void step(struct lanes *lanes, const struct network *network, struct network_scratch *scratch)
{
    for (size_t i = 0; i < lanes->used; i++)
        memcpy(lanes->features + i * FEATURE_COUNT,
               lanes->dataset->items[lanes->example[i]].labels.features + lanes->next[i] * FEATURE_COUNT,
               FEATURE_COUNT * sizeof(float));
    network_step(network, scratch, lanes->features, lanes->memory, lanes->out, lanes->used);
    for (size_t i = 0; i < lanes->used; i++)
        lanes->answers->items[lanes->example[i]][lanes->next[i]++] = lanes->out[i];
}

static bool take_answers(const struct dataset *dataset, struct answers *out)
{
    out->items = calloc(dataset->count + 1, sizeof(struct network_output *));
    bool ok = out->items != NULL;
    for (; ok && out->count < dataset->count; out->count++) {
        size_t ticks = dataset->items[out->count].labels.ticks;
        ok = (out->items[out->count] = calloc(ticks, sizeof **out->items)) != NULL;
    }
    return ok;
}

int answers_make(const struct network *network, const struct dataset *dataset, struct answers *out)
{
    if (network->shape.inputs != FEATURE_COUNT)
        return -EINVAL;
    struct answers made = {0};
    struct lanes lanes = {.dataset = dataset, .answers = &made};
    size_t state_size = network_state_size(&network->shape);
    struct network_scratch *scratch = network_scratch_create(&network->shape);
    lanes.states = calloc(LANES * state_size, sizeof *lanes.states);
    lanes.features = calloc((size_t)LANES * FEATURE_COUNT, sizeof *lanes.features);
    lanes.out = calloc(LANES, sizeof *lanes.out);
    bool ok = scratch && lanes.states && lanes.features && lanes.out && take_answers(dataset, &made);
    for (size_t i = 0; ok && i < LANES; i++)
        lanes.memory[i] = lanes.states + i * state_size;
    while (ok && refill(&lanes, state_size))
        step(&lanes, network, scratch);
    network_scratch_destroy(scratch);
    free(lanes.states);
    free(lanes.features);
    free(lanes.out);
    if (ok)
        *out = made;
    else
        answers_fini(&made);
    return ok ? 0 : -ENOMEM;
}
