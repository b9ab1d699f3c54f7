/* Life cycle of one attempt's cgroup, the same for both layouts; see cgroup.h. */
#include "agent/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/limit_marks.h"
#include "common/clock.h"

#define FREEZE_WAIT_MS 100 /* freezing takes microseconds unless a task is stuck in the kernel */

static bool name_is_valid(const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || size >= CGROUP_NAME_MAX || name[0] == '.')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:@+-") == size;
}

static void pause_ms(int64_t ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&wait, NULL); /* a signal only makes it shorter */
}

static struct cgroup *allocate(struct cgroup_host *host, const char *name)
{
    struct cgroup *cgroup = calloc(1, sizeof *cgroup);
    if (!cgroup)
        return NULL;
    cgroup->host = host;
    (void)str_copy(cgroup->name, sizeof cgroup->name, str_of(name)); /* the length was checked */
    for (size_t i = 0; i < CGROUP_SLOT_COUNT; i++)
        cgroup->slots[i] = -1;
    cgroup->brake_fd = -1;
    return cgroup;
}

/* Opens the sampled files while the host's budget lasts; what is not opened is opened at each sample. */
static void keep_files(struct cgroup *cgroup)
{
    struct cgroup_host *host = cgroup->host;
    for (size_t i = 0; i < CGROUP_SLOT_COUNT && host->kept_left > 0; i++) {
        const struct cgroup_file *file = &host->layout->slots[i];
        if (!file->name)
            continue;
        int fd = cgroup_open_file(cgroup, file->hierarchy, file->name, O_RDONLY);
        if (fd < 0)
            continue;
        cgroup->slots[i] = fd;
        cgroup->kept++;
        host->kept_left--;
    }
}

static int unified_fd(const struct cgroup *cgroup)
{
    int index = cgroup->host->dir_of[CGROUP_UNIFIED];
    if (index < 0)
        return -EOPNOTSUPP;
    int fd = openat(cgroup->host->dirs[index].fd, cgroup->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Counting and a class of its own; failing means that this attempt is not counted or not limited, never that
 * it cannot run. */
static void start_network(struct cgroup *cgroup)
{
    struct cgroup_host *host = cgroup->host;
    if (!(host->features & CGROUP_HAS_NETCOUNT))
        return;
    int fd = unified_fd(cgroup);
    if (fd < 0)
        return;
    int result = netcount_attach(fd, &cgroup->net);
    (void)close(fd); /* the attachment does not need it */
    if (result < 0 || !host->shape || netshape_take(host->shape, &cgroup->net_class) < 0)
        return;
    if (netshape_set(host->shape, cgroup->net_class, 0, 0) < 0) {
        fs_drop(netshape_put(host->shape, cgroup->net_class)); /* only gives the number back */
        cgroup->net_class = 0;
        return;
    }
    netcount_set_class(&cgroup->net, netshape_classid(host->shape, cgroup->net_class));
}

static void find_network(struct cgroup *cgroup)
{
    struct cgroup_host *host = cgroup->host;
    int fd = unified_fd(cgroup);
    if (fd < 0)
        return;
    int result = netcount_reopen(fd, &cgroup->net);
    (void)close(fd); /* the mapping does not need it */
    uint32_t class = result == 0 ? netcount_class(&cgroup->net) & 0xffff : 0;
    if (class == 0 || !host->shape)
        return;
    netshape_claim(host->shape, class);
    cgroup->net_class = class;
}

static int make_directories(struct cgroup_host *host, const char *name)
{
    for (size_t i = 0; i < host->dir_count; i++) {
        if (mkdirat(host->dirs[i].fd, name, 0755) == 0)
            continue;
        int result = -errno;
        while (i-- > 0)
            fs_drop(cgroup_tree_remove(host->dirs[i].fd, name)); /* empty and just made */
        return result;
    }
    return 0;
}

int cgroup_create(struct cgroup_host *host, const char *name, const struct cgroup_limits *limits,
                  struct cgroup_apply_result *result, struct cgroup **out)
{
    struct cgroup_apply_result ignored;
    if (!name_is_valid(name))
        return -EINVAL;
    struct cgroup *cgroup = allocate(host, name);
    if (!cgroup)
        return -ENOMEM;
    int error = make_directories(host, name);
    if (error == -ENOENT) { /* somebody sharing the subtree has removed it while it was empty */
        error = cgroup_host_make_subtree(host);
        if (error == 0)
            error = make_directories(host, name);
    }
    if (error < 0) {
        free(cgroup);
        return error;
    }
    start_network(cgroup);
    keep_files(cgroup);
    error = cgroup_reload(cgroup);
    if (error == 0) {
        /* What could not be put in force is in result; the caller decides whether that matters. */
        fs_drop(cgroup_apply(cgroup, limits, result ? result : &ignored));
        *out = cgroup;
        return 0;
    }
    if (cgroup_destroy(cgroup, 0) < 0)
        cgroup_close(cgroup);
    return error;
}

static bool exists(const struct cgroup_host *host, size_t dir, const char *name)
{
    return faccessat(host->dirs[dir].fd, name, F_OK, 0) == 0;
}

int cgroup_open_existing(struct cgroup_host *host, const char *name, struct cgroup **out)
{
    bool found = false;
    if (!name_is_valid(name))
        return -EINVAL;
    for (size_t i = 0; i < host->dir_count; i++)
        found |= exists(host, i, name);
    if (!found)
        return -ENOENT;
    struct cgroup *cgroup = allocate(host, name);
    if (!cgroup)
        return -ENOMEM;
    find_network(cgroup);
    keep_files(cgroup);
    fs_drop(cgroup_reload(cgroup)); /* a half-made one has no limits to read */
    *out = cgroup;
    return 0;
}

void cgroup_close(struct cgroup *cgroup)
{
    if (!cgroup)
        return;
    for (size_t i = 0; i < CGROUP_SLOT_COUNT; i++) {
        if (cgroup->slots[i] >= 0)
            (void)close(cgroup->slots[i]); /* only read from */
    }
    cgroup->host->kept_left += cgroup->kept;
    if (cgroup->brake_fd >= 0)
        (void)close(cgroup->brake_fd); /* an eventfd or a file only read from */
    netcount_close(&cgroup->net);
    free(cgroup);
}

/* In reverse order, unified last: it remembers the network class until everything else is gone. */
static int remove_directories(const struct cgroup *cgroup)
{
    for (size_t i = 0; i < cgroup->host->dir_count; i++) {
        int result = cgroup_tree_remove(cgroup->host->dirs[i].fd, cgroup->name);
        if (result < 0)
            return result;
    }
    return 0;
}

int cgroup_destroy(struct cgroup *cgroup, int timeout_ms)
{
    int64_t deadline = clock_monotonic_ms() + timeout_ms;
    int result;
    while ((result = remove_directories(cgroup)) == -EBUSY && clock_monotonic_ms() < deadline)
        pause_ms(1);
    if (result < 0)
        return result;
    if (cgroup->net_class != 0)
        fs_drop(netshape_put(cgroup->host->shape,
                             cgroup->net_class)); /* gone with the device or by hand: just as well */
    cgroup_close(cgroup);
    return 0;
}

const struct cgroup_limits *cgroup_limits(const struct cgroup *cgroup)
{
    return &cgroup->limits;
}

int cgroup_attach_pid(const struct cgroup *cgroup, pid_t pid)
{
    static const enum cgroup_hierarchy order[] = {CGROUP_MEMORY, CGROUP_CPU,     CGROUP_CPUACCT, CGROUP_BLKIO,
                                                  CGROUP_PIDS,   CGROUP_FREEZER, CGROUP_UNIFIED};
    unsigned done = 0;
    for (size_t i = 0; i < FS_COUNT(order); i++) {
        int dir = cgroup->host->dir_of[order[i]];
        if (dir < 0 || done >> dir & 1)
            continue;
        int result = cgroup_put(cgroup, order[i], "cgroup.procs", "%d", (int)pid);
        if (result < 0)
            return result;
        done |= 1U << dir;
    }
    return done != 0 ? 0 : -EOPNOTSUPP;
}

/* Freezing keeps the tree from growing while its pids are read; a frozen task takes its SIGKILL when thawed
 * (v1). */
static int kill_frozen(struct cgroup *cgroup, const char *file, const char *frozen, const char *thawed,
                       enum cgroup_hierarchy hierarchy, size_t dir)
{
    int result = cgroup_put(cgroup, hierarchy, file, "%s", frozen);
    int64_t deadline = clock_monotonic_ms() + FREEZE_WAIT_MS;
    char buffer[64];
    struct str text;
    while (result == 0 && hierarchy == CGROUP_FREEZER && clock_monotonic_ms() < deadline) {
        if (cgroup_get(cgroup, hierarchy, file, buffer, sizeof buffer, &text) < 0 ||
            cgroup_parse_has_word(text, frozen))
            break;
        pause_ms(1);
    }
    int killed = cgroup_tree_signal(cgroup->host->dirs[dir].fd, cgroup->name, SIGKILL);
    if (result == 0)
        result = cgroup_put(cgroup, hierarchy, file, "%s", thawed);
    return killed < 0 ? killed : result;
}

int cgroup_kill(struct cgroup *cgroup)
{
    const struct cgroup_host *host = cgroup->host;
    if (host->features & CGROUP_HAS_KILL && cgroup_put(cgroup, CGROUP_UNIFIED, "cgroup.kill", "1") == 0)
        return 0;
    int error = -ENOENT;
    for (size_t i = 0; i < host->dir_count; i++) {
        int result;
        if (!exists(host, i, cgroup->name))
            continue;
        if (host->dir_of[CGROUP_FREEZER] == (int)i && !(host->features & CGROUP_HAS_V2))
            result = kill_frozen(cgroup, "freezer.state", "FROZEN", "THAWED", CGROUP_FREEZER, i);
        else if (host->dir_of[CGROUP_UNIFIED] == (int)i)
            result = kill_frozen(cgroup, "cgroup.freeze", "1", "0", CGROUP_UNIFIED, i);
        else
            result = cgroup_tree_signal(host->dirs[i].fd, cgroup->name, SIGKILL);
        error = error == -ENOENT || result < 0 ? FS_MIN(result, 0) : error;
    }
    return error == -ENOENT ? 0 : error; /* no directory, no process */
}

int cgroup_population(struct cgroup *cgroup)
{
    int most = -ENOENT;
    for (size_t i = 0; i < cgroup->host->dir_count; i++) {
        int count = cgroup_tree_signal(cgroup->host->dirs[i].fd, cgroup->name, 0);
        most = FS_MAX(most, count);
    }
    return most;
}

int64_t cgroup_brake_level(const struct cgroup_host *host, int64_t limit)
{
    if (limit <= 0 || limit == CGROUP_UNLIMITED)
        return CGROUP_UNLIMITED;
    return host->brake_step_bytes > 0 ? limit - FS_MIN(host->brake_step_bytes, limit / 2)
                                      : (int64_t)limit_brake_level((double)limit);
}

int cgroup_brake_arm(struct cgroup *cgroup)
{
    return cgroup->host->features & CGROUP_HAS_BRAKE ? cgroup->host->layout->brake_arm(cgroup) : -EOPNOTSUPP;
}

int cgroup_brake_fd(const struct cgroup *cgroup, short *events)
{
    if (cgroup->brake_fd < 0)
        return -EINVAL;
    *events = cgroup->brake_events;
    return cgroup->brake_fd;
}

int cgroup_brake_engaged(struct cgroup *cgroup)
{
    return cgroup->host->features & CGROUP_HAS_BRAKE ? cgroup->host->layout->brake_engaged(cgroup)
                                                     : -EOPNOTSUPP;
}

int cgroup_brake_release_to_kernel(struct cgroup *cgroup)
{
    return cgroup->host->features & CGROUP_HAS_BRAKE ? cgroup->host->layout->brake_release(cgroup)
                                                     : -EOPNOTSUPP;
}
