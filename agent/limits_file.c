/* See limits_file.h. */
#include "agent/limits_file.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/disk.h"

int limits_file_write(int directory_fd, const char *name, const struct msg_limits *limits, int64_t now_us)
{
    char text[512];
    int size = snprintf(text, sizeof text,
                        "memory_bytes=%" PRId64 "\ncpu_millicores=%d\ncpu_weight=%d\nio_read_bps=%" PRId64
                        "\nio_write_bps=%" PRId64 "\nio_weight=%d\nnet_egress_bps=%" PRId64
                        "\nnet_priority=%d\nupdated_us=%" PRId64 "\n",
                        limits->memory_bytes, limits->cpu_millicores, limits->cpu_weight, limits->io_read_bps,
                        limits->io_write_bps, limits->io_weight, limits->net_egress_bps, limits->net_priority,
                        now_us);
    return disk_replace(directory_fd, name, text, (size_t)size, 0644, false);
}
