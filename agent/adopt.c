/* At start: takes over what earlier agents left. Live attempts go on, ended ones are reported from their
 * files, half-made ones and cgroups without an attempt are cleared away. See agent.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/disk.h"
#include "agent/limits.h"
#include "common/clock.h"

#define ADMISSION_MAX (1u << 20)
#define KILL_WAIT_MS 2000

/* A cgroup nobody answers for. */
static void clear_cgroup(struct agent *agent, const char *name)
{
    struct cgroup *cgroup;
    int result = cgroup_open_existing(agent->host, name, &cgroup);
    if (result < 0)
        return;
    fs_drop(cgroup_brake_release_to_kernel(cgroup)); /* not armed or not supported is as good */
    fs_drop(cgroup_kill(cgroup));                    /* destroy says whether it worked */
    result = cgroup_destroy(cgroup, KILL_WAIT_MS);
    log_warn("leftover_cleared", "cgroup=%s result=\"%s\"", name, result < 0 ? strerror(-result) : "removed");
    if (result < 0)
        cgroup_close(cgroup);
}

/* Offered, but the journal has no answer: nothing ran, the offer comes again. Or reported, and not all of it
 * could be removed. */
static void clear_attempt(struct agent *agent, const char *name)
{
    clear_cgroup(agent, name);
    int result = remover_take(agent->remover, agent->attempts_fd, name);
    if (result == -EAGAIN) /* this many are small ones: nothing ran in most of them */
        result = disk_remove_tree(agent->attempts_fd, name, NULL);
    if (result < 0)
        agent_not_removed(name, result);
}

static int read_admission(struct agent *agent, struct attempt *attempt)
{
    char *bytes = malloc(ADMISSION_MAX);
    int64_t size =
        bytes ? disk_read(attempt->directory_fd, ATTEMPT_ADMISSION, bytes, ADMISSION_MAX) : -ENOMEM;
    int result =
        size < 0 ? (int)size : attempt_decode(attempt, agent->codec, (struct str){bytes, (size_t)size});
    free(bytes);
    return size >= 0 && result == -ENOENT ? -EBADMSG : result; /* of a version that is still to come */
}

static bool was_accepted(const struct agent *agent, const struct attempt *attempt)
{
    const struct placement *known =
        placements_find(agent->placements, attempt->admission.request.execution, attempt->admission.attempt);
    return known && known->answer == PLACEMENT_RAN;
}

static void open_track(struct attempt *attempt)
{
    int result = track_map(attempt->directory_fd, ATTEMPT_TRACK, false, &attempt->track);
    if (result == 0)
        return;
    int64_t now_us = clock_realtime_us(), monotonic_us = clock_monotonic_us();
    const struct msg_limits *limits = &attempt->admission.limits;
    if (result == -EPROTO)
        result =
            track_renew(attempt->directory_fd, ATTEMPT_TRACK, now_us, monotonic_us, limits, &attempt->track);
    if (result == 0) {
        log_warn("track_of_another_version", "attempt=%s lost=\"its series, peaks and gauges so far\"",
                 attempt->name);
        return;
    }
    log_error("track_begun_anew",
              "attempt=%s error=\"%s\" lost=\"what was known of it; its supervisor does not learn of contact "
              "with ingest any more: if it runs, it ends with its lease\"",
              attempt->name, strerror(-result));
    if (track_map(attempt->directory_fd, ATTEMPT_TRACK, true, &attempt->track) == 0)
        track_reset(attempt->track, now_us, monotonic_us, limits);
}

static void find_supervisor(struct agent *agent, struct attempt *attempt)
{
    struct stat status;
    int lock_fd = attempt_lock(attempt->directory_fd);
    if (lock_fd >= 0) {
        (void)close(lock_fd);
        attempt->state = ATTEMPT_ENDED;
        attempt->ended_ms = clock_monotonic_ms();
        return;
    }
    attempt->state = ATTEMPT_RUNNING;
    /* The last agent may have ended before it could tell the supervisor. */
    attempt->end_wanted = fstatat(attempt->directory_fd, ATTEMPT_KILL, &status, AT_SYMLINK_NOFOLLOW) == 0;
    int pid_fd = supervisor_file_open(attempt->directory_fd);
    if (pid_fd >= 0) /* else it is just starting; agent_finish looks again */
        attempt_found(attempt, pid_fd);
    if (fstatat(attempt->directory_fd, ATTEMPT_STARTED, &status, AT_SYMLINK_NOFOLLOW) == 0)
        agent_report_started(agent, attempt);
    attempt_open_metrics(agent, attempt);
}

static void adopt(struct agent *agent, struct attempt *attempt, uint64_t spooled)
{
    agent_judge_claim(attempt, spooled);
    open_track(attempt);
    if (cgroup_open_existing(agent->host, attempt->name, &attempt->cgroup) < 0)
        attempt->cgroup = NULL; /* gone with a reboot, or half removed: what the files say counts */
    attempt->limits = attempt->cgroup  ? limits_from_kernel(cgroup_limits(attempt->cgroup))
                      : attempt->track ? attempt->track->last.limits
                                       : attempt->admission.limits;
    attempt->decided_bytes = attempt->limits.memory_bytes;
    agent_add(agent, attempt);
    find_supervisor(agent, attempt);
    agent_want_limits_file(agent, attempt); /* the last agent may have ended before it wrote the newest */
    log_info("adopted", "attempt=%s state=%s", attempt->name,
             attempt->state == ATTEMPT_RUNNING ? "running" : "ended");
}

static int adopt_named(struct agent *agent, const char *name, uint64_t spooled)
{
    uint8_t execution[16];
    int32_t number;
    if (attempt_name_parse(name, execution, &number) < 0)
        return 0; /* not ours to touch */
    struct attempt *attempt = attempt_create(name);
    if (!attempt)
        return -ENOMEM;
    attempt->directory_fd = openat(agent->attempts_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    int result = attempt->directory_fd < 0 ? -errno : read_admission(agent, attempt);
    if (result < 0 && result != -ENOENT && result != -EBADMSG) {
        attempt_destroy(attempt);
        return result;
    }
    if (result == -EBADMSG)
        log_error("attempt_not_taken_over",
                  "attempt=%s error=\"its admission is damaged or of a later version\" "
                  "lost=\"it is ended, without a record\"",
                  name);
    if (result < 0 || !was_accepted(agent, attempt)) {
        attempt_destroy(attempt);
        clear_attempt(agent, name);
        return 0;
    }
    if (agent->attempt_count == agent->attempt_max) {
        attempt_destroy(attempt);
        return -ENOSPC; /* max_attempts was lowered below what runs: a config error, told by the caller */
    }
    adopt(agent, attempt, spooled);
    return 0;
}

static int clear_unknown(void *context, const char *name)
{
    struct agent *agent = context;
    struct stat status;
    if (fstatat(agent->attempts_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        clear_cgroup(agent, name);
    return 0;
}

int agent_adopt(struct agent *agent)
{
    int fd = openat(agent->attempts_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    uint64_t spooled = spool_last(agent->spool); /* adopting appends */
    if (!directory)
        return -errno;
    while (result == 0 && (entry = readdir(directory)))
        result = adopt_named(agent, entry->d_name, spooled);
    (void)closedir(directory);
    return result == 0 ? cgroup_list(agent->host, clear_unknown, agent) : result;
}
