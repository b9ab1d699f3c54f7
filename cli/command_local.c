/* forestall local: all services on this machine until SIGINT or SIGTERM. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/local.h"
#include "cli/message_json.h"
#include "cli/signals.h"
#include "common/log.h"

#define NAME "local"
#define ERROR_BYTES 16384

struct command_options {
    struct local_options local;
    const char *ready_file;
    bool json;
};

#define FIELD(field) offsetof(struct command_options, field)

static const struct argument arguments[] = {
    {"state", ARGUMENT_STRING, FIELD(local.state_dir), 0, 0, "DIR",
     "what is kept [$FORESTALL_STATE, else /var/lib/forestall/local]"},
    {"kafka", ARGUMENT_STRING, FIELD(local.kafka), 0, 0, "HOST:PORT",
     "a Kafka to use [an embedded broker that promises nothing]"},
    {"redis", ARGUMENT_STRING, FIELD(local.redis), 0, 0, "ADDRESS", "a Redis to use [one of its own]"},
    {"node-memory", ARGUMENT_BYTES, FIELD(local.node_memory_bytes), 0, 0, "SIZE",
     "memory offered to programs [the machine's]"},
    {"node-cpu", ARGUMENT_MILLICORES, FIELD(local.node_cpu_millicores), 0, 0, "CPUS",
     "CPU offered to programs [the machine's]"},
    {"node", ARGUMENT_STRING, FIELD(local.node), 0, 0, "NAME", "name of this node [the host's]"},
    {"pool", ARGUMENT_STRING, FIELD(local.pool), 0, 0, "POOL", "pool of this node [default]"},
    {"net-device", ARGUMENT_STRING, FIELD(local.net_device), 0, 0, "DEVICE",
     "device that egress limits act on [none]"},
    {"net-namespace", ARGUMENT_STRING, FIELD(local.net_namespace), 0, 0, "PATH",
     "network namespace of that device"},
    {"prefix", ARGUMENT_STRING, FIELD(local.topic_prefix), 0, 0, "TEXT", "put before every topic"},
    {"redis-prefix", ARGUMENT_STRING, FIELD(local.redis_prefix), 0, 0, "TEXT",
     "put before every Redis key [forestall:]"},
    {"partitions", ARGUMENT_INT, FIELD(local.partitions), 1, 1000, "N",
     "of topics that have to be made [1 on a Kafka, 8 on the embedded broker]"},
    {"set", ARGUMENT_LIST, FIELD(local.sets), 0, 0, "SECTION.KEY=VALUE", "any setting of any service"},
    {"without", ARGUMENT_LIST, FIELD(local.without), 0, 0, "SERVICE",
     "do not start this one: somebody else runs it"},
    {"retrain", ARGUMENT_FLAG, FIELD(local.with_retrain), 0, 0, NULL, "start forestall-retrain too"},
    {"log-level", ARGUMENT_STRING, FIELD(local.log_level), 0, 0, "LEVEL",
     "of the services: debug, info, warn, error [info]"},
    {"ready-timeout", ARGUMENT_DURATION_MS, FIELD(local.ready_timeout_ms), 1000, 3600000, "TIME",
     "time to become ready [60s]"},
    {"ready-file", ARGUMENT_STRING, FIELD(ready_file), 0, 0, "FILE",
     "written (as local.json) once all is ready"},
    {"while-used", ARGUMENT_FLAG, FIELD(local.while_used), 0, 0, NULL,
     "stop with the last command that uses it"},
    {"json", ARGUMENT_FLAG, FIELD(json), 0, 0, NULL, "say what happens as JSON lines"},
};

static const struct usage usage = {
    "forestall local [OPTION]...",
    "Runs all services of Forestall on this machine, with a Kafka-compatible broker inside and a Redis of "
    "its own,\n"
    "until SIGINT or SIGTERM; what is started ends with it. Needs root (cgroups). Other commands find the "
    "instance\n"
    "by its state directory. A second signal while it ends makes it hurry.",
    "  forestall local\n"
    "  forestall local --kafka broker:9092 --redis cache:6379 --node-memory 8G",
};

static bool impatient(void)
{
    return signals_count() > 1;
}

static json_t *ready_json(const struct instance *instance)
{
    json_t *services = json_object();
    for (size_t i = 0; services && i < instance->service_count; i++) {
        const struct instance_service *service = &instance->services[i];
        json_t *entry = json_pack("{s:I,s:I}", "pid", (json_int_t)service->pid, "http_port",
                                  (json_int_t)service->http_port);
        if (json_object_set_new(services, service->name, entry) < 0) {
            json_decref(services);
            return NULL;
        }
    }
    return json_pack("{s:s,s:I,s:s,s:s,s:b,s:s,s:s,s:s,s:s,s:o}", "event", "ready", "pid",
                     (json_int_t)instance->pid, "state_dir", instance->state_dir, "brokers",
                     instance->brokers, "embedded", (int)instance->embedded, "redis", instance->redis, "node",
                     instance->node, "pool", instance->pool, "config", instance->config, "services",
                     services);
}

static int say_ready(const struct command_options *options, const struct instance *instance)
{
    if (options->json)
        return message_json_print(ready_json(instance));
    printf("forestall local: ready, node %s, pool %s\n  state  %s\n  kafka  %s%s\n  redis  %s\n",
           instance->node, instance->pool, instance->state_dir, instance->brokers,
           instance->embedded
               ? "  (embedded: for one machine and for trying out; it promises nothing over a restart but\n"
                 "         what programs need. For more: --kafka HOST:PORT)"
               : "",
           instance->redis);
    for (size_t i = 0; i < instance->service_count; i++)
        if (instance->services[i].http_port)
            printf("  %-9s http://127.0.0.1:%lld/metrics\n", instance->services[i].name,
                   (long long)instance->services[i].http_port);
    return fflush(stdout) == EOF ? -EIO : 0;
}

/* A copy of what other commands find the instance by. */
static int write_ready_file(const char *path, const struct instance *instance)
{
    char temporary[4200];
    if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary)
        return -ENAMETOOLONG;
    json_t *root = ready_json(instance);
    int result = !root ? -ENOMEM : json_dump_file(root, temporary, JSON_INDENT(2)) < 0 ? -EIO : 0;
    json_decref(root);
    return result == 0 && rename(temporary, path) < 0 ? -errno : result;
}

static int serve(const struct command_options *options, struct local *local)
{
    const struct instance *instance = local_instance(local);
    int result = say_ready(options, instance);
    if (result == 0 && options->ready_file)
        result = write_ready_file(options->ready_file, instance);
    if (result < 0)
        return command_fail(NAME, EXIT_FAILED, "cannot say that it is ready: %s", strerror(-result));
    while (signals_count() == 0 && local_step(local, signals_fd(), 1000) == 0)
        ;
    if (!options->json)
        printf("forestall local: ending\n");
    if (options->ready_file)
        (void)remove(options->ready_file);
    return EXIT_SUCCESS;
}

int command_local(int argc, char **argv)
{
    struct command_options options = {.local = LOCAL_OPTIONS_DEFAULT};
    struct argument_set sets[] = {{arguments, FS_COUNT(arguments), &options}};
    char *error = calloc(1, ERROR_BYTES);
    int words, status = EXIT_SUCCESS;
    if (!error)
        return command_fail(NAME, EXIT_FAILED, "out of memory");
    int result = arguments_parse(sets, FS_COUNT(sets), &usage, ARGUMENTS_ANYWHERE, argc, argv, &words, error,
                                 ERROR_BYTES);
    if (result == 0 && words > 0)
        result = -EINVAL, (void)snprintf(error, ERROR_BYTES, "%s is not expected", argv[1]);
    if (result != 0) {
        status = result < 0 ? command_misuse(NAME, error) : EXIT_SUCCESS;
        free(error);
        return status;
    }
    if (!options.local.state_dir)
        options.local.state_dir = instance_default_dir();
    log_open("forestall-local", LOG_LEVEL_INFO, 2);
    result = signals_watch();
    if (result < 0)
        (void)snprintf(error, ERROR_BYTES, "signals: %s", strerror(-result));
    struct local *local = result < 0 ? NULL : local_open(&options.local, error, ERROR_BYTES);
    result = local ? local_wait_ready(local, signals_fd(), error, ERROR_BYTES) : -1;
    if (result == 0)
        status = serve(&options, local);
    else if (result != -EINTR)
        status = command_fail(NAME, EXIT_FAILED, "%s", error);
    local_close(local, impatient);
    free(error);
    return status;
}
