/* Whether limits can be meant, and are the same. Pure. */
#ifndef FORESTALL_SCHEMAS_LIMITS_H
#define FORESTALL_SCHEMAS_LIMITS_H

#include "schemas/messages.h"

/* NULL, or what is wrong (a literal): an amount is negative, a weight outside 0..10000, the priority outside
 * 0..7. 0 means "not set" everywhere. Amounts have no upper bound: in a node's status they add up. */
const char *limits_fault(const struct msg_limits *limits);
bool limits_equal(const struct msg_limits *a, const struct msg_limits *b);

#endif
