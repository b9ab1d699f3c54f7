/* See track.h. */
#include "agent/track.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/limits.h"

#define SHARED_MAGIC 0x31646572616873ULL /* "shared1" */
#define TRACK_VERSION 2
#define TRACK_LAYOUT ((uint64_t)TRACK_VERSION << 40 | (uint64_t)sizeof(struct track))

/* Supervisors of every version have it mapped. Should a BrakePeriod get another field, stays need a form of
 * their own here. */
_Static_assert(offsetof(struct track_shared, lease_until_us) == 8 &&
                   offsetof(struct track_shared, brake_wait_s) == 16 &&
                   offsetof(struct track_shared, brake_engaged) == 20 &&
                   offsetof(struct track_shared, brake_count) == 24 &&
                   offsetof(struct track_shared, brakes_dropped) == 28 &&
                   offsetof(struct track_shared, brake_us) == 32 &&
                   offsetof(struct track_shared, brake_begun_us) == 40 &&
                   offsetof(struct track_shared, brakes) == 48 && sizeof(struct msg_brake_period) == 24,
               "what agents and supervisors of different versions share never changes");

static void reset_own(struct track *track, int64_t started_us, int64_t started_monotonic_us,
                      const struct msg_limits *limits)
{
    size_t begin = offsetof(struct track, layout);
    memset((char *)track + begin, 0, offsetof(struct track, series) - begin);
    track->started_us = started_us;
    track->started_monotonic_us = started_monotonic_us;
    track->first_limits = *limits;
    track->highest_limits = *limits;
    track->last.limits = *limits;
    series_reset(&track->series);
    track->layout = TRACK_LAYOUT;
}

void track_reset(struct track *track, int64_t started_us, int64_t started_monotonic_us,
                 const struct msg_limits *limits)
{
    track->shared = (struct track_shared){.magic = SHARED_MAGIC};
    reset_own(track, started_us, started_monotonic_us, limits);
}

static bool is_shared_valid(const struct track_shared *shared)
{
    return shared->magic == SHARED_MAGIC && shared->brake_count <= TRACK_BRAKES_MAX;
}

static bool is_own_valid(const struct track *track)
{
    if (track->layout != TRACK_LAYOUT || track->custom_count > SERIES_CUSTOM_MAX)
        return false;
    for (uint32_t i = 0; i < track->custom_count; i++)
        if (!memchr(track->custom_names[i], '\0', sizeof track->custom_names[i]))
            return false;
    return series_valid(&track->series);
}

/* So many bytes of the file; NULL: *result says why, -EBADMSG when it is shorter. */
static void *map_bytes(int fd, size_t size, int *result)
{
    struct stat status;
    void *mapped = MAP_FAILED;
    if (fstat(fd, &status) == 0) {
        if (status.st_size < (off_t)size) {
            *result = -EBADMSG;
            return NULL;
        }
        mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    *result = mapped == MAP_FAILED ? -errno : 0;
    return mapped == MAP_FAILED ? NULL : mapped;
}

/* The file is whole for whoever wrote it: what only this version lacks is not there or not valid. */
static int map_shared(int fd, struct track_shared **out)
{
    int result;
    struct track_shared *shared = map_bytes(fd, sizeof *shared, &result);
    if (!shared)
        return result;
    if (!is_shared_valid(shared)) {
        track_unmap_shared(shared);
        return -EBADMSG;
    }
    *out = shared;
    return 0;
}

static int map_whole(int fd, bool renew, struct track **out)
{
    struct track_shared *shared = NULL;
    int result = map_shared(fd, &shared);
    if (result < 0)
        return result;
    track_unmap_shared(shared);
    if (renew && (result = posix_fallocate(fd, 0, sizeof(struct track))) != 0)
        return -result;
    struct track *track = map_bytes(fd, sizeof *track, &result);
    if (track && !renew && !is_own_valid(track)) {
        track_unmap(track);
        return -EPROTO;
    }
    if (!track)
        return result == -EBADMSG ? -EPROTO : result;
    *out = track;
    return 0;
}

static int map_new(int fd, struct track **out)
{
    int result = -posix_fallocate(fd, 0, sizeof(struct track));
    struct track *track = result == 0 ? map_bytes(fd, sizeof *track, &result) : NULL;
    if (track)
        *out = track;
    return result;
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
    int result = create ? map_new(fd, out) : map_whole(fd, false, out);
    (void)close(fd); /* the mapping holds the file */
    return result;
}

int track_renew(int directory_fd, const char *name, int64_t started_us, int64_t started_monotonic_us,
                const struct msg_limits *limits, struct track **out)
{
    int fd = openat(directory_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    int result = map_whole(fd, true, out);
    (void)close(fd);
    if (result == 0)
        reset_own(*out, started_us, started_monotonic_us, limits);
    return result;
}

int track_map_shared(int directory_fd, const char *name, struct track_shared **out)
{
    int fd = openat(directory_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    int result = map_shared(fd, out);
    (void)close(fd);
    return result;
}

void track_unmap(struct track *track)
{
    if (track)
        (void)munmap(track, sizeof *track);
}

void track_unmap_shared(struct track_shared *shared)
{
    if (shared)
        (void)munmap(shared, sizeof *shared);
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

static int64_t brake_total(const struct track_shared *shared, int64_t monotonic_us)
{
    return shared->brake_us + (shared->brake_engaged ? FS_MAX(monotonic_us - shared->brake_begun_us, 0) : 0);
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
    point->counters.brake_engaged = track->shared.brake_engaged && braked;
    point->counters.brake_us = brake_total(&track->shared, monotonic_us);
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

void track_brake(struct track_shared *shared, bool engaged, bool by_raise, int64_t time_us,
                 int64_t monotonic_us)
{
    if (engaged == shared->brake_engaged)
        return;
    if (engaged) {
        shared->brake_begun_us = monotonic_us;
        if (shared->brake_count < TRACK_BRAKES_MAX)
            shared->brakes[shared->brake_count] = (struct msg_brake_period){time_us, 0, false};
    } else {
        shared->brake_us = brake_total(shared, monotonic_us);
        if (shared->brake_count < TRACK_BRAKES_MAX) {
            shared->brakes[shared->brake_count].end_us = time_us;
            shared->brakes[shared->brake_count++].by_raise = by_raise;
        } else {
            shared->brakes_dropped++;
        }
    }
    shared->brake_engaged = engaged;
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

void track_extend_brake(struct track_shared *shared, int64_t until_us)
{
    __atomic_store_n(&shared->brake_wait_s, (uint32_t)(until_us / 1000000), __ATOMIC_RELAXED);
}

int64_t track_brake_wait(const struct track_shared *shared)
{
    return (int64_t)__atomic_load_n(&shared->brake_wait_s, __ATOMIC_RELAXED) * 1000000;
}

void track_extend_lease(struct track_shared *shared, int64_t until_us)
{
    __atomic_store_n(&shared->lease_until_us, until_us, __ATOMIC_RELAXED);
}

int64_t track_lease(const struct track_shared *shared)
{
    return __atomic_load_n(&shared->lease_until_us, __ATOMIC_RELAXED);
}
