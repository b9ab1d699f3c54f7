/* Trainings of the service; see service.h. State on disk: `trained` has the time of the last training's
 * start, so that a restart counts new records rightly; a training that was killed goes on from its checkpoint
 * when the records are the same, and begins anew when there are others. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "retrain/child.h"
#include "retrain/commands.h"
#include "retrain/due.h"
#include "retrain/service.h"

#define ARGUMENTS_MAX 48

void training_path(const struct retrain *retrain, const char *name, char out[RETRAIN_PATH])
{
    (void)snprintf(out, RETRAIN_PATH, "%.3900s/%.150s", retrain->directory,
                   name); /* open checked the lengths */
}

static int64_t last_trained_s(const struct retrain *retrain)
{
    char path[RETRAIN_PATH];
    struct stat status;
    training_path(retrain, "trained", path);
    return stat(path, &status) == 0 ? status.st_mtime : 0;
}

static void mark_trained(const struct retrain *retrain)
{
    char path[RETRAIN_PATH];
    const struct timespec times[2] = {{.tv_sec = retrain->started_s}, {.tv_sec = retrain->started_s}};
    training_path(retrain, "trained", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || futimens(fd, times) < 0)
        log_warn("mark_failed", "path=\"%s\" reason=\"%s\"", path, strerror(errno));
    if (fd >= 0)
        (void)close(fd); /* empty file */
}

struct arguments {
    char texts[ARGUMENTS_MAX][RETRAIN_PATH + 64];
    char *list[ARGUMENTS_MAX + 1];
    size_t count;
};

static void add(struct arguments *arguments, const char *format, ...) FS_PRINTF(2, 3);

static void add(struct arguments *arguments, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    (void)vsnprintf(arguments->texts[arguments->count], sizeof arguments->texts[0], format, values);
    va_end(values);
    arguments->list[arguments->count] = arguments->texts[arguments->count];
    arguments->count++;
}

static void fill_arguments(const struct retrain *retrain, const char *champion, struct arguments *a)
{
    const struct retrain_options *o = retrain->options;
    char out[RETRAIN_PATH], report[RETRAIN_PATH], checkpoint[RETRAIN_PATH];
    training_path(retrain, "challenger.safetensors", out);
    training_path(retrain, "training.checkpoint", checkpoint);
    training_path(retrain, "report.json", report);
    add(a, "%s", RETRAIN_SERVICE);
    add(a, "challenge");
    add(a, "--retrain.champion=%s", champion);
    add(a, "--retrain.out=%s", out);
    add(a, "--retrain.report=%s", report);
    add(a, "--retrain.records=%s", reservoir_directory(retrain->reservoir));
    add(a, "--retrain.seed=%" PRId64, o->seed);
    add(a, "--retrain.epochs=%" PRId64, o->epochs);
    add(a, "--retrain.patience=%" PRId64, o->patience);
    add(a, "--retrain.plans=%" PRId64, o->plans);
    add(a, "--retrain.max_ticks=%" PRId64, o->max_ticks);
    add(a, "--retrain.max_record_bytes=%" PRId64, o->max_record_bytes);
    add(a, "--retrain.window=%" PRId64, o->window);
    add(a, "--retrain.lanes=%" PRId64, o->lanes);
    add(a, "--retrain.threads=%" PRId64, o->threads);
    add(a, "--retrain.bfloat16=%s", o->bfloat16 ? "yes" : "no");
    add(a, "--retrain.horizon=%" PRId64 "ms", o->horizon_ms);
    add(a, "--retrain.learning_rate=%.9g", o->learning_rate);
    add(a, "--retrain.weight_decay=%.9g", o->weight_decay);
    add(a, "--retrain.demand_weight=%.9g", o->demand_weight);
    add(a, "--retrain.horizon_weight=%.9g", o->horizon_weight);
    add(a, "--retrain.false_alarms=%.9g", o->false_alarms_per_hour);
    add(a, "--retrain.foreseen_deadlines=%.9g", o->foreseen_deadlines);
    add(a, "--retrain.held_out=%.9g", o->held_out);
    add(a, "--retrain.dropout=%.9g", o->dropout);
    add(a, "--retrain.segments=%" PRId64, o->segments);
    add(a, "--retrain.stretched=%s", o->stretched ? "yes" : "no");
    add(a, "--retrain.checkpoint=%s", checkpoint);
    add(a, "--retrain.reference_records=%s", o->reference);
    add(a, "--retrain.reference_loss=%.9g", o->reference_loss);
    add(a, "--retrain.dead_weight=%.9g", o->dead_weight);
    add(a, "--retrain.code_share=%.9g", o->code_share);
    add(a, "--retrain.tenant_share=%.9g", o->tenant_share);
}

static void start(struct retrain *retrain, size_t new_records)
{
    static struct arguments arguments; /* too large for a stack */
    char champion[RETRAIN_PATH];
    roles_champion_path(retrain, champion);
    memset(&arguments, 0, sizeof arguments);
    fill_arguments(retrain, champion, &arguments);
    retrain->drifted = false;
    retrain->started_ms = clock_monotonic_ms();
    retrain->started_s = clock_realtime_us() / 1000000;
    int result = child_start(arguments.list, &retrain->child);
    if (result < 0) {
        log_error("training_not_started", "reason=\"%s\"", strerror(-result));
        retrain->last_ms = retrain->started_ms;
        return;
    }
    metric_add(retrain->metrics.trainings, 1);
    metric_set(retrain->metrics.running, 1);
    log_info("training", "records=%zu new=%zu champion=\"%s\" pid=%d", reservoir_count(retrain->reservoir),
             new_records, champion, (int)retrain->child);
}

/* A challenger is never promoted by the training that made it: it scores in shadow first (judge.h). */
static int conclude(struct retrain *retrain, const struct report *report)
{
    char path[RETRAIN_PATH];
    bool stays = report->verdict == COMPARE_CHAMPION_STAYS;
    training_path(retrain, "challenger.safetensors", path);
    int result = stays ? 0 : roles_publish(retrain, MODELS_CHALLENGER, path, report);
    if (result < 0) {
        log_error("publish_failed", "version=%s reason=\"%s\"", report->version, strerror(-result));
        return result == -EPIPE ? result : 0;
    }
    metric_add(stays ? retrain->metrics.lost : retrain->metrics.undecided, 1);
    log_info("trained", "published=%s version=%s parent=%s records=%" PRId64 " reason=\"%s\"",
             stays ? "kept" : "challenger", report->version, report->parent, report->records, report->reason);
    return 0;
}

static int finish(struct retrain *retrain, int status)
{
    char path[RETRAIN_PATH];
    struct report report;
    retrain->child = 0;
    retrain->last_ms = clock_monotonic_ms();
    metric_set(retrain->metrics.running, 0);
    metric_set(retrain->metrics.seconds, (double)(retrain->last_ms - retrain->started_ms) / 1000);
    mark_trained(retrain);
    training_path(retrain, "report.json", path);
    int result = status == 0 ? report_read(path, &report) : -EIO;
    if (result == 0)
        return conclude(retrain, &report);
    metric_add(retrain->metrics.failed, 1);
    log_error("training_failed", "status=%d reason=\"%s\" see=\"the lines before\"", status,
              status ? "the training ended badly" : "its report cannot be read");
    return 0;
}

int training_step(struct retrain *retrain)
{
    int status;
    if (retrain->child > 0) {
        int result = child_poll(retrain->child, &status);
        return result == 0 ? 0 : finish(retrain, result < 0 ? 255 : status);
    }
    size_t new_records = reservoir_newer(retrain->reservoir, last_trained_s(retrain));
    const struct due_rule rule = {.min_records = (size_t)retrain->options->min_records,
                                  .min_new = (size_t)retrain->options->min_new,
                                  .interval_ms = retrain->options->interval_ms};
    size_t records = reservoir_count(retrain->reservoir);
    bool drifted = retrain->drifted && records >= rule.min_records && new_records > 0;
    /* A challenger in shadow is not replaced by the next one before it has shown what it can. */
    if (drifted || (!trial_running(&retrain->judge->shadow) &&
                    due_training(&rule, records, new_records, clock_monotonic_ms() - retrain->last_ms)))
        start(retrain, new_records);
    return 0;
}
