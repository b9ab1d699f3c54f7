/* What the processes of an attempt tell beside the counters of its cgroup, as gauges of its samples: how far
 * a program is that nobody knows, and what it may use next. */
#ifndef FORESTALL_AGENT_PROCESS_GAUGES_H
#define FORESTALL_AGENT_PROCESS_GAUGES_H

#include "agent/cgroup.h"
#include "agent/track.h"

/* Asks the kernel and sets GAUGE_DATA, 0 when it cannot be told, and GAUGE_INPUT_READ, which never falls and
 * is left as it is when it cannot be told, the size of the input is not known (0) or below INPUT_SMALL_BYTES,
 * or all of it was read. 0; -E2BIG too many processes; -EACCES what they read is not told; -ENOSPC the
 * program has too many gauges of its own; others as cgroup_processes. */
FS_MUST_CHECK int process_gauges_note(const struct cgroup *cgroup, int64_t input_bytes, struct track *track);

#endif
