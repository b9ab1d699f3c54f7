/* Starts one program inside a cgroup: environment, directory, user, files for its output; says exactly what
 * failed. */
#ifndef FORESTALL_AGENT_LAUNCH_H
#define FORESTALL_AGENT_LAUNCH_H

#include <sys/types.h>

#include "agent/cgroup.h"

#define LAUNCH_ERROR_MAX 256

struct launch {
    char *const *argv; /* argv[0] is looked up in the new environment's PATH when it has no slash */
    char *const *env;
    const char *cwd;  /* NULL = the caller's */
    const char *user; /* NULL = the caller's */
    const char *stdout_path,
        *stderr_path;   /* NULL = the caller's own; opened as the user, appended to, made when missing */
    int64_t open_files; /* soft limit on descriptors of the program; 0 = the caller's */
    bool inherit_stdin; /* else /dev/null */
    bool own_session;   /* setsid(2): no terminal signals reach it */
};

/* Forks and executes. 0 and the pid; negative errno with a sentence in error when any step up to execve
 * failed (the child is gone and reaped then). -ENOENT: no such program; -ENXIO: its output is a FIFO that
 * nobody reads. */
FS_MUST_CHECK int launch_start(const struct launch *launch, const struct cgroup *cgroup, char *error,
                               size_t error_size, pid_t *out);

#endif
