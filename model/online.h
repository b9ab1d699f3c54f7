/* The online head of one code: a small logistic correction of the backbone that learns from each finished
 * execution, so that a code whose alarms are always false, or always late, gets its own answer without a new
 * backbone.
 *
 * Per cause: corrected logit = slope * (backbone logit + weights . inputs) + intercept, where inputs are a
 * few named features (model-independent; online_inputs[] names them) and slope/intercept are the calibration.
 * Fitted by AdaGrad with steps and weights bounded and a pull towards "no correction", so that a few records
 * cannot turn it round. It carries the model version it was fitted to and says nothing on another one, and
 * nothing before ONLINE_MIN_EXAMPLES labelled ticks. Pure functions over a fixed-size struct. */
#ifndef FORESTALL_MODEL_ONLINE_H
#define FORESTALL_MODEL_ONLINE_H

#include "common/arena.h"
#include "model/features.h"
#include "schemas/messages.h"

#define ONLINE_CAUSES 5 /* memory, cpu, io, net, other: MSG_CAUSE_MEMORY + i */
#define ONLINE_INPUTS 10
#define ONLINE_MIN_EXAMPLES 60  /* 6 s of labelled ticks: less says nothing about a code */
#define ONLINE_MIN_RECORDS 2    /* one run alone is no pattern */
#define ONLINE_RECORD_TICKS 100 /* ticks of one record weigh together at most as much as so many */
#define ONLINE_VERSION_MAX 65   /* hex SHA-256 and the end */

/* Which features feed the head, in order; part of the head's contract (a change raises ONLINE_FORMAT). */
#define ONLINE_FORMAT 1
extern const enum feature_index online_inputs[ONLINE_INPUTS];

struct online_cause {
    float weights[ONLINE_INPUTS];
    float slope, intercept;
    float squares[ONLINE_INPUTS + 2]; /* AdaGrad's sums of squared gradients */
};

struct online_head {
    char version[ONLINE_VERSION_MAX]; /* "" = never fitted */
    int64_t examples, records;        /* labelled ticks and records learned from */
    struct online_cause causes[ONLINE_CAUSES];
};

/* One tick with the backbone's answer. labels[i] < 0: masked. */
struct online_example {
    const float *features; /* FEATURE_COUNT */
    float logits[ONLINE_CAUSES];
    int8_t labels[ONLINE_CAUSES];
};

/* No correction. */
void online_reset(struct online_head *head, const char *version);
/* Learns the ticks of one record. A head of another version is reset first. inclusion: probability with which
 * the record's series was included (its inverse is the weight, bounded); 0 counts as 1. */
void online_learn(struct online_head *head, const char *version, const struct online_example *examples,
                  size_t count, float inclusion);
/* True when the head may be applied to this model version. */
bool online_ready(const struct online_head *head, const char *version);
/* Corrected logits; a head that is not ready copies them. out may be logits. Always finite. */
void online_apply(const struct online_head *head, const char *version, const float *features,
                  const float logits[ONLINE_CAUSES], float out[ONLINE_CAUSES]);

/* head/calibration arrays of a CodeProfile. -EBADMSG on another format or numbers that are not finite: head
 * is then reset, i.e. it begins anew, so a caller may go on. */
int online_load(struct online_head *head, struct str version, const struct msg_float_array *weights,
                const struct msg_float_array *calibration);
/* Both arrays empty when never fitted. -ENOMEM. */
FS_MUST_CHECK int online_store(const struct online_head *head, struct arena *arena,
                               struct msg_float_array *weights, struct msg_float_array *calibration);

#endif
