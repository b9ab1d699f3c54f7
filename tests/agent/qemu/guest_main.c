/* Init of the v2 guest: mounts what is needed, runs the kernel cases and prints one marker line each, then
 * switches off. Lines: `CASE passed|failed|skipped NAME`, at the end `GUEST done PASSED FAILED SKIPPED`. */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/check.h"
#include "tests/agent/kernel_cases.h"
#include "tests/agent/kernel_loads.h"

static const char *const outcomes[] = {
    [CASE_PASSED] = "passed", [CASE_FAILED] = "failed", [CASE_SKIPPED] = "skipped"};

static bool mount_all(void)
{
    return mount("proc", "/proc", "proc", 0, NULL) == 0 && mount("sys", "/sys", "sysfs", 0, NULL) == 0 &&
           mount("dev", "/dev", "devtmpfs", 0, NULL) == 0 &&
           mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL) == 0;
}

/* The modules that /modules.order lists, in its order; busybox does the loading. */
static void load_modules(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/busybox", "sh", "-c",
              "for m in $(cat /modules.order); do busybox insmod /modules/$m.ko; done; "
              "busybox mount -t ext2 /dev/vda /disk && echo GUEST disk",
              (char *)NULL);
        _exit(127);
    }
    (void)waitpid(pid, NULL, 0);
}

static void print_check(const struct cgroup_host_options *options)
{
    struct check check;
    struct buffer text;
    check_run(options, &check);
    buffer_init(&text, 0);
    check_print(&check, &text);
    if (buffer_error(&text) == 0)
        (void)fwrite(text.data, 1, text.size, stdout);
    buffer_fini(&text);
    printf("CASE %s check_run__v2_guest__can_run\n", check_passed(&check) ? "passed" : "failed");
}

static int run_cases(void)
{
    static const char *const disk[] = {"/disk"};
    struct cgroup_host_options options = {.subtree = "forestall", .io_paths = disk, .io_path_count = 1};
    struct cgroup_host *host;
    char error[256];
    int counts[FS_COUNT(outcomes)] = {0};
    print_check(&options);
    if (cgroup_host_open(&options, error, sizeof error, &host) < 0) {
        printf("GUEST no host: %s\n", error);
        return 1;
    }
    printf("GUEST features %x\n", cgroup_host_features(host));
    for (size_t i = 0; i < kernel_case_count; i++) {
        enum case_outcome outcome = kernel_cases[i].run(host);
        if (kernel_cases_clean(host) < 0)
            outcome = CASE_FAILED;
        counts[outcome]++;
        printf("CASE %s %s\n", outcomes[outcome], kernel_cases[i].name);
        (void)fflush(stdout);
    }
    bool removed = cgroup_host_remove(host) == 0;
    printf("CASE %s cgroup_host_remove__all_done__nothing_left\n", removed ? "passed" : "failed");
    cgroup_host_close(host);
    printf("GUEST done %d %d %d\n", counts[CASE_PASSED], counts[CASE_FAILED], counts[CASE_SKIPPED]);
    return 0;
}

int main(void)
{
    struct utsname kernel;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (!mount_all())
        printf("GUEST cannot mount\n");
    (void)uname(&kernel);
    printf("GUEST kernel %s\n", kernel.release);
    load_modules();
    if (chdir("/disk") < 0)
        printf("GUEST no /disk\n");
    (void)run_cases();
    (void)fflush(stdout);
    sync();
    (void)reboot(RB_POWER_OFF);
    return 1;
}
