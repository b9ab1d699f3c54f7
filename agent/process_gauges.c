/* See process_gauges.h. */
#include "agent/process_gauges.h"

#include <errno.h>
#include <math.h>

#include "schemas/hints.h"

/* Not known is 0: the value of before would say that they ask for no more. */
static int note_data(double bytes, struct track *track)
{
    const struct str name = str_of(GAUGE_DATA);
    return bytes > 0 || track_gauge_value(track, name) > 0 ? track_gauge(track, name, bytes, false) : 0;
}

static int note_reads(double before, int64_t bytes, struct track *track)
{
    return bytes < 0 ? -EACCES
                     : track_gauge(track, str_of(GAUGE_INPUT_READ), fmax(before, (double)bytes), false);
}

int process_gauges_note(const struct cgroup *cgroup, int64_t input_bytes, struct track *track)
{
    double before = track_gauge_value(track, str_of(GAUGE_INPUT_READ));
    bool reading = input_bytes >= INPUT_SMALL_BYTES && before < (double)input_bytes;
    struct cgroup_processes sums = {0};
    int asked = cgroup_processes(cgroup, reading, &sums);
    int data = note_data((double)sums.data_bytes, track);
    int reads = asked == 0 && reading ? note_reads(before, sums.read_bytes, track) : 0;
    if (asked < 0)
        return asked;
    return data < 0 ? data : reads;
}
