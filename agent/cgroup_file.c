/* Small kernel files relative to a directory descriptor; see cgroup_internal.h. */
#include "agent/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

int cgroup_file_pread(int fd, char *buffer, size_t capacity, struct str *text)
{
    ssize_t size = pread(fd, buffer, capacity, 0);
    if (size < 0)
        return -errno;
    *text = (struct str){buffer, (size_t)size};
    return 0;
}

int cgroup_file_read(int dir, const char *path, char *buffer, size_t capacity, struct str *text)
{
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = cgroup_file_pread(fd, buffer, capacity, text);
    (void)close(fd); /* nothing was written */
    return result;
}

int cgroup_file_write(int dir, const char *path, const char *text)
{
    int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t written = write(fd, text, strlen(text));
    int result = written < 0 ? -errno : 0;
    (void)close(fd); /* kernel files report errors in write */
    return result;
}

/* Descriptor of the hierarchy's subtree and the file's path below it. */
static int locate(const struct cgroup *cgroup, enum cgroup_hierarchy hierarchy, const char *file, char *path,
                  size_t capacity)
{
    int index = cgroup->host->dir_of[hierarchy];
    if (index < 0)
        return -EOPNOTSUPP;
    int size = snprintf(path, capacity, "%s/%s", cgroup->name, file);
    return size < 0 || (size_t)size >= capacity ? -ENAMETOOLONG : cgroup->host->dirs[index].fd;
}

int cgroup_get(const struct cgroup *cgroup, enum cgroup_hierarchy hierarchy, const char *file, char *buffer,
               size_t capacity, struct str *text)
{
    char path[CGROUP_NAME_MAX + 64];
    int dir = locate(cgroup, hierarchy, file, path, sizeof path);
    return dir < 0 ? dir : cgroup_file_read(dir, path, buffer, capacity, text);
}

int cgroup_get_number(const struct cgroup *cgroup, enum cgroup_hierarchy hierarchy, const char *file,
                      int64_t *out)
{
    char buffer[64];
    struct str text = {0};
    int result = cgroup_get(cgroup, hierarchy, file, buffer, sizeof buffer, &text);
    return result < 0 ? result : cgroup_parse_number(text, out);
}

bool cgroup_is_absent(int error)
{
    return error == -ENOENT || error == -ENODEV || error == -EOPNOTSUPP;
}

int cgroup_get_if_there(const struct cgroup *cgroup, enum cgroup_hierarchy hierarchy, const char *file,
                        char *buffer, size_t capacity, struct str *text)
{
    int result = cgroup_get(cgroup, hierarchy, file, buffer, capacity, text);
    if (!cgroup_is_absent(result))
        return result;
    *text = (struct str){buffer, 0};
    return 0;
}

int cgroup_get_number_or(const struct cgroup *cgroup, enum cgroup_hierarchy hierarchy, const char *file,
                         int64_t absent, int64_t *out)
{
    int result = cgroup_get_number(cgroup, hierarchy, file, out);
    if (!cgroup_is_absent(result))
        return result;
    *out = absent;
    return 0;
}

int cgroup_put(const struct cgroup *cgroup, enum cgroup_hierarchy hierarchy, const char *file,
               const char *format, ...)
{
    char path[CGROUP_NAME_MAX + 64], text[128];
    int dir = locate(cgroup, hierarchy, file, path, sizeof path);
    if (dir < 0)
        return dir;
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof text)
        return -EINVAL;
    return cgroup_file_write(dir, path, text);
}

int cgroup_open_file(const struct cgroup *cgroup, enum cgroup_hierarchy hierarchy, const char *file,
                     int flags)
{
    char path[CGROUP_NAME_MAX + 64];
    int dir = locate(cgroup, hierarchy, file, path, sizeof path);
    if (dir < 0)
        return dir;
    int fd = openat(dir, path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

bool cgroup_host_has_file(const struct cgroup_host *host, enum cgroup_hierarchy hierarchy, const char *file)
{
    int index = host->dir_of[hierarchy];
    return index >= 0 && faccessat(host->dirs[index].fd, file, F_OK, 0) == 0;
}
