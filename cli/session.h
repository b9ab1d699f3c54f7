/* One execution from its request to its end, followed on the topics, its output passed on. */
#ifndef FORESTALL_CLI_SESSION_H
#define FORESTALL_CLI_SESSION_H

#include "cli/execution.h"
#include "cli/reader.h"
#include "cli/submit.h"
#include "cli/target.h"

enum session_output {
    SESSION_LIVE, /* as it comes; see relay.h for what retries do */
    SESSION_LAST  /* only the last attempt's, at the end */
};

struct session;

struct session_options {
    const struct target *target;
    const char *directory; /* for the output's files; must exist and not be a memory file system */
    enum session_output output;
    bool quiet;   /* no notes on standard error */
    bool verbose; /* a note on every raise */
};

/* Connects and sends the request; its stdout_path and stderr_path are set here. 0, or negative errno with a
 * sentence. */
FS_MUST_CHECK int session_open(const struct session_options *options, struct msg_execution_request *request,
                               struct session **out, char *error, size_t error_size);
/* Until the end of the execution. The first signal (signals.h) cancels it, a second stops waiting: -EINTR.
 * -EPIPE: nobody reads the output (the execution was cancelled for it and ended); -ESHUTDOWN: the instance is
 * gone; other negative errno with a sentence. */
FS_MUST_CHECK int session_run(struct session *session, char *error, size_t error_size);
/* After the end: waits, at most timeout_ms, until what the execution taught is in `allocations` and `codes`.
 * True when it is. */
bool session_await_learning(struct session *session, int timeout_ms);
const struct execution *session_execution(const struct session *session);
void session_close(struct session *session);

#endif
