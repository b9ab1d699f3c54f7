/* An execution by its id: where it stands, and all that the topics still say about it. */
#ifndef FORESTALL_CLI_FIND_H
#define FORESTALL_CLI_FIND_H

#include "cli/execution.h"
#include "cli/reader.h"

/* Its state from executions.state. 0 and an execution to destroy; -ENOENT: not there (never asked for here,
 * or forgotten); other negative errno; a sentence with each. */
FS_MUST_CHECK int find_execution(const struct target *target, const struct target_options *options,
                                 const uint8_t id[16], struct execution **out, char *error,
                                 size_t error_size);
/* Reads the partitions where its samples, risks, decisions, events and records are into it, and the code's
 * last allocation: written to *allocation from the arena when there is one. 0; -ETIMEDOUT: not all was read
 * in time, what came is there. */
FS_MUST_CHECK int find_details(const struct target *target, const struct target_options *options,
                               struct execution *execution, struct arena *arena,
                               struct msg_allocation **allocation, char *error, size_t error_size);

#endif
