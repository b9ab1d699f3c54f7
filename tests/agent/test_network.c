/* Network counters and egress limits with real traffic between two network namespaces of the test's own. The
 * namespaces live as long as two child processes, so nothing is left behind however the test ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "agent/netshape.h"
#include "common/clock.h"
#include "tests/agent/kernel_loads.h"

#define MIB (1LL << 20)
#define PORT 9000 /* in a namespace of our own: nobody else can have it */

static struct cgroup_host *host;
static pid_t node_space, hub_space;
static char node_path[64];

static pid_t start_namespace(void)
{
    int ready[2];
    if (pipe(ready) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        char result = unshare(CLONE_NEWNET) == 0 ? '1' : '0';
        if (write(ready[1], &result, 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    char result = '0';
    bool ok = pid > 0 && read(ready[0], &result, 1) == 1 && result == '1';
    (void)close(ready[0]);
    (void)close(ready[1]);
    return ok ? pid : -1;
}

/* Runs a command of blank-separated words in the namespace (0 = the own); true when it exits 0. */
static bool in_namespace(pid_t space, const char *command)
{
    char words[256], target[16];
    char *argv[32] = {"nsenter", "-n", "-t", target};
    size_t count = space > 0 ? 4 : 0;
    (void)snprintf(words, sizeof words, "%s", command);
    (void)snprintf(target, sizeof target, "%d", (int)space);
    for (char *rest = words, *word; count + 1 < FS_COUNT(argv) && (word = strsep(&rest, " "));)
        argv[count++] = word;
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[0], argv);
        _exit(127);
    }
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && case_ended_well(status);
}

static bool connect_namespaces(void)
{
    char line[128];
    (void)snprintf(line, sizeof line, "ip link add fsnode type veth peer name fshub netns %d",
                   (int)hub_space);
    return in_namespace(node_space, line) && in_namespace(node_space, "ip link set lo up") &&
           in_namespace(node_space, "ip addr add 10.231.7.2/24 dev fsnode") &&
           in_namespace(node_space, "ip link set fsnode up") &&
           in_namespace(hub_space, "ip addr add 10.231.7.1/24 dev fshub") &&
           in_namespace(hub_space, "ip link set fshub up");
}

static int open_all(void **state)
{
    (void)state;
    char subtree[64], error[256] = "not root";
    if (geteuid() != 0 || !in_namespace(0, "ip -V") || !in_namespace(0, "nsenter -V"))
        return 0;
    node_space = start_namespace();
    hub_space = start_namespace();
    if (node_space < 0 || hub_space < 0 || !connect_namespaces()) {
        printf("SKIPPED ALL: no network namespaces here\n");
        return 0;
    }
    (void)snprintf(subtree, sizeof subtree, "forestall-test-%d", (int)getpid());
    (void)snprintf(node_path, sizeof node_path, "/proc/%d/ns/net", (int)node_space);
    struct cgroup_host_options options = {
        .subtree = subtree, .net_device = "fsnode", .net_namespace = node_path};
    if (cgroup_host_open(&options, error, sizeof error, &host) < 0)
        printf("SKIPPED ALL: %s\n", error);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    int result = 0;
    if (host) {
        result = kernel_cases_clean(host);
        if (result == 0)
            result = cgroup_host_remove(host);
        cgroup_host_close(host);
    }
    const pid_t spaces[] = {node_space, hub_space};
    for (size_t i = 0; i < FS_COUNT(spaces); i++) {
        if (spaces[i] > 0 && kill(spaces[i], SIGKILL) == 0)
            (void)waitpid(spaces[i], NULL, 0);
    }
    return result;
}

static void need_host(void)
{
    if (host && cgroup_host_features(host) & CGROUP_HAS_NETSHAPE)
        return;
    printf("SKIPPED: needs root, iproute2, util-linux, cgroup eBPF and HTB\n");
    skip();
}

static bool enter(pid_t space)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/ns/net", (int)space);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && setns(fd, CLONE_NEWNET) == 0;
}

static struct sockaddr_in address_of(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    (void)inet_pton(AF_INET, text, &address.sin_addr);
    return address;
}

/* Takes one connection and reads it to its end; says on the pipe when it listens. */
static pid_t start_sink(pid_t space)
{
    int ready[2];
    if (pipe(ready) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        static char data[65536];
        struct sockaddr_in any = address_of("0.0.0.0");
        int one = 1, server = -1;
        if (enter(space))
            server = socket(AF_INET, SOCK_STREAM, 0);
        if (server < 0 || setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
            bind(server, (struct sockaddr *)&any, sizeof any) < 0 || listen(server, 1) < 0 ||
            write(ready[1], "1", 1) != 1)
            _exit(1);
        int peer = accept(server, NULL, NULL);
        while (read(peer, data, sizeof data) > 0)
            continue;
        _exit(0);
    }
    char byte;
    bool ok = pid > 0 && read(ready[0], &byte, 1) == 1;
    (void)close(ready[0]);
    (void)close(ready[1]);
    return ok ? pid : -1;
}

static int send_to(const char *target, int mib)
{
    static char data[65536];
    struct sockaddr_in address = address_of(target);
    if (!enter(node_space))
        return 2;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return 3;
    for (int64_t left = mib * MIB; left > 0;) {
        ssize_t sent = write(fd, data, sizeof data);
        if (sent <= 0)
            return 4;
        left -= sent;
    }
    (void)shutdown(fd, SHUT_WR);
    return read(fd, data, sizeof data) == 0 ? 0 : 5; /* the peer has it all */
}

static int send_to_hub(int mib)
{
    return send_to("10.231.7.1", mib);
}

static int send_to_self(int mib)
{
    return send_to("127.0.0.1", mib);
}

static void transfer(struct cgroup *cgroup, pid_t sink_space, int (*body)(int), int mib, int64_t *elapsed_ms)
{
    pid_t sink = start_sink(sink_space);
    assert_true(sink > 0);
    int64_t start = clock_monotonic_ms();
    pid_t sender = kernel_case_start(cgroup, body, mib);
    int status = kernel_case_wait(sender, DEADLINE_MS);
    *elapsed_ms = clock_monotonic_ms() - start;
    assert_int_equal(status, 0);
    assert_int_equal(kernel_case_wait(sink, DEADLINE_MS), 0);
}

static void open__device_elsewhere__own_namespace_unchanged(void **state)
{
    (void)state;
    need_host();
    char before[64] = "", after[64] = "";
    struct netshape *shape;
    assert_true(readlink("/proc/thread-self/ns/net", before, sizeof before - 1) > 0);
    assert_int_equal(netshape_open(node_path, "fsnode", &shape), 1);
    netshape_close(shape);
    assert_true(readlink("/proc/thread-self/ns/net", after, sizeof after - 1) > 0);
    assert_string_equal(before, after);
    assert_int_equal(netshape_open(node_path, "nosuchdevice", &shape), -ENODEV);
    assert_int_equal(netshape_open("/nonexistent", "lo", &shape), -ENOENT);
}

static void open__foreign_qdisc__refused(void **state)
{
    (void)state;
    need_host();
    struct netshape *shape;
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/ns/net", (int)hub_space);
    assert_true(in_namespace(hub_space, "tc qdisc add dev fshub root handle 1: htb"));
    assert_int_equal(netshape_open(path, "fshub", &shape), -EEXIST);
    assert_true(in_namespace(hub_space, "tc qdisc del dev fshub root"));
}

static void read__traffic__bytes_counted_but_not_loopback(void **state)
{
    (void)state;
    need_host();
    const struct cgroup_limits none = {0};
    struct cgroup *cgroup, *adopted;
    struct cgroup_sample sample, again;
    int64_t elapsed_ms;
    assert_int_equal(cgroup_create(host, "count", &none, NULL, &cgroup), 0);
    transfer(cgroup, node_space, send_to_self, 2, &elapsed_ms);
    assert_int_equal(cgroup_read(cgroup, &sample), 0);
    assert_int_equal(sample.net_tx_bytes, 0);
    assert_int_equal(sample.net_rx_bytes, 0);
    transfer(cgroup, hub_space, send_to_hub, 2, &elapsed_ms);
    assert_int_equal(cgroup_read(cgroup, &sample), 0);
    assert_in_range(sample.net_tx_bytes, 2 * MIB, 3 * MIB);
    assert_in_range(sample.net_rx_bytes, 40, MIB);
    cgroup_close(cgroup);
    assert_int_equal(cgroup_open_existing(host, "count", &adopted), 0);
    assert_int_equal(cgroup_read(adopted, &again), 0);
    assert_true(again.net_tx_bytes >= sample.net_tx_bytes);
    transfer(adopted, hub_space, send_to_hub, 1, &elapsed_ms);
    assert_int_equal(cgroup_read(adopted, &again), 0);
    assert_in_range(again.net_tx_bytes - sample.net_tx_bytes, MIB, 2 * MIB);
    assert_int_equal(cgroup_destroy(adopted, 5000), 0);
}

static void apply__egress_limit__slows_and_frees(void **state)
{
    (void)state;
    need_host();
    struct cgroup_limits limits = {.net_egress_bps = 2 * MIB, .net_priority = 3};
    struct cgroup_apply_result result;
    struct cgroup *cgroup, *adopted;
    int64_t elapsed_ms;
    assert_int_equal(cgroup_create(host, "shape", &limits, &result, &cgroup), 0);
    assert_int_equal(result.net, 0);
    assert_int_equal(cgroup_limits(cgroup)->net_egress_bps, 2 * MIB);
    assert_int_equal(cgroup_limits(cgroup)->net_priority, 3);
    transfer(cgroup, hub_space, send_to_hub, 4, &elapsed_ms);
    printf("4 MiB at 2 MiB/s: %lld ms\n", (long long)elapsed_ms);
    assert_in_range(elapsed_ms, 1500, 4000);
    cgroup_close(cgroup);
    assert_int_equal(cgroup_open_existing(host, "shape", &adopted), 0);
    assert_int_equal(cgroup_limits(adopted)->net_egress_bps, 2 * MIB);
    limits.net_egress_bps = 0;
    assert_int_equal(cgroup_apply(adopted, &limits, &result), 0);
    assert_int_equal(cgroup_limits(adopted)->net_egress_bps, 0);
    transfer(adopted, hub_space, send_to_hub, 4, &elapsed_ms);
    printf("4 MiB without: %lld ms\n", (long long)elapsed_ms);
    assert_in_range(elapsed_ms, 0, 1000);
    assert_int_equal(cgroup_destroy(adopted, 5000), 0);
}

/* The raise must reach a connection that is already open and stuck behind the old rate. */
static void apply__raise_mid_stream__open_connection_speeds_up(void **state)
{
    (void)state;
    need_host();
    struct cgroup_limits limits = {.net_egress_bps = 300000};
    struct cgroup_apply_result result;
    struct cgroup_sample sample;
    struct cgroup *cgroup;
    assert_int_equal(cgroup_create(host, "stream", &limits, &result, &cgroup), 0);
    pid_t sink = start_sink(hub_space);
    int64_t start = clock_monotonic_ms();
    pid_t sender = kernel_case_start(cgroup, send_to_hub, 16);
    do { /* 16 MiB at this rate would take 56 s */
        assert_int_equal(cgroup_read(cgroup, &sample), 0);
        assert_true(clock_monotonic_ms() - start < DEADLINE_MS);
        assert_int_equal(poll(NULL, 0, 1), 0);
    } while (sample.net_tx_bytes < 200000);
    limits.net_egress_bps = 100 * MIB;
    assert_int_equal(cgroup_apply(cgroup, &limits, &result), 0);
    assert_int_equal(kernel_case_wait(sender, DEADLINE_MS), 0);
    assert_int_equal(kernel_case_wait(sink, DEADLINE_MS), 0);
    printf("16 MiB with a raise on the way: %lld ms\n", (long long)(clock_monotonic_ms() - start));
    assert_int_equal(cgroup_destroy(cgroup, 5000), 0);
}

static void take__all_numbers__bounded_and_reused(void **state)
{
    (void)state;
    need_host();
    struct netshape *shape;
    uint32_t minor, first;
    assert_int_equal(netshape_open(node_path, "fsnode", &shape), 1);
    assert_int_equal(netshape_take(shape, &first), 0);
    for (int i = 1; i < 65535; i++)
        assert_int_equal(netshape_take(shape, &minor), 0);
    assert_int_equal(netshape_take(shape, &minor), -ENOSPC);
    assert_int_equal(netshape_put(shape, first),
                     -ENOENT); /* no class was made, the number is free all the same */
    assert_int_equal(netshape_take(shape, &minor), 0);
    assert_int_equal(minor, first);
    assert_int_equal(netshape_set(shape, 0, 1, 0), -EINVAL);
    assert_int_equal(netshape_set(shape, 1, 1, 8), -EINVAL);
    netshape_close(shape);
}

static void set__rates_of_all_sizes__read_back(void **state)
{
    (void)state;
    need_host();
    static const int64_t rates[] = {
        100, 1500, 1000000, UINT32_MAX - 1LL, UINT32_MAX, UINT32_MAX + 10LL, 20000000000};
    struct netshape *shape;
    uint32_t minor;
    int64_t bps;
    int32_t priority;
    assert_int_equal(netshape_open(node_path, "fsnode", &shape), 1);
    assert_int_equal(netshape_take(shape, &minor), 0);
    for (size_t i = 0; i < FS_COUNT(rates); i++) {
        assert_int_equal(netshape_set(shape, minor, rates[i], (int32_t)i), 0);
        assert_int_equal(netshape_get(shape, minor, &bps, &priority), 0);
        assert_int_equal(bps, rates[i]);
        assert_int_equal(priority, i);
    }
    assert_int_equal(netshape_put(shape, minor), 0);
    assert_int_equal(netshape_get(shape, minor, &bps, &priority), -ENOENT);
    netshape_close(shape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open__device_elsewhere__own_namespace_unchanged),
        cmocka_unit_test(open__foreign_qdisc__refused),
        cmocka_unit_test(read__traffic__bytes_counted_but_not_loopback),
        cmocka_unit_test(apply__egress_limit__slows_and_frees),
        cmocka_unit_test(apply__raise_mid_stream__open_connection_speeds_up),
        cmocka_unit_test(take__all_numbers__bounded_and_reused),
        cmocka_unit_test(set__rates_of_all_sizes__read_back),
    };
    return cmocka_run_group_tests_name("network", tests, open_all, close_all);
}
