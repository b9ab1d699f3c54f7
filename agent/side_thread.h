/* A thread beside the loop that takes no signals: these are the loop's. */
#ifndef FORESTALL_AGENT_SIDE_THREAD_H
#define FORESTALL_AGENT_SIDE_THREAD_H

#include <pthread.h>

#include "common/base.h"

/* As pthread_create(). 0 or negative errno. */
FS_MUST_CHECK int side_thread_start(pthread_t *thread, void *(*run)(void *context), void *context);

#endif
