/* See alarm_level.h. */
#include "model/alarm_level.h"

#include <math.h>

float alarm_level_keeps(int64_t passed_ms)
{
    return passed_ms >= 0 ? expf(-(float)passed_ms / ALARM_LEVEL_MS) : 0;
}

static float bounded(float log_odds)
{
    return fminf(fmaxf(log_odds, -ALARM_LEVEL_MOST), ALARM_LEVEL_MOST); /* NaN: the least */
}

float alarm_level_next(float level, float log_odds, float keeps)
{
    float value = bounded(log_odds);
    return value + keeps * (level - value);
}

float alarm_log_odds(float probability)
{
    return bounded(logf(probability / (1 - probability)));
}
