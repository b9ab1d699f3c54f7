/* `forestall-retrain evaluate`: scores of a model on chosen parts of the data, as JSON on standard output. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "retrain/commands.h"
#include "retrain/evaluate.h"
#include "retrain/split.h"

static int print(const struct retrain_options *options, const struct network *network,
                 const struct dataset *dataset, size_t records, bool learned)
{
    json_t *scores = evaluate_network(network, dataset, options->false_alarms_per_hour, learned);
    if (!scores)
        return -ENOMEM;
    json_object_set_new(scores, "model", json_string(network->version));
    json_t *thresholds = json_object();
    for (size_t cause = 0; cause < NETWORK_CAUSES; cause++)
        json_object_set_new(thresholds, msg_cause_name((enum msg_cause)(MSG_CAUSE_MEMORY + cause)),
                            json_real((double)network->thresholds[cause]));
    json_object_set_new(scores, "thresholds", thresholds);
    json_object_set_new(scores, "parts", json_string(options->parts));
    json_object_set_new(scores, "profiles", json_string(options->profiles));
    json_object_set_new(scores, "records", json_integer((json_int_t)records));
    int result = json_dumpf(scores, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(4) | JSON_PRESERVE_ORDER);
    (void)putchar('\n'); /* the next line sees what it could not write */
    json_decref(scores);
    return result < 0 || fflush(stdout) != 0 ? -EIO : 0;
}

static int evaluate(const struct retrain_options *options, enum dataset_profiles profiles,
                    const struct split_table *table, const struct record_set *records,
                    const struct network *network)
{
    struct dataset_options how = retrain_dataset_options(options, profiles);
    struct dataset dataset = {0};
    size_t *chosen = calloc(records->count + 1, sizeof *chosen), count = 0;
    how.staircases = false;
    how.plans = options->recorded_only ? 1 : how.plans;
    for (size_t i = 0; chosen && i < records->count; i++)
        if (split_wanted(options->parts, split_of(table, records->items[i].code, (uint64_t)options->seed)))
            chosen[count++] = i;
    int result = chosen ? dataset_add(&dataset, records, chosen, count, &how) : -ENOMEM;
    if (result == 0 && dataset.count == 0)
        result = -ENODATA;
    if (result == 0)
        result = print(options, network, &dataset, count, profiles == DATASET_PROFILES_PAST);
    if (result < 0)
        (void)command_fail("cannot evaluate",
                           result == -ENODATA ? "these parts have no series; say other --records or --parts"
                                              : strerror(-result));
    free(chosen);
    dataset_fini(&dataset);
    return result;
}

int command_evaluate(const struct retrain_options *options, char *const *more, int count)
{
    struct split_table *table = NULL;
    struct record_set records;
    char error[512];
    enum dataset_profiles profiles;
    if (retrain_profiles(options, &profiles) < 0)
        return command_fail("--profiles", "must be none, known or past");
    if (*options->splits && split_table_load(options->splits, &table, error, sizeof error) < 0)
        return command_fail("cannot read the splits", error);
    struct network *network = command_load_network(options->model);
    int result = network ? command_load_records(options, more, count, &records) : -ENOENT;
    if (result == 0) {
        result = evaluate(options, profiles, table, &records, network);
        records_close(&records);
    }
    network_destroy(network);
    split_table_destroy(table);
    return result < 0 ? 1 : 0;
}
