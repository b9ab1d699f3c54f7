/* See train.h. The lanes lie in shards (train_shard.h), one per thread; their gradients are summed in the
 * order of the shards. */
#include "model/train.h"

#include <math.h>
#include <stdlib.h>

#include "model/random.h"
#include "model/train_shard.h"
#include "model/train_team.h"

#define SHARD_LANES ((size_t)16) /* at least: a matrix product of fewer rows is slow */

const struct trainer_options trainer_defaults = {.lanes = 64,
                                                 .window = 64,
                                                 .learning_rate = 2e-3,
                                                 .clip = 1.0,
                                                 .demand_weight = 0.3,
                                                 .horizon_weight = 0.3,
                                                 .weight_decay = 1e-5,
                                                 .seed = 1,
                                                 .threads = 1};

struct trainer {
    struct network *network;
    struct trainer_options options;
    struct train_shard *shards;
    size_t shard_count;
    struct train_team *team;
    bool learn;            /* the window is worked backwards, too */
    real scale;            /* of its gradient */
    real *moment, *square; /* [weight_count] */
    bool *fixed;           /* [weight_count]: stays as it is */
    size_t *order;
    size_t order_size;
    uint64_t random;
    long updates;
};

static bool take_shards(struct trainer *trainer)
{
    const struct trainer_options *options = &trainer->options;
    size_t threads = options->threads ? options->threads : train_team_cpus();
    size_t count = FS_MAX(FS_MIN(threads, options->lanes / SHARD_LANES), (size_t)1), first = 0;
    trainer->shards = calloc(count, sizeof *trainer->shards);
    trainer->team = train_team_create(count);
    if (!trainer->shards || !trainer->team)
        return false;
    for (; trainer->shard_count < count; trainer->shard_count++) {
        size_t end = options->lanes * (trainer->shard_count + 1) / count;
        struct train_shard *shard = &trainer->shards[trainer->shard_count];
        if (!train_shard_init(shard, trainer->network, options, end - first)) {
            train_shard_fini(shard);
            return false;
        }
        first = end;
    }
    return true;
}

/* Of first_input 0 none; else all but the weights that options say are to be learned. */
static void fix_learned_before(struct trainer *trainer)
{
    const struct trainer_options *o = &trainer->options;
    const struct network_shape *shape = &trainer->network->shape;
    for (size_t i = 0; o->first_input && i < trainer->network->weight_count; i++) {
        size_t row = i / (4 * shape->hidden);
        bool input = row >= o->first_input && row < shape->inputs;
        bool segment = row >= shape->inputs + o->first_segment && row < shape->inputs + shape->segments;
        trainer->fixed[i] = !input && !segment;
    }
}

/* What units of one layer tell those of the next step or layer across the blocks of merged networks: it is
 * zero and stays so, and a step stays as fast. */
static void fix_between_blocks(struct trainer *trainer)
{
    const struct network *network = trainer->network;
    size_t hidden = network->shape.hidden, block = network->block;
    for (size_t l = 0; l < network->shape.layers; l++) {
        const struct network_layer *layer = &network->layers[l];
        for (size_t row = l > 0 ? 0 : layer->inputs; row < layer->inputs + hidden; row++) {
            bool *fixed = trainer->fixed + (layer->weight - network->weights) + row * 4 * hidden;
            size_t unit = row < layer->inputs ? row : row - layer->inputs;
            for (size_t column = 0; column < 4 * hidden; column++)
                if (column % hidden / block != unit / block)
                    fixed[column] = true;
        }
    }
}

static void fix_weights(struct trainer *trainer)
{
    fix_learned_before(trainer);
    fix_between_blocks(trainer);
}

struct trainer *trainer_create(struct network *network, const struct trainer_options *options)
{
    struct trainer *trainer = calloc(1, sizeof *trainer);
    if (!trainer)
        return NULL;
    trainer->network = network;
    network_find_blocks(network);
    trainer->options = *options;
    trainer->random = options->seed;
    trainer->moment = calloc(network->weight_count, sizeof *trainer->moment);
    trainer->square = calloc(network->weight_count, sizeof *trainer->square);
    trainer->fixed = calloc(network->weight_count, sizeof *trainer->fixed);
    if (take_shards(trainer) && trainer->moment && trainer->square && trainer->fixed) {
        fix_weights(trainer);
        return trainer;
    }
    trainer_destroy(trainer);
    return NULL;
}

void trainer_destroy(struct trainer *trainer)
{
    if (!trainer)
        return;
    train_team_destroy(trainer->team);
    for (size_t i = 0; i < trainer->shard_count; i++)
        train_shard_fini(&trainer->shards[i]);
    free(trainer->shards);
    free(trainer->moment);
    free(trainer->square);
    free(trainer->fixed);
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

/* Where the sum of all shards' gradients goes. */
static real *gradient(const struct trainer *trainer)
{
    return trainer->shards[0].gradient;
}

/* What is not learned must not shorten the step of what is. */
static void leave_out(struct trainer *trainer)
{
    for (size_t i = 0; i < trainer->network->weight_count; i++)
        if (trainer->fixed[i])
            gradient(trainer)[i] = 0;
}

static void clip(struct trainer *trainer)
{
    double norm = 0;
    for (size_t i = 0; i < trainer->network->weight_count; i++)
        norm += (double)gradient(trainer)[i] * (double)gradient(trainer)[i];
    norm = sqrt(norm);
    if (trainer->options.clip <= 0 || norm <= trainer->options.clip)
        return;
    real scale = (real)(trainer->options.clip / norm);
    for (size_t i = 0; i < trainer->network->weight_count; i++)
        gradient(trainer)[i] *= scale;
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
        if (trainer->fixed[i])
            continue;
        double g = (double)gradient(trainer)[i];
        double m = b1 * (double)trainer->moment[i] + (1 - b1) * g,
               v = b2 * (double)trainer->square[i] + (1 - b2) * g * g;
        trainer->moment[i] = (real)m;
        trainer->square[i] = (real)v;
        trainer->network->weights[i] =
            (real)((double)trainer->network->weights[i] * decay - rate * m / (sqrt(v) + epsilon));
    }
}

/* Which inputs a new sequence sees: all, or while learning a draw (Gal & Ghahramani 2016: the same for all
 * its steps), so that no answer hangs on a few inputs of the programs at hand. */
static void draw_inputs(struct trainer *trainer, real *keep)
{
    double dropout = trainer->learn ? trainer->options.dropout : 0;
    for (size_t i = 0; i < trainer->network->shape.inputs; i++) {
        bool dropped = dropout > 0 && random_unit(&trainer->random) < dropout;
        keep[i] = dropped ? 0 : (real)(1 / (1 - dropout));
    }
}

/* Moves every lane to its next window; false when nothing is left. */
static bool advance(struct trainer *trainer, const struct train_sequence *sequences, size_t count,
                    size_t *next)
{
    bool any = false;
    for (size_t s = 0; s < trainer->shard_count; s++) {
        struct train_shard *shard = &trainer->shards[s];
        for (size_t lane = 0; lane < shard->lanes; lane++) {
            if (!train_shard_next(shard, lane)) {
                train_shard_begin(shard, lane, *next < count ? &sequences[trainer->order[(*next)++]] : NULL);
                draw_inputs(trainer, shard->keep + lane * trainer->network->shape.inputs);
            }
            any |= shard->sequence[lane] != NULL;
        }
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

static void work_shard(void *context, size_t part)
{
    struct trainer *trainer = context;
    train_shard_forward(&trainer->shards[part], trainer->scale);
    if (trainer->learn)
        train_shard_backward(&trainer->shards[part]);
}

/* Loss of the window, and the steps counted in it; with learn their gradient is there afterwards. */
static double work_window(struct trainer *trainer, double *counted)
{
    size_t steps = 0;
    double loss = 0;
    for (size_t s = 0; s < trainer->shard_count; s++)
        steps += train_shard_steps(&trainer->shards[s]);
    trainer->scale = steps > 0 ? (real)(1 / (double)steps) : 0;
    train_team_run(trainer->team, work_shard, trainer, trainer->shard_count);
    for (size_t s = 0; s < trainer->shard_count; s++) {
        loss += trainer->shards[s].loss;
        if (trainer->learn && s > 0)
            real_axpy((int)trainer->network->weight_count, 1, trainer->shards[s].gradient, 1,
                      gradient(trainer), 1);
    }
    *counted = (double)steps;
    return loss;
}

/* Before the first window. false: out of memory. */
static bool start(struct trainer *trainer, size_t count, bool shuffle, bool learn)
{
    trainer->learn = learn;
    for (size_t s = 0; s < trainer->shard_count; s++)
        train_shard_clear(&trainer->shards[s]);
    return set_order(trainer, count, shuffle);
}

static double pass(struct trainer *trainer, const struct train_sequence *sequences, size_t count, bool learn)
{
    double loss = 0, counted = 0, steps;
    size_t next = 0;
    if (!start(trainer, count, learn, learn))
        return NAN;
    while (advance(trainer, sequences, count, &next)) {
        loss += work_window(trainer, &steps);
        counted += steps;
        if (!learn)
            continue;
        leave_out(trainer);
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
                        const real **out)
{
    size_t next = 0;
    double dropout = trainer->options.dropout, steps;
    *out = gradient(trainer);
    if (!start(trainer, count, false, true))
        return NAN;
    trainer->options.dropout = 0;
    (void)advance(trainer, sequences, count, &next); /* one window is all that is asked for */
    trainer->options.dropout = dropout;
    double loss = work_window(trainer, &steps);
    return steps > 0 ? loss / steps : 0;
}
