/* Programs with a known appetite, and waiting for what the kernel shows of them. */
#ifndef FORESTALL_TESTS_AGENT_KERNEL_LOADS_H
#define FORESTALL_TESTS_AGENT_KERNEL_LOADS_H

#include "agent/cgroup.h"

#define DEADLINE_MS 20000

/* Forks a child that enters the cgroup and runs body(argument); its result is the exit status. */
pid_t kernel_case_start(const struct cgroup *cgroup, int (*body)(int argument), int argument);
/* Waits for the child until the deadline; its wait status, or -1. */
int kernel_case_wait(pid_t pid, int timeout_ms);
/* Kills and removes whatever a case has left in the host's subtree. 0, or negative when something stays. */
int kernel_cases_clean(struct cgroup_host *host);

void load_pause_us(long us);
/* Touch so many MiB and end: at once, or 50 MiB/s. */
int load_leak_fast(int mib);
int load_leak_slowly(int mib);
/* Grows by what read(2) fills, 100 MiB/s; 4 when a read fails, as it does at a limit without waiting. */
int load_read_in(int mib);
/* Touches so many MiB and stays. */
int load_hold(int mib);
int load_spin(int cpu_ms);
int load_fork_for_ever(int width);

/* A cgroup with a memory limit (0 = none), NULL when that fails. */
struct cgroup *case_make(struct cgroup_host *host, const char *name, int64_t memory_bytes);
int case_set_memory(struct cgroup *cgroup, int64_t bytes);
bool case_wait_memory(struct cgroup *cgroup, int64_t bytes);
/* Waits on the brake's descriptor until cgroup_brake_engaged says wanted. */
bool case_wait_brake(struct cgroup *cgroup, int wanted);
int64_t case_oom_kills(struct cgroup *cgroup);
bool case_killed_by(int status, int signal);
bool case_ended_well(int status);

#endif
