/* See publish.h. */
#include "predict/publish.h"

#include <math.h>

#include "schemas/limits.h"

/* The shares of a risk are of the last second: sooner they tell nothing new. */
#define STALLED_AGAIN_US 1000000

static bool moved(double before, double now, double ratio)
{
    return before != now && fabs(now - before) >= ratio * fabs(before);
}

static bool demand_moved(const struct publish_view *last, const struct publish_view *now, double ratio)
{
    if (moved(last->memory_bytes, now->memory_bytes, ratio) || moved(last->demand[0], now->demand[0], ratio))
        return true;
    if (now->cause < MSG_CAUSE_CPU || now->cause > MSG_CAUSE_NET)
        return false;
    size_t resource = (size_t)(now->cause - MSG_CAUSE_MEMORY);
    return moved(last->demand[resource], now->demand[resource], ratio);
}

/* Also when the clock of the node went back: silence must not outlast the refresh. */
static bool passed(int64_t last_us, int64_t now_us, int64_t least_us)
{
    int64_t passed_us;
    return __builtin_sub_overflow(now_us, last_us, &passed_us) || passed_us < 0 || passed_us >= least_us;
}

static bool changed(const struct publish_rules *rules, const struct publish_view *last,
                    const struct publish_view *now)
{
    if (now->stalled && passed(last->time_us, now->time_us, STALLED_AGAIN_US))
        return true;
    return now->brake_engaged != last->brake_engaged || now->oom_kills != last->oom_kills ||
           !limits_equal(&now->limits, &last->limits) ||
           (now->above && demand_moved(last, now, rules->change));
}

bool publish_due(const struct publish_rules *rules, const struct publish_memory *memory,
                 const struct publish_view *now, enum msg_risk_kind *kind)
{
    const struct publish_view *last = &memory->last;
    if (memory->told ? now->above != last->above : now->above)
        *kind = MSG_RISK_KIND_CROSSING;
    else if (memory->told && changed(rules, last, now))
        *kind = MSG_RISK_KIND_CHANGE;
    else if (!memory->told || passed(last->time_us, now->time_us, rules->refresh_us))
        *kind = MSG_RISK_KIND_REFRESH;
    else
        return false;
    return true;
}

void publish_told(struct publish_memory *memory, const struct publish_view *now)
{
    memory->told = true;
    memory->last = *now;
}
