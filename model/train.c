/* See train.h. Memory of a window, all taken at the start, time first: joined inputs, gate activations, cells
 * and their tanh of every layer. The backward pass overwrites the activations with their gradients, so that
 * each layer's weight gradient is one matrix product over all steps of the window. A bias lies behind its
 * weights: it is the row of a last input that is always 1. */
#include "model/train.h"

#include <math.h>
#include <stdlib.h>

#include "model/lstm_kernel.h"
#include "model/random.h"
#include "model/train_loss.h"

const struct trainer_options trainer_defaults = {.lanes = 64,
                                                 .window = 64,
                                                 .learning_rate = 2e-3,
                                                 .clip = 1.0,
                                                 .demand_weight = 0.3,
                                                 .horizon_weight = 0.3,
                                                 .weight_decay = 1e-5,
                                                 .seed = 1};

struct layer_trace {
    real *joined;    /* [window][lanes][inputs + hidden + 1]: input, h before, 1 */
    real *gates;     /* [window][lanes][4 * hidden] */
    real *cells;     /* [window + 1][lanes][hidden]; [0] is the carried one */
    real *squashed;  /* [window][lanes][hidden] */
    real *hidden;    /* [window + 1][lanes][hidden]; [0] is the carried one */
    real *grad_cell; /* [lanes][hidden], from the step after */
};

struct trainer {
    struct network *network;
    struct trainer_options options;
    lstm_kernel_fn *kernel;
    lstm_backward_fn *backward;
    struct layer_trace traces[NETWORK_LAYERS_MAX];
    real *grad_below;                   /* [window][lanes][hidden]: gradient of a layer's output from above */
    real *grad_joined;                  /* [lanes][hidden below + hidden], from the step after */
    real *raw;                          /* [window][lanes][NETWORK_OUTPUTS], then their gradients */
    real *gradient, *moment, *square;   /* [weight_count] */
    const struct train_sequence **lane; /* [lanes]: sequence in each, NULL = idle */
    size_t *cursor;                     /* [lanes]: its next step */
    real *keep;                         /* [lanes][inputs]: factor of each input */
    size_t *order;
    size_t order_size;
    uint64_t random;
    long updates;
    double counted; /* steps counted in the last window */
};

static real *take(size_t a, size_t b, size_t c)
{
    size_t ab, abc;
    if (!size_multiply(a, b, &ab) || !size_multiply(ab, c, &abc))
        return NULL;
    return calloc(abc, sizeof(real));
}

static bool take_trace(struct layer_trace *trace, size_t window, size_t lanes, size_t inputs, size_t hidden)
{
    size_t width = inputs + hidden + 1;
    trace->joined = take(window, lanes, width);
    trace->gates = take(window, lanes, 4 * hidden);
    trace->cells = take(window + 1, lanes, hidden);
    trace->squashed = take(window, lanes, hidden);
    trace->hidden = take(window + 1, lanes, hidden);
    trace->grad_cell = take(1, lanes, hidden);
    for (size_t row = 0; trace->joined && row < window * lanes; row++)
        trace->joined[(row + 1) * width - 1] = 1;
    return trace->joined && trace->gates && trace->cells && trace->squashed && trace->hidden &&
           trace->grad_cell;
}

struct trainer *trainer_create(struct network *network, const struct trainer_options *options)
{
    struct trainer *trainer = calloc(1, sizeof *trainer);
    if (!trainer)
        return NULL;
    size_t lanes = options->lanes, window = options->window, hidden = network->shape.hidden;
    trainer->network = network;
    network->block = hidden; /* what is zero between merged ones will not stay so */
    trainer->options = *options;
    trainer->kernel = lstm_kernel_select(NULL);
    trainer->backward = lstm_backward_select();
    trainer->random = options->seed;
    bool ok = true;
    for (size_t l = 0; l < network->shape.layers; l++)
        ok = take_trace(&trainer->traces[l], window, lanes, network->layers[l].inputs, hidden) && ok;
    trainer->grad_below = take(window, lanes, hidden);
    trainer->grad_joined = take(1, lanes, 2 * hidden);
    trainer->raw = take(window, lanes, NETWORK_OUTPUTS);
    trainer->keep = take(1, lanes, network->shape.inputs);
    trainer->gradient = take(1, 1, network->weight_count);
    trainer->moment = take(1, 1, network->weight_count);
    trainer->square = take(1, 1, network->weight_count);
    trainer->lane = calloc(lanes, sizeof(const struct train_sequence *));
    trainer->cursor = calloc(lanes, sizeof *trainer->cursor);
    if (ok && trainer->grad_below && trainer->grad_joined && trainer->raw && trainer->keep &&
        trainer->gradient && trainer->moment && trainer->square && trainer->lane && trainer->cursor)
        return trainer;
    trainer_destroy(trainer);
    return NULL;
}

void trainer_destroy(struct trainer *trainer)
{
    if (!trainer)
        return;
    for (size_t l = 0; l < NETWORK_LAYERS_MAX; l++) {
        struct layer_trace *t = &trainer->traces[l];
        real *all[] = {t->joined, t->gates, t->cells, t->squashed, t->hidden, t->grad_cell};
        for (size_t i = 0; i < FS_COUNT(all); i++)
            free(all[i]);
    }
    free(trainer->grad_below);
    free(trainer->grad_joined);
    free(trainer->raw);
    free(trainer->keep);
    free(trainer->gradient);
    free(trainer->moment);
    free(trainer->square);
    free(trainer->lane);
    free(trainer->cursor);
    free(trainer->order);
    free(trainer);
}

void trainer_set_learning_rate(struct trainer *trainer, double rate)
{
    trainer->options.learning_rate = rate;
}

struct trainer_state trainer_state(struct trainer *trainer)
{
    return (struct trainer_state){trainer->moment, trainer->square, &trainer->random, &trainer->updates};
}

/* Lane's features of step t of this window, or NULL past its end. */
static const float *lane_row(const struct trainer *trainer, size_t lane, size_t t)
{
    const struct train_sequence *sequence = trainer->lane[lane];
    size_t at = trainer->cursor[lane] + t;
    return sequence && at < sequence->steps ? sequence->features + at * trainer->network->shape.inputs : NULL;
}

/* A feature that is not seen is not seen in segments either. */
static void drop(const struct trainer *trainer, size_t lane, real *inputs)
{
    const struct network *network = trainer->network;
    size_t features = network->shape.inputs;
    const real *keep = trainer->keep + lane * features;
    for (size_t i = 0; i < features; i++)
        inputs[i] *= keep[i];
    for (size_t i = 0; i < network->shape.segments; i++)
        inputs[features + i] *= keep[network->segments[i].feature];
}

static void join(struct trainer *trainer, size_t l, size_t t)
{
    const struct network *network = trainer->network;
    size_t hidden = network->shape.hidden, inputs = network->layers[l].inputs, lanes = trainer->options.lanes;
    struct layer_trace *trace = &trainer->traces[l];
    for (size_t lane = 0; lane < lanes; lane++) {
        real *joined = trace->joined + (t * lanes + lane) * (inputs + hidden + 1);
        if (l > 0) {
            memcpy(joined, trainer->traces[l - 1].hidden + ((t + 1) * lanes + lane) * hidden,
                   hidden * sizeof *joined);
        } else {
            const float *row = lane_row(trainer, lane, t);
            if (row)
                network_inputs(network, row, joined);
            else
                memset(joined, 0, inputs * sizeof *joined);
            drop(trainer, lane, joined);
        }
        memcpy(joined + inputs, trace->hidden + (t * lanes + lane) * hidden, hidden * sizeof *joined);
    }
}

static void forward_layer(struct trainer *trainer, size_t l, size_t t)
{
    const struct network_layer *layer = &trainer->network->layers[l];
    size_t hidden = trainer->network->shape.hidden, lanes = trainer->options.lanes, cells = lanes * hidden;
    struct layer_trace *trace = &trainer->traces[l];
    int width = (int)(layer->inputs + hidden + 1), gates = (int)(4 * hidden);
    real *gate = trace->gates + t * lanes * 4 * hidden;
    join(trainer, l, t);
    real_gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)lanes, gates, width, 1,
              trace->joined + t * lanes * (size_t)width, width, layer->weight, gates, 0, gate, gates);
    memcpy(trace->cells + (t + 1) * cells, trace->cells + t * cells, cells * sizeof *gate);
    trainer->kernel(lanes, hidden, gate, trace->cells + (t + 1) * cells, trace->squashed + t * cells,
                    trace->hidden + (t + 1) * cells);
}

static void forward(struct trainer *trainer)
{
    const struct network *network = trainer->network;
    size_t lanes = trainer->options.lanes, window = trainer->options.window, hidden = network->shape.hidden;
    for (size_t t = 0; t < window; t++)
        for (size_t l = 0; l < network->shape.layers; l++)
            forward_layer(trainer, l, t);
    const real *top = trainer->traces[network->shape.layers - 1].hidden + lanes * hidden;
    for (size_t row = 0; row < window * lanes; row++)
        memcpy(trainer->raw + row * NETWORK_OUTPUTS, network->head_bias, NETWORK_OUTPUTS * sizeof(real));
    real_gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)(window * lanes), NETWORK_OUTPUTS, (int)hidden,
              1, top, (int)hidden, network->head_weight, NETWORK_OUTPUTS, 1, trainer->raw, NETWORK_OUTPUTS);
}

/* Loss of the window; turns trainer->raw into the loss's gradient by it, per counted step. */
static double loss_and_slope(struct trainer *trainer)
{
    size_t lanes = trainer->options.lanes, window = trainer->options.window;
    double loss = 0, counted = 0;
    for (size_t t = 0; t < window; t++)
        for (size_t lane = 0; lane < lanes; lane++) {
            real *raw = trainer->raw + (t * lanes + lane) * NETWORK_OUTPUTS;
            if (!lane_row(trainer, lane, t)) {
                memset(raw, 0, NETWORK_OUTPUTS * sizeof *raw);
                continue;
            }
            const struct train_sequence *s = trainer->lane[lane];
            size_t at = trainer->cursor[lane] + t;
            train_loss_step(raw, s, at, &trainer->options, &loss);
            counted += 1;
        }
    real scale = counted > 0 ? (real)(1 / counted) : 0;
    for (size_t i = 0; i < window * lanes * NETWORK_OUTPUTS; i++)
        trainer->raw[i] *= scale;
    trainer->counted = counted;
    return loss;
}

/* Gradient of a layer's input and of its h before, through its gates of step t. Nobody asks for that of the
 * features. */
static void inputs_backward(struct trainer *trainer, size_t l, size_t t, size_t below)
{
    const struct network_layer *layer = &trainer->network->layers[l];
    size_t hidden = trainer->network->shape.hidden, lanes = trainer->options.lanes, width = below + hidden;
    const real *gates = trainer->traces[l].gates + t * lanes * 4 * hidden;
    real_gemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)lanes, (int)width, (int)(4 * hidden), 1, gates,
              (int)(4 * hidden), layer->weight + (layer->inputs - below) * 4 * hidden, (int)(4 * hidden), 0,
              trainer->grad_joined, (int)width);
    for (size_t lane = 0; lane < lanes && below > 0; lane++)
        memcpy(trainer->grad_below + (t * lanes + lane) * hidden, trainer->grad_joined + lane * width,
               hidden * sizeof(real));
}

/* Takes the gradient of the layer's output in grad_below; after it that of the layer below's is there. */
static void backward_layer(struct trainer *trainer, size_t l)
{
    const struct network_layer *layer = &trainer->network->layers[l];
    size_t hidden = trainer->network->shape.hidden, lanes = trainer->options.lanes,
           window = trainer->options.window, below = l > 0 ? hidden : 0;
    struct layer_trace *trace = &trainer->traces[l];
    int width = (int)(layer->inputs + hidden + 1), gates = (int)(4 * hidden);
    memset(trainer->grad_joined, 0, lanes * (below + hidden) * sizeof(real));
    memset(trace->grad_cell, 0, lanes * hidden * sizeof(real));
    for (size_t t = window; t-- > 0;) {
        size_t cells = t * lanes * hidden;
        trainer->backward(lanes, hidden, trace->gates + 4 * cells, trace->cells + cells,
                          trace->squashed + cells, trainer->grad_below + cells, trainer->grad_joined + below,
                          below + hidden, trace->grad_cell);
        if (t > 0 || below > 0)
            inputs_backward(trainer, l, t, below);
    }
    real *grad_weight = trainer->gradient + (layer->weight - trainer->network->weights);
    real_gemm(CblasRowMajor, CblasTrans, CblasNoTrans, width, gates, (int)(window * lanes), 1, trace->joined,
              width, trace->gates, gates, 0, grad_weight, gates); /* and of the bias */
}

static void backward(struct trainer *trainer)
{
    const struct network *network = trainer->network;
    size_t lanes = trainer->options.lanes, window = trainer->options.window, hidden = network->shape.hidden;
    const real *top = trainer->traces[network->shape.layers - 1].hidden + lanes * hidden;
    real *grad_weight = trainer->gradient + (network->head_weight - network->weights);
    real *grad_bias = trainer->gradient + (network->head_bias - network->weights);
    real_gemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)hidden, NETWORK_OUTPUTS, (int)(window * lanes), 1,
              top, (int)hidden, trainer->raw, NETWORK_OUTPUTS, 0, grad_weight, NETWORK_OUTPUTS);
    memset(grad_bias, 0, NETWORK_OUTPUTS * sizeof *grad_bias);
    for (size_t row = 0; row < window * lanes; row++)
        real_axpy(NETWORK_OUTPUTS, 1, trainer->raw + row * NETWORK_OUTPUTS, 1, grad_bias, 1);
    /* The other horizons' heads read the state and do not shape it. */
    real_gemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)(window * lanes), (int)hidden,
              NETWORK_OUTPUTS_LEAST, 1, trainer->raw, NETWORK_OUTPUTS, network->head_weight, NETWORK_OUTPUTS,
              0, trainer->grad_below, (int)hidden);
    for (size_t l = network->shape.layers; l-- > 0;)
        backward_layer(trainer, l);
}

static void clip(struct trainer *trainer)
{
    double norm = 0;
    for (size_t i = 0; i < trainer->network->weight_count; i++)
        norm += (double)trainer->gradient[i] * (double)trainer->gradient[i];
    norm = sqrt(norm);
    if (trainer->options.clip <= 0 || norm <= trainer->options.clip)
        return;
    real scale = (real)(trainer->options.clip / norm);
    for (size_t i = 0; i < trainer->network->weight_count; i++)
        trainer->gradient[i] *= scale;
}

/* Adam with b1 = 0.9, b2 = 0.999, e = 1e-8 as in its paper; weight decay decoupled (Loshchilov & Hutter
 * 2019). */
static void update(struct trainer *trainer)
{
    const double b1 = 0.9, b2 = 0.999, epsilon = 1e-8;
    trainer->updates++;
    double rate = trainer->options.learning_rate * sqrt(1 - pow(b2, (double)trainer->updates)) /
                  (1 - pow(b1, (double)trainer->updates));
    double decay = 1 - trainer->options.learning_rate * trainer->options.weight_decay;
    for (size_t i = 0; i < trainer->network->weight_count; i++) {
        double g = (double)trainer->gradient[i];
        double m = b1 * (double)trainer->moment[i] + (1 - b1) * g,
               v = b2 * (double)trainer->square[i] + (1 - b2) * g * g;
        trainer->moment[i] = (real)m;
        trainer->square[i] = (real)v;
        trainer->network->weights[i] =
            (real)((double)trainer->network->weights[i] * decay - rate * m / (sqrt(v) + epsilon));
    }
}

/* Carries the state at the window's end into its start; a lane with a new sequence begins at zero. */
static void carry(struct trainer *trainer, size_t lane, bool fresh)
{
    size_t hidden = trainer->network->shape.hidden, lanes = trainer->options.lanes,
           window = trainer->options.window;
    for (size_t l = 0; l < trainer->network->shape.layers; l++) {
        struct layer_trace *trace = &trainer->traces[l];
        real *both[2] = {trace->hidden, trace->cells};
        for (size_t i = 0; i < 2; i++) {
            real *start = both[i] + lane * hidden;
            if (fresh)
                memset(start, 0, hidden * sizeof *start);
            else
                memcpy(start, both[i] + (window * lanes + lane) * hidden, hidden * sizeof *start);
        }
    }
}

/* Which inputs a new sequence sees: all, or while learning a draw (Gal & Ghahramani 2016: the same for all
 * its steps), so that no answer hangs on a few inputs of the programs at hand. */
static void draw_inputs(struct trainer *trainer, size_t lane, bool learn)
{
    size_t inputs = trainer->network->shape.inputs;
    double dropout = learn ? trainer->options.dropout : 0;
    for (size_t i = 0; i < inputs; i++) {
        bool dropped = dropout > 0 && random_unit(&trainer->random) < dropout;
        trainer->keep[lane * inputs + i] = dropped ? 0 : (real)(1 / (1 - dropout));
    }
}

/* Moves every lane to its next window; false when nothing is left. */
static bool advance(struct trainer *trainer, const struct train_sequence *sequences, size_t count,
                    size_t *next, bool learn)
{
    bool any = false;
    for (size_t lane = 0; lane < trainer->options.lanes; lane++) {
        const struct train_sequence *current = trainer->lane[lane];
        trainer->cursor[lane] += current ? trainer->options.window : 0;
        bool fresh = !current || trainer->cursor[lane] >= current->steps;
        if (fresh) {
            trainer->lane[lane] = *next < count ? &sequences[trainer->order[(*next)++]] : NULL;
            trainer->cursor[lane] = 0;
            draw_inputs(trainer, lane, learn);
        }
        carry(trainer, lane, fresh);
        any |= trainer->lane[lane] != NULL;
    }
    return any;
}

static bool set_order(struct trainer *trainer, size_t count, bool shuffle)
{
    if (count > trainer->order_size) {
        size_t *order = realloc(trainer->order, count * sizeof *order);
        if (!order)
            return false;
        trainer->order = order;
        trainer->order_size = count;
    }
    for (size_t i = 0; i < count; i++)
        trainer->order[i] = i;
    for (size_t i = count; shuffle && i > 1; i--) {
        size_t j = random_next(&trainer->random) % i, kept = trainer->order[i - 1];
        trainer->order[i - 1] = trainer->order[j];
        trainer->order[j] = kept;
    }
    return true;
}

static void clear_lanes(struct trainer *trainer)
{
    for (size_t lane = 0; lane < trainer->options.lanes; lane++) {
        trainer->lane[lane] = NULL;
        trainer->cursor[lane] = 0;
    }
}

static double pass(struct trainer *trainer, const struct train_sequence *sequences, size_t count, bool learn)
{
    double loss = 0, counted = 0;
    size_t next = 0;
    if (!set_order(trainer, count, learn))
        return NAN;
    clear_lanes(trainer);
    while (advance(trainer, sequences, count, &next, learn)) {
        forward(trainer);
        loss += loss_and_slope(trainer);
        counted += trainer->counted;
        if (!learn)
            continue;
        backward(trainer);
        clip(trainer);
        update(trainer);
    }
    return counted > 0 ? loss / counted : 0;
}

double trainer_epoch(struct trainer *trainer, const struct train_sequence *sequences, size_t count)
{
    return pass(trainer, sequences, count, true);
}

double trainer_evaluate(struct trainer *trainer, const struct train_sequence *sequences, size_t count)
{
    return pass(trainer, sequences, count, false);
}

double trainer_gradient(struct trainer *trainer, const struct train_sequence *sequences, size_t count,
                        const real **gradient)
{
    size_t next = 0;
    *gradient = trainer->gradient;
    if (!set_order(trainer, count, false))
        return NAN;
    clear_lanes(trainer);
    (void)advance(trainer, sequences, count, &next, false); /* one window is all that is asked for */
    forward(trainer);
    double loss = loss_and_slope(trainer);
    backward(trainer);
    return trainer->counted > 0 ? loss / trainer->counted : 0;
}
