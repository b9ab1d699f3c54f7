/* The loop around the life cycles: the only part of queue that knows the broker. */
#ifndef FORESTALL_QUEUE_SERVE_H
#define FORESTALL_QUEUE_SERVE_H

#include "common/service.h"
#include "queue/options.h"

/* Serves until SIGTERM: EXIT_SUCCESS; EXIT_FAILURE when it cannot start or was fenced (its supervisor starts
 * it again). */
int serve(struct service *service, const struct queue_options *options);

#endif
