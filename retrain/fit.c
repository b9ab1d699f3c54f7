/* See fit.h. */
#include "retrain/fit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/clock.h"
#include "model/calibrate.h"
#include "model/network.h"
#include "model/train_loop.h"
#include "retrain/alarms.h"

struct fitting {
    struct network *network;
    struct trainer *trainer;
    const struct fit_options *options;
    struct train_sequence *train, *validation;
    size_t train_count, validation_count, train_ticks;
    int64_t began_us;
    fit_report_fn *report; /* NULL = none */
    void *context;
};

const char *const *fit_feature_names(void)
{
    static const char *names[FEATURE_COUNT];
    for (int i = 0; i < FEATURE_COUNT; i++)
        names[i] = feature_name((enum feature_index)i);
    return names;
}

static struct network *begin(const struct network *start, const struct fit_options *options)
{
    struct network_shape shape = {FEATURE_COUNT, options->hidden, options->layers};
    struct network *network = network_create(start ? &start->shape : &shape, options->seed);
    if (!network || !start)
        return network;
    memcpy(network->weights, start->weights, start->weight_count * sizeof *start->weights);
    memcpy(network->mean, start->mean, sizeof start->mean);
    memcpy(network->scale, start->scale, sizeof start->scale);
    return network;
}

static bool prepare(struct fitting *fitting, const struct dataset *train, const struct dataset *validation,
                    bool new_scaling)
{
    const struct fit_options *options = fitting->options;
    struct trainer_options trainer = trainer_defaults;
    trainer.lanes = options->lanes;
    trainer.window = options->window;
    trainer.learning_rate = options->learning_rate;
    trainer.weight_decay = options->weight_decay;
    trainer.demand_weight = options->demand_weight;
    trainer.seed = options->seed;
    fitting->train = dataset_sequences(train);
    fitting->validation = dataset_sequences(validation);
    fitting->train_count = train->count;
    fitting->train_ticks = train->ticks;
    fitting->validation_count = validation->count;
    fitting->trainer = trainer_create(fitting->network, &trainer);
    if (!fitting->train || !fitting->validation || !fitting->trainer)
        return false;
    if (new_scaling)
        train_fit_scaling(fitting->network, fitting->train, fitting->train_count);
    return true;
}

static void fitting_fini(struct fitting *fitting)
{
    trainer_destroy(fitting->trainer);
    free(fitting->train);
    free(fitting->validation);
}

/* What the loop says, with the time that it took so far. */
static void report_epoch(void *context, const struct train_loop_progress *epoch)
{
    struct fitting *fitting = context;
    double spent_s = (double)(clock_monotonic_us() - fitting->began_us) * 1e-6;
    struct fit_progress progress = {
        .epoch = epoch->epoch,
        .epochs = epoch->epochs,
        .best_epoch = epoch->best_epoch,
        .train_loss = epoch->train_loss,
        .validation_loss = epoch->validation_loss,
        .best_loss = epoch->best_loss,
        .ticks_per_second = (double)(fitting->train_ticks * epoch->epoch) / fmax(spent_s, 1e-6),
        .remaining_s = spent_s / (double)epoch->epoch * (double)(epoch->epochs - epoch->epoch)};
    if (fitting->report)
        fitting->report(fitting->context, &progress);
}

static int run_epochs(struct fitting *fitting)
{
    struct train_loop_options loop = {.epochs = fitting->options->epochs,
                                      .patience = fitting->options->patience,
                                      .learning_rate = fitting->options->learning_rate};
    struct train_set train = {fitting->train, fitting->train_count};
    struct train_set validation = {fitting->validation, fitting->validation_count};
    fitting->began_us = clock_monotonic_us();
    return train_loop(fitting->trainer, fitting->network, train, validation, &loop, report_epoch, fitting);
}

int fit_network(const struct network *start, const struct dataset *train, const struct dataset *validation,
                const struct fit_options *options, fit_report_fn *report, void *context, struct network **out)
{
    if (train->count == 0 || validation->count == 0 || (start && start->shape.inputs != FEATURE_COUNT))
        return -EINVAL;
    struct fitting fitting = {
        .options = options, .network = begin(start, options), .report = report, .context = context};
    int result = -ENOMEM;
    if (!fitting.network)
        return result;
    fitting.network->features_version = FEATURES_VERSION;
    if (prepare(&fitting, train, validation, !start))
        result = run_epochs(&fitting);
    fitting_fini(&fitting);
    if (result == 0)
        result = fit_calibration(fitting.network, validation, options->false_alarms_per_hour);
    if (result == 0)
        *out = fitting.network;
    else
        network_destroy(fitting.network);
    return result;
}

/* --- calibration and threshold --- */

static size_t gather(const struct dataset *dataset, const struct answers *answers, size_t cause,
                     float *logits, float *labels, float *weights)
{
    size_t count = 0;
    for (size_t e = 0; e < dataset->count; e++) {
        const struct labels *l = &dataset->items[e].labels;
        for (size_t t = 0; t < l->ticks; t++) {
            size_t at = t * NETWORK_CAUSES + cause;
            if (l->mask[at] <= 0)
                continue;
            logits[count] = answers->items[e][t].logits[cause];
            labels[count] = l->label[at];
            weights[count++] = l->mask[at] * dataset->items[e].weight;
        }
    }
    return count;
}

int fit_calibration(struct network *network, const struct dataset *validation, double false_alarms_per_hour)
{
    struct answers answers = {0};
    float *logits = calloc(validation->ticks + 1, sizeof *logits),
          *labels = calloc(validation->ticks + 1, sizeof *labels);
    float *weights = calloc(validation->ticks + 1, sizeof *weights);
    int result = logits && labels && weights ? answers_make(network, validation, &answers) : -ENOMEM;
    for (size_t cause = 0; result == 0 && cause < NETWORK_CAUSES; cause++) {
        size_t count = gather(validation, &answers, cause, logits, labels, weights);
        calibrate_platt(logits, labels, weights, count, &network->slope[cause], &network->intercept[cause]);
    }
    answers_fini(&answers);
    if (result == 0)
        result = answers_make(network, validation, &answers); /* now calibrated */
    if (result == 0)
        result = alarms_threshold(validation, &answers, false_alarms_per_hour, &network->threshold);
    answers_fini(&answers);
    free(logits);
    free(labels);
    free(weights);
    return result;
}
