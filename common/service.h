/* The skeleton of a service's main: configuration, log, signals, metrics, the HTTP pages. */
#ifndef FORESTALL_COMMON_SERVICE_H
#define FORESTALL_COMMON_SERVICE_H

#include "common/config.h"
#include "common/http.h"
#include "common/log.h"
#include "common/metrics.h"

/* What every service can be told, section [service], and where the shared systems are. */
struct service_options {
    const char *log_level;
    const char *http_address;
    int64_t http_port; /* 0 = no HTTP */
    const char *state_dir;
    int64_t partitions; /* of topics to be made; 0 = the default */
    const char *brokers, *topic_prefix, *redis, *redis_password, *redis_prefix, *schema_registry,
        *restart_after_outage;
};

/* The table behind them, for programs that are not services. */
extern const struct config_option service_option_table[];
extern const size_t service_option_count;

struct service {
    const char *name;
    struct service_options options;
    struct config *config;
    struct metrics *metrics;
    struct http_server *http; /* NULL without a port */
};

/* Reads the configuration (the service's own table plus the common one and [kafka]), opens log, metrics and
 * HTTP, takes SIGTERM and SIGINT as the wish to stop and ignores SIGPIPE. name: "forestall-ingest"; prefix of
 * metrics: "forestall_ingest_". 0 = go on; 1 = answered (--help), exit 0; negative = the error is already on
 * standard error, exit 1. */
FS_MUST_CHECK int service_open(struct service *service, const char *name, const char *description,
                               const char *metrics_prefix, const struct config_option *table, size_t count,
                               void *options, int argc, char **argv);
/* True once SIGTERM or SIGINT came. */
bool service_stopping(void);
/* A descriptor that becomes readable when service_stopping() turns true, for poll loops. */
int service_stop_fd(void);
void service_ready(struct service *service, bool ready, const char *reason);
/* The consumer group of a service: its name behind service.topic_prefix, so that two installations on one
 * Kafka do not share it. Cut when it does not fit. */
void service_group(const struct service *service, char *out, size_t size);
void service_close(struct service *service);

#endif
