/* See serve.h. */
#include "queue/serve.h"

#include <stdlib.h>

#include "common/stream.h"
#include "queue/broker.h"

int serve(struct service *service, const struct queue_options *options)
{
    char error[512];
    struct stream *stream;
    struct stream_batch batch;
    int partitions, status = EXIT_FAILURE;
    if (broker_open(service, options, &stream, &partitions, error, sizeof error) < 0) {
        log_error("not_started", "reason=\"%s\"", error);
        return EXIT_FAILURE;
    }
    if (broker_join(stream, service, options, NULL, NULL, error, sizeof error) < 0) {
        log_error("not_started", "reason=\"%s\"", error);
    } else {
        int got = 0;
        log_info("started", "member=%s partitions=%d", options->member, partitions);
        while (!service_stopping() && got >= 0) {
            got = stream_poll(stream, &batch, 100);
            stream_batch_release(&batch);
            service_ready(service, stream_caught_up(stream), "");
        }
        status = got < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    stream_close(stream);
    return status;
}
