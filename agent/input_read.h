/* How much of its input an attempt has read so far, as the gauge GAUGE_INPUT_READ of its samples: it tells of
 * a program that nobody knows how far it is. */
#ifndef FORESTALL_AGENT_INPUT_READ_H
#define FORESTALL_AGENT_INPUT_READ_H

#include "agent/cgroup.h"
#include "agent/track.h"

/* Asks the kernel and sets the gauge, which never falls; does nothing when the size is not known (0), below
 * INPUT_SMALL_BYTES, or all of it was read. 0; -E2BIG too many processes; -ENOSPC the program has too many
 * gauges of its own; others as cgroup_reads. The gauge then stays. */
FS_MUST_CHECK int input_read_note(const struct cgroup *cgroup, int64_t input_bytes, struct track *track);

#endif
