/* Senpai's arithmetic: a limit that follows the pressure. */
#ifndef FORESTALL_REPLAY_SENPAI_H
#define FORESTALL_REPLAY_SENPAI_H

#include "common/base.h"

#define SENPAI_TARGET_US 10000 /* stall per interval that is aimed at */
#define SENPAI_QUIET_TICKS 6

/* stall_us since the last change. At or above the target: up at once, at most twice. */
double senpai_raised(double limit_bytes, int64_t stall_us);
/* After SENPAI_QUIET_TICKS below it: down, at most by a hundredth. */
double senpai_lowered(double limit_bytes, int64_t stall_us);

#endif
