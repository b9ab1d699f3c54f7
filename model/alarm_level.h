/* What alarms. Each sample gets a probability of its own, which flickers; an alarm is a crossing, so each
 * flicker around the threshold would be one. What crosses is the running average of log odds over about half
 * a second, the "level": of failures foreseen by the same number of false alarms it is the larger share,
 * sudden ones included (docs/design/alarms.md). Probabilities stay as they are for everything else. Pure. */
#ifndef FORESTALL_MODEL_ALARM_LEVEL_H
#define FORESTALL_MODEL_ALARM_LEVEL_H

#include "common/base.h"

#define ALARM_LEVEL_MS 450     /* time constant; five samples in, two thirds of a level are theirs */
#define ALARM_LEVEL_MOST 12.0f /* log odds count up to here: certainty would outlast what it was about */

/* The share of a level that is kept when so much time has passed since its last sample; 0 when time went
 * back. */
float alarm_level_keeps(int64_t passed_ms);
/* The level, in log odds, once these are taken in; keeps = 0: nothing came before. */
float alarm_level_next(float level, float log_odds, float keeps);

/* ln(p / (1 - p)), within ALARM_LEVEL_MOST. */
float alarm_log_odds(float probability);

#endif
