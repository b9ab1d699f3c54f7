/* See input_read.h. */
#include "agent/input_read.h"

#include "schemas/hints.h"

int input_read_note(struct input_read *read, const struct cgroup *cgroup, int64_t input_bytes,
                    struct track *track)
{
    int64_t bytes;
    if (input_bytes < INPUT_READ_LEAST || read->bytes >= input_bytes)
        return 0;
    int result = cgroup_reads(cgroup, &bytes);
    if (result < 0)
        return result;
    read->bytes = FS_MAX(read->bytes, bytes);
    return track_gauge(track, str_of(GAUGE_INPUT_READ), (double)read->bytes, false);
}
