/* See attempt_files.h. */
#include "agent/attempt_files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/disk.h"

void attempt_name(const uint8_t execution[16], int32_t attempt, char out[ATTEMPT_NAME_SIZE])
{
    for (size_t i = 0; i < 16; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", execution[i]);
    (void)snprintf(out + 32, ATTEMPT_NAME_SIZE - 32, ".%d", attempt);
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool attempt_output_path(struct str asked, int32_t attempt, char *out, size_t size)
{
    static const char place[] = "{attempt}";
    char number[16];
    const char *found = memmem(asked.data, asked.size, place, sizeof place - 1);
    size_t head = found ? (size_t)(found - asked.data) : asked.size;
    struct str tail = {"", 0};
    if (found)
        tail = (struct str){found + sizeof place - 1, asked.size - head - (sizeof place - 1)};
    (void)snprintf(number, sizeof number, "%" PRId32, attempt);
    int written = snprintf(out, size, "%.*s%s%.*s", (int)head, asked.data, found ? number : "",
                           (int)tail.size, tail.data);
    return written >= 0 && (size_t)written < size;
}

int attempt_name_parse(const char *name, uint8_t execution[16], int32_t *attempt)
{
    char *end;
    uint8_t id[16];
    if (strlen(name) < 34 || name[32] != '.')
        return -EINVAL;
    for (size_t i = 0; i < 16; i++) {
        int high = hex(name[2 * i]), low = hex(name[2 * i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        id[i] = (uint8_t)(high << 4 | low);
    }
    long number = strtol(name + 33, &end, 10);
    if (*end || end == name + 33 || number < 1 || number > INT32_MAX)
        return -EINVAL;
    memcpy(execution, id, sizeof id);
    *attempt = (int32_t)number;
    return 0;
}

#define STATUS(name, field)                                                                                  \
    {                                                                                                        \
        name, offsetof(struct status_file, field)                                                            \
    }
#define COUNTER(field) STATUS(#field, counters.field)

static const struct {
    const char *key;
    size_t offset; /* of an int64_t */
} status_fields[] = {
    STATUS("wait_status", wait_status),
    STATUS("started", started),
    STATUS("timed_out", timed_out),
    STATUS("on_purpose", on_purpose),
    STATUS("started_us", started_us),
    STATUS("ended_us", ended_us),
    STATUS("duration_us", duration_us),
    COUNTER(cpu_usage_us),
    COUNTER(cpu_throttled_us),
    COUNTER(cpu_throttled_periods),
    COUNTER(cpu_periods),
    COUNTER(memory_bytes),
    COUNTER(memory_usage_bytes),
    COUNTER(cpu_some_us),
    COUNTER(memory_some_us),
    COUNTER(memory_full_us),
    COUNTER(io_some_us),
    COUNTER(io_full_us),
    COUNTER(io_stall_us),
    COUNTER(io_read_bytes),
    COUNTER(io_write_bytes),
    COUNTER(io_read_ops),
    COUNTER(io_write_ops),
    COUNTER(net_rx_bytes),
    COUNTER(net_tx_bytes),
    COUNTER(page_faults),
    COUNTER(major_faults),
    COUNTER(oom_kills),
};

int status_file_write(int directory_fd, const struct status_file *status)
{
    char text[4096];
    size_t used = 0;
    for (size_t i = 0; i < FS_COUNT(status_fields); i++) {
        int64_t value;
        memcpy(&value, (const char *)status + status_fields[i].offset, sizeof value);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s=%" PRId64 "\n", status_fields[i].key,
                                 value);
    }
    used += (size_t)snprintf(text + used, sizeof text - used, "purpose=%.*s\nend\n", STATUS_PURPOSE_MAX - 1,
                             status->purpose);
    return disk_replace(directory_fd, ATTEMPT_STATUS, text, used, 0600, true);
}

static int parse_status_line(struct status_file *status, const char *line)
{
    const char *equals = strchr(line, '=');
    if (!equals)
        return -EBADMSG;
    if (strncmp(line, "purpose=", 8) == 0) {
        (void)str_copy(status->purpose, sizeof status->purpose,
                       str_of(equals + 1)); /* for people: cut is fine */
        return 0;
    }
    for (size_t i = 0; i < FS_COUNT(status_fields); i++) {
        if (strlen(status_fields[i].key) != (size_t)(equals - line) ||
            strncmp(status_fields[i].key, line, (size_t)(equals - line)) != 0)
            continue;
        char *end;
        errno = 0;
        int64_t value = strtoll(equals + 1, &end, 10);
        if (errno || *end || end == equals + 1)
            return -EBADMSG;
        memcpy((char *)status + status_fields[i].offset, &value, sizeof value);
        return 0;
    }
    return 0; /* another version's counter */
}

int status_file_read(int directory_fd, struct status_file *out)
{
    char text[8192];
    struct status_file status = {0};
    int64_t size = disk_read(directory_fd, ATTEMPT_STATUS, text, sizeof text);
    if (size < 0)
        return (int)size;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")) && strcmp(line, "end") != 0) {
        int result = parse_status_line(&status, line);
        if (result < 0)
            return result;
    }
    if (!line)
        return -EBADMSG;
    *out = status;
    return 0;
}

/* Field 22 of /proc/PID/stat; the name in field 2 may hold anything, so it is read from its last parenthesis.
 */
static int64_t start_time(pid_t pid)
{
    char path[64], text[2048];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int64_t size = disk_read(-1, path, text, sizeof text);
    if (size < 0)
        return size == -ENOENT ? -ESRCH : size;
    char *at = strrchr(text, ')');
    for (int field = 3; at && field <= 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoll(at + 1, NULL, 10) : -EBADMSG;
}

int supervisor_file_write(int directory_fd)
{
    char text[64];
    int64_t started = start_time(getpid());
    if (started < 0)
        return (int)started;
    int size = snprintf(text, sizeof text, "%d %" PRId64 "\n", (int)getpid(), started);
    return disk_replace(directory_fd, ATTEMPT_SUPERVISOR, text, (size_t)size, 0600, false);
}

int supervisor_file_open(int directory_fd)
{
    char text[64], *end;
    int64_t size = disk_read(directory_fd, ATTEMPT_SUPERVISOR, text, sizeof text);
    if (size < 0)
        return (int)size;
    long pid = strtol(text, &end, 10);
    int64_t started = strtoll(end, NULL, 10);
    if (pid <= 1 || started <= 0)
        return -EBADMSG;
    int fd = pidfd_open((pid_t)pid, 0);
    if (fd < 0)
        return -errno;
    if (start_time((pid_t)pid) != started) { /* after the open: from here on the pid cannot change hands */
        (void)close(fd);
        return -ESRCH;
    }
    return fd;
}

void notice_send(int fd, const char *path, const struct notice *notice)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (str_copy(address.sun_path, sizeof address.sun_path, str_of(path)))
        (void)sendto(fd, notice, sizeof *notice, MSG_DONTWAIT | MSG_NOSIGNAL,
                     (const struct sockaddr *)&address, sizeof address);
}
