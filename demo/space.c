/* See space.h. */
#include "demo/space.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo/process.h"

#define COMMAND_TIMEOUT_MS 10000
#define WORDS_MAX 24

static void hold_namespace(int ready)
{
    char result = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && unshare(CLONE_NEWNET) == 0 ? '1' : '0';
    if (write(ready, &result, 1) != 1 || result == '0')
        _exit(1);
    for (;;)
        (void)pause();
}

static pid_t start_namespace(void)
{
    int ready[2];
    char result = '0';
    if (pipe(ready) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        hold_namespace(ready[1]);
    bool made = pid > 0 && read(ready[0], &result, 1) == 1 && result == '1';
    (void)close(ready[0]);
    (void)close(ready[1]);
    return made ? pid : -EPERM;
}

/* Blank-separated words, run in the namespace of that process. */
static int run_in(pid_t holder, const char *command, const char *log_path)
{
    char words[256], target[16];
    const char *argv[WORDS_MAX] = {"nsenter", "-n", "-t", target};
    size_t count = 4;
    (void)snprintf(words, sizeof words, "%s", command);
    (void)snprintf(target, sizeof target, "%d", (int)holder);
    for (char *rest = words, *word; count + 1 < WORDS_MAX && (word = strsep(&rest, " "));)
        argv[count++] = word;
    int status = process_run(argv, log_path, COMMAND_TIMEOUT_MS);
    return status == 0 ? 0 : status < 0 ? status : -EIO;
}

static int join(const struct space *space, const char *log_path)
{
    char link[128];
    (void)snprintf(link, sizeof link, "ip link add " SPACE_DEVICE " type veth peer name fsdemo1 netns %d",
                   (int)space->hub);
    const struct {
        pid_t holder;
        const char *command;
    } steps[] = {
        {space->node, link},
        {space->node, "ip addr add 10.231.9.2/24 dev " SPACE_DEVICE},
        {space->node, "ip link set " SPACE_DEVICE " up"},
        {space->hub, "ip addr add 10.231.9.1/24 dev fsdemo1"},
        {space->hub, "ip link set fsdemo1 up"},
    };
    int error = 0;
    for (size_t i = 0; i < FS_COUNT(steps) && !error; i++)
        error = run_in(steps[i].holder, steps[i].command, log_path);
    return error;
}

int space_open(struct space *space, const char *receiver, const char *log_path, char *error,
               size_t error_size)
{
    char target[16];
    *space = (struct space){.node = start_namespace(), .hub = start_namespace()};
    int result = space->node < 0 || space->hub < 0 ? -EPERM : join(space, log_path);
    if (result == 0) {
        (void)snprintf(target, sizeof target, "%d", (int)space->hub);
        const char *argv[] = {"nsenter", "-n", "-t", target, "python3", receiver, "10.231.9.1", "9000", NULL};
        space->receiver = process_start(argv, log_path);
        result = space->receiver < 0 ? space->receiver : 0;
    }
    if (result < 0) {
        (void)snprintf(
            error, error_size,
            "no network namespaces for the network case (%s): it needs root, iproute2 and util-linux",
            strerror(-result));
        space_close(space);
        return result;
    }
    (void)snprintf(space->path, sizeof space->path, "/proc/%d/ns/net", (int)space->node);
    return 0;
}

static void end(pid_t pid)
{
    if (pid > 0 && kill(pid, SIGKILL) == 0)
        (void)waitpid(pid, NULL, 0);
}

void space_close(struct space *space)
{
    end(space->receiver);
    end(space->node);
    end(space->hub);
    *space = (struct space){0};
}
