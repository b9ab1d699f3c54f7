/* What the cgroup layer sums up over processes: what they read, what memory they asked for. See
 * kernel_cases.h. */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/agent/kernel_cases.h"
#include "tests/agent/kernel_loads.h"

#define MIB (1LL << 20)

static _Noreturn void wait_for_ever(void)
{
    for (;;)
        (void)pause();
}

/* So many MiB by a child, then as many by itself. */
static int read_twice_and_hold(int mib)
{
    pid_t child = fork();
    if (child == 0)
        _exit(load_read_in(mib));
    if (child < 0 || waitpid(child, NULL, 0) != child || load_read_in(mib) != 0)
        return 3;
    wait_for_ever();
}

static int be_many(int others)
{
    for (int i = 0; i < others; i++)
        if (fork() == 0)
            wait_for_ever();
    wait_for_ever();
}

/* Asks for so many MiB and uses none of it. */
static int ask_and_hold(int mib)
{
    if (mmap(NULL, (size_t)mib * (size_t)MIB, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
        return 3;
    wait_for_ever();
}

enum case_outcome processes__program_and_the_child_it_waited_for__reads_counted(struct cgroup_host *host)
{
    struct cgroup *cgroup = case_make(host, "reads", 0);
    struct cgroup_processes sums = {-1, -1};
    int64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
    REQUIRE(cgroup && cgroup_processes(cgroup, true, &sums) == 0 && sums.read_bytes == 0);
    pid_t pid = kernel_case_start(cgroup, read_twice_and_hold, 3);
    while (sums.read_bytes < 6 * MIB && clock_monotonic_ms() < deadline)
        REQUIRE(cgroup_processes(cgroup, true, &sums) == 0);
    REQUIRE(sums.read_bytes >= 6 * MIB && sums.read_bytes < 7 * MIB);
    REQUIRE(cgroup_processes(cgroup, false, &sums) == 0 && sums.read_bytes == 0);
    REQUIRE(cgroup_kill(cgroup) == 0);
    REQUIRE(case_killed_by(kernel_case_wait(pid, DEADLINE_MS), SIGKILL));
    REQUIRE(cgroup_processes(cgroup, true, &sums) == 0 && sums.read_bytes == 0);
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

enum case_outcome processes__memory_asked_for_and_not_used__counted(struct cgroup_host *host)
{
    enum { ASKED = 300 };
    struct cgroup *cgroup = case_make(host, "asked", 0);
    struct cgroup_processes sums = {0};
    int64_t held, deadline = clock_monotonic_ms() + DEADLINE_MS;
    REQUIRE(cgroup);
    pid_t pid = kernel_case_start(cgroup, ask_and_hold, ASKED);
    while (sums.data_bytes < ASKED * MIB && clock_monotonic_ms() < deadline)
        REQUIRE(cgroup_processes(cgroup, false, &sums) == 0);
    REQUIRE(sums.data_bytes >= ASKED * MIB && sums.data_bytes < 2 * (ASKED * MIB));
    REQUIRE(cgroup_memory_held(cgroup, &held) == 0 && held < ASKED * MIB / 2);
    REQUIRE(cgroup_kill(cgroup) == 0);
    REQUIRE(case_killed_by(kernel_case_wait(pid, DEADLINE_MS), SIGKILL));
    REQUIRE(cgroup_processes(cgroup, false, &sums) == 0 && sums.data_bytes == 0);
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

enum case_outcome processes__more_than_are_asked__refused(struct cgroup_host *host)
{
    struct cgroup *cgroup = case_make(host, "crowd", 0);
    struct cgroup_processes sums;
    int64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
    REQUIRE(cgroup);
    pid_t pid = kernel_case_start(cgroup, be_many, CGROUP_PROCESSES_MAX);
    while (cgroup_processes(cgroup, true, &sums) != -E2BIG)
        REQUIRE(clock_monotonic_ms() < deadline);
    REQUIRE(cgroup_kill(cgroup) == 0);
    REQUIRE(case_killed_by(kernel_case_wait(pid, DEADLINE_MS), SIGKILL));
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}
