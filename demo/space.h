/* Two network namespaces joined by a veth pair, for the network case: the program sends from one to a
 * receiver in the other. They live as long as two child processes, so nothing is left behind however the demo
 * ends. */
#ifndef FORESTALL_DEMO_SPACE_H
#define FORESTALL_DEMO_SPACE_H

#include <sys/types.h>

#include "common/base.h"

#define SPACE_DEVICE "fsdemo0" /* in the program's namespace; egress limits act on it */

struct space {
    pid_t node, hub, receiver;
    char path[64]; /* of the program's namespace */
};

/* receiver: path of the receiving script. 0; -EPERM, -ENOENT (ip or nsenter missing), -EIO, with a sentence
 * in error. */
FS_MUST_CHECK int space_open(struct space *space, const char *receiver, const char *log_path, char *error,
                             size_t error_size);
void space_close(struct space *space);

#endif
