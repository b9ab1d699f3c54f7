/* See rule.h. */
#include "replay/rule.h"

int rule_learn(void *state, const struct replay_run *run)
{
    struct rule_state *rule = state;
    if (run->failed)
        return 0;
    rule->before_bytes = rule->last_bytes;
    rule->last_bytes = run->peak_bytes;
    return 0;
}
