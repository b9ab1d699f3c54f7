/* See process_gauges.h. */
#include "agent/process_gauges.h"

#include <errno.h>
#include <math.h>

#include "schemas/hints.h"

int process_gauges_note(const struct cgroup *cgroup, int64_t input_bytes, struct track *track)
{
    double before = track_gauge_value(track, str_of(GAUGE_INPUT_READ));
    bool reading = input_bytes >= INPUT_SMALL_BYTES && before < (double)input_bytes;
    struct cgroup_processes sums;
    int asked = cgroup_processes(cgroup, reading, &sums), read = 0;
    /* Not known is 0: one of before would say that it asks for no more. */
    double data = asked == 0 ? (double)sums.data_bytes : 0;
    int noted = asked == 0 || track_gauge_value(track, str_of(GAUGE_DATA)) > 0
                    ? track_gauge(track, str_of(GAUGE_DATA), data, false)
                    : 0;
    if (asked == 0 && reading)
        read = sums.read_bytes < 0 ? -EACCES
                                   : track_gauge(track, str_of(GAUGE_INPUT_READ),
                                                 fmax(before, (double)sums.read_bytes), false);
    return asked < 0 ? asked : noted < 0 ? noted : read;
}
