/* What forestall-retrain can be told: one struct and one table, for the service and for its commands. */
#ifndef FORESTALL_RETRAIN_OPTIONS_H
#define FORESTALL_RETRAIN_OPTIONS_H

#include "common/config.h"
#include "retrain/fit.h"

struct retrain_options {
    /* commands */
    const char *records, *out, *model, *champion, *splits, *parts, *profiles, *report, *checkpoint,
        *reference;
    /* training */
    int64_t seed, members, hidden, layers, segments, epochs, patience, plans, max_ticks, max_record_bytes,
        window, lanes, threads, horizon_ms;
    double learning_rate, weight_decay, demand_weight, horizon_weight, dropout, false_alarms_per_hour,
        foreseen_deadlines;
    bool by_execution, recorded_only, stretched, bfloat16, additions;
    double held_out, dead_weight, code_share, tenant_share, reference_loss;
    /* service */
    const char *member, *champion_file;
    int64_t reservoir, min_records, min_new, interval_ms;
    double sample, drift_delta;
    int64_t shadow_least, shadow_most, watch;
};

extern const struct config_option retrain_options[];
extern const size_t retrain_option_count;

/* What --profiles names; -EINVAL. */
FS_MUST_CHECK int retrain_profiles(const struct retrain_options *options, enum dataset_profiles *out);
struct fit_options retrain_fit_options(const struct retrain_options *options);
struct dataset_options retrain_dataset_options(const struct retrain_options *options,
                                               enum dataset_profiles profiles);

#endif
