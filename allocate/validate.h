/* What must hold of a message before anything is decided on it. A message that fails goes to quarantine with
 * the reason. Pure. key is the record's: it must be what the message says, or partitions would lie. */
#ifndef FORESTALL_ALLOCATE_VALIDATE_H
#define FORESTALL_ALLOCATE_VALIDATE_H

#include "schemas/messages.h"

/* NULL: valid; else the reason, a literal. */
const char *validate_risk(const struct msg_risk *risk, struct str key);
const char *validate_record(const struct msg_execution_record *record, struct str key);
const char *validate_policy(const struct msg_code_policy *policy, struct str key);
const char *validate_profile(const struct msg_code_profile *profile, struct str key);
const char *validate_allocation(const struct msg_allocation *allocation, struct str key);
const char *validate_status(const struct msg_node_status *status, struct str key);

#endif
