/* See local.h. */
#include "cli/local.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/local_servers.h"
#include "cli/probe.h"
#include "common/installed.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/store.h"
#include "common/unwritable.h"

#define STATE_OPTION "--state"
#define STEP_MS 500
#define UNUSED_CHECK_MS 100
#define READY_POLL_MS 30
#define PROBE_TIMEOUT_MS 1000
#define ENDS_BEFORE_GIVING_UP 3 /* within the time to become ready */
#define LOG_TAIL_LINES 12
#define AGENT_STOP_MS 75000 /* it ends programs, at most 60 s, and hands over its spool */
#define SERVICE_STOP_MS 20000
#define IMPATIENT_MS 1000

struct local {
    struct local_options options;
    struct instance instance;
    struct local_broker broker;
    struct children children;
    uint16_t ports[INSTANCE_SERVICES_MAX]; /* HTTP, by index of local_services */
    uint16_t ingest_port;
    int lock_fd, users_fd;
    int64_t unused_check_ms;
    char directory[4096]; /* of the programs */
};

const struct instance *local_instance(const struct local *local)
{
    return &local->instance;
}

static int fail(char *error, size_t error_size, int result, const char *what)
{
    (void)snprintf(error, error_size, "%s: %s", what, strerror(-result));
    return result;
}

/* --- opening --- */

static int find_programs(struct local *local, char *error, size_t error_size)
{
    int result = installed_path("", local->directory, sizeof local->directory);
    if (result < 0)
        return fail(error, error_size, result, "the directory of this program");
    for (size_t i = 0; i < local_service_count; i++) {
        char path[4200];
        (void)snprintf(path, sizeof path, "%s/%s", local->directory, local_services[i].program);
        if (local_plan_starts(&local->options, &local_services[i]) && access(path, X_OK) < 0) {
            (void)snprintf(error, error_size,
                           "%s: %s: build or install all of Forestall's programs into one directory", path,
                           strerror(errno));
            return -ENOENT;
        }
    }
    return 0;
}

static int take_directory(struct local *local, char *error, size_t error_size)
{
    char log[4200];
    const char *state = local->options.state_dir;
    int result = instance_make_dir(state);
    if (result == 0 && !realpath(state, local->instance.state_dir))
        result = -errno;
    if (result < 0)
        return unwritable_say(result, state, STATE_OPTION, error, error_size);
    local->options.state_dir = state = local->instance.state_dir;
    (void)snprintf(log, sizeof log, "%s/log", state);
    if (mkdir(log, 0755) < 0 && errno != EEXIST)
        return unwritable_say(-errno, log, STATE_OPTION, error, error_size);
    result = local->lock_fd = instance_lock(state);
    if (result == -EBUSY)
        (void)snprintf(error, error_size,
                       "an instance runs in %s already: use it (forestall run, status ...), stop it, or give "
                       "another --state DIR",
                       state);
    else if (result < 0)
        (void)unwritable_say(result, state, STATE_OPTION, error, error_size);
    if (result < 0)
        return result;
    result = local->users_fd = instance_open_users(state);
    return result < 0 ? unwritable_say(result, state, STATE_OPTION, error, error_size) : 0;
}

static int choose_ports(struct local *local, char *error, size_t error_size)
{
    uint16_t ports[INSTANCE_SERVICES_MAX + 1];
    int result = probe_free_ports(ports, local_service_count + 1);
    if (result < 0)
        return fail(error, error_size, result, "no free ports on 127.0.0.1");
    memcpy(local->ports, ports, local_service_count * sizeof ports[0]);
    local->ingest_port = ports[local_service_count];
    return 0;
}

static int write_config(struct local *local, char *error, size_t error_size)
{
    struct buffer text;
    struct local_addresses addresses = {.brokers = local->instance.brokers,
                                        .redis = local->instance.redis,
                                        .ingest_port = local->ingest_port,
                                        .embedded = local->instance.embedded};
    (void)snprintf(local->instance.config, sizeof local->instance.config, "%s/" INSTANCE_CONFIG,
                   local->instance.state_dir);
    buffer_init(&text, 0);
    int result = local_plan_config(&local->options, &addresses, &text, error, error_size);
    if (result == 0) {
        result = instance_save_config(&local->instance, buffer_str(&text));
        if (result < 0)
            (void)unwritable_say(result, local->instance.config, STATE_OPTION, error, error_size);
    }
    buffer_fini(&text);
    return result;
}

static int add_service(struct local *local, size_t index, char *error, size_t error_size)
{
    const struct local_service *service = &local_services[index];
    char program[4200], log[4200];
    (void)snprintf(program, sizeof program, "%s/%s", local->directory, service->program);
    (void)snprintf(log, sizeof log, "%s/log/%s.log", local->instance.state_dir, service->name);
    struct child *child = children_add(&local->children, service->name, program, log);
    if (!child || child_argument(child, "--config=%s", local->instance.config) < 0 ||
        child_argument(child, "--service.http_port=%u", local->ports[index]) < 0 ||
        child_argument(child, "--service.state_dir=%s/%s", local->instance.state_dir, service->name) < 0)
        return fail(error, error_size, -ENOMEM, service->name);
    int result = child_start(child, clock_monotonic_ms());
    return result < 0 ? fail(error, error_size, result, service->program) : 0;
}

static int start_services(struct local *local, char *error, size_t error_size)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < local_service_count; i++)
        if (local_plan_starts(&local->options, &local_services[i]))
            result = add_service(local, i, error, error_size);
    return result;
}

static void describe(struct local *local)
{
    struct instance *instance = &local->instance;
    const struct local_options *options = &local->options;
    instance->pid = getpid();
    instance->while_used = options->while_used;
    (void)str_copy(instance->pool, sizeof instance->pool, str_of(options->pool));
    (void)str_copy(instance->topic_prefix, sizeof instance->topic_prefix, str_of(options->topic_prefix));
    (void)str_copy(instance->redis_prefix, sizeof instance->redis_prefix, str_of(options->redis_prefix));
    (void)snprintf(instance->ingest, sizeof instance->ingest, "127.0.0.1:%u", local->ingest_port);
    if (options->node)
        (void)str_copy(instance->node, sizeof instance->node, str_of(options->node));
    else if (gethostname(instance->node, sizeof instance->node - 1) < 0)
        (void)str_copy(instance->node, sizeof instance->node, str_of("localhost")); /* as the agent does */
}

static int open_all(struct local *local, char *error, size_t error_size)
{
    int result = find_programs(local, error, error_size);
    if (result == 0)
        result = take_directory(local, error, error_size);
    if (result == 0 && local_plan_starts(&local->options, &local_services[local_service_count - 1]))
        result = local_servers_check_machine(&local->options, local->directory, error, error_size);
    if (result == 0)
        result = choose_ports(local, error, error_size);
    if (result == 0)
        result =
            local_servers_open_redis(&local->options, &local->children, &local->instance, error, error_size);
    if (result == 0)
        result =
            local_servers_open_broker(&local->options, &local->broker, &local->instance, error, error_size);
    if (result == 0)
        result = write_config(local, error, error_size);
    if (result == 0)
        result = start_services(local, error, error_size);
    return result;
}

struct local *local_open(const struct local_options *options, char *error, size_t error_size)
{
    struct local *local = calloc(1, sizeof *local);
    if (!local) {
        (void)snprintf(error, error_size, "out of memory");
        return NULL;
    }
    local->options = *options;
    local->lock_fd = local->users_fd = -1;
    children_init(&local->children);
    int result = open_all(local, error, error_size);
    if (result == 0) {
        describe(local);
        log_info("services_started", "state=%s brokers=%s redis=%s", local->instance.state_dir,
                 local->instance.brokers, local->instance.redis);
        return local;
    }
    local_close(local, NULL);
    return NULL;
}

/* --- ready --- */

/* The last lines of a child's log, for people. */
static void append_log_tail(const struct child *child, char *out, size_t size)
{
    char text[8192];
    size_t used = strlen(out), got = 0;
    FILE *file = fopen(child->log_path, "re");
    if (file) {
        if (fseek(file, -(long)sizeof text + 1, SEEK_END) < 0)
            rewind(file);
        got = fread(text, 1, sizeof text - 1, file);
        (void)fclose(file);
    }
    text[got] = '\0';
    const char *tail = text + got;
    for (int lines = 0; tail > text && lines <= LOG_TAIL_LINES; tail--)
        if (tail[-1] == '\n' && ++lines > LOG_TAIL_LINES)
            break;
    (void)snprintf(out + used, size - used, "\n--- the end of %s:\n%s", child->log_path, tail);
}

static size_t service_index(const char *name)
{
    for (size_t i = 0; i < local_service_count; i++)
        if (strcmp(local_services[i].name, name) == 0)
            return i;
    return local_service_count;
}

/* 1 ready, 0 not yet, -ECHILD hopeless; the sentence says why not. */
static int look_at(const struct local *local, const struct child *child, char *sentence, size_t size)
{
    char reason[256];
    size_t index = service_index(child->name);
    if (index == local_service_count)
        return 1; /* Redis: it answered before */
    if (!child_running(child)) {
        char end[64];
        child_describe_end(child, end, sizeof end);
        (void)snprintf(sentence, size, "%s is not ready: it %s", child->name, end);
        return child->starts >= ENDS_BEFORE_GIVING_UP ? -ECHILD : 0;
    }
    int ready = probe_ready(local->ports[index], PROBE_TIMEOUT_MS, reason, sizeof reason);
    if (ready <= 0)
        (void)snprintf(sentence, size, "%s is not ready: %s", child->name, reason);
    return ready;
}

static int publish_instance(struct local *local, char *error, size_t error_size)
{
    struct instance *instance = &local->instance;
    instance->started_us = clock_realtime_us();
    instance->service_count = 0;
    for (size_t i = 0; i < local->children.count; i++) {
        const struct child *child = &local->children.items[i];
        struct instance_service *service = &instance->services[instance->service_count++];
        size_t index = service_index(child->name);
        (void)str_copy(service->name, sizeof service->name, str_of(child->name));
        service->pid = child->pid;
        service->http_port = index < local_service_count ? local->ports[index] : 0;
    }
    int result = instance_save(instance);
    return result < 0 ? fail(error, error_size, result, "local.json") : 0;
}

int local_wait_ready(struct local *local, int stop_fd, char *error, size_t error_size)
{
    int64_t deadline_ms = clock_monotonic_ms() + local->options.ready_timeout_ms;
    for (size_t i = 0; i < local->children.count;) {
        struct child *child = &local->children.items[i];
        struct pollfd stop = {.fd = stop_fd, .events = POLLIN};
        int ready = look_at(local, child, error, error_size);
        if (ready > 0) {
            i++;
            continue;
        }
        if (ready < 0 || clock_monotonic_ms() >= deadline_ms) {
            append_log_tail(child, error, error_size);
            return ready < 0 ? ready : -ETIMEDOUT;
        }
        if (poll(&stop, 1, READY_POLL_MS) > 0)
            return -EINTR;
        fs_drop(local_step(local, -1, 0)); /* restarts; it cannot be without users yet */
    }
    int result = publish_instance(local, error, error_size);
    if (result == 0)
        log_info("ready", "state=%s", local->instance.state_dir);
    return result;
}

/* --- running --- */

static void on_child_end(void *context, const struct child *child)
{
    char end[64];
    (void)context;
    if (!child->wanted)
        return; /* it was told to */
    child_describe_end(child, end, sizeof end);
    log_warn("service_ended", "name=%s how=\"%s\" log=%s", child->name, end, child->log_path);
}

static bool unused(struct local *local, int64_t now_ms)
{
    if (!local->options.while_used || local->instance.started_us == 0 || now_ms < local->unused_check_ms)
        return false;
    local->unused_check_ms = now_ms + UNUSED_CHECK_MS;
    return instance_claim_unused(local->users_fd) == 0;
}

int local_step(struct local *local, int stop_fd, int timeout_ms)
{
    struct pollfd polled[CHILDREN_MAX + 2] = {
        {.fd = stop_fd, .events = POLLIN}, {.fd = local_servers_broker_fd(&local->broker), .events = POLLIN}};
    size_t count = 2 + children_poll_fds(&local->children, polled + 2, CHILDREN_MAX);
    int64_t limit_ms = FS_MIN(timeout_ms, local->options.while_used ? UNUSED_CHECK_MS : STEP_MS);
    int64_t wait_ms = children_wait_ms(&local->children, clock_monotonic_ms(), limit_ms);
    (void)poll(polled, (nfds_t)count, (int)wait_ms); /* interrupted: all is looked at anyway */
    local_servers_step_broker(&local->broker);
    int64_t now_ms = clock_monotonic_ms();
    if (children_poll(&local->children, now_ms, on_child_end, NULL) > 0 && local->instance.started_us != 0) {
        char error[256];
        if (publish_instance(local, error, sizeof error) < 0)
            log_warn("instance_not_written", "error=\"%s\"", error); /* pids of an older start are in it */
    }
    return unused(local, now_ms) ? -ESHUTDOWN : 0;
}

/* --- the end --- */

static void stop_child(struct local *local, struct child *child, int64_t timeout_ms,
                       local_impatient_fn *impatient)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    if (!child || !child_running(child))
        return;
    child_stop(child, SIGTERM);
    while (child_running(child) && clock_monotonic_ms() < deadline_ms && !(impatient && impatient()))
        fs_drop(local_step(local, -1, 20)); /* the broker goes on, and so do the others */
    if (child_running(child) && !child_stop_wait(child, impatient && impatient() ? IMPATIENT_MS : 0))
        log_warn("service_killed", "name=%s reason=\"did not end in time\"", child->name);
}

/* Those that read what the last one said go after it; those that read the same go together. */
static void stop_all(struct local *local, local_impatient_fn *impatient)
{
    static const char *const together[] = {"queue", "allocate", "predict", "retrain"};
    stop_child(local, children_find(&local->children, "agent"), AGENT_STOP_MS, impatient);
    for (size_t i = 0; i < FS_COUNT(together); i++) {
        struct child *child = children_find(&local->children, together[i]);
        if (child)
            child_stop(child, SIGTERM);
    }
    for (size_t i = 0; i < FS_COUNT(together); i++)
        stop_child(local, children_find(&local->children, together[i]), SERVICE_STOP_MS, impatient);
    stop_child(local, children_find(&local->children, "ingest"), SERVICE_STOP_MS, impatient);
    stop_child(local, children_find(&local->children, "redis"), SERVICE_STOP_MS, impatient);
}

void local_close(struct local *local, local_impatient_fn *impatient)
{
    if (!local)
        return;
    if (local->lock_fd >= 0)
        instance_remove(local->instance.state_dir);
    local->instance.started_us = 0; /* no more local.json, no more looking for users */
    log_info("stopping", "state=%s", local->instance.state_dir);
    stop_all(local, impatient);
    children_fini(&local->children);
    log_info("services_stopped", "state=%s", local->instance.state_dir);
    local_servers_close_broker(&local->broker);
    log_info("stopped", "state=%s", local->instance.state_dir);
    if (local->users_fd >= 0)
        (void)close(local->users_fd);
    if (local->lock_fd >= 0)
        (void)close(local->lock_fd); /* last: whoever waits for the end may begin now */
    free(local);
}
