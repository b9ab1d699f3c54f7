/* Opens all an agent needs, in order, with one precise error each; closes it again. See agent.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/check_command.h"
#include "agent/disk.h"
#include "common/installed.h"
#include "common/transport.h"
#include "common/unwritable.h"
#include "schemas/name.h"
#include "schemas/published.h"

#define ARENA_BLOCK_BYTES (1u << 20)
#define ARENA_BYTES                                                                                          \
    (64u << 20) /* what a node with 4,096 attempts says of itself, or a record's adjustments */
#define CODES_SEEN_MAX 4096
#define MEMORY_LEAST_BYTES (INT64_C(64) << 20)
#define STATE_OPTION "service.state_dir"

static int say(char *error, size_t error_size, const char *what, int result)
{
    (void)snprintf(error, error_size, "%s: %s", what, strerror(-result));
    return result;
}

/* Several descriptors per attempt. Not for programs: select(2) breaks with those above 1,023, which is why
 * the soft limit is usually low. */
static void raise_files(struct agent *agent)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= limit.rlim_max)
        return;
    int64_t before = (int64_t)limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        agent->program_files = before;
    else
        log_warn("few_descriptors", "limit=%" PRId64 " error=\"%s\"", before, strerror(errno));
}

/* What ingest would refuse, or nobody could connect to, again and again: told at the start instead. */
static int check_names(const struct agent_options *options, char *error, size_t error_size)
{
    char host[NODE_ID_SIZE] = "";
    const char *node = options->node, *from = "";
    if (!node[0] && gethostname(host, sizeof host - 1) == 0) {
        node = host;
        from = " (the host name)";
    }
    if (node[0] && !name_valid(str_of(node), NODE_ID_SIZE - 1)) {
        (void)snprintf(error, error_size, "agent.node=%s%s is not 1..%d bytes of [A-Za-z0-9._:+@/-]", node,
                       from, NODE_ID_SIZE - 1);
        return -EINVAL;
    }
    if (!name_valid(str_of(options->pool), NAME_SIZE_MAX)) {
        (void)snprintf(error, error_size, "agent.pool=%s is not 1..%d bytes of [A-Za-z0-9._:+@/-]",
                       options->pool, NAME_SIZE_MAX);
        return -EINVAL;
    }
    for (const char *at = options->ingest; at; at = strchr(at, ',')) {
        at += *at == ',';
        at += strspn(at, " ");
        struct str address = {at, strcspn(at, ", ")};
        if (transport_address_valid(address))
            continue;
        (void)snprintf(error, error_size, "agent.ingest=%s: \"%.*s\" is not host:port", options->ingest,
                       (int)address.size, address.data);
        return -EINVAL;
    }
    return 0;
}

static int make_parents(const char *path)
{
    char partial[4096];
    if (!str_copy(partial, sizeof partial, str_of(path)))
        return -ENAMETOOLONG;
    for (char *slash = strchr(partial + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(partial, 0711) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}

static int open_directories(struct agent *agent, const char *state_dir, char *error, size_t error_size)
{
    char what[4200];
    (void)snprintf(what, sizeof what, "cannot make or open service.state_dir=%s", state_dir);
    int result = make_parents(state_dir);
    if (result == 0)
        result = agent->state_fd = disk_open_directory(AT_FDCWD, state_dir, 0711);
    if (result >= 0 && !realpath(state_dir, agent->state_dir))
        result = -errno;
    if (result >= 0)
        result = agent->attempts_fd = disk_open_directory(agent->state_fd, ATTEMPTS_DIRECTORY, 0711);
    if (result >= 0)
        result = agent->output_fd = disk_open_directory(agent->state_fd, "output", 0711);
    if (result >= 0)
        result = agent->spool_fd = disk_open_directory(agent->state_fd, "spool", 0700);
    return result < 0 ? unwritable_say(result, what, STATE_OPTION, error, error_size) : 0;
}

/* Bound by a path below /proc/self/fd: the state directory's own path may be too long for a socket's. */
static int open_notices(struct agent *agent)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" AGENT_SOCKET,
                   agent->state_fd);
    agent->notice_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (agent->notice_fd < 0)
        return -errno;
    (void)unlinkat(agent->state_fd, AGENT_SOCKET, 0); /* of the last agent; the lock says it is gone */
    return bind(agent->notice_fd, (const struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
}

static int find_supervisor(struct agent *agent)
{
    if (agent->options->supervisor[0]) {
        if (!str_copy(agent->supervisor, sizeof agent->supervisor, str_of(agent->options->supervisor)))
            return -ENAMETOOLONG;
    } else {
        int result = installed_path("forestall-supervisor", agent->supervisor, sizeof agent->supervisor);
        if (result < 0)
            return result;
    }
    return access(agent->supervisor, X_OK) < 0 ? -errno : 0;
}

static int64_t machine_memory(void)
{
    int64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? pages * page : 0;
}

static void set_capacity(struct agent *agent)
{
    const struct agent_options *options = agent->options;
    struct msg_limits *total = &agent->capacity.total;
    total->memory_bytes = options->capacity_memory_bytes
                              ? options->capacity_memory_bytes
                              : FS_MAX(machine_memory() - options->node_reserve_bytes, MEMORY_LEAST_BYTES);
    total->cpu_millicores = options->capacity_cpu_millicores
                                ? (int32_t)options->capacity_cpu_millicores
                                : (int32_t)(sysconf(_SC_NPROCESSORS_ONLN) * 1000);
    total->io_read_bps = options->capacity_io_read_bps;
    total->io_write_bps = options->capacity_io_write_bps;
    total->net_egress_bps = options->capacity_net_bps;
    agent->capacity.raise_reserve_bytes = (int64_t)((double)total->memory_bytes * options->raise_reserve);
    agent->capacity.raise_ceiling_bytes = (int64_t)((double)total->memory_bytes * options->raise_ceiling);
}

static int open_host(struct agent *agent, char *error, size_t error_size)
{
    const char *paths[] = {agent->state_dir};
    struct cgroup_host_options options = {
        .subtree = agent->options->cgroup,
        .io_paths = paths,
        .io_path_count = 1,
        .net_device = agent->options->net_device[0] ? agent->options->net_device : NULL,
        .net_namespace = agent->options->net_namespace[0] ? agent->options->net_namespace : NULL,
    };
    return cgroup_host_open(&options, error, error_size, &agent->host);
}

static void add_metrics(struct agent *agent, struct metrics *metrics)
{
    static const double tick_bounds[] = {0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1};
    struct agent_metrics *m = &agent->metrics;
    m->accepted = metrics_counter(metrics, "placements_total", "Placements answered", "answer", "accepted");
    m->refused = metrics_counter(metrics, "placements_total", "Placements answered", "answer", "refused");
    m->repeated = metrics_counter(metrics, "placements_total", "Placements answered", "answer", "repeated");
    m->finished = metrics_counter(metrics, "attempts_total", "Attempts that ended", "outcome", "finished");
    m->failed = metrics_counter(metrics, "attempts_total", "Attempts that ended", "outcome", "failed");
    m->oom_kills = metrics_counter(metrics, "oom_kills_total", "OOM kills in attempts", NULL, NULL);
    m->adjusted = metrics_counter(metrics, "adjustments_total", "Adjustments met", "result", "applied");
    m->ignored = metrics_counter(metrics, "adjustments_total", "Adjustments met", "result", "ignored");
    m->brakes = metrics_counter(metrics, "brakes_total", "Stays in the brake", NULL, NULL);
    m->near_limit = metrics_counter(
        metrics, "near_limit_total",
        "Samples out of the cycle because memory passed another tenth of its limit", NULL, NULL);
    m->advances = metrics_counter(metrics, "advances_total", "Raises of memory by the agent alone", "result",
                                  "applied");
    m->advances_refused = metrics_counter(metrics, "advances_total", "Raises of memory by the agent alone",
                                          "result", "refused");
    m->ticks = metrics_counter(metrics, "ticks_total", "Ticks made", NULL, NULL);
    m->late_ticks =
        metrics_counter(metrics, "ticks_missed_total",
                        "Ticks that were not made because the last ones took too long", NULL, NULL);
    m->ticks_dropped =
        metrics_gauge(metrics, "ticks_dropped", "Ticks dropped from the queue so far", NULL, NULL);
    m->tick_seconds = metrics_histogram(metrics, "tick_seconds", "Time to sample all attempts", tick_bounds,
                                        FS_COUNT(tick_bounds));
    m->running = metrics_gauge(metrics, "attempts_running", "Attempts alive", NULL, NULL);
    m->spool_waiting =
        metrics_gauge(metrics, "spool_waiting", "Spooled entries not acknowledged", NULL, NULL);
    m->spool_bytes = metrics_gauge(metrics, "spool_bytes", "Bytes of the spool on disk", NULL, NULL);
    m->spool_damaged =
        metrics_gauge(metrics, "spool_damaged", "Spooled entries that could not be read", NULL, NULL);
    m->removals = metrics_gauge(metrics, "removals_waiting",
                                "Directories of ended attempts that are being removed", NULL, NULL);
    m->link_up = metrics_gauge(metrics, "link_up", "1 while connected to ingest", NULL, NULL);
    m->codes_unseen =
        metrics_counter(metrics, "codes_not_remembered_total",
                        "Executions of codes past those whose executions are counted here", NULL, NULL);
    m->statsd = metrics_counter(metrics, "gauges_total", "Gauges taken from programs", NULL, NULL);
    m->statsd_malformed =
        metrics_counter(metrics, "gauges_malformed_total", "Gauge lines that were not taken", NULL, NULL);
    m->processes_not_asked =
        metrics_counter(metrics, "processes_not_asked_total",
                        "Samples that do not tell how much an attempt has read or asked for: "
                        "too many processes or gauges of its own, or it just ended",
                        NULL, NULL);
    m->undecodable = metrics_counter(metrics, "messages_undecodable_total",
                                     "Messages from ingest that could not be read", NULL, NULL);
}

static int open_memory(struct agent *agent)
{
    agent->attempt_max = (size_t)agent->options->max_attempts;
    agent->attempts = calloc(agent->attempt_max, sizeof(struct attempt *));
    agent->codec = codec_create();
    agent->arena = arena_create(ARENA_BLOCK_BYTES, ARENA_BYTES);
    agent->codes_seen = map_create(CODES_SEEN_MAX);
    return agent->attempts && agent->codec && agent->arena && agent->codes_seen
               ? published_learn(agent->codec)
               : -ENOMEM;
}

static int open_link(struct agent *agent)
{
    struct link_options options = {.addresses = agent->options->ingest,
                                   .queue_bytes = (size_t)agent->options->queue_bytes};
    struct link_handler handler = {.context = agent,
                                   .greet = agent_greet,
                                   .welcomed = agent_welcomed,
                                   .admission = agent_take_admission,
                                   .adjustment = agent_take_adjustment,
                                   .note = agent_note};
    agent->link = link_create(&options, &handler, agent->spool);
    return agent->link ? 0 : -ENOMEM;
}

/* what: up to "in", which the state directory follows. */
static int say_in_state(const struct agent *agent, const char *what, int result, char *error,
                        size_t error_size)
{
    char text[sizeof agent->state_dir + 100];
    (void)snprintf(text, sizeof text, "%s %s", what, agent->state_dir);
    return unwritable_say(result, text, STATE_OPTION, error, error_size);
}

static bool nth_here(void *context, size_t index, uint8_t execution[16], int32_t *attempt)
{
    const struct agent *agent = context;
    if (index >= agent->attempt_count)
        return false;
    const struct msg_admission *admission = &agent->attempts[index]->admission;
    memcpy(execution, admission->request.execution, sizeof admission->request.execution);
    *attempt = admission->attempt;
    return true;
}

static int open_disk(struct agent *agent, char *error, size_t error_size)
{
    struct spool_options spool = {.limit_bytes = agent->options->spool_bytes};
    int result = node_open(agent->state_fd, agent->options->node, agent->options->pool, &agent->node);
    if (result == -EBUSY)
        return say(error, error_size, "another agent uses this state directory", result);
    if (result < 0)
        return say_in_state(agent, "cannot read or write who this node is (incarnation, epoch) in", result,
                            error, error_size);
    if ((result = spool_open(agent->spool_fd, &spool, &agent->spool)) < 0)
        return say_in_state(agent, "cannot open the spool in", result, error, error_size);
    if ((result = syncer_open(&agent->syncer)) < 0)
        return say(error, error_size, "cannot start the thread that syncs the spool", result);
    if ((result = remover_open(agent->state_fd, agent_not_removed, &agent->remover)) < 0)
        return say_in_state(agent,
                            "cannot start the thread that removes what attempts left, or its directory, in",
                            result, error, error_size);
    if ((result = placements_open(agent->state_fd, PLACEMENTS_MAX, nth_here, agent, &agent->placements)) < 0)
        return say_in_state(agent, "cannot open the journal of placements in", result, error, error_size);
    if ((result = open_notices(agent)) < 0)
        return say_in_state(agent, "cannot open the socket for supervisors in", result, error, error_size);
    return 0;
}

int agent_open(struct agent *agent, const struct agent_options *options, const char *state_dir,
               struct metrics *metrics, char *error, size_t error_size)
{
    *agent = (struct agent){.options = options, .draining = options->draining, .limiter = {.burst = 100}};
    agent->state_fd = agent->attempts_fd = agent->output_fd = agent->spool_fd = agent->notice_fd =
        agent->node.lock_fd = -1;
    buffer_init(&agent->scratch, 0);
    buffer_init(&agent->body, 0);
    raise_files(agent);
    add_metrics(agent, metrics);
    int result = open_memory(agent);
    if (result < 0)
        return say(error, error_size, "cannot start", result);
    if ((result = check_names(options, error, error_size)) < 0 ||
        (result = check_command_required(options, error, error_size)) < 0)
        return result;
    if ((result = find_supervisor(agent)) < 0)
        return say(error, error_size, "cannot execute forestall-supervisor (agent.supervisor)", result);
    if ((result = open_directories(agent, state_dir, error, error_size)) < 0 ||
        (result = open_disk(agent, error, error_size)) < 0 ||
        (result = open_host(agent, error, error_size)) < 0)
        return result;
    set_capacity(agent);
    if ((result = open_link(agent)) < 0)
        return say(error, error_size, "cannot start", result);
    result = agent_adopt(agent);
    if (result == -ENOSPC) /* of agent_adopt() only this */
        (void)snprintf(error, error_size,
                       "more than %zu attempts of the last agent run on: raise agent.max_attempts",
                       agent->attempt_max);
    else if (result < 0)
        (void)say(error, error_size, "cannot take over the attempts of the last agent", result);
    if (result < 0)
        return result;
    output_prune(agent);
    return 0;
}

void agent_close(struct agent *agent)
{
    bool empty = agent->attempt_count == 0;
    while (agent->attempt_count > 0)
        agent_remove(agent, agent->attempt_count - 1);
    if (agent->host) {
        if (empty)
            fs_drop(cgroup_host_remove(
                agent->host)); /* -EBUSY: somebody put a process there; the next agent clears it */
        cgroup_host_close(agent->host);
    }
    if (agent->notice_fd >= 0)
        (void)unlinkat(agent->state_fd, AGENT_SOCKET, 0); /* supervisors that live on do without it */
    link_destroy(agent->link);
    placements_close(agent->placements);
    syncer_close(agent->syncer);
    remover_close(agent->remover);
    spool_close(agent->spool);
    if (agent->node.lock_fd >= 0)
        node_close(&agent->node);
    int fds[] = {agent->state_fd, agent->attempts_fd, agent->output_fd, agent->spool_fd, agent->notice_fd};
    for (size_t i = 0; i < FS_COUNT(fds); i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    map_destroy(agent->codes_seen);
    arena_destroy(agent->arena);
    codec_destroy(agent->codec);
    buffer_fini(&agent->scratch);
    buffer_fini(&agent->body);
    free(agent->attempts);
}
