/* A process that removes the demo's directory when the demo is over, however it ends; FORESTALL_KEEP in the
 * environment keeps it. */
#ifndef FORESTALL_DEMO_GUARDIAN_H
#define FORESTALL_DEMO_GUARDIAN_H

#include <sys/types.h>

#include "common/base.h"

struct guardian {
    pid_t pid;
    int lives; /* open as long as the demo lives */
};

/* state: directory of the instance, whose end is waited for first (at most 30 s). 0, or negative errno. */
FS_MUST_CHECK int guardian_start(struct guardian *guardian, const char *work, const char *state);
/* The demo is over: returns when the directory is gone. */
void guardian_finish(struct guardian *guardian);

#endif
