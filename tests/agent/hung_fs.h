/* A file system whose server does not answer: what a network file system is whose server is gone. */
#ifndef FORESTALL_TESTS_AGENT_HUNG_FS_H
#define FORESTALL_TESTS_AGENT_HUNG_FS_H

#include "common/base.h"

struct hung_fs {
    int fd; /* of the server, who is this process */
};

/* Mounted at an existing directory, for who shares this process' mounts. Whoever enters it sleeps until it is
 * closed; a kill ends that, unless hung_fs_take took the question. Negative errno: not on this machine. */
FS_MUST_CHECK int hung_fs_open(const char *directory, struct hung_fs *out);
/* Takes the next question, which is never answered: who asked cannot even be killed. False when none has come
 * within the deadline. */
bool hung_fs_take(const struct hung_fs *fs, int timeout_ms);
/* All who wait for it get an error, and it is unmounted. */
void hung_fs_close(const struct hung_fs *fs, const char *directory);

#endif
