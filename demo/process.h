/* Child processes that end with the demo. */
#ifndef FORESTALL_DEMO_PROCESS_H
#define FORESTALL_DEMO_PROCESS_H

#include <sys/types.h>

#include "common/base.h"

/* Starts argv[0] (looked up in PATH) with both outputs appended to a file; the kernel sends it SIGTERM when
 * this process ends. pid, or negative errno. */
FS_MUST_CHECK pid_t process_start(const char *const *argv, const char *output_path);
/* Waits for its end: exit status, 128 + signal, or -ETIMEDOUT (it goes on). */
FS_MUST_CHECK int process_wait(pid_t pid, int timeout_ms);
/* SIGTERM, then SIGKILL after timeout_ms; returns when it is gone. */
void process_stop(pid_t pid, int timeout_ms);
/* Start and wait; -ETIMEDOUT: it was stopped. */
FS_MUST_CHECK int process_run(const char *const *argv, const char *output_path, int timeout_ms);

#endif
