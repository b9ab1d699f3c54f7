/* One finished execution: counted, learned, its code's profile published. See predict.h. */
#include <errno.h>

#include "common/clock.h"
#include "predict/marks.h"
#include "predict/predict.h"

#define REREAD_TIMEOUT_MS 60000 /* a schema may be looked for in it */

/* Takes in one code only, of a partition that holds many. */
struct reread {
    struct predict *predict;
    struct str name;
};

static int take_one(void *context, const struct stream_message *message)
{
    const struct reread *reread = context;
    if (!str_equal((struct str){message->key, message->key_size}, reread->name))
        return 0;
    return predict_restore_code(reread->predict, message);
}

/* NULL: the loop ends. A code that is not here may have been dropped when the table was full; its profile
 * must go on from what the topic has, or its revisions would be ignored by everybody. */
static struct code *own(struct predict *predict, struct str name, int32_t partition)
{
    struct code *code = codes_find(predict->codes, name);
    if (code)
        return code;
    if (codes_maybe_evicted(predict->codes, name)) {
        struct reread reread = {predict, name};
        metric_add(predict->metrics.codes_reread, 1);
        int result = predict_restore_codes(predict, partition, take_one, &reread, REREAD_TIMEOUT_MS);
        if (result < 0) {
            predict_fail(predict, result, "reading a dropped profile again");
            return NULL;
        }
    }
    code = codes_own(predict->codes, name);
    if (!code)
        predict_fail(predict, -EINVAL, "keeping a profile");
    return code;
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
    struct code *code = predict->failure == 0 ? own(predict, record->code, finished->partition) : NULL;
    if (!code)
        return;
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
