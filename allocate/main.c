/* forestall-allocate: decides the limits of running attempts and of the next executions, judges failed
 * attempts. What it does is in allocate.h. */
#include <stdio.h>
#include <stdlib.h>

#include "allocate/allocate.h"

static int serve(struct service *service, const struct allocate_options *options)
{
    static struct allocate allocate; /* too large for a stack */
    char error[512] = "";
    int result = allocate_open(&allocate, service, options, error, sizeof error);
    if (result < 0)
        (void)fprintf(stderr, "%s: %s\n", service->name, error);
    while (result == 0 && !service_stopping())
        result = allocate_step(&allocate);
    if (allocate.failure < 0)
        log_error("failed", "reason=\"%s\"", allocate.failure_text);
    allocate_close(&allocate);
    log_info("stopped", "result=%d", result);
    return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct service service;
    struct allocate_options options = {0};
    int result = service_open(
        &service, ALLOCATE_SERVICE,
        "Decides the limits of running attempts and of the next executions, judges failed attempts.",
        "forestall_allocate_", allocate_option_table, allocate_option_count, &options, argc, argv);
    if (result != 0)
        return result > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    allocate_options_finish(&options);
    int status = serve(&service, &options);
    service_close(&service);
    return status;
}
