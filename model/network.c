/* See network.h. */
#include "model/network.h"

#include <math.h>
#include <stdlib.h>

#include "model/lstm_kernel.h"
#include "model/random.h"

#define CHUNK_ROWS ((size_t)128) /* gates of a chunk stay in L2: 128 * 4 * 64 * 4 B = 128 KiB */

const int32_t network_horizons_ms[NETWORK_HORIZONS] = {2000, 30000};
const real network_quantile_levels[NETWORK_QUANTILES] = {(real)0.5, (real)0.9, (real)0.99};

static void fill_uniform(real *weights, size_t count, size_t fan_in, uint64_t *seed)
{
    double width = 1 / sqrt((double)fan_in);
    for (size_t i = 0; i < count; i++)
        weights[i] = (real)random_between(seed, -width, width);
}

static bool shape_valid(const struct network_shape *shape)
{
    return shape->inputs >= 1 && shape->segments <= NETWORK_SEGMENTS_MAX &&
           shape->inputs <= NETWORK_INPUTS_MAX - shape->segments && shape->hidden >= 1 &&
           shape->hidden <= NETWORK_HIDDEN_MAX && shape->layers >= 1 && shape->layers <= NETWORK_LAYERS_MAX;
}

/* Lays the tensors into the block (NULL: only counts). */
static size_t lay_out(struct network *network, real *block)
{
    size_t hidden = network->shape.hidden, used = 0;
    for (size_t l = 0; l < network->shape.layers; l++) {
        struct network_layer *layer = &network->layers[l];
        layer->inputs = l == 0 ? network->shape.inputs + network->shape.segments : hidden;
        layer->weight = block ? block + used : NULL;
        used += (layer->inputs + hidden) * 4 * hidden;
        layer->bias = block ? block + used : NULL;
        used += 4 * hidden;
    }
    network->head_weight = block ? block + used : NULL;
    used += hidden * NETWORK_OUTPUTS;
    network->head_bias = block ? block + used : NULL;
    return used + NETWORK_OUTPUTS;
}

static void init_weights(struct network *network, uint64_t seed)
{
    size_t hidden = network->shape.hidden;
    for (size_t l = 0; l < network->shape.layers; l++) {
        struct network_layer *layer = &network->layers[l];
        fill_uniform(layer->weight, (layer->inputs + hidden) * 4 * hidden, layer->inputs + hidden, &seed);
        for (size_t i = 0; i < hidden; i++)
            layer->bias[hidden + i] = 1; /* remember at first: Jozefowicz et al. 2015 */
    }
    fill_uniform(network->head_weight, hidden * NETWORK_OUTPUTS, hidden, &seed);
}

struct network *network_create(const struct network_shape *shape, uint64_t seed)
{
    if (!shape_valid(shape))
        return NULL;
    struct network *network = calloc(1, sizeof *network);
    if (!network)
        return NULL;
    openblas_set_num_threads(1); /* services scale by processes; it also makes training repeatable */
    network->shape = *shape;
    network->weight_count = lay_out(network, NULL);
    network->weights = calloc(network->weight_count, sizeof *network->weights);
    if (!network->weights) {
        free(network);
        return NULL;
    }
    (void)lay_out(network, network->weights); /* counted above */
    init_weights(network, seed);
    for (size_t i = 0; i < shape->inputs; i++)
        network->scale[i] = 1;
    for (size_t i = 0; i < shape->segments; i++)
        network->segments[i].scale = 1;
    network->bound = INFINITY;
    for (size_t i = 0; i < NETWORK_CAUSES; i++) {
        network->slope[i] = 1;
        network->thresholds[i] = 0.5f;
        for (size_t h = 0; h < NETWORK_HORIZONS; h++)
            network->horizon_slope[h][i] = 1;
    }
    network->has_horizons = true;
    network->horizon_ms = 10000;
    network->block = shape->hidden;
    return network;
}

void network_destroy(struct network *network)
{
    if (!network)
        return;
    free(network->weights);
    free(network);
}

size_t network_state_size(const struct network_shape *shape)
{
    return shape->layers * 2 * shape->hidden;
}

struct network_scratch {
    lstm_kernel_fn *kernel;
    size_t widest;
    real *joined;                   /* [CHUNK_ROWS][widest input + hidden] */
    real *gates;                    /* [CHUNK_ROWS][4 * hidden] */
    real *cell, *squashed, *hidden; /* [CHUNK_ROWS][hidden] */
    real *raw;                      /* [CHUNK_ROWS][NETWORK_OUTPUTS] */
};

struct network_scratch *network_scratch_create(const struct network_shape *shape)
{
    struct network_scratch *scratch = shape_valid(shape) ? calloc(1, sizeof *scratch) : NULL;
    if (!scratch)
        return NULL;
    scratch->kernel = lstm_kernel_select(NULL);
    scratch->widest = FS_MAX(shape->inputs + shape->segments, shape->hidden) + shape->hidden;
    scratch->joined = calloc(CHUNK_ROWS * scratch->widest, sizeof(real));
    scratch->gates = calloc(CHUNK_ROWS * 4 * shape->hidden, sizeof(real));
    scratch->cell = calloc(CHUNK_ROWS * shape->hidden, sizeof(real));
    scratch->squashed = calloc(CHUNK_ROWS * shape->hidden, sizeof(real));
    scratch->hidden = calloc(CHUNK_ROWS * shape->hidden, sizeof(real));
    scratch->raw = calloc(CHUNK_ROWS * NETWORK_OUTPUTS, sizeof(real));
    if (scratch->joined && scratch->gates && scratch->cell && scratch->squashed && scratch->hidden &&
        scratch->raw)
        return scratch;
    network_scratch_destroy(scratch);
    return NULL;
}

void network_scratch_destroy(struct network_scratch *scratch)
{
    if (!scratch)
        return;
    free(scratch->joined);
    free(scratch->gates);
    free(scratch->cell);
    free(scratch->squashed);
    free(scratch->hidden);
    free(scratch->raw);
    free(scratch);
}

static void copy(real *to, const real *from, size_t count)
{
    memcpy(to, from, count * sizeof *to);
}

void network_inputs(const struct network *network, const float *features, real *out)
{
    for (size_t i = 0; i < network->shape.inputs; i++) {
        float scaled = (features[i] - network->mean[i]) * network->scale[i];
        out[i] = (real)FS_MAX(FS_MIN(scaled, network->bound), -network->bound);
    }
    for (size_t i = 0; i < network->shape.segments; i++) {
        const struct network_segment *segment = &network->segments[i];
        float along = (features[segment->feature] - segment->low) * segment->scale;
        out[network->shape.inputs + i] = (real)(FS_MAX(FS_MIN(along, 1.0f), 0.0f) - 0.5f);
    }
}

/* Joins [input, old h] of a chunk and gathers the cells; the input of layer 0 are scaled features, of others
 * the h below. */
static void gather(const struct network *network, struct network_scratch *scratch, size_t l,
                   const float *features, real *const *states, size_t rows)
{
    size_t hidden = network->shape.hidden, inputs = network->layers[l].inputs, width = inputs + hidden;
    for (size_t row = 0; row < rows; row++) {
        real *joined = scratch->joined + row * width;
        const real *state = states[row] + l * 2 * hidden;
        if (l == 0) {
            network_inputs(network, features + row * network->shape.inputs, joined);
        } else {
            copy(joined, scratch->hidden + row * hidden, hidden);
        }
        copy(joined + inputs, state, hidden);
        copy(scratch->cell + row * hidden, state + hidden, hidden);
    }
}

static void scatter(const struct network *network, struct network_scratch *scratch, size_t l,
                    real *const *states, size_t rows)
{
    size_t hidden = network->shape.hidden;
    for (size_t row = 0; row < rows; row++) {
        real *state = states[row] + l * 2 * hidden;
        copy(state, scratch->hidden + row * hidden, hidden);
        copy(state + hidden, scratch->cell + row * hidden, hidden);
    }
}

/* gates[columns of a member] += joined[columns from..] * weights, one product per gate. */
static void add_block(const struct network *network, const struct network_layer *layer,
                      struct network_scratch *scratch, size_t from, size_t unit, size_t rows)
{
    size_t hidden = network->shape.hidden, width = layer->inputs + hidden, block = network->block;
    for (size_t gate = 0; gate < 4; gate++) {
        size_t column = gate * hidden + unit;
        real_gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)block, (int)block, 1,
                  scratch->joined + from, (int)width, layer->weight + from * 4 * hidden + column,
                  (int)(4 * hidden), 1, scratch->gates + column, (int)(4 * hidden));
    }
}

/* gates += joined * weights, without the zeros between members. */
static void multiply(const struct network *network, size_t l, struct network_scratch *scratch, size_t rows)
{
    const struct network_layer *layer = &network->layers[l];
    size_t hidden = network->shape.hidden, block = network->block, width = layer->inputs + hidden;
    size_t dense = block == hidden ? width : l == 0 ? layer->inputs : 0;
    if (dense > 0)
        real_gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)(4 * hidden), (int)dense, 1,
                  scratch->joined, (int)width, layer->weight, (int)(4 * hidden), 1, scratch->gates,
                  (int)(4 * hidden));
    for (size_t from = dense; from < width; from += block)
        add_block(network, layer, scratch, from, from < layer->inputs ? from : from - layer->inputs, rows);
}

static void step_chunk(const struct network *network, struct network_scratch *scratch, const float *features,
                       real *const *states, struct network_output *out, size_t rows)
{
    size_t hidden = network->shape.hidden;
    for (size_t l = 0; l < network->shape.layers; l++) {
        const struct network_layer *layer = &network->layers[l];
        gather(network, scratch, l, features, states, rows);
        for (size_t row = 0; row < rows; row++)
            copy(scratch->gates + row * 4 * hidden, layer->bias, 4 * hidden);
        multiply(network, l, scratch, rows);
        scratch->kernel(rows, hidden, scratch->gates, scratch->cell, scratch->squashed, scratch->hidden);
        scatter(network, scratch, l, states, rows);
    }
    for (size_t row = 0; row < rows; row++)
        copy(scratch->raw + row * NETWORK_OUTPUTS, network->head_bias, NETWORK_OUTPUTS);
    real_gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, NETWORK_OUTPUTS, (int)hidden, 1,
              scratch->hidden, (int)hidden, network->head_weight, NETWORK_OUTPUTS, 1, scratch->raw,
              NETWORK_OUTPUTS);
    for (size_t row = 0; row < rows; row++)
        network_decode(network, scratch->raw + row * NETWORK_OUTPUTS, &out[row]);
}

void network_step(const struct network *network, struct network_scratch *scratch, const float *features,
                  real *const *states, struct network_output *out, size_t n)
{
    for (size_t at = 0; at < n; at += CHUNK_ROWS)
        step_chunk(network, scratch, features + at * network->shape.inputs, states + at, out + at,
                   FS_MIN(CHUNK_ROWS, n - at));
}

static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

static double softplus(double x)
{
    return x > 30 ? x : log1p(exp(x));
}

static void decode_horizons(const struct network *network, const real *raw, struct network_output *out)
{
    for (size_t h = 0; h < NETWORK_HORIZONS; h++)
        for (size_t i = 0; i < NETWORK_CAUSES; i++) {
            double logit = (double)raw[h * NETWORK_CAUSES + i];
            out->horizon_logits[h][i] = (float)logit;
            out->horizon_probabilities[h][i] = (float)logistic((double)network->horizon_slope[h][i] * logit +
                                                               (double)network->horizon_intercept[h][i]);
        }
}

void network_calibrate(const struct network *network, const float logits[NETWORK_CAUSES],
                       float out[NETWORK_CAUSES])
{
    for (size_t i = 0; i < NETWORK_CAUSES; i++)
        out[i] = network->slope[i] * logits[i] + network->intercept[i];
}

void network_decode(const struct network *network, const real raw[NETWORK_OUTPUTS],
                    struct network_output *out)
{
    for (size_t i = 0; i < NETWORK_CAUSES; i++) {
        out->logits[i] = (float)raw[i];
        out->probabilities[i] =
            (float)logistic((double)network->slope[i] * (double)raw[i] + (double)network->intercept[i]);
    }
    for (size_t r = 0; r < NETWORK_RESOURCES; r++) {
        const real *quantiles = raw + NETWORK_CAUSES + r * NETWORK_QUANTILES;
        double value = (double)quantiles[0];
        out->demand[r][0] = (float)value;
        for (size_t q = 1; q < NETWORK_QUANTILES; q++)
            out->demand[r][q] = (float)(value += softplus((double)quantiles[q]));
    }
    decode_horizons(network, raw + NETWORK_OUTPUTS_LEAST, out);
}

/* One layer by the book: i, f, o = sigmoid, g = tanh; c' = f c + i g; h' = o tanh c'. */
static void layer_reference(const struct network_layer *layer, size_t hidden, const double *input,
                            real *state, double *next)
{
    real *h = state, *c = state + hidden;
    double cell[NETWORK_HIDDEN_MAX] = {0};
    for (size_t i = 0; i < hidden; i++) {
        double gate[4];
        for (size_t g = 0; g < 4; g++) {
            size_t column = g * hidden + i;
            gate[g] = (double)layer->bias[column];
            for (size_t k = 0; k < layer->inputs; k++)
                gate[g] += input[k] * (double)layer->weight[k * 4 * hidden + column];
            for (size_t k = 0; k < hidden; k++)
                gate[g] += (double)h[k] * (double)layer->weight[(layer->inputs + k) * 4 * hidden + column];
        }
        cell[i] = logistic(gate[1]) * (double)c[i] + logistic(gate[0]) * tanh(gate[2]);
        next[i] = logistic(gate[3]) * tanh(cell[i]);
    }
    for (size_t i = 0; i < hidden; i++) {
        h[i] = (real)next[i];
        c[i] = (real)cell[i];
    }
}

void network_step_reference(const struct network *network, const float *features, real *state,
                            struct network_output *out)
{
    size_t hidden = network->shape.hidden;
    double input[NETWORK_HIDDEN_MAX] = {0}, next[NETWORK_HIDDEN_MAX] = {0};
    real raw[NETWORK_OUTPUTS];
    size_t inputs = network->shape.inputs;
    for (size_t i = 0; i < inputs; i++)
        input[i] = fmin(
            fmax((double)((features[i] - network->mean[i]) * network->scale[i]), -(double)network->bound),
            (double)network->bound);
    for (size_t i = 0; i < network->shape.segments; i++) {
        const struct network_segment *s = &network->segments[i];
        input[inputs + i] =
            fmin(fmax(((double)features[s->feature] - (double)s->low) * (double)s->scale, 0), 1) - 0.5;
    }
    for (size_t l = 0; l < network->shape.layers; l++) {
        layer_reference(&network->layers[l], hidden, input, state + l * 2 * hidden, next);
        memcpy(input, next, hidden * sizeof *input);
    }
    for (size_t o = 0; o < NETWORK_OUTPUTS; o++) {
        double sum = (double)network->head_bias[o];
        for (size_t k = 0; k < hidden; k++)
            sum += input[k] * (double)network->head_weight[k * NETWORK_OUTPUTS + o];
        raw[o] = (real)sum;
    }
    network_decode(network, raw, out);
}
