/* See input_read.h. */
#include "agent/input_read.h"

#include <math.h>

#include "schemas/hints.h"

int input_read_note(const struct cgroup *cgroup, int64_t input_bytes, struct track *track)
{
    double before = track_gauge_value(track, str_of(GAUGE_INPUT_READ));
    int64_t bytes;
    if (input_bytes < INPUT_SMALL_BYTES || before >= (double)input_bytes)
        return 0;
    int result = cgroup_reads(cgroup, &bytes);
    if (result < 0)
        return result;
    return track_gauge(track, str_of(GAUGE_INPUT_READ), fmax(before, (double)bytes), false);
}
