/* What the kernel counts of processes only, summed up over those of a cgroup. See cgroup.h. */
#include "agent/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define LIST_MAX (CGROUP_PROCESSES_MAX * 12) /* a pid has seven digits at most */
#define STATM_DATA 5                         /* the fields before it */

/* text: of a file of one process; empty when it has ended since it was listed. */
static int read_of(const char *pid, size_t size, const char *name, char *buffer, size_t room,
                   struct str *text)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%.*s/%s", (int)size, pid, name);
    int result = cgroup_file_read(AT_FDCWD, path, buffer, room, text);
    if (result != -ENOENT && result != -ESRCH)
        return result;
    *text = (struct str){0};
    return 0;
}

static void add(int64_t *sum, int64_t more)
{
    if (more > 0)
        *sum = more < INT64_MAX - *sum ? *sum + more : INT64_MAX;
}

static int add_reads(const char *pid, size_t size, struct cgroup_processes *sums)
{
    char buffer[512];
    struct str text;
    int64_t bytes = 0;
    const struct cgroup_parse_key keys[] = {{"rchar:", &bytes}};
    int result = read_of(pid, size, "io", buffer, sizeof buffer, &text);
    if (result < 0)
        return result;
    cgroup_parse_keyed(text, keys, FS_COUNT(keys));
    add(&sums->read_bytes, bytes);
    return 0;
}

static int add_data(const char *pid, size_t size, int64_t page_bytes, struct cgroup_processes *sums)
{
    char buffer[256];
    struct str text;
    int64_t pages = 0;
    int result = read_of(pid, size, "statm", buffer, sizeof buffer, &text);
    if (result < 0)
        return result;
    size_t at = 0, fields = 0;
    for (; at < text.size && fields < STATM_DATA; at++)
        fields += text.data[at] == ' ';
    for (; at < text.size && text.data[at] >= '0' && text.data[at] <= '9' && pages < INT64_MAX / 1000000;
         at++)
        pages = 10 * pages + (text.data[at] - '0');
    add(&sums->data_bytes, pages * page_bytes);
    return 0;
}

/* How many are listed; -E2BIG: too many, or the list is cut off. */
static int count_listed(struct str list)
{
    int count = 0;
    for (size_t i = 0; i < list.size; i++)
        count += list.data[i] == '\n';
    bool whole = list.size == 0 || list.data[list.size - 1] == '\n';
    return whole && count <= CGROUP_PROCESSES_MAX ? count : -E2BIG;
}

int cgroup_processes(const struct cgroup *cgroup, bool reads, struct cgroup_processes *out)
{
    char list[LIST_MAX];
    struct str text;
    struct cgroup_processes sums = {0};
    int64_t page_bytes = sysconf(_SC_PAGESIZE);
    int result = cgroup_get(cgroup, CGROUP_MEMORY, "cgroup.procs", list, sizeof list, &text);
    if (result >= 0)
        result = count_listed(text);
    for (size_t at = 0, end; result >= 0 && at < text.size; at = end + 1) {
        for (end = at; text.data[end] != '\n';)
            end++;
        result = add_data(text.data + at, end - at, page_bytes, &sums);
        if (result >= 0 && reads && sums.read_bytes >= 0 && add_reads(text.data + at, end - at, &sums) < 0)
            sums.read_bytes = -1;
    }
    if (result < 0)
        return result;
    *out = sums;
    return 0;
}
