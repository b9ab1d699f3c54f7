/* Processes that are kept running: started, watched, started again with a growing pause when they end,
 * stopped.
 *
 * A child has a session of its own (Ctrl-C on the terminal is its parent's matter), its output appended to a
 * log file, standard input from /dev/null, no FORESTALL_ variables, and gets SIGTERM from the kernel when
 * this process ends in any way. Used by one thread, which must be the one that lives longest (the kernel's
 * signal follows the thread that forked). */
#ifndef FORESTALL_CLI_CHILDREN_H
#define FORESTALL_CLI_CHILDREN_H

#include <sys/types.h>

#include "common/base.h"

#define CHILDREN_MAX 16
#define CHILD_ARGUMENTS_MAX 24
#define CHILD_PAUSE_MIN_MS 100
#define CHILD_PAUSE_MAX_MS 10000
#define CHILD_STEADY_MS 30000 /* one that ran so long starts again with the shortest pause */
#define CHILD_LOG_MAX_BYTES (INT64_C(64) << 20)

struct child {
    char name[32];
    char *arguments[CHILD_ARGUMENTS_MAX + 1]; /* owned */
    size_t argument_count;
    char log_path[4200];
    pid_t pid; /* 0: not running */
    int pid_fd;
    bool wanted; /* to be running */
    int64_t started_ms, restart_ms, pause_ms;
    int64_t starts;
    int last_status; /* of waitpid(2), when starts > 0 and it ended */
    bool ended;      /* ever */
};

struct children {
    struct child items[CHILDREN_MAX];
    size_t count;
};

/* The pause before the next start: pure. previous_ms: the last pause, 0 = none yet. */
int64_t child_pause_ms(int64_t previous_ms, int64_t ran_ms);

void children_init(struct children *children);
/* Kills what still runs (SIGKILL) and waits for it. */
void children_fini(struct children *children);
/* Describes one more; not started yet. program: path. NULL: too many, too long, or out of memory. */
struct child *children_add(struct children *children, const char *name, const char *program,
                           const char *log_path);
/* One more argument. 0, -ENOSPC, -ENOMEM. */
FS_MUST_CHECK int child_argument(struct child *child, const char *format, ...) FS_PRINTF(2, 3);
struct child *children_find(struct children *children, const char *name);
/* 0 or negative errno. From now on it is wanted. */
FS_MUST_CHECK int child_start(struct child *child, int64_t now_ms);
/* Looks for ends, starts again what is due, bounds the logs. How many ended or were started again; on_end
 * (may be NULL) is told of each end before its restart is planned. */
typedef void child_ended_fn(void *context, const struct child *child);
int children_poll(struct children *children, int64_t now_ms, child_ended_fn *on_end, void *context);
/* For poll(2): the running children's pidfds. Number written. */
struct pollfd;
size_t children_poll_fds(const struct children *children, struct pollfd *out, size_t max);
/* Milliseconds until a restart is due, at most limit_ms. */
int64_t children_wait_ms(const struct children *children, int64_t now_ms, int64_t limit_ms);
/* No longer wanted; signal to it. */
void child_stop(struct child *child, int signal_number);
bool child_running(const struct child *child);
/* SIGTERM, then SIGKILL after timeout_ms; waits. True when SIGTERM was enough. */
bool child_stop_wait(struct child *child, int64_t timeout_ms);
/* "exited with status 1", "was killed by signal 9", "never ran". */
void child_describe_end(const struct child *child, char *out, size_t size);

#endif
