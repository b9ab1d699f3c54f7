/* How much of its input an attempt has read so far, as the gauge GAUGE_INPUT_READ of its samples: it tells of
 * a program that nobody knows how far it is. */
#ifndef FORESTALL_AGENT_INPUT_READ_H
#define FORESTALL_AGENT_INPUT_READ_H

#include "agent/cgroup.h"
#include "agent/track.h"

/* What was read by the last sample, and stays the gauge when less is seen. All zero = new. */
struct input_read {
    int64_t bytes;
};

/* Asks the kernel and sets the gauge; does nothing when the size is not known (0), below INPUT_READ_LEAST, or
 * all of it was read. 0, or -E2BIG: too many processes; others as cgroup_reads, the gauge stays. */
FS_MUST_CHECK int input_read_note(struct input_read *read, const struct cgroup *cgroup, int64_t input_bytes,
                                  struct track *track);

#endif
