/* Removes what ended attempts left, beside the loop: hundreds of thousands of files take seconds. One thread
 * that does nothing else. The directory REMOVER_DIRECTORY in the state directory is what it works through:
 * what was moved there is removed by this agent or the next one. What cannot be removed (a mount in it, an
 * immutable file) stays there and is tried by the next agent. */
#ifndef FORESTALL_AGENT_REMOVER_H
#define FORESTALL_AGENT_REMOVER_H

#include "common/base.h"

#define REMOVER_DIRECTORY "gone"
#define REMOVER_NAME_SIZE 64 /* longest name that is taken, with its end */

struct remover;

/* Told by the thread: this one stays. */
typedef void remover_failed_fn(const char *name, int error);

/* Makes the directory and begins with what an earlier agent left in it. 0, or negative errno: descriptors,
 * memory, threads, the disk. */
FS_MUST_CHECK int remover_open(int state_fd, remover_failed_fn *failed, struct remover **out);
/* Waits for no more than the removal of one file. */
void remover_close(struct remover *remover);
/* Moves name out of the directory, to be removed. 0; -EAGAIN as many wait as can: it is still there, later;
 * other negative errno: it is still there. */
FS_MUST_CHECK int remover_take(struct remover *remover, int directory_fd, const char *name);
/* Taken and not removed yet. */
size_t remover_waiting(const struct remover *remover);

#endif
