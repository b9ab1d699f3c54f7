/* See policy_stand.h. */
#include "tests/allocate/policy_stand.h"

#include <stdlib.h>

struct stand *stand_alarmed(void **state)
{
    struct stand *stand = *state;
    *stand = (struct stand){.risk = {.attempt = 1,
                                     .horizon_ms = 10000,
                                     .threshold = 0.5f,
                                     .above = true,
                                     .probability = 0.9f,
                                     .probabilities = {.memory = 0.9f},
                                     .cause = MSG_CAUSE_MEMORY,
                                     .tasks = 1,
                                     .memory = {90e6, 100e6, 120e6},
                                     .memory_bytes = 58 * MIB,
                                     .memory_peak_bytes = 58 * MIB,
                                     .started_us = SECOND,
                                     .sampled_us = 4 * SECOND}};
    stand->risk.limits.memory_bytes = 64 * MIB;
    stand->input = (struct policy_input){.risk = &stand->risk, .now_us = 4 * SECOND};
    return stand;
}

struct stand *stand_quiet(void **state)
{
    struct stand *stand = stand_alarmed(state);
    stand->risk.above = false;
    stand->risk.probability = stand->risk.probabilities.memory = 0.01f;
    stand->risk.memory = (struct msg_demand_quantiles){58e6, 60e6, 62e6};
    return stand;
}

enum msg_direction stand_decide(struct stand *stand)
{
    policy_decide(&policy_defaults, &stand->input, &stand->attempt, &stand->decision);
    return stand->decision.direction;
}

void stand_pass(struct stand *stand, int64_t us)
{
    stand->risk.sampled_us += us;
    stand->input.now_us += us;
    stand->risk.sequence++;
}

int stand_set_up(void **state)
{
    *state = calloc(1, sizeof(struct stand));
    return *state ? 0 : -1;
}

int stand_tear_down(void **state)
{
    free(*state);
    return 0;
}
