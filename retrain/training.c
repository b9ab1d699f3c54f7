/* Trainings of the service; see service.h. State on disk: `trained` has the time of the last training's
 * start, so that a restart counts new records rightly; a training that was killed is simply done again. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/installed.h"
#include "common/clock.h"
#include "retrain/child.h"
#include "retrain/commands.h"
#include "retrain/due.h"
#include "retrain/publish.h"
#include "retrain/service.h"

#define ARGUMENTS_MAX 40

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
    char out[RETRAIN_PATH], report[RETRAIN_PATH];
    training_path(retrain, "challenger.safetensors", out);
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
    add(a, "--retrain.horizon=%" PRId64 "ms", o->horizon_ms);
    add(a, "--retrain.learning_rate=%.9g", o->learning_rate);
    add(a, "--retrain.weight_decay=%.9g", o->weight_decay);
    add(a, "--retrain.demand_weight=%.9g", o->demand_weight);
    add(a, "--retrain.false_alarms=%.9g", o->false_alarms_per_hour);
    add(a, "--retrain.held_out=%.9g", o->held_out);
}

/* The champion of the topic as last seen, or the file given or shipped. */
static void champion_path(const struct retrain *retrain, char out[RETRAIN_PATH])
{
    training_path(retrain, "champion.safetensors", out);
    if (access(out, R_OK) == 0)
        return;
    if (*retrain->options->champion_file) {
        (void)snprintf(out, RETRAIN_PATH, "%s", retrain->options->champion_file);
        return;
    }
    if (installed_path(INSTALLED_MODEL, out, RETRAIN_PATH) < 0)
        out[0] = '\0'; /* the training says that it cannot be read */
}

static void start(struct retrain *retrain, size_t new_records)
{
    static struct arguments arguments; /* too large for a stack */
    char champion[RETRAIN_PATH];
    champion_path(retrain, champion);
    memset(&arguments, 0, sizeof arguments);
    fill_arguments(retrain, champion, &arguments);
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

static int publish(struct retrain *retrain, enum models_role role, const struct report *report)
{
    char path[RETRAIN_PATH];
    struct buffer bytes;
    training_path(retrain, "challenger.safetensors", path);
    FILE *file = fopen(path, "rb");
    if (!file)
        return -errno;
    buffer_init(&bytes, (size_t)64 << 20);
    for (;;) {
        uint8_t *room = buffer_reserve(&bytes, 65536);
        size_t got = room ? fread(room, 1, 65536, file) : 0;
        if (got == 0)
            break;
        bytes.size += got;
    }
    (void)fclose(file); /* only read from */
    int result = buffer_error(&bytes);
    if (result == 0)
        result = publish_model(retrain->stream, role, buffer_str(&bytes), report, clock_realtime_us());
    buffer_fini(&bytes);
    return result;
}

static int conclude(struct retrain *retrain, const struct report *report)
{
    static const char *const results[] = {"kept", "challenger", "champion"};
    int result = 0;
    if (report->verdict == COMPARE_CHAMPION_STAYS)
        metric_add(retrain->metrics.lost, 1);
    else
        result =
            publish(retrain, report->verdict == COMPARE_CHALLENGER_WINS ? MODELS_CHAMPION : MODELS_CHALLENGER,
                    report);
    if (result < 0) {
        log_error("publish_failed", "version=%s reason=\"%s\"", report->version, strerror(-result));
        return result == -EPIPE ? result : 0;
    }
    if (report->verdict != COMPARE_CHAMPION_STAYS)
        metric_add(report->verdict == COMPARE_CHALLENGER_WINS ? retrain->metrics.won
                                                              : retrain->metrics.undecided,
                   1);
    log_info("trained", "published=%s version=%s parent=%s records=%" PRId64 " reason=\"%s\"",
             results[report->verdict], report->version, report->parent, report->records, report->reason);
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
    if (due_training(&rule, reservoir_count(retrain->reservoir), new_records,
                     clock_monotonic_ms() - retrain->last_ms))
        start(retrain, new_records);
    return 0;
}
