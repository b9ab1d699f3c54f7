/* See fixture.h. */
#include "tests/predict/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "model/features.h"

static struct network *make_network(uint64_t seed, size_t hidden, size_t layers)
{
    struct network_shape shape = {.inputs = FEATURE_COUNT, .hidden = hidden, .layers = layers};
    struct network *network = network_create(&shape, seed);
    assert_non_null(network);
    network->features_version = FEATURES_VERSION;
    network->horizon_ms = 10000;
    return network;
}

struct network *make_random_network(uint64_t seed, size_t hidden, size_t layers)
{
    return make_network(seed, hidden, layers);
}

/* Every hidden unit is tanh(tanh(x)) of one input: input and output gates open, forget gate shut. */
struct network *make_ramp_network(void)
{
    struct network *network = make_network(1, 8, 1);
    size_t hidden = network->shape.hidden;
    memset(network->weights, 0, network->weight_count * sizeof *network->weights);
    for (size_t i = 0; i < hidden; i++) {
        network->layers[0].bias[i] = 12;
        network->layers[0].bias[hidden + i] = -12;
        network->layers[0].bias[3 * hidden + i] = 12;
        network->layers[0].weight[(size_t)FEATURE_MEMORY_EXHAUSTION_SECOND * 4 * hidden + 2 * hidden + i] = 1;
        network->head_weight[i * NETWORK_OUTPUTS] = 10.0f / (float)hidden;
    }
    network->mean[FEATURE_MEMORY_EXHAUSTION_SECOND] = 0.6f; /* about 14 s */
    network->scale[FEATURE_MEMORY_EXHAUSTION_SECOND] = 10;
    for (size_t c = 1; c < NETWORK_CAUSES; c++)
        network->head_bias[c] = -9;
    return network;
}

void save_network(struct network *network, struct buffer *out)
{
    const char *names[FEATURE_COUNT];
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        names[i] = feature_name((enum feature_index)i);
    buffer_init(out, 0);
    assert_int_equal(network_save(network, names, out), 0);
}

struct run make_run(uint8_t number, const char *code, int64_t limit_bytes)
{
    struct run run = {.attempt = 1, .started_us = START_US, .limits = {.memory_bytes = limit_bytes}};
    memset(run.execution, number, sizeof run.execution);
    str_copy(run.code, sizeof run.code, str_of(code));
    run.counters.memory_bytes = run.counters.memory_peak_bytes = MIB / 16; /* it has just begun */
    run.counters.memory_usage_bytes = MIB;
    run.counters.tasks = 1;
    return run;
}

struct msg_tick make_tick(const char *node, int64_t sequence, const struct run *runs, size_t count,
                          struct msg_sample *samples)
{
    struct msg_tick tick = {.node = str_of(node),
                            .pool = str_of("default"),
                            .epoch = 1,
                            .sequence = sequence,
                            .time_us = START_US + sequence * TICK_US,
                            .samples = {samples, count}};
    memset(tick.incarnation, 7, sizeof tick.incarnation);
    for (size_t i = 0; i < count; i++) {
        samples[i] = (struct msg_sample){.attempt = runs[i].attempt,
                                         .code = str_of(runs[i].code),
                                         .started_us = runs[i].started_us,
                                         .timeout_ms = runs[i].timeout_ms,
                                         .limits = runs[i].limits,
                                         .counters = runs[i].counters,
                                         .command = runs[i].command};
        memcpy(samples[i].execution, runs[i].execution, sizeof samples[i].execution);
    }
    return tick;
}

void keep_risk(void *context, struct msg_risk *risk)
{
    struct told *told = context;
    if (told->count == TOLD_MAX)
        return;
    told->risks[told->count] = *risk;
    for (size_t i = 0; i < risk->explanation.count && i < 3; i++)
        told->terms[told->count][i] = risk->explanation.items[i];
    told->risks[told->count].explanation.items = told->terms[told->count];
    told->count++;
}

struct engine *make_engine(struct codes *codes, struct told *told, int64_t training_ticks)
{
    struct engine_options options = {.executions = (size_t)4 * ENGINE_WAVE,
                                     .training_ticks = training_ticks,
                                     .rules = {.refresh_us = 5000000, .change = 0.02},
                                     .tell = keep_risk,
                                     .context = told};
    struct engine *engine = engine_create(&options, codes);
    assert_non_null(engine);
    return engine;
}

void feed_tick(struct engine *engine, int64_t sequence, const struct run *runs, size_t count, bool muted)
{
    struct msg_sample *samples = calloc(count, sizeof *samples);
    assert_non_null(samples);
    struct msg_tick tick = make_tick("node-1", sequence, runs, count, samples);
    struct engine_tick context = {
        .tick = &tick, .partition = 3, .consumed_us = 1, .now_ms = sequence * 100, .muted = muted};
    for (size_t i = 0; i < count; i++)
        engine_add(engine, &context, &samples[i]);
    engine_flush(engine);
    free(samples);
}
