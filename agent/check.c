/* See check.h. */
#include "agent/check.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <linux/capability.h>

#include "agent/netcount.h"
#include "agent/netshape.h"
#include "common/clock.h"

#define SAMPLE_ROUNDS 200
#define FILES_PER_ATTEMPT 11 /* v1; v2 has 9 */

static struct check_item *add(struct check *check, const char *name, bool required, bool ok,
                              const char *advice)
{
    assert(check->count < CHECK_ITEMS_MAX);
    struct check_item *item = &check->items[check->count++];
    *item = (struct check_item){.name = name, .ok = ok, .required = required};
    if (!ok)
        (void)str_copy(item->advice, sizeof item->advice, str_of(advice)); /* cut is fine */
    return item;
}

static void detail(struct check_item *item, const char *format, ...) FS_PRINTF(2, 3);

static void detail(struct check_item *item, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(item->detail, sizeof item->detail, format, arguments); /* cut is fine */
    va_end(arguments);
}

static bool effective_capabilities(uint64_t *out)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, sizeof text - 1);
    (void)close(fd); /* only read from */
    if (size <= 0)
        return false;
    text[size] = '\0';
    const char *line = strstr(text, "CapEff:");
    if (!line)
        return false;
    *out = strtoull(line + strlen("CapEff:"), NULL, 16);
    return true;
}

static void check_rights(struct check *check)
{
    static const struct {
        int bit;
        const char *name;
    } wanted[] = {{CAP_KILL, "CAP_KILL"},
                  {CAP_SETUID, "CAP_SETUID"},
                  {CAP_SETGID, "CAP_SETGID"},
                  {CAP_NET_ADMIN, "CAP_NET_ADMIN"},
                  {CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}};
    bool root = geteuid() == 0;
    struct check_item *item = add(check, "root", false, root,
                                  "run the agent as root, or delegate the subtree's directories to its user");
    detail(item, "effective user id %u", (unsigned)geteuid());
    uint64_t have = 0;
    char missing[160] = "";
    bool known = effective_capabilities(&have);
    for (size_t i = 0; i < FS_COUNT(wanted); i++) {
        size_t used = strlen(missing);
        if (!(have >> wanted[i].bit & 1))
            (void)snprintf(missing + used, sizeof missing - used, " %s", wanted[i].name); /* fits */
    }
    item = add(check, "capabilities", false, known && missing[0] == '\0',
               "in a container: cap_add SYS_ADMIN, NET_ADMIN; without them egress limits and network counts "
               "are off");
    if (missing[0] == '\0')
        detail(item, "all that are used");
    else
        detail(item, "missing:%s", missing);
}

static void check_layout(struct check *check, const struct cgroup_host *host)
{
    unsigned features = cgroup_host_features(host);
    struct check_item *item = add(check, "cgroups", true, true, "");
    detail(item, "%s, %s", features & CGROUP_HAS_V2 ? "v2" : "v1/hybrid", cgroup_host_path(host));
    bool unified = features & CGROUP_HAS_UNIFIED;
    item = add(check, "unified", false, unified, "mount -t cgroup2 none /sys/fs/cgroup/unified");
    detail(item, unified ? "a cgroup2 mount is there" : "no cgroup2 mount: no pressure, no network counters");
    bool whole = features & CGROUP_HAS_ROOT;
    item = add(check, "hierarchy_root", false, whole,
               "container: use `cgroup: host` and bind /sys/fs/cgroup:/sys/fs/cgroup:rw; else limits nest "
               "inside the "
               "container's own");
    detail(item, whole ? "the machine's own tree" : "only a container's part of the tree is mounted");
}

/* One value of result: 0 ok, else why not. */
static void check_limit(struct check *check, const char *name, bool required, int error, const char *fine,
                        const char *advice)
{
    struct check_item *item = add(check, name, required, error == 0, advice);
    if (error == 0)
        detail(item, "%s", fine);
    else
        detail(item, "%s", error == -EOPNOTSUPP ? "this kernel has no knob for it" : strerror(-error));
}

static void check_limits(struct check *check, const struct cgroup_host *host, struct cgroup *cgroup)
{
    const struct cgroup_limits limits = {.memory_bytes = 64 << 20,
                                         .cpu_millicores = 500,
                                         .cpu_weight = 200,
                                         .io_read_bps = 10 << 20,
                                         .io_write_bps = 10 << 20,
                                         .io_weight = 200};
    struct cgroup_apply_result result;
    unsigned features = cgroup_host_features(host);
    int error = cgroup_apply(cgroup, &limits, &result);
    if (error == -EINVAL)
        return; /* cannot be: the limits above are valid */
    check_limit(check, "memory_limit", true, result.memory,
                features & CGROUP_HAS_MEMSW ? "works, swap is covered too" : "works, swap is not covered",
                "enable the memory controller (kernel argument cgroup_enable=memory on some distributions)");
    check_limit(check, "cpu_quota", false, result.cpu, "works", "enable the cpu controller");
    check_limit(check, "cpu_weight", false, result.cpu_weight, "works", "enable the cpu controller");
    check_limit(check, "io_bandwidth", false, FS_MIN(result.io_read, result.io_write), "works",
                "put state directory and work directories on a local block device; kernel with blk-throttle");
    bool weight = features & CGROUP_HAS_IO_WEIGHT && result.io_weight == 0;
    struct check_item *item = add(check, "io_weight", false, weight,
                                  "echo bfq > /sys/block/DISK/queue/scheduler, or io.cost.qos on v2; until "
                                  "then the others are capped instead");
    detail(item,
           weight
               ? "heeded by the disk's scheduler"
               : "no effect: no disk uses BFQ and io.cost is off; preference is made by capping the others");
}

static void check_brake(struct check *check, struct cgroup *cgroup)
{
    short events;
    int result = cgroup_brake_arm(cgroup);
    if (result == 0)
        result = FS_MIN(cgroup_brake_fd(cgroup, &events), 0);
    if (result == 0)
        result = cgroup_brake_release_to_kernel(cgroup);
    check_limit(check, "brake", false, result, "arms and releases",
                "without it ramps faster than the sampling interval are killed at their limit");
}

static void check_sampling(struct check *check, const struct cgroup_host *host, struct cgroup *cgroup)
{
    struct cgroup_sample sample;
    unsigned features = cgroup_host_features(host);
    int64_t start = clock_monotonic_us();
    int result = 0;
    for (int i = 0; i < SAMPLE_ROUNDS && result == 0; i++)
        result = cgroup_read(cgroup, &sample);
    int64_t elapsed_us = clock_monotonic_us() - start;
    struct check_item *item = add(check, "sampling", true, result == 0, "see the items above");
    if (result == 0)
        detail(item, "%.1f us per attempt", (double)elapsed_us / SAMPLE_ROUNDS);
    else
        detail(item, "%s", strerror(-result));
    check_limit(check, "pressure", false, features & CGROUP_HAS_PSI ? 0 : -EOPNOTSUPP, "PSI per cgroup",
                "kernel argument psi=1 (and a cgroup2 mount); without it stalls are not seen");
    check_limit(check, "kill", false, features & CGROUP_HAS_KILL ? 0 : -EOPNOTSUPP, "cgroup.kill",
                "nothing needed: the agent freezes and signals every process instead (Linux before 5.14)");
    check_limit(check, "tasks", false, features & CGROUP_HAS_TASKS ? 0 : -EOPNOTSUPP,
                "counted by the pids controller", "enable the pids controller");
}

static void check_network(struct check *check, const struct cgroup_host *host,
                          const struct cgroup_host_options *options)
{
    bool counts = cgroup_host_features(host) & CGROUP_HAS_NETCOUNT;
    int error = counts ? 0 : netcount_probe();
    check_limit(check, "network_count", false, counts ? 0 : FS_MIN(error, -1), "by eBPF on the cgroup",
                "needs CAP_BPF and CAP_NET_ADMIN (or root) and a kernel with CONFIG_CGROUP_BPF");
    const char *device = options->net_device;
    if (!device || device[0] == '\0') {
        struct check_item *item = add(check, "network_limit", false, false,
                                      "set net_device to the interface that executions send through");
        detail(item, "off: no network device is configured");
        return;
    }
    struct netshape *shape = NULL;
    int result = netshape_open(options->net_namespace, device, &shape);
    uint32_t minor = 0;
    int tried = result < 0 ? result : netshape_take(shape, &minor);
    if (tried == 0)
        tried = netshape_set(shape, minor, 1 << 20, 0);
    if (minor != 0)
        fs_drop(netshape_put(shape, minor)); /* of this check only */
    if (result == 0)
        fs_drop(netshape_remove(shape)); /* it was not there before */
    netshape_close(shape);
    check_limit(check, "network_limit", false, tried < 0 ? tried : 0, "HTB classes on the device",
                tried == -EEXIST ? "the device has a qdisc of somebody else: tc qdisc del dev DEVICE root"
                                 : "kernel module sch_htb, CAP_NET_ADMIN, the device's name and namespace");
}

static void check_files(struct check *check, const struct cgroup_host_options *options)
{
    struct rlimit limit = {0};                 /* the hard one counts: the agent raises the soft one to it */
    fs_drop(getrlimit(RLIMIT_NOFILE, &limit)); /* cannot fail with these arguments */
    uint64_t kept = options->max_kept_fds > 0 ? options->max_kept_fds : limit.rlim_max / 2;
    struct check_item *item =
        add(check, "open_files", false, limit.rlim_max >= 4096,
            "LimitNOFILE=65536 in the unit, or ulimit -Hn; sampling costs 3 times more beyond it");
    detail(item, "limit %llu: files of %llu attempts kept open", (unsigned long long)limit.rlim_max,
           (unsigned long long)(kept / FILES_PER_ATTEMPT));
}

static void check_attempt(struct check *check, struct cgroup_host *host,
                          const struct cgroup_host_options *options)
{
    static const struct cgroup_limits none = {0};
    struct cgroup *cgroup;
    int result = cgroup_create(host, "check", &none, NULL, &cgroup);
    if (result < 0) {
        struct check_item *item = add(check, "attempt", true, false, "see the items above");
        detail(item, "cannot create a cgroup in the subtree: %s", strerror(-result));
        return;
    }
    check_limits(check, host, cgroup);
    check_brake(check, cgroup);
    check_sampling(check, host, cgroup);
    check_network(check, host, options);
    if (cgroup_destroy(cgroup, 100) < 0)
        cgroup_close(cgroup);
}

void check_run(const struct cgroup_host_options *options, struct check *out)
{
    struct cgroup_host_options own = *options;
    struct cgroup_host *host;
    char subtree[160], error[256];
    memset(out, 0, sizeof *out);
    check_rights(out);
    (void)snprintf(subtree, sizeof subtree, "%s-check-%d", options->subtree ? options->subtree : "forestall",
                   (int)getpid()); /* a cut one is refused */
    own.subtree = subtree;
    own.net_device = NULL; /* tried by itself, so that a running agent's shaping is not touched */
    int result = cgroup_host_open(&own, error, sizeof error, &host);
    if (result < 0) {
        struct check_item *item =
            add(out, "cgroups", true, false,
                "needs root on the machine itself, or a container with `cgroup: host` and a "
                "writable /sys/fs/cgroup");
        detail(item, "%s", error);
        return;
    }
    check_layout(out, host);
    check_attempt(out, host, options);
    check_files(out, options);
    fs_drop(cgroup_host_remove(host)); /* empty unless an item above said why not */
    cgroup_host_close(host);
}

bool check_passed(const struct check *check)
{
    for (size_t i = 0; i < check->count; i++) {
        if (check->items[i].required && !check->items[i].ok)
            return false;
    }
    return check->count > 0;
}

void check_print(const struct check *check, struct buffer *out)
{
    for (size_t i = 0; i < check->count; i++) {
        const struct check_item *item = &check->items[i];
        const char *state = item->ok ? "ok" : item->required ? "MISSING" : "without";
        buffer_printf(out, "%-8s %-16s %s\n", state, item->name, item->detail);
        if (!item->ok && item->advice[0] != '\0')
            buffer_printf(out, "%-8s %-16s -> %s\n", "", "", item->advice);
    }
    buffer_printf(out, "%s\n",
                  check_passed(check) ? "This machine can run executions."
                                      : "This machine cannot run executions; see MISSING above.");
}
