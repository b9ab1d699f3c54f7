/* Who has which role, by the topic `models`: the models followed, kept as files in the service's directory
 * and as networks in the judge; and what the judge decides, published.
 *
 * A promotion is three writes in an order in which a kill between them loses nothing: the champion under
 * `previous`, the challenger under `champion`, nobody under `challenger`. What a kill leaves half done (a
 * model with two roles) is finished at the next start. See service.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/installed.h"
#include "common/topics.h"
#include "common/unwritable.h"
#include "retrain/commands.h"
#include "retrain/publish.h"
#include "retrain/service.h"

#define MODEL_MAX ((size_t)64 << 20)
#define SAVE_MS 5000 /* between two writes of the judge's memory: a kill loses so much of a trial */

void roles_path(const struct retrain *retrain, enum models_role role, char out[RETRAIN_PATH])
{
    static const char *const names[MODELS_ROLE_COUNT] = {"champion.safetensors", "shadow.safetensors",
                                                         "previous.safetensors"};
    training_path(retrain, names[role], out);
}

void roles_champion_path(const struct retrain *retrain, char out[RETRAIN_PATH])
{
    roles_path(retrain, MODELS_CHAMPION, out);
    if (access(out, R_OK) == 0)
        return;
    if (*retrain->options->champion_file) {
        (void)snprintf(out, RETRAIN_PATH, "%s", retrain->options->champion_file);
        return;
    }
    if (installed_path(INSTALLED_MODEL, out, RETRAIN_PATH) < 0)
        out[0] = '\0'; /* the training says that it cannot be read */
}

/* --- following --- */

/* A model that cannot be read has no role here; predict refuses it as well. */
static void install(struct retrain *retrain, enum models_role role, const char *path)
{
    judge_set(retrain->judge, role, command_load_network(path));
}

static void withdraw(struct retrain *retrain, enum models_role role)
{
    char path[RETRAIN_PATH];
    roles_path(retrain, role, path);
    if (remove(path) == 0)
        log_info("model_withdrawn", "role=%s", models_role_name(role));
    models_drop(retrain->models, role);
    judge_set(retrain->judge, role, NULL);
    if (role == MODELS_CHAMPION) {
        roles_champion_path(retrain, path);
        install(retrain, role, path);
    }
}

static void remember(struct report *report, const struct msg_model *model)
{
    *report = (struct report){.records = model->records};
    (void)str_copy(report->version, sizeof report->version, model->version);
    (void)str_copy(report->parent, sizeof report->parent, model->parent);
    (void)str_copy(report->reason, sizeof report->reason, model->note);
    for (size_t i = 0; i < model->metrics.count; i++) {
        char name[48];
        if (str_copy(name, sizeof name, model->metrics.items[i].key))
            report_add(report, name, model->metrics.items[i].value);
    }
}

/* Its chunks do not come again, and without its file it is neither watched nor could it be published as the
 * one before. */
static enum stream_outcome unwritten(struct retrain *retrain, const char *path, int error)
{
    char what[RETRAIN_PATH + 16], reason[400];
    (void)snprintf(what, sizeof what, "cannot write %s", path);
    (void)unwritable_say(error, what, "service.state_dir", reason, sizeof reason); /* error is told */
    (void)snprintf(retrain->failure, sizeof retrain->failure,
                   "%s; a restart reads %s from its beginning and tries again", reason, TOPIC_MODELS);
    return STREAM_FATAL;
}

static enum stream_outcome take(struct retrain *retrain, enum models_role role, const struct msg_model *chunk)
{
    char error[128] = "out of memory", path[RETRAIN_PATH];
    struct str bytes;
    int result = models_take(retrain->models, role, chunk, &bytes, error, sizeof error);
    if (result < 0)
        log_warn("model_refused", "role=%s reason=\"%s\"", models_role_name(role), error);
    if (result <= 0)
        return STREAM_DONE;
    roles_path(retrain, role, path);
    result = command_write_file(path, bytes);
    if (result < 0)
        return unwritten(retrain, path, result);
    remember(&retrain->reports[role], chunk);
    install(retrain, role, path);
    log_info("model", "role=%s version=%s bytes=%zu path=\"%s\"", models_role_name(role),
             retrain->reports[role].version, bytes.size, path);
    return STREAM_DONE;
}

enum stream_outcome roles_follow(void *context, const struct stream_message *message)
{
    struct retrain *retrain = context;
    enum models_role role;
    int32_t number;
    struct msg_model chunk;
    if (models_role_of((struct str){message->key, message->key_size}, &role, &number) < 0)
        return STREAM_DONE;
    if (!message->value) {
        if (number == 0)
            withdraw(retrain, role);
        return STREAM_DONE;
    }
    arena_reset(retrain->arena);
    enum stream_outcome outcome = topic_codec_decode(retrain->followed_codec, &msg_model_type, message,
                                                     retrain->arena, &chunk, clock_monotonic_ms());
    if (outcome == STREAM_RETRY)
        return outcome;
    if (outcome == STREAM_DONE)
        return take(retrain, role, &chunk);
    log_warn("model_refused", "role=%s reason=\"not a readable Model\"", models_role_name(role));
    return STREAM_DONE;
}

void roles_begin(struct retrain *retrain)
{
    char path[RETRAIN_PATH];
    if (!retrain->judge->networks[MODELS_CHAMPION]) {
        roles_champion_path(retrain, path);
        install(retrain, MODELS_CHAMPION, path);
    }
    training_path(retrain, "judge", path);
    int result = judge_load(retrain->judge, path);
    if (result < 0 && result != -ENOENT)
        log_warn("trials_begin_anew", "path=\"%s\" reason=\"%s\"", path, strerror(-result));
}

void roles_save(struct retrain *retrain)
{
    char path[RETRAIN_PATH];
    if (!retrain->judge->changed)
        return;
    training_path(retrain, "judge", path);
    fs_drop(judge_save(retrain->judge, path)); /* told by it; the next one tries again */
    retrain->judged_ms = clock_monotonic_ms();
}

/* --- publishing --- */

static int read_file(const char *path, struct buffer *bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return -errno;
    for (;;) {
        uint8_t *room = buffer_reserve(bytes, 65536);
        size_t got = room ? fread(room, 1, 65536, file) : 0;
        if (got == 0)
            break;
        bytes->size += got;
    }
    (void)fclose(file); /* only read from */
    return buffer_error(bytes);
}

int roles_publish(struct retrain *retrain, enum models_role role, const char *path,
                  const struct report *report)
{
    struct buffer bytes;
    buffer_init(&bytes, MODEL_MAX);
    int result = read_file(path, &bytes);
    if (result == 0)
        result = publish_model(retrain->stream, role, buffer_str(&bytes), report, clock_realtime_us());
    buffer_fini(&bytes);
    return result;
}

static const char *version_of(const struct retrain *retrain, enum models_role role)
{
    const struct network *network = retrain->judge->networks[role];
    return network ? network->version : "";
}

/* What was published with a role's model, or, for the shipped one, who it is. */
static struct report report_of(const struct retrain *retrain, enum models_role role)
{
    struct report report = retrain->reports[role];
    if (strcmp(report.version, version_of(retrain, role)) != 0) {
        report = (struct report){.reason = "shipped"};
        (void)str_copy(report.version, sizeof report.version, str_of(version_of(retrain, role)));
    }
    return report;
}

static void explain(struct report *report, const char *words, const char *prefix,
                    const struct comparison *why)
{
    char name[48];
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"champion_loss", why->champion},
                   {"challenger_loss", why->challenger},
                   {"low", why->low},
                   {"high", why->high},
                   {"executions", (double)why->executions}};
    (void)snprintf(report->reason, sizeof report->reason, "%s: %.200s", words, why->reason);
    for (size_t i = 0; i < FS_COUNT(numbers); i++) {
        (void)snprintf(name, sizeof name, "%s_%s", prefix, numbers[i].name);
        report_add(report, name, numbers[i].value);
    }
}

static int promote(struct retrain *retrain, const struct comparison *why)
{
    char champion[RETRAIN_PATH], challenger[RETRAIN_PATH];
    struct report old = report_of(retrain, MODELS_CHAMPION), young = report_of(retrain, MODELS_CHALLENGER);
    roles_champion_path(retrain, champion);
    roles_path(retrain, MODELS_CHALLENGER, challenger);
    explain(&young, "promoted after its shadow", "shadow", why);
    int result = roles_publish(retrain, MODELS_PREVIOUS, champion, &old);
    if (result == 0)
        result = roles_publish(retrain, MODELS_CHAMPION, challenger, &young);
    if (result == 0)
        result = publish_nobody(retrain->stream, MODELS_CHALLENGER);
    if (result < 0)
        return result;
    metric_add(retrain->metrics.won, 1);
    log_info("promoted", "version=%s before=%s reason=\"%s\"", young.version, old.version, why->reason);
    return 0;
}

static int drop(struct retrain *retrain, const struct comparison *why)
{
    int result = publish_nobody(retrain->stream, MODELS_CHALLENGER);
    if (result < 0)
        return result;
    metric_add(retrain->metrics.dropped, 1);
    log_info("dropped", "version=%s reason=\"%s\"", version_of(retrain, MODELS_CHALLENGER), why->reason);
    return 0;
}

static int roll_back(struct retrain *retrain, const struct comparison *why)
{
    char path[RETRAIN_PATH];
    struct report report = report_of(retrain, MODELS_PREVIOUS);
    roles_path(retrain, MODELS_PREVIOUS, path);
    explain(&report, "rolled back", "watch", why);
    int result = roles_publish(retrain, MODELS_CHAMPION, path, &report);
    if (result == 0)
        result = publish_nobody(retrain->stream, MODELS_PREVIOUS);
    if (result < 0)
        return result;
    metric_add(retrain->metrics.rolled_back, 1);
    log_warn("rolled_back", "from=%s to=%s reason=\"%s\"", version_of(retrain, MODELS_CHAMPION),
             report.version, why->reason);
    return 0;
}

/* At the start: a kill in the middle of a promotion or a rollback left a model with two roles. */
static int finish(struct retrain *retrain)
{
    static const enum models_role others[] = {MODELS_CHALLENGER, MODELS_PREVIOUS};
    const char *champion = version_of(retrain, MODELS_CHAMPION);
    int result = 0;
    for (size_t i = 0; i < FS_COUNT(others) && result == 0 && *champion; i++)
        if (strcmp(version_of(retrain, others[i]), champion) == 0) {
            judge_set(retrain->judge, others[i], NULL);
            result = publish_nobody(retrain->stream, others[i]);
        }
    return result;
}

static void tell(struct retrain *retrain)
{
    const struct judge *judge = retrain->judge;
    metric_set(retrain->metrics.shadow_executions, (double)judge->shadow.count);
    metric_set(retrain->metrics.watch_executions, (double)judge->watch.count);
    metric_set(retrain->metrics.drift_mean, adwin_mean(&judge->drift));
    if (!judge_saw_drift(retrain->judge))
        return;
    metric_add(retrain->metrics.drifts, 1);
    retrain->drifted = true;
    log_warn("drift", "champion=%s loss=%.4f executions=%.0f do=\"a training follows\"", judge->drift_of,
             adwin_mean(&judge->drift), adwin_width(&judge->drift));
}

int roles_step(struct retrain *retrain)
{
    enum judge_decision decision;
    struct comparison why;
    int result = retrain->begun ? 0 : finish(retrain);
    retrain->begun = true; /* later a promotion's own writes come back one by one */
    if (result == 0)
        result = judge_decide(retrain->judge, &decision, &why);
    if (result != 0)
        return result;
    tell(retrain);
    if (decision == JUDGE_PROMOTE)
        result = promote(retrain, &why);
    else if (decision == JUDGE_DROP)
        result = drop(retrain, &why);
    else if (decision == JUDGE_ROLL_BACK)
        result = roll_back(retrain, &why);
    else if (decision == JUDGE_SETTLED)
        log_info("settled", "version=%s reason=\"%s\"", version_of(retrain, MODELS_CHAMPION), why.reason);
    if (result < 0) {
        log_error("publish_failed", "reason=\"%s\" next=\"the trial begins again\"", strerror(-result));
        judge_undo(retrain->judge);
        return result == -EPIPE ? result : 0;
    }
    if (clock_monotonic_ms() - retrain->judged_ms >= SAVE_MS)
        roles_save(retrain);
    return 0;
}
