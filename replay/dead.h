/* What would have saved an execution that became a dead letter. Pure but for memory. */
#ifndef FORESTALL_REPLAY_DEAD_H
#define FORESTALL_REPLAY_DEAD_H

#include "replay/simulate.h"

#define DEAD_ADVICE_MAX 384

struct dead_verdict {
    enum msg_cause cause;
    double had,
        needed;    /* of the cause's resource, its unit: highest limit it had, least that would have done */
    double growth; /* memory: bytes per second when it was killed */
    bool saved_by[POLICIES_MAX]; /* memory: from the same first limit, with nothing known of the code */
    char advice[DEAD_ADVICE_MAX];
};

/* Memory: the recording up to the kill, then growing on for one horizon as in its last second, under each
 * policy that acts while a program runs, nobody's ceiling in the way. Other causes: what the stall says. 0,
 * -ENOMEM; -EINVAL: no allocation would have helped (advice says so). */
FS_MUST_CHECK int dead_judge(const struct msg_execution_record *record,
                             const struct replay_settings *settings, const struct simulate_options *options,
                             struct dead_verdict *out);

#endif
