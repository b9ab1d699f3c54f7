/* The v1 brake, in two stages.
 *
 * First a threshold on memory use a step below the limit: when what cannot be reclaimed has come there, the
 * attempt is frozen. Then, for ramps that are faster than that takes, memory.oom_control 1: a task that
 * faults above the limit sleeps. The second alone is not enough: memory that a system call itself needs
 * (read(2) into fresh pages, a pipe's buffer) is refused with ENOMEM or EFAULT instead of waited for; sort
 * and xz end with an error then.
 *
 * Armed means oom_kill_disable 1, held means frozen or under_oom: both can be asked from the kernel by any
 * process. The threshold belongs to the process that armed, which renews it when it sees another limit. */
#include "agent/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define UNLIMITED_FROM (INT64_MAX / 2)
#define USAGE_LAG (512LL << 10) /* 64 pages on two CPUs are charged ahead */

static int freeze(const struct cgroup *cgroup, bool frozen)
{
    int result = cgroup_put(cgroup, CGROUP_UNIFIED, "cgroup.freeze", frozen ? "1" : "0");
    if (result == -EOPNOTSUPP || result == -ENOENT)
        result = cgroup_put(cgroup, CGROUP_FREEZER, "freezer.state", frozen ? "FROZEN" : "THAWED");
    return result;
}

static bool is_frozen(const struct cgroup *cgroup)
{
    char buffer[64];
    struct str text;
    int64_t value;
    if (cgroup_get_number(cgroup, CGROUP_UNIFIED, "cgroup.freeze", &value) == 0)
        return value != 0;
    return cgroup_get(cgroup, CGROUP_FREEZER, "freezer.state", buffer, sizeof buffer, &text) == 0 &&
           !cgroup_parse_has_word(text, "THAWED");
}

/* Has the kernel write to event when something happens to file; argument as the kernel wants it. */
static int watch(const struct cgroup *cgroup, int event, const char *file, int64_t threshold)
{
    int target = cgroup_open_file(cgroup, CGROUP_MEMORY, file, O_RDONLY);
    if (target < 0)
        return target;
    int result = threshold > 0
                     ? cgroup_put(cgroup, CGROUP_MEMORY, "cgroup.event_control", "%d %d %lld", event, target,
                                  (long long)threshold)
                     : cgroup_put(cgroup, CGROUP_MEMORY, "cgroup.event_control", "%d %d", event, target);
    (void)close(target); /* the registration keeps what it needs */
    return result;
}

/* Puts a new eventfd under the old one's number, so that who polls it need not know. Closing the old one
 * takes its registrations back. */
static int put_in_place(int event, int *place)
{
    if (*place < 0) {
        *place = event;
        return 0;
    }
    int result = dup3(event, *place, O_CLOEXEC) < 0 ? -errno : 0;
    (void)close(event); /* the old number holds it */
    return result;
}

/* A new eventfd for both stages. */
static int watch_limit(struct cgroup *cgroup, int64_t limit)
{
    int64_t level = cgroup_brake_level(cgroup->host, limit);
    int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (event < 0)
        return -errno;
    int result = watch(cgroup, event, "memory.oom_control", 0);
    if (result == 0 && level != CGROUP_UNLIMITED)
        result = watch(cgroup, event, "memory.usage_in_bytes", level);
    if (result < 0) {
        (void)close(event); /* takes back what was registered */
        return result;
    }
    result = put_in_place(event, &cgroup->brake_fd);
    cgroup->brake_events = POLLIN;
    cgroup->brake_limit = limit;
    return result;
}

/* Use above the threshold before it was registered raises no event: make one, so that the poller looks. */
static void look_now(const struct cgroup *cgroup)
{
    const uint64_t one = 1;
    fs_drop(write(cgroup->brake_fd, &one, sizeof one)); /* full means readable, which is what is wanted */
}

static int read_limit(const struct cgroup *cgroup, int64_t *out)
{
    int64_t limit;
    int result = cgroup_get_number(cgroup, CGROUP_MEMORY, "memory.limit_in_bytes", &limit);
    if (result == 0)
        *out = limit >= UNLIMITED_FROM ? CGROUP_UNLIMITED : limit;
    return result;
}

int cgroup_v1_brake_arm(struct cgroup *cgroup)
{
    int64_t limit = 0;
    int result = read_limit(cgroup, &limit);
    if (result == 0 && (cgroup->brake_fd < 0 || limit != cgroup->brake_limit))
        result = watch_limit(cgroup, limit);
    if (result == 0)
        result = cgroup_put(cgroup, CGROUP_MEMORY, "memory.oom_control", "1");
    if (result == 0)
        look_now(cgroup);
    return result;
}

/* 1 what cannot be reclaimed has come to the threshold; page cache there is pressed out by the kernel at the
 * limit. */
static int is_near(const struct cgroup *cgroup, int64_t level)
{
    char buffer[CGROUP_TEXT_MAX];
    struct str text;
    int64_t usage, active_file = 0, inactive_file = 0;
    int result = cgroup_get_number(cgroup, CGROUP_MEMORY, "memory.usage_in_bytes", &usage);
    if (result < 0)
        return result;
    if (usage + USAGE_LAG < level)
        return 0;
    result = cgroup_get(cgroup, CGROUP_MEMORY, "memory.stat", buffer, sizeof buffer, &text);
    if (result < 0)
        return result;
    const struct cgroup_parse_key keys[] = {{"total_active_file", &active_file},
                                            {"total_inactive_file", &inactive_file}};
    cgroup_parse_keyed(text, keys, FS_COUNT(keys));
    return usage - active_file - inactive_file + USAGE_LAG >= level;
}

/* By the limit that is in force now: setting the threshold took 8 ms, in which it may have been raised, and a
 * raise thaws, so that one which comes while this freezes would be waited for in vain. */
static int hold_if_near(struct cgroup *cgroup)
{
    int64_t limit = 0, after = 0;
    for (;;) {
        int result = read_limit(cgroup, &limit);
        int64_t level = result < 0 ? CGROUP_UNLIMITED : cgroup_brake_level(cgroup->host, limit);
        if (level == CGROUP_UNLIMITED)
            return result;
        result = is_near(cgroup, level);
        if (result <= 0)
            return result;
        if (freeze(cgroup, true) < 0)
            return 0; /* without a freezer the second stage is all there is */
        if (read_limit(cgroup, &after) < 0 || after <= limit)
            return is_frozen(cgroup);
        fs_drop(freeze(cgroup, false)); /* it could be frozen: it can be thawed */
    }
}

int cgroup_v1_brake_engaged(struct cgroup *cgroup)
{
    char buffer[256];
    struct str text;
    uint64_t events;
    int64_t disabled = 0, under_oom = 0, limit = 0;
    if (cgroup->brake_fd >= 0)
        fs_drop(read(cgroup->brake_fd, &events, sizeof events)); /* takes the notification, if there is one */
    int result = cgroup_get(cgroup, CGROUP_MEMORY, "memory.oom_control", buffer, sizeof buffer, &text);
    if (result < 0)
        return result;
    const struct cgroup_parse_key keys[] = {{"oom_kill_disable", &disabled}, {"under_oom", &under_oom}};
    cgroup_parse_keyed(text, keys, FS_COUNT(keys));
    if (disabled == 0)
        return 0;
    if (under_oom != 0 || is_frozen(cgroup))
        return 1;
    if (cgroup->brake_fd < 0)
        return 0; /* somebody else's brake: only its holder freezes, because only it keeps the deadline */
    result = read_limit(cgroup, &limit);
    if (result == 0 && limit != cgroup->brake_limit)
        result = watch_limit(cgroup, limit);
    return result < 0 ? result : hold_if_near(cgroup);
}

int cgroup_v1_brake_thaw(struct cgroup *cgroup)
{
    return freeze(cgroup, false);
}

/* The killer first: what wakes up must find it. */
int cgroup_v1_brake_release(struct cgroup *cgroup)
{
    int result = cgroup_put(cgroup, CGROUP_MEMORY, "memory.oom_control", "0");
    int thawed = freeze(cgroup, false);
    return result < 0 ? result : thawed;
}
