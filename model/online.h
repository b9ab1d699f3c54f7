/* The online head of one code: a correction of the backbone that learns from each finished execution, so that
 * a code whose alarms are always false, or always late, gets its own answer without a new backbone.
 *
 * Per cause: corrected logit = slope * backbone logit + offset, with a normal prior around "no correction"
 * (slope 1, offset 0). A record moves both to where its labelled ticks are most probable (Newton's method on
 * the posterior; Laplace's approximation carries the information on: Spiegelhalter & Lauritzen 1990),
 * and older records fade. The ticks of one record are alike, so that together they weigh as little as
 * ONLINE_RECORD_WEIGHT of their kind: few records turn nothing round. A head carries the model version it was
 * fitted to and says nothing on another one. What the code's earlier executions needed is not its business:
 * the backbone has that among its features. docs/design/predict.md has what it is worth. Pure functions over
 * a fixed-size struct. */
#ifndef FORESTALL_MODEL_ONLINE_H
#define FORESTALL_MODEL_ONLINE_H

#include "common/arena.h"
#include "schemas/messages.h"

#define ONLINE_CAUSES 5          /* memory, cpu, io, net, other: MSG_CAUSE_MEMORY + i */
#define ONLINE_RECORD_WEIGHT 5.0 /* ticks that all of one record weigh as, at most */
#define ONLINE_VERSION_MAX 65    /* hex SHA-256 and the end */
#define ONLINE_FORMAT 2          /* of the arrays of a CodeProfile */

struct online_cause {
    float information[3]; /* of records, beyond the prior: offset, offset with slope, slope */
    float pull[2];        /* (prior + information) * correction: offset, slope */
    float offset, slope;  /* follow from both; what the prior and the records speak for */
};

struct online_head {
    char version[ONLINE_VERSION_MAX]; /* "" = never fitted */
    int64_t examples, records;        /* labelled ticks and records learned from */
    struct online_cause causes[ONLINE_CAUSES];
};

/* One tick with the backbone's calibrated answer. labels[i] < 0: masked. */
struct online_example {
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
void online_apply(const struct online_head *head, const char *version, const float logits[ONLINE_CAUSES],
                  float out[ONLINE_CAUSES]);

/* head/calibration arrays of a CodeProfile. -EBADMSG on another format or numbers that are not finite: head
 * is then reset, i.e. it begins anew, so a caller may go on. */
int online_load(struct online_head *head, struct str version, const struct msg_float_array *weights,
                const struct msg_float_array *calibration);
/* Both arrays empty when never fitted. -ENOMEM. */
FS_MUST_CHECK int online_store(const struct online_head *head, struct arena *arena,
                               struct msg_float_array *weights, struct msg_float_array *calibration);

#endif
