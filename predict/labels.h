/* What the series of a finished attempt says about each of its ticks: would it fail within the horizon, per
 * cause.
 *
 * memory  positive for the limit in force at the tick when demand crossed that limit within the horizon,
 * whether or not a raise prevented the kill, or when the kernel killed in it; negative without a limit. cpu
 * io  positive when the attempt timed out within the horizon for that cause. Around an acted alarm of the
 * cause the window net     is masked, not negative: nobody knows what would have been. other   positive when
 * it crashed within the horizon by itself. An attempt that was ended on purpose or lost says nothing about
 * what lay beyond its end: masked. Pure. */
#ifndef FORESTALL_PREDICT_LABELS_H
#define FORESTALL_PREDICT_LABELS_H

#include "model/online.h"

/* labels[i] of the points first..first + count of the record's series: 1, 0, or -1 = masked. Linear. */
void labels_of(const struct msg_execution_record *record, size_t first, size_t count, int64_t horizon_ms,
               int8_t (*labels)[ONLINE_CAUSES]);

#endif
