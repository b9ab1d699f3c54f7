/* See train_shard.h. All memory is taken at the start. The backward pass overwrites the activations with
 * their gradients, so that each layer's weight gradient is one matrix product over all steps of the window. A
 * bias lies behind its weights: it is the row of a last input that is always 1. */
#include "model/train_shard.h"

#include <stdlib.h>

#include "model/train_loss.h"

static real *take(size_t a, size_t b, size_t c)
{
    size_t ab, abc;
    if (!size_multiply(a, b, &ab) || !size_multiply(ab, c, &abc))
        return NULL;
    return calloc(abc, sizeof(real));
}

/* Its rows of step t. */
static real *joined_of(const struct train_trace *trace, size_t t, size_t lanes, size_t width)
{
    return trace->products ? trace->joined : trace->joined + t * lanes * width;
}

static bool take_trace(struct train_shard *shard, size_t l)
{
    const struct network *network = shard->network;
    struct train_trace *trace = &shard->traces[l];
    size_t window = shard->options->window, lanes = shard->lanes, hidden = network->shape.hidden;
    size_t width = network->layers[l].inputs + hidden + 1, kept = window;
    if (shard->options->bfloat16 && train_products_available()) {
        trace->products =
            train_products_create(network, l, l > 0 ? 0 : network->layers[l].inputs, window, lanes);
        kept = 1;
        if (!trace->products)
            return false;
    }
    trace->joined = take(kept, lanes, width);
    trace->gates = take(window, lanes, 4 * hidden);
    trace->cells = take(window + 1, lanes, hidden);
    trace->squashed = take(window, lanes, hidden);
    trace->hidden = take(window + 1, lanes, hidden);
    trace->grad_cell = take(1, lanes, hidden);
    for (size_t row = 0; trace->joined && row < kept * lanes; row++)
        trace->joined[(row + 1) * width - 1] = 1;
    return trace->joined && trace->gates && trace->cells && trace->squashed && trace->hidden &&
           trace->grad_cell;
}

bool train_shard_init(struct train_shard *shard, const struct network *network,
                      const struct trainer_options *options, size_t lanes)
{
    size_t window = options->window, hidden = network->shape.hidden;
    *shard = (struct train_shard){.network = network,
                                  .options = options,
                                  .lanes = lanes,
                                  .kernel = lstm_kernel_select(NULL),
                                  .backward = lstm_backward_select(),
                                  .soften = lstm_soften_select()};
    bool ok = true;
    for (size_t l = 0; l < network->shape.layers; l++)
        ok = take_trace(shard, l) && ok;
    shard->grad_below = take(window, lanes, hidden);
    shard->grad_joined = take(1, lanes, 2 * hidden);
    shard->raw = take(window, lanes, NETWORK_OUTPUTS);
    shard->soft = take(1, lanes, NETWORK_OUTPUTS);
    shard->rise = take(1, lanes, NETWORK_OUTPUTS);
    shard->keep = take(1, lanes, network->shape.inputs);
    shard->gradient = take(1, 1, network->weight_count);
    shard->sequence = calloc(lanes, sizeof(const struct train_sequence *));
    shard->cursor = calloc(lanes, sizeof *shard->cursor);
    return ok && shard->grad_below && shard->grad_joined && shard->raw && shard->soft && shard->rise &&
           shard->keep && shard->gradient && shard->sequence && shard->cursor;
}

void train_shard_fini(struct train_shard *shard)
{
    for (size_t l = 0; l < NETWORK_LAYERS_MAX; l++) {
        struct train_trace *t = &shard->traces[l];
        real *all[] = {t->joined, t->gates, t->cells, t->squashed, t->hidden, t->grad_cell};
        for (size_t i = 0; i < FS_COUNT(all); i++)
            free(all[i]);
        train_products_destroy(t->products);
    }
    free(shard->grad_below);
    free(shard->grad_joined);
    free(shard->raw);
    free(shard->soft);
    free(shard->rise);
    free(shard->keep);
    free(shard->gradient);
    free(shard->sequence);
    free(shard->cursor);
}

/* --- the lanes --- */

void train_shard_clear(struct train_shard *shard)
{
    for (size_t lane = 0; lane < shard->lanes; lane++) {
        shard->sequence[lane] = NULL;
        shard->cursor[lane] = 0;
    }
}

bool train_shard_next(struct train_shard *shard, size_t lane)
{
    size_t hidden = shard->network->shape.hidden, lanes = shard->lanes, window = shard->options->window;
    const struct train_sequence *sequence = shard->sequence[lane];
    if (!sequence || shard->cursor[lane] + window >= sequence->steps)
        return false;
    shard->cursor[lane] += window;
    for (size_t l = 0; l < shard->network->shape.layers; l++) {
        real *both[2] = {shard->traces[l].hidden, shard->traces[l].cells}; /* the state at the window's end */
        for (size_t i = 0; i < 2; i++)
            memcpy(both[i] + lane * hidden, both[i] + (window * lanes + lane) * hidden,
                   hidden * sizeof(real));
    }
    return true;
}

void train_shard_begin(struct train_shard *shard, size_t lane, const struct train_sequence *sequence)
{
    size_t hidden = shard->network->shape.hidden;
    shard->sequence[lane] = sequence;
    shard->cursor[lane] = 0;
    for (size_t l = 0; l < shard->network->shape.layers; l++) {
        memset(shard->traces[l].hidden + lane * hidden, 0, hidden * sizeof(real));
        memset(shard->traces[l].cells + lane * hidden, 0, hidden * sizeof(real));
    }
}

size_t train_shard_steps(const struct train_shard *shard)
{
    size_t steps = 0;
    for (size_t lane = 0; lane < shard->lanes; lane++)
        if (shard->sequence[lane])
            steps += FS_MIN(shard->options->window, shard->sequence[lane]->steps - shard->cursor[lane]);
    return steps;
}

/* --- a window --- */

/* Lane's features of step t of this window, or NULL past its end. */
static const float *lane_row(const struct train_shard *shard, size_t lane, size_t t)
{
    const struct train_sequence *sequence = shard->sequence[lane];
    size_t at = shard->cursor[lane] + t;
    return sequence && at < sequence->steps ? sequence->features + at * shard->network->shape.inputs : NULL;
}

/* A feature that is not seen is not seen in segments either. */
static void drop(const struct train_shard *shard, size_t lane, real *inputs)
{
    const struct network *network = shard->network;
    size_t features = network->shape.inputs;
    const real *keep = shard->keep + lane * features;
    for (size_t i = 0; i < features; i++)
        inputs[i] *= keep[i];
    for (size_t i = 0; i < network->shape.segments; i++)
        inputs[features + i] *= keep[network->segments[i].feature];
}

static void join(struct train_shard *shard, size_t l, size_t t)
{
    const struct network *network = shard->network;
    size_t hidden = network->shape.hidden, inputs = network->layers[l].inputs, lanes = shard->lanes;
    struct train_trace *trace = &shard->traces[l];
    for (size_t lane = 0; lane < lanes; lane++) {
        real *joined = joined_of(trace, t, lanes, inputs + hidden + 1) + lane * (inputs + hidden + 1);
        if (l > 0) {
            memcpy(joined, shard->traces[l - 1].hidden + ((t + 1) * lanes + lane) * hidden,
                   hidden * sizeof *joined);
        } else {
            const float *row = lane_row(shard, lane, t);
            if (row)
                network_inputs(network, row, joined);
            else
                memset(joined, 0, inputs * sizeof *joined);
            drop(shard, lane, joined);
        }
        memcpy(joined + inputs, trace->hidden + (t * lanes + lane) * hidden, hidden * sizeof *joined);
    }
}

static void forward_layer(struct train_shard *shard, size_t l, size_t t)
{
    const struct network_layer *layer = &shard->network->layers[l];
    size_t hidden = shard->network->shape.hidden, lanes = shard->lanes, cells = lanes * hidden;
    struct train_trace *trace = &shard->traces[l];
    int width = (int)(layer->inputs + hidden + 1), gates = (int)(4 * hidden);
    real *gate = trace->gates + t * lanes * 4 * hidden;
    join(shard, l, t);
    if (trace->products)
        train_products_forward(trace->products, t, trace->joined, gate);
    else
        real_gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)lanes, gates, width, 1,
                  joined_of(trace, t, lanes, (size_t)width), width, layer->weight, gates, 0, gate, gates);
    memcpy(trace->cells + (t + 1) * cells, trace->cells + t * cells, cells * sizeof *gate);
    shard->kernel(lanes, hidden, gate, trace->cells + (t + 1) * cells, trace->squashed + t * cells,
                  trace->hidden + (t + 1) * cells);
}

/* Loss of the window; turns raw into the loss's gradient by it, times scale. */
static double loss_and_slope(struct train_shard *shard, real scale)
{
    size_t lanes = shard->lanes, window = shard->options->window;
    double loss = 0;
    for (size_t t = 0; t < window; t++) {
        real *step = shard->raw + t * lanes * NETWORK_OUTPUTS;
        shard->soften(lanes * NETWORK_OUTPUTS, step, shard->soft, shard->rise);
        for (size_t lane = 0; lane < lanes; lane++) {
            size_t first = lane * NETWORK_OUTPUTS;
            real *raw = step + first;
            if (!lane_row(shard, lane, t)) {
                memset(raw, 0, NETWORK_OUTPUTS * sizeof *raw);
                continue;
            }
            struct train_loss_row row = {raw, shard->soft + first, shard->rise + first};
            loss += train_loss_step(row, shard->sequence[lane], shard->cursor[lane] + t, shard->options);
            for (size_t i = 0; i < NETWORK_OUTPUTS; i++)
                raw[i] *= scale;
        }
    }
    return loss;
}

void train_shard_forward(struct train_shard *shard, real scale)
{
    const struct network *network = shard->network;
    size_t lanes = shard->lanes, window = shard->options->window, hidden = network->shape.hidden;
    for (size_t l = 0; l < network->shape.layers; l++)
        if (shard->traces[l].products)
            train_products_begin(shard->traces[l].products);
    for (size_t t = 0; t < window; t++)
        for (size_t l = 0; l < network->shape.layers; l++)
            forward_layer(shard, l, t);
    const real *top = shard->traces[network->shape.layers - 1].hidden + lanes * hidden;
    for (size_t row = 0; row < window * lanes; row++)
        memcpy(shard->raw + row * NETWORK_OUTPUTS, network->head_bias, NETWORK_OUTPUTS * sizeof(real));
    real_gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)(window * lanes), NETWORK_OUTPUTS, (int)hidden,
              1, top, (int)hidden, network->head_weight, NETWORK_OUTPUTS, 1, shard->raw, NETWORK_OUTPUTS);
    shard->loss = loss_and_slope(shard, scale);
}

/* Gradient of a layer's input and of its h before, through its gates of step t. Nobody asks for that of the
 * features. */
static void inputs_backward(struct train_shard *shard, size_t l, size_t t, size_t below)
{
    const struct network_layer *layer = &shard->network->layers[l];
    size_t hidden = shard->network->shape.hidden, lanes = shard->lanes, width = below + hidden;
    const struct train_trace *trace = &shard->traces[l];
    const real *gates = trace->gates + t * lanes * 4 * hidden;
    bool asked = t > 0 || below > 0;
    if (trace->products)
        train_products_backward(trace->products, t, gates, asked ? shard->grad_joined : NULL,
                                shard->gradient + (layer->weight - shard->network->weights));
    else if (asked)
        real_gemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)lanes, (int)width, (int)(4 * hidden), 1,
                  gates, (int)(4 * hidden), layer->weight + (layer->inputs - below) * 4 * hidden,
                  (int)(4 * hidden), 0, shard->grad_joined, (int)width);
    for (size_t lane = 0; lane < lanes && below > 0; lane++)
        memcpy(shard->grad_below + (t * lanes + lane) * hidden, shard->grad_joined + lane * width,
               hidden * sizeof(real));
}

/* Takes the gradient of the layer's output in grad_below; after it that of the layer below's is there. */
static void backward_layer(struct train_shard *shard, size_t l)
{
    const struct network_layer *layer = &shard->network->layers[l];
    size_t hidden = shard->network->shape.hidden, lanes = shard->lanes, window = shard->options->window,
           below = l > 0 ? hidden : 0;
    struct train_trace *trace = &shard->traces[l];
    int width = (int)(layer->inputs + hidden + 1), gates = (int)(4 * hidden);
    real *grad_weight = shard->gradient + (layer->weight - shard->network->weights);
    memset(grad_weight, 0, (size_t)width * (size_t)gates * sizeof *grad_weight);
    memset(shard->grad_joined, 0, lanes * (below + hidden) * sizeof(real));
    memset(trace->grad_cell, 0, lanes * hidden * sizeof(real));
    for (size_t t = window; t-- > 0;) {
        size_t cells = t * lanes * hidden;
        shard->backward(lanes, hidden, trace->gates + 4 * cells, trace->cells + cells,
                        trace->squashed + cells, shard->grad_below + cells, shard->grad_joined + below,
                        below + hidden, trace->grad_cell);
        inputs_backward(shard, l, t, below);
    }
    if (!trace->products)
        real_gemm(CblasRowMajor, CblasTrans, CblasNoTrans, width, gates, (int)(window * lanes), 1,
                  trace->joined, width, trace->gates, gates, 0, grad_weight, gates); /* and of the bias */
}

void train_shard_backward(struct train_shard *shard)
{
    const struct network *network = shard->network;
    size_t lanes = shard->lanes, window = shard->options->window, hidden = network->shape.hidden;
    const real *top = shard->traces[network->shape.layers - 1].hidden + lanes * hidden;
    real *grad_weight = shard->gradient + (network->head_weight - network->weights);
    real *grad_bias = shard->gradient + (network->head_bias - network->weights);
    real_gemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)hidden, NETWORK_OUTPUTS, (int)(window * lanes), 1,
              top, (int)hidden, shard->raw, NETWORK_OUTPUTS, 0, grad_weight, NETWORK_OUTPUTS);
    memset(grad_bias, 0, NETWORK_OUTPUTS * sizeof *grad_bias);
    for (size_t row = 0; row < window * lanes; row++)
        real_axpy(NETWORK_OUTPUTS, 1, shard->raw + row * NETWORK_OUTPUTS, 1, grad_bias, 1);
    /* The other horizons' heads read the state and do not shape it. */
    real_gemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)(window * lanes), (int)hidden,
              NETWORK_OUTPUTS_LEAST, 1, shard->raw, NETWORK_OUTPUTS, network->head_weight, NETWORK_OUTPUTS, 0,
              shard->grad_below, (int)hidden);
    for (size_t l = network->shape.layers; l-- > 0;)
        backward_layer(shard, l);
}
