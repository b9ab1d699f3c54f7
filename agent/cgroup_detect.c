/* Finding the machine's cgroup layout and making Forestall's subtree in it; see cgroup.h.
 *
 * Everything is relative to mount points from mountinfo, never to /proc/self/cgroup: in a container the two
 * disagree, and a path joined from both would silently make a wrong nested group. */
#include "agent/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOUNTINFO_MAX (1U << 20) /* machines with thousands of mounts have about 300 KiB */

static int read_whole(const char *path, char *buffer, size_t capacity, struct str *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t size = 0;
    ssize_t part;
    while (size < capacity && (part = read(fd, buffer + size, capacity - size)) > 0)
        size += (size_t)part;
    (void)close(fd); /* only read from */
    *text = (struct str){buffer, size};
    return 0;
}

static int read_machine(struct cgroup_host *host)
{
    struct str text = {0};
    char *buffer = malloc(MOUNTINFO_MAX);
    if (!buffer)
        return -ENOMEM;
    int result = read_whole("/proc/self/mountinfo", buffer, MOUNTINFO_MAX, &text);
    if (result == 0) {
        cgroup_parse_mountinfo(text, host->mounts);
        result = read_whole("/proc/devices", buffer, MOUNTINFO_MAX, &text);
    }
    if (result == 0)
        cgroup_parse_stacked_majors(text, &host->stacked);
    free(buffer);
    return result;
}

/* v1 as soon as its memory hierarchy is mounted: a controller is in one version only. */
static int choose_layout(struct cgroup_host *host)
{
    bool v1 = host->mounts[CGROUP_MEMORY].present;
    if (!v1 && !host->mounts[CGROUP_UNIFIED].present)
        return -ENODEV;
    host->layout = v1 ? &cgroup_layout_v1 : &cgroup_layout_v2;
    host->features = v1 ? 0 : CGROUP_HAS_V2;
    for (unsigned i = 0; i < CGROUP_HIERARCHY_COUNT; i++) {
        const struct cgroup_mount *mount = &host->mounts[i];
        host->dir_of[i] = -1;
        if (!v1)
            mount = &host->mounts[CGROUP_UNIFIED];
        if (!mount->present)
            continue;
        size_t dir = 0; /* cpu and cpuacct are often one mount */
        char path[sizeof host->dirs[0].path];
        (void)snprintf(path, sizeof path, "%s/%s", mount->path, host->subtree); /* both fit by their types */
        while (dir < host->dir_count && strcmp(host->dirs[dir].path, path) != 0)
            dir++;
        if (dir == host->dir_count)
            memcpy(host->dirs[host->dir_count++].path, path, sizeof path);
        host->dir_of[i] = (int)dir;
    }
    return 0;
}

/* Hands the controllers down to dir's children. Each alone: one that is missing or in use must not keep the
 * others away. */
static void enable_controllers(int dir)
{
    static const char *const controllers[] = {"+memory", "+cpu", "+io", "+pids"};
    for (size_t i = 0; i < FS_COUNT(controllers); i++)
        fs_drop(cgroup_file_write(dir, "cgroup.subtree_control",
                                  controllers[i])); /* missing files tell, see features */
}

/* mkdir -p of the subtree below the mount point; *out is the last directory's descriptor. */
static int make_path(const char *root, const char *subtree, bool v2, int *out)
{
    char path[CGROUP_SUBTREE_MAX];
    int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    (void)str_copy(path, sizeof path, str_of(subtree)); /* checked when the host was opened */
    for (char *rest = path, *part; (part = strsep(&rest, "/"));) {
        if (*part == '\0')
            continue;
        if (v2)
            enable_controllers(dir);
        int next = mkdirat(dir, part, 0755) < 0 && errno != EEXIST ? -1 : 0;
        if (next == 0)
            next = openat(dir, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int result = next < 0 ? -errno : 0;
        (void)close(dir); /* only a place to look from */
        if (result < 0)
            return result;
        dir = next;
    }
    if (v2)
        enable_controllers(dir);
    *out = dir;
    return 0;
}

static const struct cgroup_mount *mount_of(const struct cgroup_host *host, size_t dir)
{
    for (size_t i = 0; i < CGROUP_HIERARCHY_COUNT; i++) {
        if (host->dir_of[i] == (int)dir && host->mounts[i].present)
            return &host->mounts[i];
    }
    return NULL;
}

int cgroup_host_make_subtree(struct cgroup_host *host)
{
    for (size_t i = 0; i < host->dir_count; i++) {
        int fd = -1;
        int result =
            make_path(mount_of(host, i)->path, host->subtree, (host->features & CGROUP_HAS_V2) != 0, &fd);
        if (result < 0)
            return result;
        if (host->dirs[i].fd >= 0)
            (void)close(host->dirs[i].fd); /* of the directory that was removed */
        host->dirs[i].fd = fd;
    }
    return 0;
}

static void find_disks(struct cgroup_host *host, const struct cgroup_host_options *options)
{
    struct blockdev disk;
    for (size_t i = 0; i < options->io_path_count; i++) {
        if (blockdev_of_path(options->io_paths[i], &disk) == 0)
            host->disk_count = blockdev_add(host->disks, host->disk_count, CGROUP_DISKS_MAX, disk);
    }
    static const char *const always[] = {".", "/"};
    for (size_t i = 0; i < FS_COUNT(always); i++) {
        if (blockdev_of_path(always[i], &disk) == 0)
            host->disk_count = blockdev_add(host->disks, host->disk_count, CGROUP_DISKS_MAX, disk);
    }
    if (host->disk_count == 0) /* all on overlays: the disks below them are what there is */
        host->disk_count = blockdev_list(host->disks, CGROUP_DISKS_MAX);
}

static bool io_cost_enabled(const struct cgroup_host *host)
{
    char path[CGROUP_PATH_MAX + 32], text[1024];
    struct str qos;
    (void)snprintf(path, sizeof path, "%s/io.cost.qos", host->mounts[CGROUP_UNIFIED].path); /* fits */
    return read_whole(path, text, sizeof text, &qos) == 0 && cgroup_parse_has_word(qos, "enable=1");
}

static bool is_host_root(const struct cgroup_host *host)
{
    char path[CGROUP_PATH_MAX + 32];
    bool v2 = host->features & CGROUP_HAS_V2;
    const struct cgroup_mount *mount = &host->mounts[v2 ? CGROUP_UNIFIED : CGROUP_MEMORY];
    /* Only a root lacks cgroup.type (v2); only a root has release_agent (v1). */
    (void)snprintf(path, sizeof path, "%s/%s", mount->path, v2 ? "cgroup.type" : "release_agent"); /* fits */
    return mount->whole && (access(path, F_OK) == 0) != v2;
}

static void find_features(struct cgroup_host *host)
{
    host->features |= host->layout->features(host);
    bool heeded = io_cost_enabled(host);
    for (size_t i = 0; i < host->disk_count; i++)
        heeded |= blockdev_heeds_weight(host->disks[i]);
    if (!heeded)
        host->features &= ~(unsigned)CGROUP_HAS_IO_WEIGHT;
    if (host->dir_of[CGROUP_UNIFIED] >= 0) {
        host->features |= CGROUP_HAS_UNIFIED;
        if (netcount_probe() == 0)
            host->features |= CGROUP_HAS_NETCOUNT;
    }
    if (cgroup_host_has_file(host, CGROUP_UNIFIED, "memory.pressure"))
        host->features |= CGROUP_HAS_PSI;
    if (cgroup_host_has_file(host, CGROUP_UNIFIED, "cgroup.kill"))
        host->features |= CGROUP_HAS_KILL;
    if (is_host_root(host))
        host->features |= CGROUP_HAS_ROOT;
}

static size_t file_budget(size_t asked)
{
    struct rlimit limit;
    if (asked > 0)
        return asked;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (size_t)limit.rlim_cur / 2 : 0;
}

static int explain(char *error, size_t error_size, int result, const char *what)
{
    const char *hint = "";
    if (result == -EROFS)
        hint = "; the cgroup tree is mounted read-only: in a container, bind /sys/fs/cgroup read-write and "
               "use cgroup: host";
    else if (result == -EACCES || result == -EPERM)
        hint = geteuid() == 0 ? "; root without the right to it: a container without cgroup: host?"
                              : "; run it as root, or delegate a subtree to this user";
    if (result == -ENODEV) /* what says it all */
        (void)snprintf(error, error_size, "%s", what);
    else
        (void)snprintf(error, error_size, "%s: %s%s", what, strerror(-result), hint); /* cut is fine */
    return result;
}

static int open_shape(struct cgroup_host *host, const struct cgroup_host_options *options, char *error,
                      size_t error_size)
{
    char what[256];
    if (!options->net_device || options->net_device[0] == '\0')
        return 0;
    int result = netshape_open(options->net_namespace, options->net_device, &host->shape);
    if (result < 0) {
        (void)snprintf(what, sizeof what, "network device %s%s%s%s", options->net_device,
                       options->net_namespace ? " in namespace " : "",
                       options->net_namespace ? options->net_namespace : "",
                       result == -ENODEV ? ": no such device"
                       : result == -EEXIST
                           ? " has a queueing discipline of somebody else (tc qdisc del first)"
                           : "");
        return explain(error, error_size, result, what); /* cut is fine */
    }
    if (host->features & CGROUP_HAS_NETCOUNT)
        host->features |= CGROUP_HAS_NETSHAPE;
    return 0;
}

static int open_host(struct cgroup_host *host, const struct cgroup_host_options *options, char *error,
                     size_t error_size)
{
    int result = read_machine(host);
    if (result < 0)
        return explain(error, error_size, result, "cannot read /proc/self/mountinfo or /proc/devices");
    result = choose_layout(host);
    if (result < 0)
        return explain(error, error_size, result,
                       "no cgroup memory hierarchy is mounted; mount cgroup2 on /sys/fs/cgroup");
    result = cgroup_host_make_subtree(host);
    if (result < 0)
        return explain(error, error_size, result, "cannot make the cgroup subtree");
    find_disks(host, options);
    find_features(host);
    if (!(host->features & CGROUP_HAS_MEMORY))
        return explain(
            error, error_size, -ENODEV,
            "the memory controller cannot be handed down to the subtree; in a container use cgroup: host");
    return open_shape(host, options, error, error_size);
}

static bool subtree_is_valid(const char *subtree)
{
    size_t size = strlen(subtree);
    return size > 0 && size < CGROUP_SUBTREE_MAX && subtree[0] != '/' && subtree[size - 1] != '/' &&
           subtree[0] != '.' && !strstr(subtree, "/.") && !strstr(subtree, "//") && !strchr(subtree, '\n');
}

int cgroup_host_open(const struct cgroup_host_options *options, char *error, size_t error_size,
                     struct cgroup_host **out)
{
    const char *subtree = options->subtree ? options->subtree : "forestall";
    if (!subtree_is_valid(subtree))
        return explain(error, error_size, -EINVAL,
                       "subtree must be a relative path of at most 127 bytes without . or ..");
    struct cgroup_host *host = calloc(1, sizeof *host);
    if (!host)
        return explain(error, error_size, -ENOMEM, "cgroup host");
    for (size_t i = 0; i < CGROUP_HIERARCHY_COUNT; i++)
        host->dirs[i].fd = -1;
    (void)str_copy(host->subtree, sizeof host->subtree, str_of(subtree)); /* checked above */
    host->kept_left = file_budget(options->max_kept_fds);
    host->brake_step_bytes = options->brake_step_bytes;
    int result = open_host(host, options, error, error_size);
    if (result < 0) {
        for (size_t i = 0; i < host->dir_count; i++)
            (void)rmdir(host->dirs[i].path); /* what was made; one in use stays */
        cgroup_host_close(host);
        return result;
    }
    *out = host;
    return 0;
}

void cgroup_host_close(struct cgroup_host *host)
{
    if (!host)
        return;
    for (size_t i = 0; i < CGROUP_HIERARCHY_COUNT; i++) {
        if (host->dirs[i].fd >= 0)
            (void)close(host->dirs[i].fd); /* only places to look from */
    }
    netshape_close(host->shape);
    free(host);
}

static int stop_at_first(void *context, const char *name)
{
    (void)context;
    (void)name;
    return -EBUSY;
}

int cgroup_host_remove(struct cgroup_host *host)
{
    int result = cgroup_list(host, stop_at_first, NULL);
    for (size_t i = 0; i < host->dir_count && result == 0; i++) {
        char path[sizeof host->dirs[i].path];
        memcpy(path, host->dirs[i].path, sizeof path);
        size_t root = strlen(mount_of(host, i)->path);
        while (strlen(path) > root && result == 0) {
            if (rmdir(path) < 0 && errno != ENOENT)
                result = errno == EBUSY && strcmp(path, host->dirs[i].path) != 0 ? 1 : -errno;
            *strrchr(path, '/') = '\0';
        }
        result = FS_MIN(result, 0); /* a parent that others use as well stays */
    }
    if (result == 0 && host->shape)
        result = netshape_remove(host->shape);
    return result;
}

unsigned cgroup_host_features(const struct cgroup_host *host)
{
    return host->features;
}

const char *cgroup_host_path(const struct cgroup_host *host)
{
    int dir = host->dir_of[CGROUP_UNIFIED] >= 0 ? host->dir_of[CGROUP_UNIFIED] : host->dir_of[CGROUP_MEMORY];
    return host->dirs[dir].path;
}
