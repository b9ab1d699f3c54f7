/* What is left in the subtree; see cgroup_list in cgroup.h. Names are collected first, so that the visitor
 * may remove. */
#include "agent/cgroup_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct names {
    char (*items)[CGROUP_NAME_MAX];
    size_t count, capacity;
};

static int add_name(struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) == 0)
            return 0;
    }
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? names->capacity * 2 : 64, size;
        if (!size_multiply(capacity, sizeof names->items[0], &size))
            return -ENOMEM;
        void *items = realloc(names->items, size);
        if (!items)
            return -ENOMEM;
        names->items = items;
        names->capacity = capacity;
    }
    if (str_copy(names->items[names->count], CGROUP_NAME_MAX, str_of(name)))
        names->count++; /* a longer name is none that cgroup_create made */
    return 0;
}

static int collect(int dir, struct names *names)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    DIR *stream = fdopendir(fd);
    if (!stream) {
        (void)close(fd); /* only read from */
        return -ENOMEM;
    }
    int result = 0;
    const struct dirent *entry;
    while (result == 0 && (entry = readdir(stream))) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            result = add_name(names, entry->d_name);
    }
    (void)closedir(stream); /* only read from */
    return result;
}

int cgroup_list(struct cgroup_host *host, cgroup_visit_fn *visit, void *context)
{
    struct names names = {0};
    int result = 0;
    for (size_t i = 0; i < host->dir_count && result == 0; i++)
        result = collect(host->dirs[i].fd, &names);
    for (size_t i = 0; i < names.count && result == 0; i++)
        result = visit(context, names.items[i]);
    free(names.items);
    return result;
}
