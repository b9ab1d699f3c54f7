/* See process_gauges.h. */
#include "agent/process_gauges.h"

#include <math.h>

#include "schemas/hints.h"

int process_gauges_note(const struct cgroup *cgroup, int64_t input_bytes, struct track *track)
{
    double before = track_gauge_value(track, str_of(GAUGE_INPUT_READ));
    bool reading = input_bytes >= INPUT_SMALL_BYTES && before < (double)input_bytes;
    struct cgroup_processes sums;
    int result = cgroup_processes(cgroup, reading, &sums);
    if (result == 0 && reading)
        result = track_gauge(track, str_of(GAUGE_INPUT_READ), fmax(before, (double)sums.read_bytes), false);
    if (result < 0)
        return result;
    return track_gauge(track, str_of(GAUGE_DATA), (double)sums.data_bytes, false);
}
