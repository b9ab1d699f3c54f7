/* The service: records from the topics into the reservoir, trainings as children, models to the topic. One
 * thread. */
#ifndef FORESTALL_RETRAIN_SERVICE_H
#define FORESTALL_RETRAIN_SERVICE_H

#include "common/service.h"
#include "common/stream.h"
#include "model/models.h"
#include "retrain/check.h"
#include "retrain/judge.h"
#include "retrain/options.h"
#include "retrain/reservoir.h"
#include "retrain/report.h"
#include "schemas/topic_codec.h"

#define RETRAIN_SERVICE "forestall-retrain"
#define RETRAIN_PATH 4096

struct retrain_metrics {
    struct metric *refused[CHECK_FAULT_COUNT], *scored, *score_failed, *drifts, *dropped, *rolled_back;
    struct metric *shadow_executions, *watch_executions, *drift_mean;
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
    struct judge *judge;
    struct report reports[MODELS_ROLE_COUNT]; /* what was published with each role's model */
    bool begun;                               /* the first turn is done */
    bool drifted;                             /* a training is wanted for it */
    int64_t judged_ms;                        /* when the judge's memory was written */
    struct arena *arena;
    struct retrain_metrics metrics;
    struct log_limiter limiter;
    char directory[RETRAIN_PATH];
    pid_t child; /* 0 = no training runs */
    int64_t started_ms, started_s, last_ms;
    char failure[512]; /* why it must end */
};

FS_MUST_CHECK int retrain_open(struct retrain *retrain, struct service *service,
                               const struct retrain_options *options, char *error, size_t error_size);
/* One turn of the loop. Negative: the service must end, failure says why. */
FS_MUST_CHECK int retrain_step(struct retrain *retrain);
void retrain_close(struct retrain *retrain);

/* --- who has which role (roles.c) --- */

/* One record of the topic `models`; context: the struct retrain. FATAL: a model could not be written, failure
 * says why. */
enum stream_outcome roles_follow(void *context, const struct stream_message *message);
/* The topic was read to its end: without a champion there the shipped one, and the judge's memory. */
void roles_begin(struct retrain *retrain);
/* Promotes, drops or rolls back what the judge decided. 0, -EPIPE. */
FS_MUST_CHECK int roles_step(struct retrain *retrain);
/* Writes the judge's memory. */
void roles_save(struct retrain *retrain);
/* The file of a role's model in the service's directory. */
void roles_path(const struct retrain *retrain, enum models_role role, char out[RETRAIN_PATH]);
/* The champion of the topic as last seen, or the file given or shipped; "" when it is not known where that
 * is. */
void roles_champion_path(const struct retrain *retrain, char out[RETRAIN_PATH]);
/* Publishes the file as this role's model. 0, negative errno. */
FS_MUST_CHECK int roles_publish(struct retrain *retrain, enum models_role role, const char *path,
                                const struct report *report);

/* --- training (training.c) --- */

/* Starts a training when one is due, ends one that is done. 0, -EPIPE. */
FS_MUST_CHECK int training_step(struct retrain *retrain);
/* A file in the service's directory. */
void training_path(const struct retrain *retrain, const char *name, char out[RETRAIN_PATH]);

#endif
