/* Records for the tests of retrain: programs that grow evenly. */
#ifndef FORESTALL_TESTS_RETRAIN_MADE_H
#define FORESTALL_TESTS_RETRAIN_MADE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "retrain/dataset.h"
#include "schemas/hints.h"
#include "schemas/messages.h"

#define MIB 1048576
#define T0 1700000000000000
#define POINTS 60

struct made {
    struct msg_series_point points[POINTS];
    struct msg_custom_metric gauges[POINTS];
    struct msg_execution_record record;
    struct str argv[1];
    char code[32];
};

/* A program that grows to peak_mib within 6 s. */
static inline void make(struct made *made, int number, const char *code, double peak_mib)
{
    memset(made, 0, sizeof *made);
    (void)snprintf(made->code, sizeof made->code, "%s", code);
    for (size_t i = 0; i < POINTS; i++) {
        struct msg_series_point *p = &made->points[i];
        p->time_us = T0 + (int64_t)(i + 1) * 100000;
        p->counters.memory_bytes = (int64_t)(peak_mib * MIB * (double)(i + 1) / POINTS);
        p->counters.memory_usage_bytes = p->counters.memory_peak_bytes = p->counters.memory_bytes;
        p->counters.cpu_usage_us = (int64_t)(i + 1) * 90000;
        p->counters.tasks = 1;
    }
    made->argv[0] = str_of(made->code);
    made->record = (struct msg_execution_record){.attempt = 1,
                                                 .code = str_of(made->code),
                                                 .started_us = T0,
                                                 .ended_us = T0 + (int64_t)POINTS * 100000,
                                                 .outcome = MSG_OUTCOME_FINISHED,
                                                 .totals = made->points[POINTS - 1].counters,
                                                 .series_inclusion = 1,
                                                 .series = {.items = made->points, .count = POINTS}};
    made->record.request.argv.items = made->argv;
    made->record.request.argv.count = 1;
    memcpy(made->record.execution, &number, sizeof number);
}

/* Its agent tells what it asks for: a third more than it uses. */
static inline void make_tell_data(struct made *made)
{
    for (size_t i = 0; i < POINTS; i++) {
        struct msg_counters *counters = &made->points[i].counters;
        made->gauges[i] =
            (struct msg_custom_metric){str_of(GAUGE_DATA), (double)counters->memory_bytes * 4 / 3};
        counters->custom = (struct msg_custom_metric_array){&made->gauges[i], 1};
    }
}

/* Two codes by turns, each program larger than the one before. */
struct corpus {
    struct made made[24];
    struct msg_execution_record items[24];
    struct record_set set;
};

static inline struct corpus *corpus_of(size_t count)
{
    struct corpus *corpus = calloc(1, sizeof *corpus);
    if (!corpus)
        abort();
    for (size_t i = 0; i < count; i++) {
        make(&corpus->made[i], (int)i, i % 2 ? "grower" : "other", 20 + 10 * (double)i);
        corpus->items[i] = corpus->made[i].record;
    }
    corpus->set = (struct record_set){.items = corpus->items, .count = count};
    return corpus;
}

/* Of a dataset as for training. */
#define MADE_OPTIONS                                                                                         \
    {                                                                                                        \
        .seed = 1, .profiles = DATASET_PROFILES_MIXED, .plans = 8, .augmented = true, .stretched = true,     \
        .staircases = true, .horizon_ms = 10000, .max_ticks = 1000000                                        \
    }

#endif
