/* See fit.h. */
#include "retrain/fit.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/hash.h"
#include "model/calibrate.h"
#include "model/network.h"
#include "model/network_merge.h"
#include "model/network_widen.h"
#include "model/train_loop.h"

#define INPUT_BOUND 3.0f /* deviations */

struct fitting {
    struct network *network;
    struct trainer *trainer;
    const struct fit_options *options;
    struct train_sequence *train, *validation;
    size_t train_count, validation_count, train_ticks;
    int64_t began_us;
    size_t member;         /* from 0 */
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

/* Features in which the answer turns within a few percent. */
static const size_t segmented[] = {
    FEATURE_MEMORY_TO_LIMIT,        FEATURE_PROFILE_RUNS_LOG,      FEATURE_PROFILE_P50_TO_LIMIT,
    FEATURE_PROFILE_P95_TO_LIMIT,   FEATURE_PROFILE_MAX_TO_LIMIT,  FEATURE_MEMORY_TO_PROFILE_P50,
    FEATURE_MEMORY_TO_PROFILE_MAX,  FEATURE_PROFILE_TIME_LEFT,     FEATURE_PROFILE_ELAPSED,
    FEATURE_PROFILE_CPU_NEED,       FEATURE_PROFILE_IO_NEED,       FEATURE_PROFILE_NET_NEED,
    FEATURE_PROFILE_CROSSING,       FEATURE_PROFILE_CROSSING_CPU,  FEATURE_PROFILE_CROSSING_LEVEL,
    FEATURE_PROFILE_AHEAD,          FEATURE_MEMORY_TO_PROFILE_NOW, FEATURE_READING_PROJECTED,
    FEATURE_READING_PROJECTED_SLOW, FEATURE_DATA_TO_LIMIT,         FEATURE_DATA_TO_MEMORY,
};

static bool has_segments(const struct network *network, size_t feature)
{
    for (size_t i = 0; network && i < network->shape.segments; i++)
        if (network->segments[i].feature == feature)
            return true;
    return false;
}

/* Of the segmented features those that the network to start from (NULL = none) has not cut yet; as additions
 * only those that it does not read either. */
static size_t not_segmented(const struct network *start, bool additions, size_t out[FS_COUNT(segmented)])
{
    size_t count = 0, first = start && additions ? network_inputs_used(start) : 0;
    for (size_t i = 0; i < FS_COUNT(segmented); i++)
        if (segmented[i] >= first && !has_segments(start, segmented[i]))
            out[count++] = segmented[i];
    return count;
}

static struct network *begin(const struct network *start, const struct fit_options *options)
{
    size_t missing[FS_COUNT(segmented)],
        segments = options->segments * not_segmented(start, options->additions, missing);
    struct network_shape shape = {FEATURE_COUNT, options->hidden, options->layers, segments};
    return start ? network_widen(start, FEATURE_COUNT, start->shape.segments + segments)
                 : network_create(&shape, options->seed);
}

/* What the start has learned stays as it reads it; features that are new to it are scaled and cut now. */
static bool fit_inputs(struct fitting *fitting, const struct network *start)
{
    struct network *network = fitting->network;
    bool additions = fitting->options->additions;
    size_t missing[FS_COUNT(segmented)], count = not_segmented(start, additions, missing);
    if (!additions)
        network->bound = INPUT_BOUND;
    size_t used = start ? network_inputs_used(start) : 0;
    train_fit_scaling(network, fitting->train, fitting->train_count, used);
    for (size_t i = used; start && i < FEATURE_COUNT; i++) { /* 0, "not known", adds nothing to its answers */
        float deviation = 1 / network->scale[i];
        network->scale[i] = 1 / hypotf(deviation, network->mean[i]);
        network->mean[i] = 0;
    }
    return train_fit_segments(network, fitting->train, fitting->train_count,
                              start ? start->shape.segments : 0, missing, count);
}

static bool prepare(struct fitting *fitting, const struct dataset *train, const struct dataset *validation,
                    const struct network *start)
{
    const struct fit_options *options = fitting->options;
    struct trainer_options trainer = trainer_defaults;
    trainer.lanes = options->lanes;
    trainer.window = options->window;
    trainer.learning_rate = options->learning_rate;
    trainer.weight_decay = options->weight_decay;
    trainer.demand_weight = options->demand_weight;
    trainer.horizon_weight = options->horizon_weight;
    trainer.dropout = options->dropout;
    trainer.seed = options->seed;
    trainer.threads = options->threads;
    if (options->additions && start) {
        trainer.first_input = network_inputs_used(start);
        trainer.first_segment = start->shape.segments;
    }
    trainer.bfloat16 = options->bfloat16;
    fitting->train = dataset_sequences(train);
    fitting->validation = dataset_sequences(validation);
    fitting->train_count = train->count;
    fitting->train_ticks = train->ticks;
    fitting->validation_count = validation->count;
    fitting->trainer = trainer_create(fitting->network, &trainer);
    if (!fitting->train || !fitting->validation || !fitting->trainer)
        return false;
    return fit_inputs(fitting, start);
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
    size_t done = epoch->epoch - epoch->resumed;
    struct fit_progress progress = {
        .member = fitting->member + 1,
        .members = FS_MAX(fitting->options->members, (size_t)1),
        .resumed = epoch->resumed,
        .epoch = epoch->epoch,
        .epochs = epoch->epochs,
        .best_epoch = epoch->best_epoch,
        .train_loss = epoch->train_loss,
        .validation_loss = epoch->validation_loss,
        .best_loss = epoch->best_loss,
        .ticks_per_second = (double)(fitting->train_ticks * done) / fmax(spent_s, 1e-6),
        .remaining_s = spent_s / (double)done * (double)(epoch->epochs - epoch->epoch)};
    if (fitting->report)
        fitting->report(fitting->context, &progress);
}

/* Of what the result depends on: data, start and options. */
static uint64_t fingerprint(const struct fitting *fitting, const struct dataset *train,
                            const struct dataset *validation)
{
    const struct fit_options *o = fitting->options;
    const struct network *n = fitting->network;
    const double numbers[] = {(double)n->shape.inputs,  (double)n->shape.hidden,
                              (double)n->shape.layers,  (double)o->epochs,
                              (double)o->patience,      (double)o->lanes,
                              (double)o->window,        (double)o->seed,
                              (double)fitting->member,  o->learning_rate,
                              o->weight_decay,          o->demand_weight,
                              o->horizon_weight,        o->dropout,
                              (double)o->threads,       o->bfloat16 ? 1 : 0,
                              o->additions ? 1 : 0,     (double)train->count,
                              (double)train->ticks,     (double)validation->count,
                              (double)validation->ticks};
    uint64_t parts[4] = {hash_bytes(numbers, sizeof numbers),
                         hash_bytes(n->weights, n->weight_count * sizeof *n->weights),
                         hash_bytes(n->mean, sizeof n->mean), hash_bytes(n->scale, sizeof n->scale)};
    return hash_bytes(parts, sizeof parts);
}

#define CHECKPOINT_PATH 4096

/* Empty: none is kept. */
static void checkpoint_path(const struct fit_options *options, size_t member, char out[CHECKPOINT_PATH])
{
    out[0] = '\0';
    if (options->checkpoint && *options->checkpoint)
        (void)snprintf(out, CHECKPOINT_PATH, "%s.%zu", options->checkpoint,
                       member + 1); /* too long: cannot be opened */
}

static int run_epochs(struct fitting *fitting, const struct dataset *train_data,
                      const struct dataset *validation_data)
{
    char path[CHECKPOINT_PATH];
    checkpoint_path(fitting->options, fitting->member, path);
    struct train_loop_options loop = {.epochs = fitting->options->epochs,
                                      .patience = fitting->options->patience,
                                      .learning_rate = fitting->options->learning_rate,
                                      .checkpoint = path,
                                      .fingerprint = fingerprint(fitting, train_data, validation_data)};
    struct train_set train = {fitting->train, fitting->train_count};
    struct train_set validation = {fitting->validation, fitting->validation_count};
    fitting->began_us = clock_monotonic_us();
    return train_loop(fitting->trainer, fitting->network, train, validation, &loop, report_epoch, fitting);
}

/* One network from a seed of its own. */
static int fit_member(const struct network *start, const struct dataset *train,
                      const struct dataset *validation, const struct fit_options *options, size_t member,
                      fit_report_fn *report, void *context, struct network **out)
{
    struct fit_options own = *options;
    own.seed = options->seed + member;
    struct fitting fitting = {.options = &own,
                              .network = begin(start, &own),
                              .member = member,
                              .report = report,
                              .context = context};
    int result = -ENOMEM;
    if (!fitting.network)
        return result;
    fitting.network->features_version = FEATURES_VERSION;
    fitting.network->has_horizons = !(own.additions && start) || start->has_horizons;
    if (prepare(&fitting, train, validation, start))
        result = run_epochs(&fitting, train, validation);
    fitting_fini(&fitting);
    if (result == 0)
        *out = fitting.network;
    else
        network_destroy(fitting.network);
    return result;
}

/* Not before the whole is made: what was learned is worth keeping until then. */
static void remove_checkpoints(const struct fit_options *options, size_t members)
{
    char path[CHECKPOINT_PATH];
    for (size_t m = 0; m < members; m++) {
        checkpoint_path(options, m, path);
        if (*path)
            (void)unlink(path); /* one that stays is of another training for the next */
    }
}

int fit_network(const struct network *start, const struct dataset *train, const struct dataset *validation,
                const struct fit_options *options, fit_report_fn *report, void *context, struct network **out)
{
    size_t members = FS_MAX(options->members, (size_t)1);
    if (train->count == 0 || validation->count == 0 || members > FIT_MEMBERS_MAX ||
        (start && start->shape.inputs > FEATURE_COUNT))
        return -EINVAL;
    if (options->additions && (!start || network_inputs_used(start) == FEATURE_COUNT))
        return -ENOTSUP;
    struct network *member[FIT_MEMBERS_MAX] = {0}, *whole = NULL;
    int result = 0;
    for (size_t m = 0; m < members && result == 0; m++)
        result = fit_member(start, train, validation, options, m, report, context, &member[m]);
    if (result == 0)
        result = network_merge(member, members, &whole);
    for (size_t m = 0; m < members; m++)
        network_destroy(member[m]);
    if (result == 0)
        result = fit_calibration(whole, validation, &options->goal);
    if (result == 0) {
        remove_checkpoints(options, members);
        *out = whole;
    } else {
        network_destroy(whole);
    }
    return result;
}

/* --- calibration and thresholds --- */

/* What calibrates: horizon 0 is that of alarms, h the h-th of network_horizons_ms. For memory only where
 * there is a limit: elsewhere the answer is always no, and easy noes make the others look rarer than they
 * are. */
static size_t gather(const struct dataset *dataset, const struct answers *answers, size_t cause,
                     size_t horizon, float *logits, float *labels, float *weights)
{
    size_t count = 0;
    for (size_t e = 0; e < dataset->count; e++) {
        const struct labels *l = &dataset->items[e].labels;
        for (size_t t = 0; t < l->ticks; t++) {
            const struct network_output *answer = &answers->items[e][t];
            size_t at = t * NETWORK_CAUSES + cause;
            int known =
                horizon ? l->horizons[(t * NETWORK_HORIZONS + horizon - 1) * NETWORK_CAUSES + cause] : 0;
            bool limited = l->features[t * FEATURE_COUNT + FEATURE_MEMORY_LIMITED] > 0;
            if (l->mask[at] <= 0 || known < 0 || (cause == MSG_CAUSE_MEMORY - 1 && !limited))
                continue;
            logits[count] = horizon ? answer->horizon_logits[horizon - 1][cause] : answer->logits[cause];
            labels[count] = horizon ? (float)known : l->label[at];
            weights[count++] = l->mask[at] * dataset->items[e].weight;
        }
    }
    return count;
}

int fit_calibration(struct network *network, const struct dataset *validation, const struct alarms_goal *goal)
{
    struct answers answers = {0};
    float *logits = calloc(validation->ticks + 1, sizeof *logits),
          *labels = calloc(validation->ticks + 1, sizeof *labels);
    float *weights = calloc(validation->ticks + 1, sizeof *weights);
    int result = logits && labels && weights ? answers_make(network, validation, &answers) : -ENOMEM;
    for (size_t i = 0; result == 0 && i < NETWORK_CAUSES * (1 + (size_t)NETWORK_HORIZONS); i++) {
        size_t cause = i % NETWORK_CAUSES, h = i / NETWORK_CAUSES;
        size_t count = gather(validation, &answers, cause, h, logits, labels, weights);
        calibrate_platt(logits, labels, weights, count,
                        h ? &network->horizon_slope[h - 1][cause] : &network->slope[cause],
                        h ? &network->horizon_intercept[h - 1][cause] : &network->intercept[cause]);
    }
    answers_fini(&answers);
    if (result == 0)
        result = answers_make(network, validation, &answers); /* now calibrated */
    if (result == 0)
        result = alarms_thresholds(validation, &answers, goal, network->thresholds);
    answers_fini(&answers);
    free(logits);
    free(labels);
    free(weights);
    return result;
}
