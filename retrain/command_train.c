/* `forestall-retrain train`: records to a model; `calibrate`: only the last step of it, for a model that
 * there is. Programs are split into train, validation and test before anything else; the test part is not
 * looked at. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "retrain/commands.h"
#include "retrain/split.h"

struct parts {
    size_t *chosen[SPLIT_COUNT];
    size_t count[SPLIT_COUNT];
};

static enum split part_of(const struct retrain_options *options, const struct split_table *table,
                          const struct msg_execution_record *record)
{
    if (options->by_execution)
        return split_by_execution(record->execution, options->held_out);
    return split_of(table, record->code, (uint64_t)options->seed);
}

static int choose(const struct retrain_options *options, const struct split_table *table,
                  const struct record_set *records, struct parts *out)
{
    for (int part = 0; part < SPLIT_COUNT; part++)
        if (!(out->chosen[part] = calloc(records->count + 1, sizeof **out->chosen)))
            return -ENOMEM;
    for (size_t i = 0; i < records->count; i++) {
        enum split part = part_of(options, table, &records->items[i]);
        out->chosen[part][out->count[part]++] = i;
    }
    return 0;
}

/* Calibration and thresholds on the validation part as it is met in use: codes not known, nothing raised on
 * the way. */
static int calibrate(const struct retrain_options *options, const struct record_set *records,
                     const struct parts *parts, struct network *network)
{
    struct dataset_options how = retrain_dataset_options(options, DATASET_PROFILES_NONE);
    struct alarms_goal goal = retrain_fit_options(options).goal;
    struct dataset validation = {0};
    how.staircases = false;
    int result = dataset_add(&validation, records, parts->chosen[SPLIT_VALIDATION],
                             parts->count[SPLIT_VALIDATION], &how);
    if (result == 0)
        result = validation.count ? fit_calibration(network, &validation, &goal) : -EINVAL;
    dataset_fini(&validation);
    return result;
}

/* What a training writes on its way. */
static void fail_at_checkpoint(const char *path, int error)
{
    char what[4096 + 256];
    (void)snprintf(
        what, sizeof what,
        "%s: where it stands is kept beside %s after each epoch; make room there, or say another place "
        "with --retrain.checkpoint",
        strerror(-error), path);
    (void)command_fail("cannot train", what);
}

static int train(const struct retrain_options *options, const struct record_set *records,
                 const struct parts *parts)
{
    struct dataset_options how = retrain_dataset_options(options, DATASET_PROFILES_MIXED);
    struct fit_options fit = retrain_fit_options(options);
    struct dataset data = {0}, validation = {0};
    struct network *start = NULL, *network = NULL;
    char beside[4096];
    int result = -EINVAL;
    (void)snprintf(beside, sizeof beside, "%s.checkpoint",
                   options->out); /* too long: writing the result says so */
    fit.checkpoint = *options->checkpoint ? options->checkpoint : beside;
    if (*options->champion && !(start = command_load_network(options->champion)))
        return result;
    result = dataset_add(&data, records, parts->chosen[SPLIT_TRAIN], parts->count[SPLIT_TRAIN], &how);
    how.augmented = how.stretched = false; /* calibration is about real sizes */
    if (result == 0)
        result = dataset_add(&validation, records, parts->chosen[SPLIT_VALIDATION],
                             parts->count[SPLIT_VALIDATION], &how);
    if (result == 0) {
        (void)fprintf(
            stderr,
            "train: %zu records, %zu sequences, %zu ticks (left out: %zu over max_ticks, %zu with a "
            "number that is none); validation: %zu, %zu, %zu\n",
            parts->count[SPLIT_TRAIN], data.count, data.ticks, data.left_out, data.broken + validation.broken,
            parts->count[SPLIT_VALIDATION], validation.count, validation.ticks);
        result = fit_network(start, &data, &validation, &fit, command_report, NULL, &network);
    }
    if (result == 0)
        result = calibrate(options, records, parts, network);
    if (result == -EINVAL)
        (void)command_fail("cannot train", "one part has no series; give more programs or --splits");
    else if (result == -ENOTSUP)
        (void)command_fail("cannot train",
                           "--additions needs a --champion that does not read all features yet");
    else if (result == -ENOMEM)
        (void)command_fail("cannot train", strerror(ENOMEM));
    else if (result < 0)
        fail_at_checkpoint(fit.checkpoint, result);
    else
        result = command_save_network(options->out, network);
    network_destroy(network);
    network_destroy(start);
    dataset_fini(&data);
    dataset_fini(&validation);
    return result;
}

static int recalibrate(const struct retrain_options *options, const struct record_set *records,
                       const struct parts *parts)
{
    struct network *network = command_load_network(options->model);
    int result = network ? calibrate(options, records, parts, network) : -ENOENT;
    if (network && result < 0)
        (void)command_fail("cannot calibrate",
                           result == -EINVAL ? "the validation part has no series" : strerror(-result));
    else if (network)
        result = command_save_network(options->out, network);
    network_destroy(network);
    return result;
}

/* Loads and splits the records, then works on them. */
static int run(const struct retrain_options *options, char *const *more, int count,
               int (*work)(const struct retrain_options *, const struct record_set *, const struct parts *))
{
    struct record_set records;
    struct split_table *table = NULL;
    struct parts parts = {0};
    char error[512];
    if (!*options->out)
        return command_fail("nowhere to write", "say --out FILE");
    if (*options->splits && split_table_load(options->splits, &table, error, sizeof error) < 0)
        return command_fail("cannot read the splits", error);
    int result = command_load_records(options, more, count, &records);
    if (result == 0) {
        result = choose(options, table, &records, &parts);
        if (result == 0)
            result = work(options, &records, &parts);
        else
            (void)command_fail("cannot split the records", strerror(-result));
        records_close(&records);
    }
    for (int part = 0; part < SPLIT_COUNT; part++)
        free(parts.chosen[part]);
    split_table_destroy(table);
    return result < 0 ? 1 : 0;
}

int command_train(const struct retrain_options *options, char *const *more, int count)
{
    return run(options, more, count, train);
}

int command_calibrate(const struct retrain_options *options, char *const *more, int count)
{
    return run(options, more, count, recalibrate);
}
