/* fdatasync beside the loop: while somebody else writes a disk takes up to a hundred milliseconds for it, in
 * which a program can make as many MiB. One file at a time, one thread that does nothing else; everything
 * here is called from the loop. */
#ifndef FORESTALL_AGENT_SYNCER_H
#define FORESTALL_AGENT_SYNCER_H

#include "common/base.h"

struct syncer;

/* 0, or negative errno: descriptors, memory, threads. */
FS_MUST_CHECK int syncer_open(struct syncer **out);
/* Waits for what is under way. */
void syncer_close(struct syncer *syncer);
/* Begins to make the file durable, up to what is written now; the descriptor may be closed meanwhile. 0;
 * -EBUSY another one is under way, or its result was not taken; -EMFILE. */
FS_MUST_CHECK int syncer_begin(struct syncer *syncer, int fd);
/* True once: what was begun is done, *result is 0 or what the disk said. */
bool syncer_take(struct syncer *syncer, int *result);
/* Readable when there is something to take. */
int syncer_fd(const struct syncer *syncer);

#endif
