/* See train_loop.h. */
#include "model/train_loop.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "model/train_checkpoint.h"

#define AVERAGE_SHARE 0.2

struct loop {
    struct trainer *trainer;
    struct network *network;
    struct train_set train, validation;
    const struct train_loop_options *options;
    real *average, *best; /* best: the average of the best epoch */
    struct train_loop_progress progress;
    double rate;  /* before it fades */
    size_t stale; /* epochs since the best */
};

/* Over the second half of all epochs the rate falls to nothing: what is learned settles. */
static double faded(const struct loop *loop)
{
    double left = 1 - (double)loop->progress.epoch / (double)FS_MAX(loop->options->epochs, (size_t)1);
    return loop->rate * fmin(1, 2 * left);
}

/* Keeps the best weights, slows down when stuck. */
static void judge_epoch(struct loop *loop)
{
    struct train_loop_progress *progress = &loop->progress;
    if (progress->validation_loss < progress->best_loss) {
        progress->best_loss = progress->validation_loss;
        progress->best_epoch = progress->epoch;
        loop->stale = 0;
        memcpy(loop->best, loop->average, loop->network->weight_count * sizeof *loop->best);
        return;
    }
    loop->stale++;
    if (loop->stale % 2 == 0)
        loop->rate /= 2;
}

static void swap(real *a, real *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        real kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

/* Takes the epoch's weights into the average and returns the validation loss of the average. */
static double validate(struct loop *loop)
{
    size_t count = loop->network->weight_count;
    real *weights = loop->network->weights;
    /* A plain mean of the first few, then the last ones count most. */
    real share = (real)fmax(1.0 / (double)loop->progress.epoch, AVERAGE_SHARE);
    for (size_t i = 0; i < count; i++)
        loop->average[i] += share * (weights[i] - loop->average[i]);
    swap(weights, loop->average, count);
    double loss = trainer_evaluate(loop->trainer, loop->validation.sequences, loop->validation.count);
    swap(weights, loop->average, count);
    return loss;
}

/* Everything an epoch changes. */
static size_t list_parts(struct loop *loop, struct train_checkpoint_part parts[TRAIN_CHECKPOINT_PARTS_MAX])
{
    size_t bytes = loop->network->weight_count * sizeof(real), count = 0;
    struct trainer_state state = trainer_state(loop->trainer);
    real *const arrays[] = {loop->network->weights, loop->average, loop->best, state.moment, state.square};
    for (size_t i = 0; i < FS_COUNT(arrays); i++)
        parts[count++] = (struct train_checkpoint_part){arrays[i], bytes};
    parts[count++] = (struct train_checkpoint_part){state.random, sizeof *state.random};
    parts[count++] = (struct train_checkpoint_part){state.updates, sizeof *state.updates};
    parts[count++] = (struct train_checkpoint_part){&loop->progress, sizeof loop->progress};
    parts[count++] = (struct train_checkpoint_part){&loop->rate, sizeof loop->rate};
    parts[count++] = (struct train_checkpoint_part){&loop->stale, sizeof loop->stale};
    return count;
}

static bool keeps(const struct loop *loop)
{
    return loop->options->checkpoint && *loop->options->checkpoint;
}

static int keep(struct loop *loop)
{
    struct train_checkpoint_part parts[TRAIN_CHECKPOINT_PARTS_MAX];
    return keeps(loop) ? train_checkpoint_write(loop->options->checkpoint, loop->options->fingerprint, parts,
                                                list_parts(loop, parts))
                       : 0;
}

static void begin(struct loop *loop)
{
    struct train_loop_progress *progress = &loop->progress;
    struct train_checkpoint_part parts[TRAIN_CHECKPOINT_PARTS_MAX];
    loop->rate = loop->options->learning_rate;
    size_t count = list_parts(loop, parts);
    if (keeps(loop) &&
        train_checkpoint_read(loop->options->checkpoint, loop->options->fingerprint, parts, count) == 0) {
        progress->resumed = progress->epoch;
    } else {
        progress->best_loss =
            trainer_evaluate(loop->trainer, loop->validation.sequences, loop->validation.count);
        memcpy(loop->best, loop->network->weights, loop->network->weight_count * sizeof *loop->best);
    }
    progress->epochs = loop->options->epochs;
}

static int run(struct loop *loop, train_loop_report_fn *report, void *context)
{
    struct train_loop_progress *progress = &loop->progress;
    size_t bytes = loop->network->weight_count * sizeof *loop->best;
    int result = 0;
    begin(loop);
    while (result == 0 && progress->epoch < progress->epochs && loop->stale < loop->options->patience) {
        trainer_set_learning_rate(loop->trainer, faded(loop));
        progress->epoch++;
        progress->train_loss = trainer_epoch(loop->trainer, loop->train.sequences, loop->train.count);
        progress->validation_loss = validate(loop);
        if (!isfinite(progress->train_loss) || !isfinite(progress->validation_loss))
            return -ENOMEM;
        judge_epoch(loop);
        result = keep(loop);
        if (report)
            report(context, progress);
    }
    memcpy(loop->network->weights, loop->best, bytes);
    return result;
}

int train_loop(struct trainer *trainer, struct network *network, struct train_set train,
               struct train_set validation, const struct train_loop_options *options,
               train_loop_report_fn *report, void *context)
{
    struct loop loop = {
        .trainer = trainer, .network = network, .train = train, .validation = validation, .options = options};
    loop.average = calloc(network->weight_count, sizeof *loop.average);
    loop.best = calloc(network->weight_count, sizeof *loop.best);
    int result = loop.average && loop.best ? run(&loop, report, context) : -ENOMEM;
    free(loop.average);
    free(loop.best);
    return result;
}
