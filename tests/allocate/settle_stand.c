/* See settle_stand.h. */
#include "tests/allocate/settle_stand.h"

#include <stdlib.h>

struct settle_stand *settle_stand_finished(void **state, int64_t limit_mib, int64_t peak_mib)
{
    struct settle_stand *stand = *state;
    *stand = (struct settle_stand){
        .input = {.config = &settle_defaults, .policy = &policy_defaults, .now_us = 77}};
    stand->record =
        (struct msg_execution_record){.attempt = 1, .outcome = MSG_OUTCOME_FINISHED, .ended_us = 5000000};
    stand->record.request.max_attempts = 3;
    stand->record.first_limits.memory_bytes = stand->record.highest_limits.memory_bytes = limit_mib * MIB;
    stand->record.totals.memory_peak_bytes = peak_mib * MIB;
    return stand;
}

struct settle_stand *settle_stand_failed(void **state, enum msg_cause cause)
{
    struct settle_stand *stand = settle_stand_finished(state, 64, 62);
    stand->record.outcome = cause == MSG_CAUSE_MEMORY ? MSG_OUTCOME_OOM_KILLED : MSG_OUTCOME_TIMED_OUT;
    stand->record.cause = cause;
    return stand;
}

void settle_stand_raised(struct settle_stand *stand, int64_t to_mib)
{
    stand->adjustment = (struct msg_applied_adjustment){.adjustment = {.direction = MSG_DIRECTION_RAISE}};
    stand->record.adjustments = (struct msg_applied_adjustment_array){&stand->adjustment, 1};
    stand->record.highest_limits.memory_bytes = to_mib * MIB;
    stand->raised[0] = MSG_CAUSE_MEMORY;
    stand->record.raised = (struct msg_cause_array){stand->raised, 1};
}

bool settle_stand_record(struct settle_stand *stand)
{
    struct msg_allocation next;
    struct settle_storage *storage = &stand->storage[stand->turn ^= 1];
    if (!settle_record(&stand->input, stand->known ? &stand->allocation : NULL, &stand->record, storage,
                       &next))
        return false;
    stand->allocation = next;
    stand->known = true;
    return true;
}

int settle_stand_set_up(void **state)
{
    *state = calloc(1, sizeof(struct settle_stand));
    return *state ? 0 : -1;
}

int settle_stand_tear_down(void **state)
{
    free(*state);
    return 0;
}
