/* What a CodeProfile says to the policy. Pure. */
#ifndef FORESTALL_ALLOCATE_HISTORY_H
#define FORESTALL_ALLOCATE_HISTORY_H

#include "allocate/policy.h"
#include "model/profile.h"

/* Few peaks in place of a histogram's buckets: neighbours are merged into the higher one until
 * POLICY_PEAKS_MAX are left, the lightest first; the highest stays. A bucket stands for the middle of its
 * range. */
void history_peaks(const struct histogram *histogram, struct policy_history *out);
/* From a profile in memory, and from one that was published; -EBADMSG: the profile is not usable. */
void history_of(const struct profile *profile, struct policy_history *out);
FS_MUST_CHECK int history_read(const struct msg_code_profile *message, struct policy_history *out);

#endif
