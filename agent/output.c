/* Output of finished attempts that nobody gave a file for: kept up to a number, the oldest go first. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"

#define SCAN_MAX 100000 /* names looked at in one go */

/* Names begin with a UUIDv7 in hex: in their order they are in the order of time. */
static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t list_names(int directory_fd, char **names, size_t max)
{
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    size_t count = 0;
    while (directory && count < max && (entry = readdir(directory)))
        if (entry->d_name[0] != '.' && (names[count] = strdup(entry->d_name)))
            count++;
    if (directory)
        (void)closedir(directory);
    return count;
}

static bool still_here(const struct agent *agent, const char *name)
{
    struct stat status;
    char attempt[ATTEMPT_NAME_SIZE + 16];
    (void)str_copy(attempt, sizeof attempt, str_of(name)); /* cut: no attempt's name */
    char *dot = strrchr(attempt, '.');                     /* <attempt>.stdout */
    if (dot)
        *dot = '\0';
    return fstatat(agent->attempts_fd, attempt, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

void output_prune(const struct agent *agent)
{
    char **names = calloc(SCAN_MAX, sizeof *names);
    size_t count = names ? list_names(agent->output_fd, names, SCAN_MAX) : 0,
           keep = 2 * (size_t)agent->options->output_keep;
    if (count > 1)
        qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        if (i + keep < count && !still_here(agent, names[i]))
            (void)unlinkat(agent->output_fd, names[i], 0); /* tried again next time */
        free(names[i]);
    }
    free(names);
}
