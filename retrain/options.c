/* See options.h. */
#include "retrain/options.h"

#include <errno.h>

#define FIELD(field) offsetof(struct retrain_options, field)

const struct config_option retrain_options[] = {
    {"retrain", "records", CONFIG_STRING, FIELD(records), "", 0, 0,
     "train, evaluate, challenge: file or directory of records; more may follow as arguments"},
    {"retrain", "out", CONFIG_STRING, FIELD(out), "", 0, 0, "train, challenge: file the model is written to"},
    {"retrain", "model", CONFIG_STRING, FIELD(model), "", 0, 0, "evaluate: the model's file"},
    {"retrain", "champion", CONFIG_STRING, FIELD(champion), "", 0, 0,
     "challenge: file of the model to beat; train: model to start from"},
    {"retrain", "report", CONFIG_STRING, FIELD(report), "", 0, 0,
     "challenge: file the comparison is written to, as JSON; default: standard output"},
    {"retrain", "splits", CONFIG_STRING, FIELD(splits), "", 0, 0,
     "JSON lines with program and split (train, validation, test); default: by a hash of the program"},
    {"retrain", "parts", CONFIG_STRING, FIELD(parts), "test", 0, 0,
     "evaluate: parts of the data, comma-separated (train, validation, test), or all"},
    {"retrain", "profiles", CONFIG_STRING, FIELD(profiles), "none", 0, 0,
     "evaluate: none = every code is unknown, known = profiles from other records of the code, "
     "past = profile and online head as a service has them, from the code's records before"},
    {"retrain", "recorded_only", CONFIG_BOOL, FIELD(recorded_only), "no", 0, 0,
     "evaluate: only what happened, no hypothetical limits or deadlines"},
    {"retrain", "by_execution", CONFIG_BOOL, FIELD(by_execution), "no", 0, 0,
     "train: hold out executions instead of programs"},
    {"retrain", "held_out", CONFIG_DOUBLE, FIELD(held_out), "0.2", 0, 0.9,
     "share of executions held out for the comparison with the champion"},
    {"retrain", "reference_records", CONFIG_STRING, FIELD(reference), "", 0, 0,
     "challenge: file or directory of records on which a challenger must not lose; half of them are trained "
     "on as "
     "well, so that what was known is not forgotten; empty = the shipped ones, none = without (a poisoned "
     "log can "
     "then promote a model)"},
    {"retrain", "reference_loss", CONFIG_DOUBLE, FIELD(reference_loss), "0.02", 0, 1,
     "how much more of the champion's loss a challenger may have on the reference"},
    {"retrain", "dead_weight", CONFIG_DOUBLE, FIELD(dead_weight), "4", 1, 100,
     "weight of a dead letter in training beside another record"},
    {"retrain", "code_share", CONFIG_DOUBLE, FIELD(code_share), "0.2", 0.001, 1,
     "most of the records that one code may be; the newest ones count, 20 always may"},
    {"retrain", "tenant_share", CONFIG_DOUBLE, FIELD(tenant_share), "0.5", 0.001, 1,
     "the same of one submitter (pool and user), where there is more than one"},
    {"retrain", "seed", CONFIG_INT, FIELD(seed), "1", 0, 1e15, "of weights, order, plans and splits"},
    {"retrain", "members", CONFIG_INT, FIELD(members), "1", 1, FIT_MEMBERS_MAX,
     "networks trained from seeds of their own and merged into one so many times as wide"},
    {"retrain", "checkpoint", CONFIG_STRING, FIELD(checkpoint), "", 0, 0,
     "train, challenge: where the training stands is kept here after each epoch, and resumed from; default: "
     "beside "
     "--out, of challenge none"},
    {"retrain", "hidden", CONFIG_INT, FIELD(hidden), "48", 1, NETWORK_HIDDEN_MAX, "hidden units per layer"},
    {"retrain", "layers", CONFIG_INT, FIELD(layers), "1", 1, NETWORK_LAYERS_MAX, "LSTM layers"},
    {"retrain", "segments", CONFIG_INT, FIELD(segments), "6", 0, 20,
     "parts that the range of each feature of a code's profile is cut into, as inputs of their own; 0 = "
     "none"},
    {"retrain", "epochs", CONFIG_INT, FIELD(epochs), "60", 1, 100000, "most passes over the data"},
    {"retrain", "patience", CONFIG_INT, FIELD(patience), "8", 1, 100000,
     "passes without a better validation loss before it stops"},
    {"retrain", "plans", CONFIG_INT, FIELD(plans), "12", 1, LABEL_PLANS_MAX,
     "most sequences per record: as recorded and under hypothetical limits and deadlines"},
    {"retrain", "stretched", CONFIG_BOOL, FIELD(stretched), "yes", 0, 0,
     "train: half of the sequences from longer copies of the records"},
    {"retrain", "additions", CONFIG_BOOL, FIELD(additions), "no", 0, 0,
     "train: of the champion to start from all stays as it is; only what features add is learned that it "
     "never read"},
    {"retrain", "max_ticks", CONFIG_INT, FIELD(max_ticks), "4000000", 1000, 1e10,
     "most ticks in memory, about 400 bytes each; what is beyond is left out and counted"},
    {"retrain", "max_record_bytes", CONFIG_BYTES, FIELD(max_record_bytes), "4G", 1048576, 1e15,
     "most memory for decoded records"},
    {"retrain", "lanes", CONFIG_INT, FIELD(lanes), "64", 1, 4096, "sequences trained side by side"},
    {"retrain", "threads", CONFIG_INT, FIELD(threads), "0", 0, 1024,
     "threads that train, at least 16 lanes each; 0 = one per CPU that the process may run on"},
    {"retrain", "bfloat16", CONFIG_BOOL, FIELD(bfloat16), "yes", 0, 0,
     "train with matrix products of bfloat16 numbers, summed in single precision, where the CPU has them "
     "(AVX512_BF16): two "
     "thirds of the time for models as good"},
    {"retrain", "window", CONFIG_INT, FIELD(window), "64", 1, 4096, "ticks of one truncated window"},
    {"retrain", "horizon", CONFIG_DURATION_MS, FIELD(horizon_ms), "10s", 1000, 3600000, "how far ahead"},
    {"retrain", "learning_rate", CONFIG_DOUBLE, FIELD(learning_rate), "0.002", 1e-8, 1,
     "Adam's step at the start"},
    {"retrain", "weight_decay", CONFIG_DOUBLE, FIELD(weight_decay), "0.001", 0, 1, "decoupled weight decay"},
    {"retrain", "dropout", CONFIG_DOUBLE, FIELD(dropout), "0.1", 0, 0.9,
     "share of the inputs that a sequence does not see while training"},
    {"retrain", "demand_weight", CONFIG_DOUBLE, FIELD(demand_weight), "1", 0, 1000,
     "weight of the demand's loss beside that of the probabilities"},
    {"retrain", "horizon_weight", CONFIG_DOUBLE, FIELD(horizon_weight), "0.3", 0, 1000,
     "weight of the loss of the probabilities within 2 and 30 s, beside that of those within 10 s"},
    {"retrain", "false_alarms", CONFIG_DOUBLE, FIELD(false_alarms_per_hour), "240", 0, 1e6,
     "false memory alarms per hour of one execution's running time, for the threshold and the comparison"},
    {"retrain", "foreseen_deadlines", CONFIG_DOUBLE, FIELD(foreseen_deadlines), "0.9", 0, 1,
     "share of the missed deadlines that the thresholds of cpu, io and net are to tell by half of their "
     "time"},
    {"retrain", "member", CONFIG_STRING, FIELD(member), "1", 0, 0, "static member id of this instance"},
    {"retrain", "champion_file", CONFIG_STRING, FIELD(champion_file), "", 0, 0,
     "champion while the topic has none; default: ../share/forestall/champion.safetensors beside the "
     "program"},
    {"retrain", "reservoir", CONFIG_INT, FIELD(reservoir), "2000", 10, 1e6, "most records kept on disk"},
    {"retrain", "sample", CONFIG_DOUBLE, FIELD(sample), "0.2", 0, 1,
     "share of finished records that is kept; failures and dead letters always are"},
    {"retrain", "min_records", CONFIG_INT, FIELD(min_records), "100", 1, 1e6,
     "records needed before it trains"},
    {"retrain", "min_new", CONFIG_INT, FIELD(min_new), "100", 1, 1e6, "new records that start a training"},
    {"retrain", "interval", CONFIG_DURATION_MS, FIELD(interval_ms), "1h", 1000, 1e10,
     "a training starts after this time as well, when there is any new record"},
    {"retrain", "shadow_least", CONFIG_INT, FIELD(shadow_least), "50", 1, 4096,
     "executions that a challenger scores in shadow before it is looked at, at least 20; then at twice as "
     "many, and "
     "so on"},
    {"retrain", "shadow_most", CONFIG_INT, FIELD(shadow_most), "800", 1, 4096,
     "executions after which a challenger that is not better beyond chance is dropped"},
    {"retrain", "watch", CONFIG_INT, FIELD(watch), "800", 1, 4096,
     "executions for which a new champion is watched beside the one before, and rolled back when it is "
     "worse"},
    {"retrain", "drift_delta", CONFIG_DOUBLE, FIELD(drift_delta), "0.002", 1e-9, 0.5,
     "how likely drift of the champion's loss is told where there is none (ADWIN's delta)"},
};
const size_t retrain_option_count = FS_COUNT(retrain_options);

struct fit_options retrain_fit_options(const struct retrain_options *options)
{
    return (struct fit_options){.seed = (uint64_t)options->seed,
                                .hidden = (size_t)options->hidden,
                                .layers = (size_t)options->layers,
                                .segments = (size_t)options->segments,
                                .epochs = (size_t)options->epochs,
                                .patience = (size_t)options->patience,
                                .learning_rate = options->learning_rate,
                                .weight_decay = options->weight_decay,
                                .demand_weight = options->demand_weight,
                                .horizon_weight = options->horizon_weight,
                                .dropout = options->dropout,
                                .members = (size_t)options->members,
                                .lanes = (size_t)options->lanes,
                                .window = (size_t)options->window,
                                .threads = (size_t)options->threads,
                                .bfloat16 = options->bfloat16,
                                .additions = options->additions,
                                .goal = {options->false_alarms_per_hour, options->foreseen_deadlines}};
}

int retrain_profiles(const struct retrain_options *options, enum dataset_profiles *out)
{
    static const struct {
        const char *name;
        enum dataset_profiles profiles;
    } known[] = {
        {"none", DATASET_PROFILES_NONE}, {"known", DATASET_PROFILES_KNOWN}, {"past", DATASET_PROFILES_PAST}};
    for (size_t i = 0; i < FS_COUNT(known); i++)
        if (strcmp(options->profiles, known[i].name) == 0) {
            *out = known[i].profiles;
            return 0;
        }
    return -EINVAL;
}

struct dataset_options retrain_dataset_options(const struct retrain_options *options,
                                               enum dataset_profiles profiles)
{
    return (struct dataset_options){.seed = (uint64_t)options->seed,
                                    .profiles = profiles,
                                    .plans = (size_t)options->plans,
                                    .augmented = profiles == DATASET_PROFILES_MIXED,
                                    .stretched = profiles == DATASET_PROFILES_MIXED && options->stretched,
                                    .staircases = true,
                                    .horizon_ms = (int32_t)options->horizon_ms,
                                    .max_ticks = (size_t)options->max_ticks};
}
