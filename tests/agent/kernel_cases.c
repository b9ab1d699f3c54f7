/* See kernel_cases.h. The cases wait for what the kernel shows, with deadlines. */
#include "tests/agent/kernel_cases.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/agent/kernel_loads.h"

#define MIB (1LL << 20)

static bool same_limits(const struct cgroup_limits *a, const struct cgroup_limits *b)
{
    return a->memory_bytes == b->memory_bytes && a->cpu_millicores == b->cpu_millicores &&
           a->cpu_weight == b->cpu_weight && a->io_read_bps == b->io_read_bps &&
           a->io_write_bps == b->io_write_bps && a->io_weight == b->io_weight &&
           a->net_egress_bps == b->net_egress_bps && a->net_priority == b->net_priority;
}

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
    REQUIRE(same_limits(cgroup_limits(cgroup), &limits));
    REQUIRE(cgroup_open_existing(host, "limits", &other) == 0);
    REQUIRE(cgroup_limits(other)->memory_bytes == 99999744LL);
    REQUIRE(cgroup_limits(other)->cpu_millicores == 250 && cgroup_limits(other)->cpu_weight == 33);
    REQUIRE(cgroup_limits(other)->io_read_bps == limits.io_read_bps);
    const struct cgroup_limits less = {.memory_bytes = 50 * MIB, .cpu_millicores = 7, .cpu_weight = 10000};
    REQUIRE(cgroup_apply(cgroup, &less, &result) == 0);
    REQUIRE(same_limits(cgroup_limits(cgroup), &less));
    const struct cgroup_limits none = {0};
    REQUIRE(cgroup_apply(cgroup, &none, &result) == 0);
    REQUIRE(same_limits(cgroup_limits(cgroup), &none));
    cgroup_close(other);
    REQUIRE(cgroup_create(host, "limits", &none, NULL, &other) == -EEXIST);
    REQUIRE(cgroup_destroy(cgroup, 0) == 0);
    return CASE_PASSED;
}

static enum case_outcome apply__no_descriptor_left__limits_known_as_they_are(struct cgroup_host *host)
{
    const struct cgroup_limits none = {0};
    struct cgroup_limits limits = {.memory_bytes = 64 * MIB, .cpu_millicores = 250, .cpu_weight = 33};
    if (cgroup_host_features(host) & CGROUP_HAS_IO_THROTTLE)
        limits.io_read_bps = limits.io_write_bps = 10000000;
    struct cgroup_apply_result done;
    struct cgroup *cgroup;
    struct rlimit files;
    REQUIRE(cgroup_create(host, "files", &limits, &done, &cgroup) == 0);
    REQUIRE(getrlimit(RLIMIT_NOFILE, &files) == 0);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = 0, .rlim_max = files.rlim_max}) == 0);
    int result = cgroup_apply(cgroup, &none, &done);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &files) == 0);
    REQUIRE(result == -EMFILE && same_limits(cgroup_limits(cgroup), &limits));
    REQUIRE(cgroup_destroy(cgroup, 0) == 0);
    return CASE_PASSED;
}

static enum case_outcome read__above_limit__oom_kill_counted(struct cgroup_host *host)
{
    struct cgroup *cgroup = case_make(host, "oom", 30 * MIB);
    REQUIRE(cgroup && case_oom_kills(cgroup) == 0);
    pid_t pid = kernel_case_start(cgroup, load_leak_fast, 100);
    REQUIRE(case_killed_by(kernel_case_wait(pid, DEADLINE_MS), SIGKILL));
    REQUIRE(case_oom_kills(cgroup) == 1);
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

static enum case_outcome apply__raise_while_growing__program_survives(struct cgroup_host *host)
{
    struct cgroup *cgroup = case_make(host, "raise", 40 * MIB);
    REQUIRE(cgroup);
    pid_t pid = kernel_case_start(cgroup, load_leak_slowly, 80);
    REQUIRE(case_wait_memory(cgroup, 20 * MIB));
    REQUIRE(case_set_memory(cgroup, 120 * MIB) == 0);
    REQUIRE(case_ended_well(kernel_case_wait(pid, DEADLINE_MS)));
    REQUIRE(case_oom_kills(cgroup) == 0);
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

static enum case_outcome apply__below_use__busy_and_unchanged(struct cgroup_host *host)
{
    struct cgroup *cgroup = case_make(host, "lower", 100 * MIB);
    REQUIRE(cgroup);
    pid_t pid = kernel_case_start(cgroup, load_hold, 40);
    REQUIRE(case_wait_memory(cgroup, 40 * MIB));
    REQUIRE(case_set_memory(cgroup, 20 * MIB) == -EBUSY);
    REQUIRE(cgroup_limits(cgroup)->memory_bytes == 100 * MIB);
    REQUIRE(case_oom_kills(cgroup) == 0 && kill(pid, 0) == 0);
    REQUIRE(case_set_memory(cgroup, 70 * MIB) == 0);
    REQUIRE(cgroup_limits(cgroup)->memory_bytes == 70 * MIB);
    REQUIRE(cgroup_kill(cgroup) == 0);
    REQUIRE(case_killed_by(kernel_case_wait(pid, DEADLINE_MS), SIGKILL));
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

static enum case_outcome brake__fast_ramp__held_until_raised(struct cgroup_host *host)
{
    struct cgroup *cgroup = case_make(host, "brake", 40 * MIB);
    REQUIRE(cgroup && cgroup_brake_arm(cgroup) == 0);
    REQUIRE(cgroup_brake_engaged(cgroup) == 0);
    pid_t pid = kernel_case_start(cgroup, load_leak_fast, 100);
    REQUIRE(case_wait_brake(cgroup, 1));
    REQUIRE(waitpid(pid, NULL, WNOHANG) == 0 && case_oom_kills(cgroup) == 0);
    REQUIRE(case_set_memory(cgroup, 200 * MIB) == 0);
    REQUIRE(cgroup_brake_arm(cgroup) == 0);
    REQUIRE(case_ended_well(kernel_case_wait(pid, DEADLINE_MS)));
    REQUIRE(cgroup_brake_engaged(cgroup) == 0 && case_oom_kills(cgroup) == 0);
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

static char io_path[64];

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

static int load_write_file(int mib)
{
    return make_file(mib) ? 0 : 3;
}

/* Memory that a system call needs is refused at the limit, not waited for; so the brake must hold before it.
 */
static enum case_outcome brake__growth_in_system_calls__held_and_no_error(struct cgroup_host *host)
{
    struct cgroup *cgroup = case_make(host, "reading", 40 * MIB);
    REQUIRE(cgroup && cgroup_brake_arm(cgroup) == 0);
    pid_t pid = kernel_case_start(cgroup, load_read_in, 100);
    for (int64_t limit = 80 * MIB; limit <= 160 * MIB; limit += 80 * MIB) {
        REQUIRE(case_wait_brake(cgroup, 1));
        REQUIRE(waitpid(pid, NULL, WNOHANG) == 0 && case_oom_kills(cgroup) == 0);
        REQUIRE(case_set_memory(cgroup, limit) == 0 && cgroup_brake_arm(cgroup) == 0);
    }
    REQUIRE(case_ended_well(kernel_case_wait(pid, DEADLINE_MS)));
    REQUIRE(case_oom_kills(cgroup) == 0);
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

static enum case_outcome brake__page_cache_only__not_engaged(struct cgroup_host *host)
{
    short events;
    struct cgroup *cgroup = case_make(host, "cache", 16 * MIB);
    REQUIRE(cgroup && cgroup_brake_arm(cgroup) == 0);
    (void)snprintf(io_path, sizeof io_path, "forestall-test-%d.cache", (int)getpid());
    pid_t pid = kernel_case_start(cgroup, load_write_file, 40);
    int engaged = 0, status = 0;
    int64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
    while (waitpid(pid, &status, WNOHANG) == 0 && engaged == 0 && clock_monotonic_ms() < deadline) {
        struct pollfd entry = {.fd = cgroup_brake_fd(cgroup, &events), .events = events};
        (void)poll(&entry, 1, 5);
        engaged = cgroup_brake_engaged(cgroup);
    }
    (void)unlink(io_path);
    REQUIRE(engaged == 0 && case_ended_well(status));
    REQUIRE(case_oom_kills(cgroup) == 0 && cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

static enum case_outcome brake__second_ramp_after_raise__held_again(struct cgroup_host *host)
{
    struct cgroup *cgroup = case_make(host, "again", 30 * MIB);
    REQUIRE(cgroup && cgroup_brake_arm(cgroup) == 0);
    pid_t pid = kernel_case_start(cgroup, load_leak_fast, 100);
    REQUIRE(case_wait_brake(cgroup, 1));
    REQUIRE(case_set_memory(cgroup, 60 * MIB) == 0 && cgroup_brake_arm(cgroup) == 0);
    REQUIRE(case_wait_memory(cgroup, 50 * MIB) && case_wait_brake(cgroup, 1));
    REQUIRE(case_oom_kills(cgroup) == 0 && waitpid(pid, NULL, WNOHANG) == 0);
    REQUIRE(case_set_memory(cgroup, 0) == 0);
    REQUIRE(case_ended_well(kernel_case_wait(pid, DEADLINE_MS)));
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

/* The raise comes from another process, the agent, at any moment of what the holder does. */
static enum case_outcome brake__raised_while_it_takes_hold__lets_go(struct cgroup_host *host)
{
    enum { ROUNDS = 40, LATEST_US = 25000 };
    unsigned seed = (unsigned)clock_monotonic_us();
    int status = 0;
    struct cgroup *cgroup = case_make(host, "race", 60 * MIB), *agent;
    REQUIRE(cgroup && cgroup_brake_arm(cgroup) == 0 && cgroup_open_existing(host, "race", &agent) == 0);
    pid_t pid = kernel_case_start(cgroup, load_hold, 27), raiser;
    REQUIRE(case_wait_memory(cgroup, 26 * MIB));
    printf("seed %u\n", seed);
    for (int round = 0; round < ROUNDS; round++) {
        REQUIRE(cgroup_reload(agent) == 0 && case_set_memory(agent, 30 * MIB) == 0);
        raiser = fork();
        if (raiser == 0) {
            load_pause_us(rand_r(&seed) % LATEST_US);
            _exit(case_set_memory(agent, 60 * MIB) == 0 ? 0 : 1);
        }
        REQUIRE(raiser > 0);
        do
            REQUIRE(cgroup_brake_engaged(cgroup) >= 0);
        while (waitpid(raiser, &status, WNOHANG) == 0);
        (void)rand_r(&seed);
        REQUIRE(case_ended_well(status) && case_wait_brake(cgroup, 0));
    }
    (void)kill(pid, SIGKILL);
    REQUIRE(case_killed_by(kernel_case_wait(pid, DEADLINE_MS), SIGKILL));
    cgroup_close(agent);
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

static enum case_outcome brake__released_to_kernel__oom_kill_is_the_truth(struct cgroup_host *host)
{
    struct cgroup *cgroup = case_make(host, "release", 30 * MIB);
    REQUIRE(cgroup && cgroup_brake_arm(cgroup) == 0);
    pid_t pid = kernel_case_start(cgroup, load_leak_fast, 100);
    REQUIRE(case_wait_brake(cgroup, 1));
    REQUIRE(case_oom_kills(cgroup) == 0);
    REQUIRE(cgroup_brake_release_to_kernel(cgroup) == 0);
    REQUIRE(case_killed_by(kernel_case_wait(pid, DEADLINE_MS), SIGKILL));
    REQUIRE(case_oom_kills(cgroup) == 1);
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

/* What a restarted supervisor finds: the brake holds a program and the one who armed it is gone. */
static enum case_outcome brake__adopted_while_engaged__seen_and_kept(struct cgroup_host *host)
{
    struct cgroup *cgroup = case_make(host, "adopt", 30 * MIB), *adopted;
    REQUIRE(cgroup && cgroup_brake_arm(cgroup) == 0);
    pid_t pid = kernel_case_start(cgroup, load_leak_fast, 60);
    REQUIRE(case_wait_brake(cgroup, 1));
    cgroup_close(cgroup);
    REQUIRE(cgroup_open_existing(host, "adopt", &adopted) == 0);
    REQUIRE(cgroup_limits(adopted)->memory_bytes == 30 * MIB);
    REQUIRE(cgroup_brake_engaged(adopted) == 1);
    REQUIRE(cgroup_brake_arm(adopted) == 0 && case_wait_brake(adopted, 1));
    struct cgroup_sample sample;
    REQUIRE(cgroup_read(adopted, &sample) == 0 && sample.memory_bytes > 10 * MIB);
    REQUIRE(case_set_memory(adopted, 100 * MIB) == 0);
    REQUIRE(case_ended_well(kernel_case_wait(pid, DEADLINE_MS)));
    REQUIRE(cgroup_destroy(adopted, 5000) == 0);
    return CASE_PASSED;
}

/* What a program holds of its own is told apart from page cache, which gives way. */
static enum case_outcome held__own_memory_and_page_cache__told_apart(struct cgroup_host *host)
{
    struct cgroup *cgroup = case_make(host, "held", 64 * MIB);
    int64_t usage, held;
    REQUIRE(cgroup);
    (void)snprintf(io_path, sizeof io_path, "forestall-test-%d.held", (int)getpid());
    int status = kernel_case_wait(kernel_case_start(cgroup, load_write_file, 40), DEADLINE_MS);
    REQUIRE(case_ended_well(status));
    REQUIRE(cgroup_memory_usage(cgroup, &usage) == 0 && cgroup_memory_held(cgroup, &held) == 0);
    REQUIRE(usage > 30 * MIB && held < 8 * MIB);
    (void)unlink(io_path);
    pid_t pid = kernel_case_start(cgroup, load_leak_slowly, 40);
    int64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
    do
        REQUIRE(cgroup_memory_held(cgroup, &held) == 0);
    while (held < 20 * MIB && clock_monotonic_ms() < deadline);
    REQUIRE(held >= 20 * MIB && cgroup_memory_usage(cgroup, &usage) == 0 && usage >= held - 2 * MIB);
    REQUIRE(case_ended_well(kernel_case_wait(pid, DEADLINE_MS)));
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
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
    pid_t pid = kernel_case_start(cgroup, load_spin, 300);
    REQUIRE(case_ended_well(kernel_case_wait(pid, DEADLINE_MS)));
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
    pid = kernel_case_start(cgroup, load_spin, 200);
    REQUIRE(case_ended_well(kernel_case_wait(pid, DEADLINE_MS)));
    /* The period that was throttled when the quota went may be booked late; at the old quota it would be 800
     * ms. */
    REQUIRE(cgroup_read(cgroup, &sample) == 0 && sample.cpu_throttled_us < throttled + 200000);
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

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

static enum case_outcome throttle_reads(struct cgroup_host *host)
{
    struct cgroup_limits limits = {.io_read_bps = 4 * MIB};
    struct cgroup_apply_result result;
    struct cgroup_sample sample;
    struct cgroup *cgroup;
    REQUIRE(cgroup_create(host, "io", &limits, &result, &cgroup) == 0 && result.io_read == 0);
    int64_t start = clock_monotonic_ms();
    int status = kernel_case_wait(kernel_case_start(cgroup, read_directly, 6), DEADLINE_MS);
    REQUIRE(case_ended_well(status));
    REQUIRE(clock_monotonic_ms() - start >= 1000); /* 1.5 s less what the throttle lets through at once */
    REQUIRE(cgroup_read(cgroup, &sample) == 0);
    REQUIRE(sample.io_read_bytes >= 6 * MIB && sample.io_read_bytes < 8 * MIB && sample.io_read_ops >= 6);
    REQUIRE(sample.io_some_us > 300000 || !(cgroup_host_features(host) & CGROUP_HAS_PSI));
    limits.io_read_bps = 0;
    REQUIRE(cgroup_apply(cgroup, &limits, &result) == 0);
    REQUIRE(case_ended_well(kernel_case_wait(kernel_case_start(cgroup, read_directly, 6), DEADLINE_MS)));
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
    struct cgroup *cgroup = case_make(host, "tree", 200 * MIB);
    REQUIRE(cgroup);
    pid_t pid = kernel_case_start(cgroup, load_fork_for_ever, 6);
    int64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
    while (cgroup_population(cgroup) < 8 && clock_monotonic_ms() < deadline)
        load_pause_us(500);
    REQUIRE(cgroup_population(cgroup) >= 2);
    REQUIRE(cgroup_destroy(cgroup, 0) == -EBUSY);
    REQUIRE(cgroup_kill(cgroup) == 0);
    REQUIRE(case_killed_by(kernel_case_wait(pid, DEADLINE_MS), SIGKILL));
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
    struct cgroup *first = case_make(host, "left-1", 64 * MIB), *second = case_make(host, "left-2", 0);
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
    struct cgroup *cgroup = case_make(host, "back", 64 * MIB);
    REQUIRE(cgroup && cgroup_destroy(cgroup, 0) == 0);
    return CASE_PASSED;
}

static enum case_outcome read__removed_cgroup__not_found(struct cgroup_host *host)
{
    struct cgroup_sample sample;
    struct cgroup *cgroup = case_make(host, "gone", 0), *other;
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
    struct cgroup *cgroup = case_make(host, "cost", 0);
    REQUIRE(cgroup);
    pid_t pid = kernel_case_start(cgroup, load_hold, 1);
    REQUIRE(case_wait_memory(cgroup, MIB));
    int64_t start = clock_monotonic_us();
    for (int i = 0; i < ROUNDS; i++)
        REQUIRE(cgroup_read(cgroup, &sample) == 0);
    printf("sample: %.1f us\n", (double)(clock_monotonic_us() - start) / ROUNDS);
    REQUIRE(sample.tasks == 1 && sample.memory_bytes >= MIB / 2);
    REQUIRE(cgroup_kill(cgroup) == 0);
    REQUIRE(case_killed_by(kernel_case_wait(pid, DEADLINE_MS), SIGKILL));
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
    CASE(apply__no_descriptor_left__limits_known_as_they_are),
    CASE(read__above_limit__oom_kill_counted),
    CASE(apply__raise_while_growing__program_survives),
    CASE(apply__below_use__busy_and_unchanged),
    CASE(brake__fast_ramp__held_until_raised),
    CASE(brake__growth_in_system_calls__held_and_no_error),
    CASE(brake__page_cache_only__not_engaged),
    CASE(brake__second_ramp_after_raise__held_again),
    CASE(brake__raised_while_it_takes_hold__lets_go),
    CASE(brake__released_to_kernel__oom_kill_is_the_truth),
    CASE(brake__adopted_while_engaged__seen_and_kept),
    CASE(held__own_memory_and_page_cache__told_apart),
    CASE(processes__program_and_the_child_it_waited_for__reads_counted),
    CASE(processes__memory_asked_for_and_not_used__counted),
    CASE(processes__more_than_are_asked__refused),
    CASE(apply__cpu_quota__throttled_then_free),
    CASE(apply__read_bandwidth__slows_and_frees),
    CASE(kill__forking_tree__all_gone),
    CASE(list__leftovers__each_once_and_adoptable),
    CASE(create__subtree_removed_meanwhile__made_again),
    CASE(read__removed_cgroup__not_found),
    CASE(read__sampling_cost__measured),
};
const size_t kernel_case_count = FS_COUNT(kernel_cases);
