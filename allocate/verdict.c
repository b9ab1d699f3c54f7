/* See verdict.h. */
#include "allocate/verdict.h"

#include <stdio.h>

#include "allocate/amounts.h"

/* True when the next attempt would get enough more of the failed resource than the failed one ever had. */
static bool grows(const struct settle_config *config, const struct msg_limits *next,
                  const struct msg_limits *had, enum msg_cause cause)
{
    for (enum amount amount = 0; amount < AMOUNT_COUNT; amount++) {
        int64_t before = amount_get(had, amount), after = amount_get(next, amount);
        if (amount_cause(amount) == cause && before != 0 &&
            (after == 0 || (double)after >= (double)before * config->more_step))
            return true;
    }
    return false;
}

static struct msg_limits within(struct msg_limits limits, const struct msg_limits *capacity)
{
    for (enum amount amount = 0; capacity && amount < AMOUNT_COUNT; amount++) {
        int64_t most = amount_get(capacity, amount);
        if (most > 0)
            amount_set(&limits, amount, FS_MIN(amount_get(&limits, amount), most));
    }
    return limits;
}

static const char *judge_retry(const struct settle_input *input, const struct msg_execution_record *record,
                               struct verdict *verdict)
{
    bool attempts_left = record->attempt < record->request.max_attempts;
    if (!cause_is_resource(record->cause)) {
        if (!record->request.retry_other)
            return "no resource was short, more would not help";
        verdict->retry = attempts_left;
        return attempts_left ? "no resource was short; the request asks for it" : "attempts used up";
    }
    if (!settle_acts(input))
        return "the code is only observed, it would get no more";
    if (!grows(input->config, &verdict->limits, &record->highest_limits, record->cause))
        return "the ceiling or the largest node leaves nothing more to give";
    verdict->retry = attempts_left;
    return attempts_left ? "with more of it" : "attempts used up";
}

void verdict_judge(const struct settle_input *input, const struct msg_execution_record *record,
                   const struct msg_allocation *allocation, const struct msg_limits *capacity,
                   struct verdict *verdict)
{
    bool raised = causes_hold(record->raised.items, record->raised.count, record->cause);
    bool use = allocation && cause_is_resource(record->cause) && settle_acts(input);
    *verdict = (struct verdict){.limits = use ? allocation->limits : record->highest_limits};
    verdict->limits = within(policy_bound(verdict->limits, input->fixed), capacity);
    verdict->dead_lettered = cause_is_resource(record->cause) && raised && record->arm == MSG_ARM_TREATED;
    const char *why = judge_retry(input, record, verdict);
    (void)snprintf(verdict->reason, sizeof verdict->reason, "%s failure of attempt %d of %d%s: %s%s",
                   msg_cause_name(record->cause), record->attempt, record->request.max_attempts,
                   raised ? " although raised" : "",
                   verdict->retry ? "again, " : "no further attempt: ", why);
}
