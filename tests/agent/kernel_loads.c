/* See kernel_loads.h. The paces of the loads (a leak of so many MiB/s) are loads, never synchronisation. */
#include "tests/agent/kernel_loads.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

#define MIB (1LL << 20)

void load_pause_us(long us)
{
    struct timespec wait = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    (void)nanosleep(&wait, NULL);
}

pid_t kernel_case_start(const struct cgroup *cgroup, int (*body)(int argument), int argument)
{
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (cgroup_attach_pid(cgroup, 0) < 0)
            _exit(99);
        _exit(body(argument));
    }
    return pid;
}

int kernel_case_wait(pid_t pid, int timeout_ms)
{
    int64_t deadline = clock_monotonic_ms() + timeout_ms;
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (clock_monotonic_ms() > deadline)
            return -1;
        load_pause_us(1000);
    }
    return status;
}

static int clean_one(void *context, const char *name)
{
    struct cgroup *cgroup;
    struct cgroup_host *host = *(struct cgroup_host **)context;
    if (cgroup_open_existing(host, name, &cgroup) < 0)
        return -EIO;
    fs_drop(cgroup_brake_release_to_kernel(cgroup)); /* a half-made one has none */
    if (cgroup_kill(cgroup) < 0 || cgroup_destroy(cgroup, 5000) < 0)
        return -EBUSY;
    return 0;
}

int kernel_cases_clean(struct cgroup_host *host)
{
    int result = cgroup_list(host, clean_one, &host);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
    return result;
}

/* --- loads --- */

static int leak(int mib, long us_per_mib)
{
    for (int i = 0; i < mib; i++) {
        char *piece = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (piece == MAP_FAILED)
            return 3;
        memset(piece, i + 1, MIB);
        if (us_per_mib > 0)
            load_pause_us(us_per_mib);
    }
    return 0;
}

int load_leak_fast(int mib)
{
    return leak(mib, 0);
}

int load_leak_slowly(int mib)
{
    return leak(mib, 20000);
}

int load_read_in(int mib)
{
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < mib; i++) {
        char *piece = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (fd < 0 || piece == MAP_FAILED)
            return 3;
        for (ssize_t done = 0, got; done < MIB; done += got) {
            got = read(fd, piece + done, (size_t)FS_MIN(65536, MIB - done));
            if (got <= 0) /* less than asked for is no error: being frozen interrupts it, as a signal does */
                return 4;
        }
        load_pause_us(
            30000); /* a step of the brake, 4 MiB, takes longer than a busy machine lets its poller wait */
    }
    return 0;
}

int load_hold(int mib)
{
    if (leak(mib, 0) != 0)
        return 3;
    for (;;)
        (void)pause();
}

int load_spin(int cpu_ms)
{
    struct timespec used;
    do {
        for (volatile int i = 0; i < 100000; i++)
            continue;
        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    } while (used.tv_sec * 1000 + used.tv_nsec / 1000000 < cpu_ms);
    return 0;
}

int load_fork_for_ever(int width)
{
    (void)signal(SIGCHLD, SIG_IGN);
    for (;;) {
        pid_t pid = fork();
        if (pid < 0)
            load_pause_us(1000);
        else if (pid == 0 && width-- <= 0)
            _exit(0);
    }
}

/* --- helpers over the interface --- */

struct cgroup *case_make(struct cgroup_host *host, const char *name, int64_t memory_bytes)
{
    struct cgroup *cgroup;
    struct cgroup_apply_result result;
    struct cgroup_limits limits = {.memory_bytes = memory_bytes};
    if (cgroup_create(host, name, &limits, &result, &cgroup) < 0 || result.memory < 0)
        return NULL;
    return cgroup;
}

int case_set_memory(struct cgroup *cgroup, int64_t bytes)
{
    struct cgroup_limits limits = *cgroup_limits(cgroup);
    struct cgroup_apply_result result;
    limits.memory_bytes = bytes;
    int error = cgroup_apply(cgroup, &limits, &result);
    return error < 0 ? error : result.memory;
}

bool case_wait_memory(struct cgroup *cgroup, int64_t bytes)
{
    int64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
    struct cgroup_sample sample;
    while (cgroup_read(cgroup, &sample) == 0 && clock_monotonic_ms() < deadline) {
        if (sample.memory_bytes >= bytes || sample.memory_usage_bytes >= bytes)
            return true;
        load_pause_us(1000);
    }
    return false;
}

bool case_wait_brake(struct cgroup *cgroup, int wanted)
{
    int64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
    short events;
    int fd = cgroup_brake_fd(cgroup, &events);
    while (fd >= 0 && clock_monotonic_ms() < deadline) {
        struct pollfd entry = {.fd = fd, .events = events};
        if (poll(&entry, 1, 20) < 0)
            return false;
        if (cgroup_brake_engaged(cgroup) == wanted)
            return true;
    }
    return false;
}

int64_t case_oom_kills(struct cgroup *cgroup)
{
    struct cgroup_sample sample;
    return cgroup_read(cgroup, &sample) == 0 ? sample.oom_kills : -1;
}

bool case_killed_by(int status, int signal)
{
    return status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == signal;
}

bool case_ended_well(int status)
{
    return status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
