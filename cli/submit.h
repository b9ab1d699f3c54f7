/* Builds requests and sends them. */
#ifndef FORESTALL_CLI_SUBMIT_H
#define FORESTALL_CLI_SUBMIT_H

#include "cli/arguments.h"
#include "common/stream.h"
#include "schemas/messages.h"

/* What run and submit are told about an execution. */
struct submit_options {
    const char *code, *pool, *cwd, *user, *stdout_path, *stderr_path;
    int64_t memory_bytes, cpu_millicores, io_read_bps, io_write_bps, net_egress_bps;
    int64_t priority, timeout_ms, max_attempts;
    bool retry_other, clear_env;
    struct argument_list env, hints; /* NAME=VALUE, or NAME: as it is here; k=v */
};

/* priority 500, 3 attempts, pool default. */
#define SUBMIT_OPTIONS_DEFAULT                                                                               \
    {                                                                                                        \
        .pool = "default", .priority = 500, .max_attempts = 3                                                \
    }
struct argument_set submit_arguments(struct submit_options *options);

/* Fills a run request; texts live in the arena or are borrowed from options and argv. environment: of the
 * caller, NULL-terminated. 0; -EINVAL with a sentence; -ENOMEM. */
FS_MUST_CHECK int submit_build(const struct submit_options *options, char *const *argv,
                               char *const *environment, int64_t now_us, struct arena *arena,
                               struct msg_execution_request *out, char *error, size_t error_size);
/* Publishes it and waits for Kafka's report. 0, or negative errno with a sentence. */
FS_MUST_CHECK int submit_send(struct stream *stream, const struct msg_execution_request *request, char *error,
                              size_t error_size);
/* Asks for the end of an execution. */
FS_MUST_CHECK int submit_cancel(struct stream *stream, const uint8_t execution[16], struct str pool,
                                char *error, size_t error_size);
/* One framed message of any type to a topic, waiting for the report; announces its schema first. */
FS_MUST_CHECK int submit_publish(struct stream *stream, const char *topic, struct str key,
                                 const struct msg_type *type, const void *message, char *error,
                                 size_t error_size);

/* A tombstone for this key, waiting for the report. */
FS_MUST_CHECK int submit_delete(struct stream *stream, const char *topic, struct str key, char *error,
                                size_t error_size);

#endif
