/* forestall-queue: the life cycle of every execution: order, admission to a node with room, retry, terminal
 * state. */
#include <stdio.h>
#include <stdlib.h>

#include "common/service.h"
#include "queue/options.h"
#include "queue/serve.h"

int main(int argc, char **argv)
{
    struct service service;
    struct queue_options options = {0};
    int result =
        service_open(&service, "forestall-queue",
                     "Keeps the life cycle of every execution: order, admission, retry, terminal state.",
                     "forestall_queue_", queue_option_table, queue_option_count, &options, argc, argv);
    if (result != 0)
        return result > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    int status = serve(&service, &options);
    service_close(&service);
    return status;
}
