/* What the processes of an attempt tell beside the counters of its cgroup, as gauges of its samples: how far
 * a program is that nobody knows, and what it may use next. */
#ifndef FORESTALL_AGENT_PROCESS_GAUGES_H
#define FORESTALL_AGENT_PROCESS_GAUGES_H

#include "agent/cgroup.h"
#include "agent/track.h"

/* Asks the kernel and sets GAUGE_DATA, and GAUGE_INPUT_READ, which never falls and is left as it is when the
 * size of the input is not known (0), below INPUT_SMALL_BYTES, or all of it was read. 0; -E2BIG too many
 * processes; -ENOSPC the program has too many gauges of its own; others as cgroup_processes. The gauges then
 * stay. */
FS_MUST_CHECK int process_gauges_note(const struct cgroup *cgroup, int64_t input_bytes, struct track *track);

#endif
