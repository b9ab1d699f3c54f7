/* Opening what queue reads and writes in Kafka: topics, announced schemas, the transactional stream in its
 * group. */
#ifndef FORESTALL_QUEUE_BROKER_H
#define FORESTALL_QUEUE_BROKER_H

#include "common/service.h"
#include "common/stream.h"
#include "queue/options.h"

/* Makes sure of the topics, announces our schemas and opens the stream: 0 with *stream and the number of
 * partitions of the pool family, or negative with one clear line in error. */
FS_MUST_CHECK int broker_open(const struct service *service, const struct queue_options *options,
                              struct stream **stream, int *partitions, char *error, size_t error_size);
/* Joins the group. */
FS_MUST_CHECK int broker_join(struct stream *stream, const struct service *service,
                              const struct queue_options *options, const struct stream_callbacks *callbacks,
                              void *context, char *error, size_t error_size);

#endif
