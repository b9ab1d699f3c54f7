/* See kernel_cases.h. Programs are forked children; their paces (a leak of so many MiB/s) are loads, never
 * synchronisation: the cases wait for what the kernel shows, with deadlines. */
#include "tests/agent/kernel_cases.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

#define MIB (1LL << 20)
#define DEADLINE_MS 20000

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            printf("%s:%d: %s\n", __func__, __LINE__, #condition);                                           \
            return CASE_FAILED;                                                                              \
        }                                                                                                    \
    } while (0)

static void pause_us(long us)
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
        pause_us(1000);
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
            pause_us(us_per_mib);
    }
    return 0;
}

static int leak_fast(int mib)
{
    return leak(mib, 0);
}

static int leak_slowly(int mib)
{
    return leak(mib, 20000);
}

static int hold(int mib)
{
    if (leak(mib, 0) != 0)
        return 3;
    for (;;)
        (void)pause();
}

static int spin(int cpu_ms)
{
    struct timespec used;
    do {
        for (volatile int i = 0; i < 100000; i++)
            continue;
        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    } while (used.tv_sec * 1000 + used.tv_nsec / 1000000 < cpu_ms);
    return 0;
}

static int fork_for_ever(int width)
{
    (void)signal(SIGCHLD, SIG_IGN);
    for (;;) {
        pid_t pid = fork();
        if (pid < 0)
            pause_us(1000);
        else if (pid == 0 && width-- <= 0)
            _exit(0);
    }
}

/* --- helpers over the interface --- */

static struct cgroup *make(struct cgroup_host *host, const char *name, int64_t memory_bytes)
{
    struct cgroup *cgroup;
    struct cgroup_apply_result result;
    struct cgroup_limits limits = {.memory_bytes = memory_bytes};
    if (cgroup_create(host, name, &limits, &result, &cgroup) < 0 || result.memory < 0)
        return NULL;
    return cgroup;
}

static int set_memory(struct cgroup *cgroup, int64_t bytes)
{
    struct cgroup_limits limits = *cgroup_limits(cgroup);
    struct cgroup_apply_result result;
    limits.memory_bytes = bytes;
    int error = cgroup_apply(cgroup, &limits, &result);
    return error < 0 ? error : result.memory;
}

static bool wait_memory(struct cgroup *cgroup, int64_t bytes)
{
    int64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
    struct cgroup_sample sample;
    while (cgroup_read(cgroup, &sample) == 0 && clock_monotonic_ms() < deadline) {
        if (sample.memory_bytes >= bytes || sample.memory_usage_bytes >= bytes)
            return true;
        pause_us(1000);
    }
    return false;
}

static bool wait_brake(struct cgroup *cgroup, int wanted)
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

static int64_t oom_kills(struct cgroup *cgroup)
{
    struct cgroup_sample sample;
    return cgroup_read(cgroup, &sample) == 0 ? sample.oom_kills : -1;
}

static bool killed_by(int status, int signal)
{
    return status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == signal;
}

static bool ended_well(int status)
{
    return status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* --- cases --- */

static enum case_outcome create__bad_names__refused(struct cgroup_host *host)
{
    static const char *const names[] = {"", ".", "..", ".x", "a/b", "a b", "a\n", "\xc3\xa4"};
    const struct cgroup_limits none = {0};
    struct cgroup *cgroup;
    for (size_t i = 0; i < FS_COUNT(names); i++)
        REQUIRE(cgroup_create(host, names[i], &none, NULL, &cgroup) == -EINVAL);
    REQUIRE(cgroup_open_existing(host, "nothing", &cgroup) == -ENOENT);
    return CASE_PASSED;
}

static enum case_outcome create__all_limits__read_back(struct cgroup_host *host)
{
    struct cgroup_limits limits = {.memory_bytes = 100000000,
                                   .cpu_millicores = 250,
                                   .cpu_weight = 33,
                                   .io_read_bps = 0,
                                   .io_write_bps = 0};
    bool disk = cgroup_host_features(host) & CGROUP_HAS_IO_THROTTLE;
    limits.io_read_bps = disk ? 10000000 : 0;
    limits.io_write_bps = disk ? 20000000 : 0;
    struct cgroup_apply_result result;
    struct cgroup *cgroup, *other;
    REQUIRE(cgroup_create(host, "limits", &limits, &result, &cgroup) == 0);
    REQUIRE(result.memory == 0 && result.cpu == 0 && result.cpu_weight == 0);
    REQUIRE(result.io_read == 0 && result.io_write == 0);
    REQUIRE(memcmp(cgroup_limits(cgroup), &limits, sizeof limits) == 0);
    REQUIRE(cgroup_open_existing(host, "limits", &other) == 0);
    REQUIRE(cgroup_limits(other)->memory_bytes == 100000000 / 4096 * 4096);
    REQUIRE(cgroup_limits(other)->cpu_millicores == 250 && cgroup_limits(other)->cpu_weight == 33);
    REQUIRE(cgroup_limits(other)->io_read_bps == limits.io_read_bps);
    const struct cgroup_limits less = {.memory_bytes = 50 * MIB, .cpu_millicores = 7, .cpu_weight = 10000};
    REQUIRE(cgroup_apply(cgroup, &less, &result) == 0);
    REQUIRE(memcmp(cgroup_limits(cgroup), &less, sizeof less) == 0);
    const struct cgroup_limits none = {0};
    REQUIRE(cgroup_apply(cgroup, &none, &result) == 0);
    REQUIRE(memcmp(cgroup_limits(cgroup), &none, sizeof none) == 0);
    cgroup_close(other);
    REQUIRE(cgroup_create(host, "limits", &none, NULL, &other) == -EEXIST);
    REQUIRE(cgroup_destroy(cgroup, 0) == 0);
    return CASE_PASSED;
}

static enum case_outcome read__above_limit__oom_kill_counted(struct cgroup_host *host)
{
    struct cgroup *cgroup = make(host, "oom", 30 * MIB);
    REQUIRE(cgroup && oom_kills(cgroup) == 0);
    pid_t pid = kernel_case_start(cgroup, leak_fast, 100);
    REQUIRE(killed_by(kernel_case_wait(pid, DEADLINE_MS), SIGKILL));
    REQUIRE(oom_kills(cgroup) == 1);
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

static enum case_outcome apply__raise_while_growing__program_survives(struct cgroup_host *host)
{
    struct cgroup *cgroup = make(host, "raise", 40 * MIB);
    REQUIRE(cgroup);
    pid_t pid = kernel_case_start(cgroup, leak_slowly, 80);
    REQUIRE(wait_memory(cgroup, 20 * MIB));
    REQUIRE(set_memory(cgroup, 120 * MIB) == 0);
    REQUIRE(ended_well(kernel_case_wait(pid, DEADLINE_MS)));
    REQUIRE(oom_kills(cgroup) == 0);
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

static enum case_outcome apply__below_use__busy_and_unchanged(struct cgroup_host *host)
{
    struct cgroup *cgroup = make(host, "lower", 100 * MIB);
    REQUIRE(cgroup);
    pid_t pid = kernel_case_start(cgroup, hold, 40);
    REQUIRE(wait_memory(cgroup, 40 * MIB));
    REQUIRE(set_memory(cgroup, 20 * MIB) == -EBUSY);
    REQUIRE(cgroup_limits(cgroup)->memory_bytes == 100 * MIB);
    REQUIRE(oom_kills(cgroup) == 0 && kill(pid, 0) == 0);
    REQUIRE(set_memory(cgroup, 70 * MIB) == 0);
    REQUIRE(cgroup_limits(cgroup)->memory_bytes == 70 * MIB);
    REQUIRE(cgroup_kill(cgroup) == 0);
    REQUIRE(killed_by(kernel_case_wait(pid, DEADLINE_MS), SIGKILL));
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

static enum case_outcome brake__fast_ramp__held_until_raised(struct cgroup_host *host)
{
    struct cgroup *cgroup = make(host, "brake", 40 * MIB);
    REQUIRE(cgroup && cgroup_brake_arm(cgroup) == 0);
    REQUIRE(cgroup_brake_engaged(cgroup) == 0);
    pid_t pid = kernel_case_start(cgroup, leak_fast, 100);
    REQUIRE(wait_brake(cgroup, 1));
    REQUIRE(waitpid(pid, NULL, WNOHANG) == 0 && oom_kills(cgroup) == 0);
    REQUIRE(set_memory(cgroup, 200 * MIB) == 0);
    REQUIRE(cgroup_brake_arm(cgroup) == 0);
    REQUIRE(ended_well(kernel_case_wait(pid, DEADLINE_MS)));
    REQUIRE(cgroup_brake_engaged(cgroup) == 0 && oom_kills(cgroup) == 0);
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

static enum case_outcome brake__second_ramp_after_raise__held_again(struct cgroup_host *host)
{
    struct cgroup *cgroup = make(host, "again", 30 * MIB);
    REQUIRE(cgroup && cgroup_brake_arm(cgroup) == 0);
    pid_t pid = kernel_case_start(cgroup, leak_fast, 100);
    REQUIRE(wait_brake(cgroup, 1));
    REQUIRE(set_memory(cgroup, 60 * MIB) == 0 && cgroup_brake_arm(cgroup) == 0);
    REQUIRE(wait_memory(cgroup, 50 * MIB) && wait_brake(cgroup, 1));
    REQUIRE(oom_kills(cgroup) == 0 && waitpid(pid, NULL, WNOHANG) == 0);
    REQUIRE(set_memory(cgroup, 0) == 0);
    REQUIRE(ended_well(kernel_case_wait(pid, DEADLINE_MS)));
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

static enum case_outcome brake__released_to_kernel__oom_kill_is_the_truth(struct cgroup_host *host)
{
    struct cgroup *cgroup = make(host, "release", 30 * MIB);
    REQUIRE(cgroup && cgroup_brake_arm(cgroup) == 0);
    pid_t pid = kernel_case_start(cgroup, leak_fast, 100);
    REQUIRE(wait_brake(cgroup, 1));
    REQUIRE(oom_kills(cgroup) == 0);
    REQUIRE(cgroup_brake_release_to_kernel(cgroup) == 0);
    REQUIRE(killed_by(kernel_case_wait(pid, DEADLINE_MS), SIGKILL));
    REQUIRE(oom_kills(cgroup) == 1);
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

/* What a restarted supervisor finds: the brake holds a program and the one who armed it is gone. */
static enum case_outcome brake__adopted_while_engaged__seen_and_kept(struct cgroup_host *host)
{
    struct cgroup *cgroup = make(host, "adopt", 30 * MIB), *adopted;
    REQUIRE(cgroup && cgroup_brake_arm(cgroup) == 0);
    pid_t pid = kernel_case_start(cgroup, leak_fast, 60);
    REQUIRE(wait_brake(cgroup, 1));
    cgroup_close(cgroup);
    REQUIRE(cgroup_open_existing(host, "adopt", &adopted) == 0);
    REQUIRE(cgroup_limits(adopted)->memory_bytes == 30 * MIB);
    REQUIRE(cgroup_brake_engaged(adopted) == 1);
    REQUIRE(cgroup_brake_arm(adopted) == 0 && wait_brake(adopted, 1));
    struct cgroup_sample sample;
    REQUIRE(cgroup_read(adopted, &sample) == 0 && sample.memory_bytes > 10 * MIB);
    REQUIRE(set_memory(adopted, 100 * MIB) == 0);
    REQUIRE(ended_well(kernel_case_wait(pid, DEADLINE_MS)));
    REQUIRE(cgroup_destroy(adopted, 5000) == 0);
    return CASE_PASSED;
}

static enum case_outcome apply__cpu_quota__throttled_then_free(struct cgroup_host *host)
{
    struct cgroup_limits limits = {.cpu_millicores = 200};
    struct cgroup_apply_result result;
    struct cgroup_sample sample;
    struct cgroup *cgroup;
    REQUIRE(cgroup_create(host, "cpu", &limits, &result, &cgroup) == 0 && result.cpu == 0);
    int64_t start = clock_monotonic_ms();
    pid_t pid = kernel_case_start(cgroup, spin, 300);
    REQUIRE(ended_well(kernel_case_wait(pid, DEADLINE_MS)));
    int64_t elapsed_ms = clock_monotonic_ms() - start;
    REQUIRE(elapsed_ms >= 1000); /* 300 ms of CPU at a fifth of one, less one period */
    REQUIRE(cgroup_read(cgroup, &sample) == 0);
    printf("quota 200: %lld us used in %lld ms, %lld us throttled in %lld of %lld periods\n",
           (long long)sample.cpu_usage_us, (long long)elapsed_ms, (long long)sample.cpu_throttled_us,
           (long long)sample.cpu_throttled_periods, (long long)sample.cpu_periods);
    /* An emulated CPU that waits for a real one counts that as use, so the upper bound is wide. */
    REQUIRE(sample.cpu_usage_us >= 250000 && sample.cpu_usage_us < 3000000);
    REQUIRE(sample.cpu_throttled_periods > 2 && sample.cpu_throttled_us > 300000 && sample.cpu_periods > 4);
    limits.cpu_millicores = 0;
    REQUIRE(cgroup_apply(cgroup, &limits, &result) == 0);
    int64_t throttled = sample.cpu_throttled_us;
    pid = kernel_case_start(cgroup, spin, 200);
    REQUIRE(ended_well(kernel_case_wait(pid, DEADLINE_MS)));
    REQUIRE(cgroup_read(cgroup, &sample) == 0 && sample.cpu_throttled_us == throttled);
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

static char io_path[64];

static int read_directly(int mib)
{
    int fd = open(io_path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    void *piece = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fd < 0 || piece == MAP_FAILED)
        return 3;
    for (int i = 0; i < mib; i++) {
        if (pread(fd, piece, MIB, i * MIB) != MIB)
            return 4;
    }
    return 0;
}

static bool make_file(int mib)
{
    static char piece[1 << 20];
    int fd = open(io_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0;
    for (int i = 0; ok && i < mib; i++) {
        memset(piece, i + 1, sizeof piece);
        ok = write(fd, piece, sizeof piece) == (ssize_t)sizeof piece;
    }
    ok = ok && fsync(fd) == 0;
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

static enum case_outcome throttle_reads(struct cgroup_host *host)
{
    struct cgroup_limits limits = {.io_read_bps = 4 * MIB};
    struct cgroup_apply_result result;
    struct cgroup_sample sample;
    struct cgroup *cgroup;
    REQUIRE(cgroup_create(host, "io", &limits, &result, &cgroup) == 0 && result.io_read == 0);
    int64_t start = clock_monotonic_ms();
    int status = kernel_case_wait(kernel_case_start(cgroup, read_directly, 6), DEADLINE_MS);
    REQUIRE(ended_well(status));
    REQUIRE(clock_monotonic_ms() - start >= 1000); /* 1.5 s less what the throttle lets through at once */
    REQUIRE(cgroup_read(cgroup, &sample) == 0);
    REQUIRE(sample.io_read_bytes >= 6 * MIB && sample.io_read_bytes < 8 * MIB && sample.io_read_ops >= 6);
    REQUIRE(sample.io_some_us > 300000 || !(cgroup_host_features(host) & CGROUP_HAS_PSI));
    limits.io_read_bps = 0;
    REQUIRE(cgroup_apply(cgroup, &limits, &result) == 0);
    REQUIRE(ended_well(kernel_case_wait(kernel_case_start(cgroup, read_directly, 6), DEADLINE_MS)));
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

static enum case_outcome apply__read_bandwidth__slows_and_frees(struct cgroup_host *host)
{
    if (!(cgroup_host_features(host) & CGROUP_HAS_IO_THROTTLE))
        return CASE_SKIPPED;
    (void)snprintf(io_path, sizeof io_path, "forestall-test-%d.data", (int)getpid());
    if (!make_file(6)) {
        (void)unlink(io_path);
        return CASE_FAILED;
    }
    enum case_outcome outcome = throttle_reads(host);
    (void)unlink(io_path);
    return outcome;
}

static enum case_outcome kill__forking_tree__all_gone(struct cgroup_host *host)
{
    struct cgroup *cgroup = make(host, "tree", 200 * MIB);
    REQUIRE(cgroup);
    pid_t pid = kernel_case_start(cgroup, fork_for_ever, 6);
    int64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
    while (cgroup_population(cgroup) < 8 && clock_monotonic_ms() < deadline)
        pause_us(500);
    REQUIRE(cgroup_population(cgroup) >= 2);
    REQUIRE(cgroup_destroy(cgroup, 0) == -EBUSY);
    REQUIRE(cgroup_kill(cgroup) == 0);
    REQUIRE(killed_by(kernel_case_wait(pid, DEADLINE_MS), SIGKILL));
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

static int count_one(void *context, const char *name)
{
    int *count = context;
    if (strncmp(name, "left-", 5) == 0)
        (*count)++;
    return 0;
}

static enum case_outcome list__leftovers__each_once_and_adoptable(struct cgroup_host *host)
{
    int count = 0;
    struct cgroup *first = make(host, "left-1", 64 * MIB), *second = make(host, "left-2", 0);
    REQUIRE(first && second);
    cgroup_close(first);
    cgroup_close(second);
    REQUIRE(cgroup_list(host, count_one, &count) == 0 && count == 2);
    REQUIRE(cgroup_host_remove(host) == -EBUSY);
    REQUIRE(cgroup_open_existing(host, "left-1", &first) == 0);
    REQUIRE(cgroup_limits(first)->memory_bytes == 64 * MIB);
    REQUIRE(cgroup_destroy(first, 0) == 0);
    REQUIRE(kernel_cases_clean(host) == 0);
    count = 0;
    REQUIRE(cgroup_list(host, count_one, &count) == 0 && count == 0);
    return CASE_PASSED;
}

static enum case_outcome create__subtree_removed_meanwhile__made_again(struct cgroup_host *host)
{
    REQUIRE(cgroup_host_remove(host) == 0);
    struct cgroup *cgroup = make(host, "back", 64 * MIB);
    REQUIRE(cgroup && cgroup_destroy(cgroup, 0) == 0);
    return CASE_PASSED;
}

static enum case_outcome read__removed_cgroup__not_found(struct cgroup_host *host)
{
    struct cgroup_sample sample;
    struct cgroup *cgroup = make(host, "gone", 0), *other;
    REQUIRE(cgroup && cgroup_open_existing(host, "gone", &other) == 0);
    REQUIRE(cgroup_destroy(cgroup, 0) == 0);
    REQUIRE(cgroup_read(other, &sample) == -ENOENT);
    cgroup_close(other);
    return CASE_PASSED;
}

static enum case_outcome read__sampling_cost__measured(struct cgroup_host *host)
{
    enum { ROUNDS = 1000 };
    struct cgroup_sample sample;
    struct cgroup *cgroup = make(host, "cost", 0);
    REQUIRE(cgroup);
    pid_t pid = kernel_case_start(cgroup, hold, 1);
    REQUIRE(wait_memory(cgroup, MIB));
    int64_t start = clock_monotonic_us();
    for (int i = 0; i < ROUNDS; i++)
        REQUIRE(cgroup_read(cgroup, &sample) == 0);
    printf("sample: %.1f us\n", (double)(clock_monotonic_us() - start) / ROUNDS);
    REQUIRE(sample.tasks == 1 && sample.memory_bytes >= MIB / 2);
    REQUIRE(cgroup_kill(cgroup) == 0);
    REQUIRE(killed_by(kernel_case_wait(pid, DEADLINE_MS), SIGKILL));
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

#define CASE(name)                                                                                           \
    {                                                                                                        \
#name, name                                                                                          \
    }
const struct kernel_case kernel_cases[] = {
    CASE(create__bad_names__refused),
    CASE(create__all_limits__read_back),
    CASE(read__above_limit__oom_kill_counted),
    CASE(apply__raise_while_growing__program_survives),
    CASE(apply__below_use__busy_and_unchanged),
    CASE(brake__fast_ramp__held_until_raised),
    CASE(brake__second_ramp_after_raise__held_again),
    CASE(brake__released_to_kernel__oom_kill_is_the_truth),
    CASE(brake__adopted_while_engaged__seen_and_kept),
    CASE(apply__cpu_quota__throttled_then_free),
    CASE(apply__read_bandwidth__slows_and_frees),
    CASE(kill__forking_tree__all_gone),
    CASE(list__leftovers__each_once_and_adoptable),
    CASE(create__subtree_removed_meanwhile__made_again),
    CASE(read__removed_cgroup__not_found),
    CASE(read__sampling_cost__measured),
};
const size_t kernel_case_count = FS_COUNT(kernel_cases);
