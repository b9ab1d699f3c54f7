/* What acting on alarms has done, told from finished records: failures averted, false alarms, slack, cost; by
 * code and in all. Pure; no Kafka here.
 *
 * Averted is an estimate by comparison: codes with a held-out share have attempts that were drawn by lot and
 * not acted on. Their failure rate less that of the others, times the executions acted on, is what acting
 * averted. Each attempt weighs by the inverse of the probability of its arm, so codes and times with other
 * shares may be put together (Horvitz & Thompson 1952, normalised as Hajek 1971). The interval is Newcombe's
 * (1998, method 10) from Wilson's for each arm, with the effective number of attempts (Kish 1965): it stays
 * sensible when all or none of a few failed. Only first attempts are drawn, so only they are compared.
 *
 * Messages may come twice; each attempt counts once. Bounded: what does not fit is counted. */
#ifndef FORESTALL_CLI_EFFECT_H
#define FORESTALL_CLI_EFFECT_H

#include "schemas/messages.h"

#define EFFECT_CODES_MAX 100000
#define EFFECT_ATTEMPTS_MAX 2000000

/* First attempts of one arm; weights are inverse propensities. */
struct effect_arm {
    uint64_t attempts, failed;
    double weight, weight_squares, failed_weight;
};

struct effect_tally {
    char code[129];                        /* "" = all */
    uint64_t attempts, executions, failed; /* failed: for lack of memory, CPU, I/O or network */
    struct effect_arm arms[2]; /* by enum msg_arm, of attempts that could have been drawn otherwise */
    uint64_t raised;           /* attempts raised while they ran */
    uint64_t outgrew;          /* finished although they needed more memory than they began with */
    uint64_t false_alarms;     /* raised in memory, which they never needed */
    uint64_t held_out_alarms,
        held_out_false;               /* attempts with an alarm that was not acted on; that did not fail */
    double slack_gib_h, failed_gib_h; /* memory not used; all that failed attempts were given */
    double slack_share_s, seconds;    /* share of the limit not used times time, and the time */
};

struct effect_averted {
    double share, low, high; /* of the executions acted on, 95 % */
    double count;            /* executions acted on in codes with a held-out share */
};

struct effect;

/* NULL when out of memory. */
struct effect *effect_create(void);
void effect_destroy(struct effect *effect);
/* Risks come before the records. 0, -ENOMEM. */
FS_MUST_CHECK int effect_take_risk(struct effect *effect, const struct msg_risk *risk);
FS_MUST_CHECK int effect_take_record(struct effect *effect, const struct msg_execution_record *record);

const struct effect_tally *effect_all(const struct effect *effect);
/* By code in the order of the alphabet; [*count], borrowed until the next record. */
const struct effect_tally *effect_codes(struct effect *effect, size_t *count);
/* Attempts and codes that did not fit. */
uint64_t effect_dropped(const struct effect *effect);

/* False: one of the arms is empty. */
bool effect_averted(const struct effect_tally *tally, struct effect_averted *out);

#endif
