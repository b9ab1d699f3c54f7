/* One finished execution: counted, learned, its code's profile published. See predict.h. */
#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "predict/marks.h"
#include "predict/predict.h"

#define REREAD_TIMEOUT_MS 60000 /* a schema may be looked for in it */

/* --- dropped profiles --- */

/* Codes whose profiles are not here and may be in the topic, in order. */
struct wanted {
    struct predict *predict;
    struct str names[PREDICT_RECORDS];
    size_t count;
};

static int compare_names(const void *a, const void *b)
{
    const struct str *left = a, *right = b;
    int order = memcmp(left->data, right->data, FS_MIN(left->size, right->size));
    return order != 0 ? order : (left->size > right->size) - (left->size < right->size);
}

static int take_wanted(void *context, const struct stream_message *message)
{
    const struct wanted *wanted = context;
    struct str name = {message->key, message->key_size};
    if (name.size == 0 || !bsearch(&name, wanted->names, wanted->count, sizeof name, compare_names))
        return 0;
    return predict_restore_code(wanted->predict, message);
}

/* Looking up what is here makes it the newest: reading the others in pushes none of the batch out. */
static void want_dropped(struct wanted *wanted, bool partitions[])
{
    struct predict *predict = wanted->predict;
    for (size_t i = 0; i < predict->finished_waiting; i++) {
        struct str name = predict->finished[i].record.code;
        if (codes_find(predict->codes, name) || !codes_maybe_evicted(predict->codes, name))
            continue;
        wanted->names[wanted->count++] = name;
        partitions[predict->finished[i].partition] = true;
    }
    qsort(wanted->names, wanted->count, sizeof wanted->names[0], compare_names);
}

void predict_reread_codes(struct predict *predict)
{
    struct wanted wanted = {.predict = predict};
    bool *partitions = predict->rereading;
    memset(partitions, 0, (size_t)predict->finished_count * sizeof *partitions);
    want_dropped(&wanted, partitions);
    if (wanted.count == 0 || predict->failure != 0)
        return;
    metric_add(predict->metrics.codes_reread, (double)wanted.count);
    /* What was learned last must be in the topic before it is read there. */
    int result = stream_flush(predict->stream, REREAD_TIMEOUT_MS);
    for (int32_t p = 0; result == 0 && p < predict->finished_count; p++) {
        if (!partitions[p])
            continue;
        metric_add(predict->metrics.codes_passes, 1);
        result = predict_restore_codes(predict, p, take_wanted, &wanted, REREAD_TIMEOUT_MS);
    }
    if (result < 0)
        predict_fail(predict, result, "reading dropped profiles again");
}

static void publish(struct predict *predict, const struct code *code)
{
    struct msg_code_profile message;
    int result = profile_store(&code->profile, predict->records, &message);
    if (result < 0) {
        predict_fail(predict, result, "storing a profile");
        return;
    }
    predict_emit(predict, TOPIC_CODES, message.code, &msg_code_profile_type, &message);
}

void predict_finish(struct predict *predict, const struct finished *finished)
{
    const struct msg_execution_record *record = &finished->record;
    struct profile_position position = {TOPIC_EXECUTIONS_FINISHED, finished->partition, finished->offset};
    if (predict->failure != 0)
        return;
    struct code *code = codes_own(predict->codes, record->code);
    if (!code) {
        predict_fail(predict, -EINVAL, "keeping a profile");
        return;
    }
    if (profile_contains(&code->profile, &position)) {
        metric_add(predict->metrics.records_repeated, 1);
        return;
    }
    int ticks = learn(predict->learner, code, record, engine_champion(predict->engine),
                      engine_challenger(predict->engine));
    if (ticks < 0) {
        predict_fail(predict, ticks, "learning from a record");
        return;
    }
    fs_drop(
        profile_count(&code->profile, record, &position, clock_realtime_us())); /* not in it: asked above */
    metric_add(predict->metrics.records, 1);
    metric_add(predict->metrics.learned, ticks);
    publish(predict, code);
}

/* False: queue full or broker away, later. */
static bool delete_code(struct predict *predict, struct str name)
{
    int result = stream_produce(predict->stream, TOPIC_CODES, name.data, name.size, NULL, 0, NULL, NULL);
    if (result < 0)
        return false;
    metric_add(predict->metrics.codes_deleted, 1);
    codes_drop(predict->codes, name);
    return true;
}

static bool is_idle(const struct predict *predict, const struct code *code)
{
    return code->profile.updated_us <= clock_realtime_us() - predict->options->code_idle_ms * 1000;
}

/* --- restoring --- */

/* What a partition tells about its codes. Behind an idle profile may be a newer one that is not, and its code
 * may be out of memory by the end: so all of it is read before anything is deleted. An idle one that shares
 * its mark with a code in use waits for a start after that one has gone. */
struct owned {
    struct predict *predict;
    struct marks *used; /* codes with a profile that is not idle */
    bool idle;          /* there was one that is */
};

/* The newest profile known of this message's code, or NULL. */
static int take_profile(struct predict *predict, const struct stream_message *message, struct code **out)
{
    int result = predict_restore_code(predict, message);
    *out = result == 0 ? codes_find(predict->codes, (struct str){message->key, message->key_size}) : NULL;
    return result;
}

static int take_owned(void *context, const struct stream_message *message)
{
    struct owned *owned = context;
    struct code *code;
    int result = take_profile(owned->predict, message, &code);
    if (code && is_idle(owned->predict, code))
        owned->idle = true;
    else if (code)
        marks_add(owned->used, str_of(code->profile.code));
    return result;
}

static int take_or_delete(void *context, const struct stream_message *message)
{
    struct owned *owned = context;
    struct code *code;
    int result = take_profile(owned->predict, message, &code);
    if (code && is_idle(owned->predict, code) && !marks_hold(owned->used, str_of(code->profile.code)))
        (void)delete_code(owned->predict, str_of(code->profile.code)); /* not now: at a later start */
    return result;
}

int predict_restore_owned(struct predict *predict, int32_t partition, int timeout_ms)
{
    struct owned owned = {predict, marks_create(), false};
    int result =
        owned.used ? predict_restore_codes(predict, partition, take_owned, &owned, timeout_ms) : -ENOMEM;
    if (result == 0 && owned.idle)
        result = predict_restore_codes(predict, partition, take_or_delete, &owned, timeout_ms);
    marks_destroy(owned.used);
    return result;
}

void predict_sweep(struct predict *predict)
{
    struct code *next;
    for (struct code *code = codes_first(predict->codes); code; code = next) {
        struct str name = str_of(code->profile.code);
        next = codes_next(predict->codes, code);
        if (!is_idle(predict, code))
            continue;
        int32_t partition = stream_partition_of(name.data, name.size, predict->finished_count);
        if (!predict->partitions[partition].owned)
            continue;
        if (!delete_code(predict, name))
            return; /* the next sweep goes on */
    }
}
