/* See online.h. AdaGrad: Duchi, Hazan, Singer 2011. */
#include "model/online.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#define STEP 0.1f       /* AdaGrad's base step: the first step of a weight is at most this */
#define PULL 0.002f     /* L2 pull towards no correction, per example */
#define WEIGHT_MAX 8.0f /* logits move by at most this per input: a probability can always come back */
#define SLOPE_MIN 0.2f  /* a correction never turns the backbone's order round */
#define SLOPE_MAX 5.0f
#define LOGIT_MAX 20.0f
#define INVERSE_MAX 20.0f /* most weight of a record that was included with a small probability */
#define PARAMETERS (ONLINE_INPUTS + 2)
#define HEADER 3 /* format, records, examples */

const enum feature_index online_inputs[ONLINE_INPUTS] = {
    FEATURE_MEMORY_TO_LIMIT,       FEATURE_MEMORY_EXHAUSTION_SECOND,
    FEATURE_MEMORY_PEAK_TO_LIMIT,  FEATURE_PROFILE_MAX_TO_LIMIT,
    FEATURE_MEMORY_TO_PROFILE_MAX, FEATURE_THROTTLED_SHARE_SLOW,
    FEATURE_IO_STALL_SHARE_SLOW,   FEATURE_NET_TO_LIMIT,
    FEATURE_ELAPSED_TO_TIMEOUT,    FEATURE_PROFILE_CPU_NEED,
};

static float bound(float value, float least, float most)
{
    if (!(value >= least)) /* also NaN */
        return least;
    return value > most ? most : value;
}

void online_reset(struct online_head *head, const char *version)
{
    *head = (struct online_head){0};
    str_copy(head->version, sizeof head->version, str_of(version));
    for (size_t i = 0; i < ONLINE_CAUSES; i++)
        head->causes[i].slope = 1;
}

static float corrected_before_calibration(const struct online_cause *cause, const float *features,
                                          float logit)
{
    float sum = bound(logit, -LOGIT_MAX, LOGIT_MAX);
    for (size_t i = 0; i < ONLINE_INPUTS; i++)
        sum += cause->weights[i] * bound(features[online_inputs[i]], -8, 8);
    return sum;
}

/* One AdaGrad step on *weight, pulled towards rest. */
static void step(float *weight, float *squares, float gradient, float rest, float least, float most)
{
    gradient += PULL * (*weight - rest);
    *squares += gradient * gradient;
    *weight = bound(*weight - STEP * gradient / (sqrtf(*squares) + 1e-6f), least, most);
}

static void learn(struct online_cause *cause, const float *features, float logit, int8_t label, float weight)
{
    float inner = corrected_before_calibration(cause, features, logit);
    float output = bound(cause->slope * inner + cause->intercept, -LOGIT_MAX, LOGIT_MAX);
    float error = (1 / (1 + expf(-output)) - (label > 0 ? 1.0f : 0.0f)) * weight;
    for (size_t i = 0; i < ONLINE_INPUTS; i++)
        step(&cause->weights[i], &cause->squares[i],
             error * cause->slope * bound(features[online_inputs[i]], -8, 8), 0, -WEIGHT_MAX, WEIGHT_MAX);
    step(&cause->slope, &cause->squares[ONLINE_INPUTS], error * inner, 1, SLOPE_MIN, SLOPE_MAX);
    step(&cause->intercept, &cause->squares[ONLINE_INPUTS + 1], error, 0, -WEIGHT_MAX, WEIGHT_MAX);
}

static bool labelled(const struct online_example *example)
{
    for (size_t c = 0; c < ONLINE_CAUSES; c++)
        if (example->labels[c] >= 0)
            return true;
    return false;
}

void online_learn(struct online_head *head, const char *version, const struct online_example *examples,
                  size_t count, float inclusion)
{
    if (!str_equal(str_of(head->version), str_of(version)))
        online_reset(head, version);
    float inverse = inclusion > 0 && inclusion < 1 ? fminf(1 / inclusion, INVERSE_MAX) : 1;
    float weight =
        count > ONLINE_RECORD_TICKS ? (float)ONLINE_RECORD_TICKS / (float)count * inverse : inverse;
    int64_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        seen += labelled(&examples[i]);
        for (size_t c = 0; c < ONLINE_CAUSES; c++)
            if (examples[i].labels[c] >= 0)
                learn(&head->causes[c], examples[i].features, examples[i].logits[c], examples[i].labels[c],
                      weight);
    }
    head->examples += seen;
    head->records += seen > 0;
}

bool online_ready(const struct online_head *head, const char *version)
{
    return head->version[0] && str_equal(str_of(head->version), str_of(version)) &&
           head->examples >= ONLINE_MIN_EXAMPLES && head->records >= ONLINE_MIN_RECORDS;
}

void online_apply(const struct online_head *head, const char *version, const float *features,
                  const float logits[ONLINE_CAUSES], float out[ONLINE_CAUSES])
{
    bool ready = online_ready(head, version);
    for (size_t c = 0; c < ONLINE_CAUSES; c++) {
        const struct online_cause *cause = &head->causes[c];
        float logit = bound(logits[c], -LOGIT_MAX, LOGIT_MAX);
        if (ready)
            logit = cause->slope * corrected_before_calibration(cause, features, logit) + cause->intercept;
        out[c] = bound(logit, -LOGIT_MAX, LOGIT_MAX);
    }
}

static bool finite_all(const struct msg_float_array *array)
{
    for (size_t i = 0; i < array->count; i++)
        if (!isfinite(array->items[i]))
            return false;
    return true;
}

int online_load(struct online_head *head, struct str version, const struct msg_float_array *weights,
                const struct msg_float_array *calibration)
{
    online_reset(head, "");
    if (version.size == 0)
        return 0;
    if (version.size >= sizeof head->version ||
        weights->count != (size_t)(HEADER + ONLINE_CAUSES * (ONLINE_INPUTS + PARAMETERS)) ||
        calibration->count != (size_t)(ONLINE_CAUSES * 2) || !finite_all(weights) ||
        !finite_all(calibration) || weights->items[0] != (float)ONLINE_FORMAT)
        return -EBADMSG;
    str_copy(head->version, sizeof head->version, version);
    head->records = (int64_t)bound(weights->items[1], 0, 1e9f);
    head->examples = (int64_t)bound(weights->items[2], 0, 1e9f);
    const float *from = weights->items + HEADER;
    for (size_t c = 0; c < ONLINE_CAUSES; c++) {
        struct online_cause *cause = &head->causes[c];
        for (size_t i = 0; i < ONLINE_INPUTS; i++)
            cause->weights[i] = bound(*from++, -WEIGHT_MAX, WEIGHT_MAX);
        for (size_t i = 0; i < PARAMETERS; i++)
            cause->squares[i] = bound(*from++, 0, 1e30f);
        cause->slope = bound(calibration->items[2 * c], SLOPE_MIN, SLOPE_MAX);
        cause->intercept = bound(calibration->items[2 * c + 1], -WEIGHT_MAX, WEIGHT_MAX);
    }
    return 0;
}

static void store_cause(const struct online_cause *cause, float **to, float *calibration)
{
    for (size_t i = 0; i < ONLINE_INPUTS; i++)
        *(*to)++ = cause->weights[i];
    for (size_t i = 0; i < PARAMETERS; i++)
        *(*to)++ = cause->squares[i];
    calibration[0] = cause->slope;
    calibration[1] = cause->intercept;
}

int online_store(const struct online_head *head, struct arena *arena, struct msg_float_array *weights,
                 struct msg_float_array *calibration)
{
    size_t count = head->version[0] ? HEADER + ONLINE_CAUSES * (ONLINE_INPUTS + PARAMETERS) : 0;
    size_t pairs = head->version[0] ? ONLINE_CAUSES * 2 : 0;
    float *to = arena_alloc(arena, count, sizeof *to), *slopes = arena_alloc(arena, pairs, sizeof *slopes);
    if (!to || !slopes)
        return -ENOMEM;
    *weights = (struct msg_float_array){.items = to, .count = count};
    *calibration = (struct msg_float_array){.items = slopes, .count = pairs};
    if (count == 0)
        return 0;
    *to++ = ONLINE_FORMAT;
    *to++ = (float)head->records;
    *to++ = (float)head->examples;
    for (size_t c = 0; c < ONLINE_CAUSES; c++)
        store_cause(&head->causes[c], &to, slopes + 2 * c);
    return 0;
}
