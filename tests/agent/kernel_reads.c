/* What processes read by system calls, as the cgroup layer counts it. See kernel_cases.h. */
#include <errno.h>
#include <signal.h>
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

enum case_outcome reads__program_and_the_child_it_waited_for__counted(struct cgroup_host *host)
{
    struct cgroup *cgroup = case_make(host, "reads", 0);
    int64_t bytes = -1, deadline = clock_monotonic_ms() + DEADLINE_MS;
    REQUIRE(cgroup && cgroup_reads(cgroup, &bytes) == 0 && bytes == 0);
    pid_t pid = kernel_case_start(cgroup, read_twice_and_hold, 3);
    while (bytes < 6 * MIB && clock_monotonic_ms() < deadline)
        REQUIRE(cgroup_reads(cgroup, &bytes) == 0);
    REQUIRE(bytes >= 6 * MIB && bytes < 7 * MIB);
    REQUIRE(cgroup_kill(cgroup) == 0);
    REQUIRE(case_killed_by(kernel_case_wait(pid, DEADLINE_MS), SIGKILL));
    REQUIRE(cgroup_reads(cgroup, &bytes) == 0 && bytes == 0);
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}

enum case_outcome reads__more_processes_than_are_asked__refused(struct cgroup_host *host)
{
    struct cgroup *cgroup = case_make(host, "crowd", 0);
    int64_t bytes, deadline = clock_monotonic_ms() + DEADLINE_MS;
    REQUIRE(cgroup);
    pid_t pid = kernel_case_start(cgroup, be_many, CGROUP_READS_PROCESSES);
    while (cgroup_reads(cgroup, &bytes) != -E2BIG)
        REQUIRE(clock_monotonic_ms() < deadline);
    REQUIRE(cgroup_kill(cgroup) == 0);
    REQUIRE(case_killed_by(kernel_case_wait(pid, DEADLINE_MS), SIGKILL));
    REQUIRE(cgroup_destroy(cgroup, 5000) == 0);
    return CASE_PASSED;
}
