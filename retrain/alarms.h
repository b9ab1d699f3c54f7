/* Memory alarms on a data set: the network's probability and the rules it is held against, each as a score
 * per tick. Only examples under a limit that nobody moves count: where limits are raised on the way, an alarm
 * is right and nothing fails. */
#ifndef FORESTALL_RETRAIN_ALARMS_H
#define FORESTALL_RETRAIN_ALARMS_H

#include "model/score.h"
#include "retrain/answers.h"

enum alarms_rule {
    ALARMS_MODEL,    /* calibrated probability of memory */
    ALARMS_ETA_FAST, /* (limit - memory) / growth, growth over 0.3 s: the ETA rule run at 100 ms */
    ALARMS_ETA_SLOW, /* the same over 5 s, as the rule has it */
    ALARMS_HEADROOM, /* memory / limit */
    ALARMS_RULE_COUNT
};
const char *alarms_rule_name(enum alarms_rule rule);

/* False: its memory alarms are not scored (no limit, or one that is moved). */
bool alarms_count(const struct example *example);
/* How alarmed the rule is at a tick; higher = more. */
float alarms_score(const struct labels *labels, const struct network_output *answers, size_t tick,
                   enum alarms_rule rule);

/* Scores of all ticks of the examples that count, in one block. */
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
/* The same in one go for the network: 0, -ENOMEM. */
FS_MUST_CHECK int alarms_threshold(const struct dataset *dataset, const struct answers *answers,
                                   double false_alarms_per_hour, float *out);

#define ALARMS_HORIZON_MS 10000

#endif
