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

/* A start under way: entering a directory or opening a file may wait for a server that does not answer. */
struct launching {
    pid_t pid;
    int report_fd; /* readable when there is something to look at; -1 = none any more */
    int32_t step;  /* the child's, as far as it was told */
};

/* Forks. 0, or negative errno with a sentence in error. launch_look, or launch_end, closes report_fd. */
FS_MUST_CHECK int launch_begin(const struct launch *launch, const struct cgroup *cgroup, char *error,
                               size_t error_size, struct launching *out);
/* Looks without waiting: 1 the program was executed, 0 not yet; negative errno with a sentence in error when
 * any step up to execve failed: the child ends by itself, the caller reaps it. -ENOENT: no such program;
 * -ENXIO: its output is a FIFO that nobody reads. */
FS_MUST_CHECK int launch_look(const struct launch *launch, struct launching *launching, char *error,
                              size_t error_size);
/* The sentence for a start that is given up after so long: which step it still is at. */
void launch_say_late(const struct launch *launch, const struct launching *launching, int64_t waited_ms,
                     char *error, size_t error_size);
void launch_end(struct launching *launching);
/* All in one, however long it takes: 0 and the pid; negative errno as launch_look, the child is reaped. */
FS_MUST_CHECK int launch_start(const struct launch *launch, const struct cgroup *cgroup, char *error,
                               size_t error_size, pid_t *out);

#endif
