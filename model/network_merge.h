/* Several networks as one: side by side in one wider network whose heads give the mean of theirs. What they
 * agree on stays, what each made up goes (Lakshminarayanan et al. 2017), at the cost of a wider step; readers
 * of the file see an ordinary network. */
#ifndef FORESTALL_MODEL_NETWORK_MERGE_H
#define FORESTALL_MODEL_NETWORK_MERGE_H

#include "model/network.h"

/* Members must have the same inputs, scaling, layers and horizon; hidden sizes may differ. The result has no
 * calibration and no version. 0, -EINVAL, -ENOMEM. */
FS_MUST_CHECK int network_merge(struct network *const *members, size_t count, struct network **out);

#endif
