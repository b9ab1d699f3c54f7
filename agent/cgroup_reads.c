/* What the processes of a cgroup read by system calls; the kernel counts that of processes only. See
 * cgroup.h. */
#include "agent/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define LIST_MAX (CGROUP_READS_PROCESSES * 12) /* a pid has seven digits at most */

/* 0: it has ended since it was listed. */
static int64_t read_by(const char *pid, size_t size)
{
    char path[64], buffer[512];
    struct str text;
    int64_t bytes = 0;
    const struct cgroup_parse_key keys[] = {{"rchar:", &bytes}};
    (void)snprintf(path, sizeof path, "/proc/%.*s/io", (int)size, pid);
    int result = cgroup_file_read(AT_FDCWD, path, buffer, sizeof buffer, &text);
    if (result < 0)
        return result == -ENOENT || result == -ESRCH ? 0 : result;
    cgroup_parse_keyed(text, keys, FS_COUNT(keys));
    return FS_MAX(bytes, 0);
}

int cgroup_reads(const struct cgroup *cgroup, int64_t *bytes)
{
    char list[LIST_MAX];
    struct str text;
    int result = cgroup_get(cgroup, CGROUP_MEMORY, "cgroup.procs", list, sizeof list, &text), count = 0;
    int64_t sum = 0;
    if (result < 0)
        return result;
    for (size_t at = 0, end; at < text.size; at = end + 1) {
        for (end = at; end < text.size && text.data[end] != '\n';)
            end++;
        if (end == text.size || ++count > CGROUP_READS_PROCESSES)
            return -E2BIG;
        int64_t own = read_by(text.data + at, end - at);
        if (own < 0)
            return (int)own;
        sum = own < INT64_MAX - sum ? sum + own : INT64_MAX;
    }
    *bytes = sum;
    return 0;
}
