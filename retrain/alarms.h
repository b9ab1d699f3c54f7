/* Memory alarms on a data set: of the network and of the rules it is held against, each as a score per tick.
 * Only examples under a limit that nobody moves count: where limits are raised on the way, an alarm
 * is right and nothing fails. */
#ifndef FORESTALL_RETRAIN_ALARMS_H
#define FORESTALL_RETRAIN_ALARMS_H

#include "model/score.h"
#include "retrain/answers.h"

enum alarms_rule {
    ALARMS_MODEL,    /* calibrated probability of memory; its level where it is about crossings */
    ALARMS_ETA_FAST, /* (limit - memory) / growth, growth over 0.3 s: the ETA rule run at 100 ms */
    ALARMS_ETA_SLOW, /* the same over 5 s, as the rule has it */
    ALARMS_HEADROOM, /* memory / limit */
    ALARMS_RULE_COUNT
};
const char *alarms_rule_name(enum alarms_rule rule);

/* False: its memory alarms are not scored (no limit, or one that is moved). */
bool alarms_count(const struct example *example);
/* How alarmed the rule is at a tick, seen alone; higher = more. */
float alarms_score(const struct labels *labels, const struct network_output *answers, size_t tick,
                   enum alarms_rule rule);
/* What alarms of a cause (as in network_output) at each tick [labels->ticks], as a probability: see
 * model/alarm_level.h. */
void alarms_levels(const struct labels *labels, const struct network_output *answers, size_t cause,
                   float *out);

/* What crosses a threshold, at all ticks of the examples that count, in one block: the model's level, the
 * rules' scores. */
struct alarms {
    struct score_series *series; /* [count] */
    size_t count;
    float *scores;
};

/* 0, -ENOMEM. Borrows times from the data set. */
FS_MUST_CHECK int alarms_make(const struct dataset *dataset, const struct answers *answers,
                              enum alarms_rule rule, struct alarms *out);
void alarms_fini(struct alarms *alarms);
/* The lowest threshold with at most this rate of false alarms. */
float alarms_choose(const struct alarms *alarms, int32_t horizon_ms, double false_alarms_per_hour);

/* Whether a deadline is told to be missed for lack of cpu, io or net (cause as in network_output): one is an
 * example with a deadline whose end is known. */
bool alarms_deadline(const struct example *example, size_t cause);

/* What thresholds are to reach. A false alarm about memory takes memory from others; one about a deadline
 * takes little, because allocate raises only what a limit in force holds up: so there it is a share of what
 * is missed. */
struct alarms_goal {
    double per_hour; /* memory: false alarms per hour of an execution's running time, at most */
    double
        foreseen; /* cpu, io, net: share of the deadlines missed that are to be told by half of their time */
};

/* Memory: the lowest threshold that keeps to the goal; cpu, io, net: the highest that reaches it, 0.25 to
 * 0.5. Where the data set says nothing about a cause, and of `other`, which nobody acts on: one half. 0,
 * -ENOMEM. */
FS_MUST_CHECK int alarms_thresholds(const struct dataset *dataset, const struct answers *answers,
                                    const struct alarms_goal *goal, float out[NETWORK_CAUSES]);

#define ALARMS_HORIZON_MS 10000

#endif
