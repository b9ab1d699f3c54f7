/* See track.h. */
#include "agent/track.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/limits.h"

#define TRACK_VERSION 1
#define TRACK_MAGIC (0x464f5254u | (uint64_t)TRACK_VERSION << 32 | (uint64_t)sizeof(struct track) << 40)

void track_reset(struct track *track, int64_t started_us, int64_t started_monotonic_us,
                 const struct msg_limits *limits)
{
    memset(track, 0, offsetof(struct track, series));
    track->started_us = started_us;
    track->started_monotonic_us = started_monotonic_us;
    track->first_limits = *limits;
    track->highest_limits = *limits;
    track->last.limits = *limits;
    series_reset(&track->series);
    track->magic = TRACK_MAGIC;
}

static bool is_valid(const struct track *track)
{
    if (track->magic != TRACK_MAGIC || track->custom_count > SERIES_CUSTOM_MAX ||
        track->brake_count > TRACK_BRAKES_MAX)
        return false;
    for (uint32_t i = 0; i < track->custom_count; i++)
        if (!memchr(track->custom_names[i], '\0', sizeof track->custom_names[i]))
            return false;
    return series_valid(&track->series);
}

static int map_file(int fd, bool create, struct track **out)
{
    struct stat status;
    if (create) {
        int error = posix_fallocate(fd, 0, sizeof(struct track));
        if (error)
            return -error;
    } else if (fstat(fd, &status) < 0) {
        return -errno;
    } else if (status.st_size != (off_t)sizeof(struct track)) {
        return -EBADMSG;
    }
    struct track *track = mmap(NULL, sizeof *track, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (track == MAP_FAILED)
        return -errno;
    if (!create && !is_valid(track)) {
        track_unmap(track);
        return -EBADMSG;
    }
    *out = track;
    return 0;
}

int track_map(int directory_fd, const char *name, bool create, struct track **out)
{
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT | O_EXCL : 0);
    if (create && unlinkat(directory_fd, name, 0) < 0 &&
        errno != ENOENT) /* never cut a file that somebody has mapped */
        return -errno;
    int fd = openat(directory_fd, name, flags, 0600);
    if (fd < 0)
        return -errno;
    int result = map_file(fd, create, out);
    (void)close(fd); /* the mapping holds the file */
    return result;
}

void track_unmap(struct track *track)
{
    if (track)
        (void)munmap(track, sizeof *track);
}

static void copy_sample(struct msg_counters *counters, const struct cgroup_sample *sample)
{
    counters->cpu_usage_us = sample->cpu_usage_us;
    counters->cpu_throttled_us = sample->cpu_throttled_us;
    counters->cpu_throttled_periods = sample->cpu_throttled_periods;
    counters->cpu_periods = sample->cpu_periods;
    counters->memory_bytes = sample->memory_bytes;
    counters->memory_usage_bytes = sample->memory_usage_bytes;
    counters->cpu_some_us = sample->cpu_some_us;
    counters->memory_some_us = sample->memory_some_us;
    counters->memory_full_us = sample->memory_full_us;
    counters->io_some_us = sample->io_some_us;
    counters->io_full_us = sample->io_full_us;
    counters->io_stall_us = sample->io_stall_us;
    counters->io_read_bytes = sample->io_read_bytes;
    counters->io_write_bytes = sample->io_write_bytes;
    counters->io_read_ops = sample->io_read_ops;
    counters->io_write_ops = sample->io_write_ops;
    counters->net_rx_bytes = sample->net_rx_bytes;
    counters->net_tx_bytes = sample->net_tx_bytes;
    counters->page_faults = sample->page_faults;
    counters->major_faults = sample->major_faults;
    counters->oom_kills = sample->oom_kills;
    counters->tasks = sample->tasks;
}

static int64_t brake_total(const struct track *track, int64_t monotonic_us)
{
    return track->brake_us + (track->brake_engaged ? FS_MAX(monotonic_us - track->brake_begun_us, 0) : 0);
}

/* Peaks over one second: the newest point against the one a second before it; of shorter programs over what
 * there is, at least half a second, so that one burst of 100 ms does not count as ten. */
static void note_rates(struct track *track)
{
    const struct series_point *newest = &track->last, *before = series_back(&track->series, 1000000);
    if (!before || newest->monotonic_us - before->monotonic_us < 500000)
        return;
    double seconds = (double)(newest->monotonic_us - before->monotonic_us) / 1e6;
    int64_t cpu_us = newest->counters.cpu_usage_us - before->counters.cpu_usage_us;
    int64_t io = newest->counters.io_read_bytes + newest->counters.io_write_bytes -
                 before->counters.io_read_bytes - before->counters.io_write_bytes;
    int64_t net = newest->counters.net_tx_bytes - before->counters.net_tx_bytes;
    track->peak_cpu_millicores =
        FS_MAX(track->peak_cpu_millicores, (int64_t)((double)cpu_us / 1e3 / seconds));
    track->peak_io_bps = FS_MAX(track->peak_io_bps, (int64_t)((double)io / seconds));
    track->peak_net_bps = FS_MAX(track->peak_net_bps, (int64_t)((double)net / seconds));
}

void track_add(struct track *track, int64_t time_us, int64_t monotonic_us, const struct cgroup_sample *sample,
               bool braked, bool push)
{
    struct series_point *point = &track->last;
    point->time_us = time_us;
    point->monotonic_us = monotonic_us;
    point->limits = limits_from_kernel(&sample->limits);
    copy_sample(&point->counters, sample);
    track->memory_peak_bytes = FS_MAX(track->memory_peak_bytes, sample->memory_bytes);
    point->counters.memory_peak_bytes = track->memory_peak_bytes;
    point->counters.brake_engaged = track->brake_engaged && braked;
    point->counters.brake_us = brake_total(track, monotonic_us);
    memcpy(point->custom, track->custom_values, sizeof point->custom);
    point->custom_set = track->custom_set;
    limits_raise_to(&track->highest_limits, &point->limits);
    if (!push)
        return;
    series_push(&track->series, point);
    note_rates(track);
}

void track_limits(struct track *track, const struct msg_limits *before, const struct msg_limits *after)
{
    limits_raise_to(&track->highest_limits, after);
    track->raised |= limits_raised(before, after);
}

int track_gauge(struct track *track, struct str name, double value, bool relative)
{
    uint32_t index = 0;
    if (name.size == 0 || name.size > TRACK_CUSTOM_NAME_MAX || !isfinite(value))
        return -EINVAL;
    while (index < track->custom_count && !str_equal(str_of(track->custom_names[index]), name))
        index++;
    if (index == SERIES_CUSTOM_MAX)
        return -ENOSPC;
    if (index == track->custom_count) {
        (void)str_copy(track->custom_names[index], sizeof track->custom_names[index],
                       name); /* fits, see above */
        track->custom_values[index] = 0;
        track->custom_count++;
    }
    double next = relative ? track->custom_values[index] + value : value;
    if (!isfinite(next))
        return -EINVAL;
    track->custom_values[index] = next;
    track->custom_set |= 1u << index;
    return 0;
}

double track_gauge_value(const struct track *track, struct str name)
{
    for (uint32_t i = 0; i < track->custom_count; i++)
        if (track->custom_set & 1u << i && str_equal(str_of(track->custom_names[i]), name))
            return track->custom_values[i];
    return 0;
}

void track_brake(struct track *track, bool engaged, bool by_raise, int64_t time_us, int64_t monotonic_us)
{
    if (engaged == track->brake_engaged)
        return;
    if (engaged) {
        track->brake_begun_us = monotonic_us;
        if (track->brake_count < TRACK_BRAKES_MAX)
            track->brakes[track->brake_count] = (struct msg_brake_period){time_us, 0, false};
    } else {
        track->brake_us = brake_total(track, monotonic_us);
        if (track->brake_count < TRACK_BRAKES_MAX) {
            track->brakes[track->brake_count].end_us = time_us;
            track->brakes[track->brake_count++].by_raise = by_raise;
        } else {
            track->brakes_dropped++;
        }
    }
    track->brake_engaged = engaged;
}

struct msg_counters track_counters(const struct track *track, const struct series_point *point,
                                   struct msg_custom_metric *custom_out)
{
    struct msg_counters counters = point->counters;
    size_t count = 0;
    for (uint32_t i = 0; i < track->custom_count; i++)
        if (point->custom_set & 1u << i)
            custom_out[count++] =
                (struct msg_custom_metric){str_of(track->custom_names[i]), point->custom[i]};
    counters.custom.items = custom_out;
    counters.custom.count = count;
    return counters;
}

void track_extend_brake(struct track *track, int64_t until_us)
{
    __atomic_store_n(&track->brake_wait_s, (uint32_t)(until_us / 1000000), __ATOMIC_RELAXED);
}

int64_t track_brake_wait(const struct track *track)
{
    return (int64_t)__atomic_load_n(&track->brake_wait_s, __ATOMIC_RELAXED) * 1000000;
}

void track_extend_lease(struct track *track, int64_t until_us)
{
    __atomic_store_n(&track->lease_until_us, until_us, __ATOMIC_RELAXED);
}

int64_t track_lease(const struct track *track)
{
    return __atomic_load_n(&track->lease_until_us, __ATOMIC_RELAXED);
}
