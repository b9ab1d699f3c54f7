/* See local_servers.h. */
#include "cli/local_servers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/local_renew.h"
#include "cli/probe.h"
#include "common/clock.h"
#include "common/embedded_broker.h"
#include "common/store.h"
#include "common/stream.h"
#include "common/unwritable.h"

#define REDIS_START_MS 15000

/* --- the machine --- */

/* Starts a program with both outputs into a pipe, whose reading end goes to *out. Its pid or negative errno.
 */
static pid_t start_piped(char *const *argv, int *out)
{
    posix_spawn_file_actions_t actions;
    int fds[2];
    pid_t pid = 0;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    int error = posix_spawn_file_actions_init(&actions);
    if (error == 0) {
        error = posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
        if (error == 0)
            error = posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
        if (error == 0)
            error = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    (void)close(fds[1]);
    if (error != 0) {
        (void)close(fds[0]);
        return -error;
    }
    *out = fds[0];
    return pid;
}

int local_servers_check_machine(const struct local_options *options, const char *program_directory,
                                char *error, size_t error_size)
{
    char program[4200], cgroup[128], subtree[64], check[] = "--check";
    char *argv[] = {program, check, cgroup, NULL};
    int fd = -1, status;
    local_plan_subtree(options->state_dir, subtree, sizeof subtree);
    (void)snprintf(program, sizeof program, "%s/forestall-agent", program_directory);
    (void)snprintf(cgroup, sizeof cgroup, "--agent.cgroup=%s", subtree);
    pid_t pid = start_piped(argv, &fd);
    if (pid < 0) {
        (void)snprintf(error, error_size, "cannot start forestall-agent --check: %s", strerror(-(int)pid));
        return (int)pid;
    }
    size_t used =
        (size_t)snprintf(error, error_size, "this machine does not allow Forestall to run programs:\n");
    char chunk[512];
    for (ssize_t got; (got = read(fd, chunk, sizeof chunk)) > 0;) { /* to its end, or it would not end */
        size_t taken = FS_MIN((size_t)got, error_size - used - 1);
        memcpy(error + used, chunk, taken);
        used += taken;
    }
    error[used] = '\0';
    (void)close(fd);
    return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -EPERM;
}

/* --- Redis --- */

static bool find_in_path(const char *name, char *out, size_t size)
{
    const char *path = getenv("PATH");
    for (path = path ? path : "/usr/sbin:/usr/bin:/sbin:/bin"; *path; path += strspn(path, ":")) {
        size_t length = strcspn(path, ":");
        if (snprintf(out, size, "%.*s/%s", (int)length, path, name) < (int)size && access(out, X_OK) == 0)
            return true;
        path += length;
    }
    return false;
}

static int ask_redis(const char *address, char *error, size_t error_size)
{
    struct store_options options = {.address = address, .timeout_ms = 2000};
    struct store *store = store_open(&options, error, error_size);
    int result = store ? store_ping(store, error, error_size) : -EINVAL;
    store_close(store);
    return result;
}

static int choose_redis_address(struct instance *instance, char *error, size_t error_size)
{
    uint16_t port;
    int size = snprintf(instance->redis, sizeof instance->redis, "%s/redis.sock", instance->state_dir);
    if (size < (int)sizeof((struct sockaddr_un *)0)->sun_path)
        return 0;
    int result = probe_free_ports(&port, 1);
    if (result < 0)
        (void)snprintf(error, error_size, "no free port for Redis");
    else
        (void)snprintf(instance->redis, sizeof instance->redis, "127.0.0.1:%u", port);
    return result;
}

static int describe_redis(struct child *child, const struct instance *instance, const char *directory)
{
    bool on_socket = instance->redis[0] == '/';
    const char *port = on_socket ? "0" : strrchr(instance->redis, ':') + 1;
    if (child_argument(child, "--port") < 0 || child_argument(child, "%s", port) < 0 ||
        child_argument(child, "--bind") < 0 || child_argument(child, "127.0.0.1") < 0 ||
        child_argument(child, "--dir") < 0 || child_argument(child, "%s", directory) < 0 ||
        child_argument(child, "--appendonly") < 0 || child_argument(child, "yes") < 0 ||
        child_argument(child, "--save") < 0 || child_argument(child, "%s", "") < 0 ||
        child_argument(child, "--daemonize") < 0 || child_argument(child, "no") < 0)
        return -ENOMEM;
    if (on_socket &&
        (child_argument(child, "--unixsocket") < 0 || child_argument(child, "%s", instance->redis) < 0 ||
         child_argument(child, "--unixsocketperm") < 0 || child_argument(child, "700") < 0))
        return -ENOMEM;
    return 0;
}

static int await_redis(struct child *child, const struct instance *instance, char *error, size_t error_size)
{
    int64_t deadline_ms = clock_monotonic_ms() + REDIS_START_MS;
    for (;;) {
        if (ask_redis(instance->redis, error, error_size) == 0)
            return 0;
        struct pollfd end = {.fd = child->pid_fd, .events = POLLIN};
        if (poll(&end, 1, 20) > 0) {
            (void)snprintf(error, error_size, "redis-server ended at its start: see %s", child->log_path);
            return -ECHILD;
        }
        if (clock_monotonic_ms() >= deadline_ms)
            return -ETIMEDOUT;
    }
}

int local_servers_open_redis(const struct local_options *options, struct children *children,
                             struct instance *instance, char *error, size_t error_size)
{
    char program[4200], directory[4200], log[4200];
    if (options->redis) {
        if (!str_copy(instance->redis, sizeof instance->redis, str_of(options->redis))) {
            (void)snprintf(error, error_size, "--redis is too long");
            return -EINVAL;
        }
        return ask_redis(instance->redis, error, error_size);
    }
    if (!find_in_path("redis-server", program, sizeof program)) {
        (void)snprintf(error, error_size,
                       "no redis-server in PATH: install it (apt-get install redis-server) or give one with "
                       "--redis HOST:PORT");
        return -ENOENT;
    }
    (void)snprintf(directory, sizeof directory, "%s/redis", instance->state_dir);
    (void)snprintf(log, sizeof log, "%s/log/redis.log", instance->state_dir);
    if (mkdir(directory, 0700) < 0 && errno != EEXIST) {
        return unwritable_say(-errno, directory, "--state", error, error_size);
    }
    int result = choose_redis_address(instance, error, error_size);
    struct child *child = result == 0 ? children_add(children, "redis", program, log) : NULL;
    if (result == 0)
        result = child ? describe_redis(child, instance, directory) : -ENOMEM;
    if (result == 0)
        result = child_start(child, clock_monotonic_ms());
    return result == 0 ? await_redis(child, instance, error, error_size) : result;
}

/* --- the broker --- */

static int ask_kafka(const char *brokers, char *error, size_t error_size)
{
    struct stream_options options = {.brokers = brokers, .client_id = "forestall-local"};
    struct stream *stream = stream_open(&options, error, error_size);
    stream_close(stream);
    return stream ? 0 : -EHOSTDOWN;
}

int local_servers_open_broker(const struct local_options *options, struct local_broker *broker,
                              struct instance *instance, char *error, size_t error_size)
{
    char directory[4200];
    if (options->kafka) {
        if (!str_copy(instance->brokers, sizeof instance->brokers, str_of(options->kafka))) {
            (void)snprintf(error, error_size, "--kafka is too long");
            return -EINVAL;
        }
        return ask_kafka(instance->brokers, error, error_size);
    }
    (void)snprintf(directory, sizeof directory, "%s/broker", instance->state_dir);
    struct local_renew *renew = local_renew_create();
    struct embedded_broker_options embedded = {.state_dir = directory,
                                               .topic_prefix = options->topic_prefix,
                                               .partitions = (int32_t)options->partitions,
                                               .renew = local_renew_value,
                                               .renew_context = renew};
    if (!renew) {
        (void)snprintf(error, error_size, "out of memory");
        return -ENOMEM;
    }
    broker->limiter.burst = 1;
    broker->embedded = embedded_broker_open(&embedded, error, error_size);
    local_renew_destroy(renew);
    if (!broker->embedded)
        return -EIO;
    instance->embedded = true;
    (void)str_copy(instance->brokers, sizeof instance->brokers,
                   str_of(embedded_broker_bootstrap(broker->embedded)));
    return 0;
}

int local_servers_broker_fd(const struct local_broker *broker)
{
    return broker->embedded ? embedded_broker_fd(broker->embedded) : -1;
}

static void tell_overflow(struct local_broker *broker)
{
    uint64_t overflows = embedded_broker_overflow_count(broker->embedded);
    if (overflows == broker->overflows || log_limited(&broker->limiter, clock_monotonic_ms()))
        return;
    broker->overflows = overflows;
    log_warn("broker_state_full",
             "values=%" PRIu64 " effect=\"they are gone at the next start\" do=\"use a Kafka: --kafka\"",
             overflows);
}

void local_servers_step_broker(struct local_broker *broker)
{
    if (!broker->embedded)
        return;
    int result = embedded_broker_poll(broker->embedded, 0);
    if (result < 0 && !log_limited(&broker->limiter, clock_monotonic_ms()))
        log_error("broker_state_not_saved", "error=\"%s\"", strerror(-result)); /* tried again in a second */
    tell_overflow(broker);
}

void local_servers_close_broker(struct local_broker *broker)
{
    embedded_broker_close(broker->embedded);
    broker->embedded = NULL;
}
