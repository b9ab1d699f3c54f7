/* A running instance to work with: the one that is there, or one that is started now and stops with its last
 * user. */
#ifndef FORESTALL_CLI_ATTACH_H
#define FORESTALL_CLI_ATTACH_H

#include <sys/types.h>

#include "cli/instance.h"

struct attachment {
    struct instance instance;
    int users_fd;
    pid_t pid; /* of the instance started here; 0: it was there */
};

/* Finds or starts (`forestall local --while-used`) and waits until it is ready. While attached the instance
 * goes on. stop_fd: readable ends the waiting with -EINTR. 0, or negative errno with sentences (why it did
 * not start, the end of its log). */
FS_MUST_CHECK int attach_open(const char *state_dir, int stop_fd, struct attachment *out, char *error,
                              size_t error_size);
/* Lets go. When nobody else uses an instance of this kind, waits until it is gone. */
void attach_close(struct attachment *attachment);

#endif
