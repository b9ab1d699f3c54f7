/* What predict can be told: section [predict]. */
#ifndef FORESTALL_PREDICT_OPTIONS_H
#define FORESTALL_PREDICT_OPTIONS_H

#include "common/config.h"

/* What one batch learns at most: ticks wait meanwhile. The codes of so many records have a place in memory at
 * once. */
#define PREDICT_RECORDS 256

struct predict_options {
    const char *member, *model;
    int64_t executions, nodes, codes; /* bounds of the tables */
    int64_t rewind_ticks, rewind_nodes, rewind_records;
    int64_t refresh_ms, stale_ms, idle_ms, code_idle_ms, follow_wait_ms;
    double change; /* ratio of a movement that is told above the threshold */
    int64_t learn_ticks, model_bytes;
};

extern const struct config_option predict_option_table[];
extern const size_t predict_option_count;

#endif
