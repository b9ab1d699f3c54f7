/* The cases of kernel_cases.c on this machine's own layout, and what only some layouts have: kill without
 * cgroup.kill, sampling without kept files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/cgroup_internal.h"
#include "tests/agent/kernel_cases.h"
#include "tests/agent/kernel_loads.h"

static struct cgroup_host *host;

static int open_host(void **state)
{
    (void)state;
    char subtree[64], error[256];
    if (geteuid() != 0)
        return 0;
    (void)snprintf(subtree, sizeof subtree, "forestall-test-%d", (int)getpid());
    struct cgroup_host_options options = {.subtree = subtree};
    if (cgroup_host_open(&options, error, sizeof error, &host) < 0)
        printf("SKIPPED ALL: %s\n", error);
    return 0;
}

static int close_host(void **state)
{
    (void)state;
    if (!host)
        return 0;
    int result = kernel_cases_clean(host);
    if (result == 0)
        result = cgroup_host_remove(host);
    cgroup_host_close(host);
    return result;
}

static void need_host(void)
{
    if (host)
        return;
    printf("SKIPPED: needs root and writable cgroup hierarchies\n");
    skip();
}

static void run_case(void **state)
{
    const struct kernel_case *tested = *state;
    need_host();
    enum case_outcome outcome = tested->run(host);
    assert_int_equal(kernel_cases_clean(host), 0);
    if (outcome == CASE_SKIPPED) {
        printf("SKIPPED: %s: not on this machine\n", tested->name);
        skip();
    }
    assert_int_equal(outcome, CASE_PASSED);
}

static enum case_outcome run_named(const char *name)
{
    for (size_t i = 0; i < kernel_case_count; i++) {
        if (strcmp(kernel_cases[i].name, name) == 0)
            return kernel_cases[i].run(host);
    }
    return CASE_FAILED;
}

static void kill__without_cgroup_kill__frozen_and_signalled(void **state)
{
    (void)state;
    need_host();
    unsigned features = host->features;
    host->features &= ~(unsigned)CGROUP_HAS_KILL;
    enum case_outcome outcome = run_named("kill__forking_tree__all_gone");
    host->features = features;
    assert_int_equal(kernel_cases_clean(host), 0);
    assert_int_equal(outcome, CASE_PASSED);
}

static void read__no_file_budget__same_counters(void **state)
{
    (void)state;
    need_host();
    size_t budget = host->kept_left;
    host->kept_left = 3; /* some kept, the rest opened each time */
    enum case_outcome outcome = run_named("read__above_limit__oom_kill_counted");
    assert_int_equal(host->kept_left, 3);
    host->kept_left = 0;
    enum case_outcome second = run_named("apply__cpu_quota__throttled_then_free");
    enum case_outcome cost = run_named("read__sampling_cost__measured");
    host->kept_left = budget;
    assert_int_equal(kernel_cases_clean(host), 0);
    assert_int_equal(outcome, CASE_PASSED);
    assert_int_equal(second, CASE_PASSED);
    assert_int_equal(cost, CASE_PASSED);
}

int main(void)
{
    enum { OWN = 2 };
    struct CMUnitTest tests[64] = {
        cmocka_unit_test(kill__without_cgroup_kill__frozen_and_signalled),
        cmocka_unit_test(read__no_file_budget__same_counters),
    };
    size_t count = OWN;
    for (size_t i = 0; i < kernel_case_count && count < FS_COUNT(tests); i++) {
        void *tested = (void *)(uintptr_t)&kernel_cases[i]; /* cmocka's state is not const */
        tests[count++] = (struct CMUnitTest){kernel_cases[i].name, run_case, NULL, NULL, tested};
    }
    return _cmocka_run_group_tests("cgroup", tests, count, open_host, close_host);
}
