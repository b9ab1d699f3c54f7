/* The machine check: on this machine as it is, and as somebody without rights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/check.h"

/* Runs in a child, so that lost rights and changed mounts stay there: 0 passed, 1 not. */
static int in_child(int (*body)(void))
{
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int result = body();
        (void)fflush(stdout);
        _exit(result);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void print(const struct check *check)
{
    struct buffer text;
    buffer_init(&text, 0);
    check_print(check, &text);
    (void)fwrite(text.data, 1, text.size, stdout);
    buffer_fini(&text);
}

static const struct check_item *find(const struct check *check, const char *name)
{
    for (size_t i = 0; i < check->count; i++) {
        if (strcmp(check->items[i].name, name) == 0)
            return &check->items[i];
    }
    return NULL;
}

/* Not passed, with a sentence on what to do for every item that is missing. */
static int refused_readably(void)
{
    const struct cgroup_host_options options = {0};
    struct check check;
    check_run(&options, &check);
    print(&check);
    const struct check_item *item = find(&check, "cgroups");
    if (check_passed(&check) || !item || item->ok)
        return 1;
    return item->detail[0] == '\0' || item->advice[0] == '\0';
}

static int without_root(void)
{
    if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
        return 1;
    return refused_readably();
}

static int without_mounts(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return 77;
    if (umount2("/sys/fs/cgroup", MNT_DETACH) < 0)
        return 77;
    return refused_readably();
}

static int read_only_mounts(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return 77;
    const char *path =
        access("/sys/fs/cgroup/memory", F_OK) == 0 ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup";
    if (mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
        return 77;
    return refused_readably();
}

static void expect_refusal(int (*body)(void), bool needs_root)
{
    if (needs_root && geteuid() != 0) {
        printf("SKIPPED: needs root\n");
        skip();
    }
    int result = in_child(body);
    if (result == 77) {
        printf("SKIPPED: no mount namespaces here\n");
        skip();
    }
    assert_int_equal(result, 0);
}

static void check_run__without_root__refused_with_advice(void **state)
{
    (void)state;
    expect_refusal(without_root, false);
}

static void check_run__no_cgroup_mount__refused_with_advice(void **state)
{
    (void)state;
    expect_refusal(without_mounts, true);
}

static void check_run__read_only_tree__refused_with_advice(void **state)
{
    (void)state;
    expect_refusal(read_only_mounts, true);
}

static void check_run__this_machine__passes_and_leaves_nothing(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        printf("SKIPPED: needs root\n");
        skip();
    }
    const struct cgroup_host_options options = {0};
    struct check check;
    check_run(&options, &check);
    print(&check);
    assert_true(check_passed(&check));
    static const char *const names[] = {"root",          "cgroups",       "memory_limit", "cpu_quota",
                                        "io_bandwidth",  "io_weight",     "brake",        "sampling",
                                        "network_count", "network_limit", "pressure",     "kill"};
    for (size_t i = 0; i < FS_COUNT(names); i++) {
        const struct check_item *item = find(&check, names[i]);
        assert_non_null(item);
        assert_true(item->detail[0] != '\0');
        assert_true(item->ok == (item->advice[0] == '\0'));
    }
    assert_null(find(&check, "nothing"));
    char path[128];
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup/memory/forestall-check-%d", (int)getpid());
    assert_int_not_equal(access(path, F_OK), 0);
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup/forestall-check-%d", (int)getpid());
    assert_int_not_equal(access(path, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_run__without_root__refused_with_advice),
        cmocka_unit_test(check_run__no_cgroup_mount__refused_with_advice),
        cmocka_unit_test(check_run__read_only_tree__refused_with_advice),
        cmocka_unit_test(check_run__this_machine__passes_and_leaves_nothing),
    };
    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
