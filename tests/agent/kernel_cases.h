/* What the cgroup layer promises, as cases with real processes that run on both layouts: in test_cgroup on
 * this machine, and in the guest of the v2 test under QEMU. */
#ifndef FORESTALL_TESTS_AGENT_KERNEL_CASES_H
#define FORESTALL_TESTS_AGENT_KERNEL_CASES_H

#include "agent/cgroup.h"

enum case_outcome { CASE_PASSED, CASE_FAILED, CASE_SKIPPED };

struct kernel_case {
    const char *name; /* function__condition__result */
    enum case_outcome (*run)(struct cgroup_host *host);
};

extern const struct kernel_case kernel_cases[];
extern const size_t kernel_case_count;

#endif
