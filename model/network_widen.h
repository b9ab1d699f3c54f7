/* Networks of before for features of today. Features are only ever added at the end (features.h), so a file
 * with fewer is one for which the others weigh nothing. */
#ifndef FORESTALL_MODEL_NETWORK_WIDEN_H
#define FORESTALL_MODEL_NETWORK_WIDEN_H

#include "model/network.h"

/* A copy that reads more features and has room for more segments (to be set by the caller), all with weights
 * of zero: it answers as before, and its version is the same. NULL: fewer than it has, too many, or out of
 * memory. */
struct network *network_widen(const struct network *network, size_t inputs, size_t segments);
/* Inputs without those at the end that weigh nothing: what it was trained with. */
size_t network_inputs_used(const struct network *network);
/* network_load for FEATURE_COUNT features of FEATURES_VERSION. 0; -EBADMSG with error saying why not;
 * -ENOMEM. */
FS_MUST_CHECK int network_load_current(struct str bytes, struct network **out, char *error,
                                       size_t error_size);

#endif
