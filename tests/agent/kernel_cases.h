/* What the cgroup layer promises, as cases with real processes that run on both layouts: in test_cgroup on
 * this machine, and in the guest of the v2 test under QEMU. */
#ifndef FORESTALL_TESTS_AGENT_KERNEL_CASES_H
#define FORESTALL_TESTS_AGENT_KERNEL_CASES_H

#include <stdio.h>

#include "agent/cgroup.h"

enum case_outcome { CASE_PASSED, CASE_FAILED, CASE_SKIPPED };

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            printf("%s:%d: %s\n", __func__, __LINE__, #condition);                                           \
            return CASE_FAILED;                                                                              \
        }                                                                                                    \
    } while (0)

struct kernel_case {
    const char *name; /* function__condition__result */
    enum case_outcome (*run)(struct cgroup_host *host);
};

extern const struct kernel_case kernel_cases[];
extern const size_t kernel_case_count;

/* kernel_processes.c */
enum case_outcome processes__program_and_the_child_it_waited_for__reads_counted(struct cgroup_host *host);
enum case_outcome processes__memory_asked_for_and_not_used__counted(struct cgroup_host *host);
enum case_outcome processes__more_than_are_asked__refused(struct cgroup_host *host);

#endif
