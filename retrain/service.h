/* The service: records from the topics into the reservoir, trainings as children, models to the topic. One
 * thread. */
#ifndef FORESTALL_RETRAIN_SERVICE_H
#define FORESTALL_RETRAIN_SERVICE_H

#include "common/service.h"
#include "common/stream.h"
#include "model/models.h"
#include "retrain/options.h"
#include "retrain/reservoir.h"
#include "retrain/report.h"
#include "schemas/topic_codec.h"

#define RETRAIN_SERVICE "forestall-retrain"
#define RETRAIN_PATH 4096

struct retrain_metrics {
    struct metric *taken[2], *skipped, *stored, *store_failed, *evicted, *kept;
    struct metric *trainings, *failed, *won, *undecided, *lost, *running, *seconds;
};

struct retrain {
    struct service *service;
    const struct retrain_options *options;
    struct stream *stream, *followed; /* records in a group; models without one */
    struct topic_codec *codec, *followed_codec;
    struct reservoir *reservoir;
    struct models *models;
    struct arena *arena;
    struct retrain_metrics metrics;
    struct log_limiter limiter;
    char directory[RETRAIN_PATH];
    pid_t child; /* 0 = no training runs */
    int64_t started_ms, started_s, last_ms;
    char failure[256];
};

FS_MUST_CHECK int retrain_open(struct retrain *retrain, struct service *service,
                               const struct retrain_options *options, char *error, size_t error_size);
/* One turn of the loop. Negative: the service must end, failure says why. */
FS_MUST_CHECK int retrain_step(struct retrain *retrain);
void retrain_close(struct retrain *retrain);

/* --- training (training.c) --- */

/* Starts a training when one is due, ends one that is done. 0, -EPIPE. */
FS_MUST_CHECK int training_step(struct retrain *retrain);
/* A file in the service's directory. */
void training_path(const struct retrain *retrain, const char *name, char out[RETRAIN_PATH]);

#endif
