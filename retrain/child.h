/* One long computation as a child of the service: the same program with other arguments. It dies with its
 * parent and yields to everything else on the machine. */
#ifndef FORESTALL_RETRAIN_CHILD_H
#define FORESTALL_RETRAIN_CHILD_H

#include <sys/types.h>

#include "common/base.h"

/* argv[0] is shown in process lists; the program is this one. 0 with *pid, or negative errno. */
FS_MUST_CHECK int child_start(char *const *argv, pid_t *pid);
/* 1: ended, *status is its exit status or 128 + signal; 0: runs; negative errno. Does not block. */
FS_MUST_CHECK int child_poll(pid_t pid, int *status);
/* Ends it and waits. */
void child_stop(pid_t pid);

#endif
