/* See service.h. The signal handler writes one byte into a pipe: readable for poll loops, and safe in a
 * handler. */
#include "common/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define FIELD(field) offsetof(struct service_options, field)

const struct config_option service_option_table[] = {
    {"service", "log_level", CONFIG_STRING, FIELD(log_level), "info", 0, 0,
     "least level written: debug, info, warn, error"},
    {"service", "http_address", CONFIG_STRING, FIELD(http_address), "127.0.0.1", 0, 0,
     "IPv4 address of the HTTP pages"},
    {"service", "http_port", CONFIG_INT, FIELD(http_port), "0", 0, 65535,
     "port of /metrics /healthz /readyz; 0 = none"},
    {"service", "state_dir", CONFIG_STRING, FIELD(state_dir), "/var/lib/forestall", 0, 0,
     "directory for what must outlive a restart"},
    {"service", "brokers", CONFIG_STRING, FIELD(brokers), "127.0.0.1:9092", 0, 0, "Kafka bootstrap servers"},
    {"service", "topic_prefix", CONFIG_STRING, FIELD(topic_prefix), "", 0, 0,
     "put before every topic and group name"},
    {"service", "partitions", CONFIG_INT, FIELD(partitions), "0", 0, 10000,
     "partitions of the topics that a service has to create; 0 = the default"},
    {"service", "redis", CONFIG_ADDRESS, FIELD(redis), "127.0.0.1:6379", 0, 0,
     "Redis host:port, or the path of its Unix socket"},
    {"service", "redis_password", CONFIG_SECRET, FIELD(redis_password), "", 0, 0,
     "password of Redis; empty = none"},
    {"service", "redis_prefix", CONFIG_STRING, FIELD(redis_prefix), "forestall:", 0, 0,
     "put before every Redis key"},
    {"service", "restart_after_outage", CONFIG_STRING, FIELD(restart_after_outage), "auto", 0, 0,
     "end, to be started again, once Kafka is back after an outage: yes, no, auto = with a librdkafka (2.5 "
     "and "
     "later) that may not find its partitions again"},
    {"service", "schema_registry", CONFIG_ADDRESS, FIELD(schema_registry), "", 0, 0,
     "URL of a Confluent-compatible schema registry; values get its framing then; empty = none"},
};
const size_t service_option_count = FS_COUNT(service_option_table);

static int stop_pipe[2] = {-1, -1};
static volatile sig_atomic_t stopping;

static void on_stop(int signal_number)
{
    (void)signal_number;
    int kept = errno;
    stopping = 1;
    ssize_t written = write(stop_pipe[1], "x", 1); /* full pipe: it is readable already */
    (void)written;
    errno = kept;
}

static int watch_signals(void)
{
    struct sigaction action = {.sa_handler = on_stop};
    if (pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(SIGTERM, &action, NULL) < 0 || sigaction(SIGINT, &action, NULL) < 0 ||
        signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -errno;
    return 0;
}

static int load(struct service *service, const char *description, const struct config_option *table,
                size_t count, void *options, int argc, char **argv)
{
    char error[512] = "out of memory";
    enum log_level level;
    service->config = config_create(service->name, description);
    if (!service->config ||
        config_add(service->config, service_option_table, service_option_count, &service->options) ||
        (count > 0 && config_add(service->config, table, count, options)) ||
        config_passthrough(service->config, "kafka")) {
        (void)fprintf(stderr, "%s: %s\n", service->name, error);
        return -ENOMEM;
    }
    int result = config_load(service->config, argc, argv, error, sizeof error);
    if (result == 0 && log_level_parse(service->options.log_level, &level)) {
        (void)snprintf(error, sizeof error, "service.log_level=%s is none of debug, info, warn, error",
                       service->options.log_level);
        result = -EINVAL;
    }
    if (result < 0)
        (void)fprintf(stderr, "%s: %s\n", service->name, error);
    if (result == 0)
        log_open(service->name, level, STDERR_FILENO);
    return result;
}

static int open_http(struct service *service)
{
    char error[256];
    if (service->options.http_port == 0)
        return 0;
    service->http = http_open(service->options.http_address, (uint16_t)service->options.http_port,
                              service->metrics, error, sizeof error);
    if (service->http)
        return 0;
    (void)fprintf(stderr, "%s: %s\n", service->name, error);
    return -EADDRINUSE;
}

static int open_signals(const struct service *service)
{
    int result = watch_signals();
    if (result < 0)
        (void)fprintf(stderr, "%s: cannot watch signals: %s\n", service->name, strerror(-result));
    return result;
}

static int open_metrics(struct service *service, const char *prefix)
{
    service->metrics = metrics_create(prefix);
    if (service->metrics)
        return 0;
    (void)fprintf(stderr, "%s: out of memory\n", service->name);
    return -ENOMEM;
}

int service_open(struct service *service, const char *name, const char *description,
                 const char *metrics_prefix, const struct config_option *table, size_t count, void *options,
                 int argc, char **argv)
{
    *service = (struct service){.name = name};
    int result = load(service, description, table, count, options, argc, argv);
    if (result == 0)
        result = open_signals(service);
    if (result == 0)
        result = open_metrics(service, metrics_prefix);
    if (result == 0)
        result = open_http(service);
    if (result != 0)
        service_close(service);
    return result;
}

bool service_stopping(void)
{
    return stopping != 0;
}

int service_stop_fd(void)
{
    return stop_pipe[0];
}

void service_ready(struct service *service, bool ready, const char *reason)
{
    if (service->http)
        http_set_ready(service->http, ready, reason);
}

void service_group(const struct service *service, char *out, size_t size)
{
    (void)snprintf(out, size, "%s%s", service->options.topic_prefix, service->name);
}

void service_close(struct service *service)
{
    http_close(service->http);
    metrics_destroy(service->metrics);
    config_destroy(service->config);
    service->http = NULL;
    service->metrics = NULL;
    service->config = NULL;
}
