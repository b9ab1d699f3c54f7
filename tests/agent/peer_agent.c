/* The processes of a peer: its agents, what they log, and the cgroups they leave. See peer.h. */
#include "tests/agent/peer.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/cgroup.h"

#define ARGUMENTS_MAX 40

struct command {
    char program[512], state[300], cgroup[128], ingest[64];
    const char *argv[ARGUMENTS_MAX];
};

static void make_command(const struct peer *peer, const char *const *arguments, struct command *out)
{
    const char *bin = getenv("FORESTALL_BIN");
    const char *fixed[] = {"forestall-agent", out->state,         out->cgroup,
                           out->ingest,       "--node=test-node", "--pool=test-pool"};
    size_t argc = FS_COUNT(fixed);
    (void)snprintf(out->program, sizeof out->program, "%s/forestall-agent", bin ? bin : "build/dev/bin");
    (void)snprintf(out->state, sizeof out->state, "--state_dir=%s", peer->state_dir);
    (void)snprintf(out->cgroup, sizeof out->cgroup, "--cgroup=%s", peer->subtree);
    (void)snprintf(out->ingest, sizeof out->ingest, "--ingest=127.0.0.1:%u", (unsigned)peer->port);
    memcpy(out->argv, fixed, sizeof fixed);
    for (; arguments && *arguments && argc + 1 < ARGUMENTS_MAX; arguments++)
        out->argv[argc++] = *arguments;
    out->argv[argc] = NULL;
}

/* With stdout and stderr appended to that file. */
static pid_t start_command(const struct command *command, unsigned uid, const char *path, bool both)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid != 0)
        return pid;
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    int program = open(command->program, O_PATH); /* another user may not reach it by its path */
    if (log < 0 || program < 0 || dup2(log, STDERR_FILENO) < 0 || (both && dup2(log, STDOUT_FILENO) < 0) ||
        (uid != 0 && setuid(uid) < 0))
        _exit(126);
    (void)execveat(program, "", (char *const *)(void *)command->argv, environ, AT_EMPTY_PATH);
    _exit(127);
}

void peer_start_agent(struct peer *peer, const char *const *arguments)
{
    struct command command;
    make_command(peer, arguments, &command);
    peer->agent = start_command(&command, 0, peer->log_path, false);
}

int peer_run_agent(struct peer *peer, unsigned uid, const char *const *arguments, char *out, size_t size)
{
    struct command command;
    char path[300];
    int status;
    make_command(peer, arguments, &command);
    (void)snprintf(path, sizeof path, "%s.run", peer->log_path);
    (void)unlink(path);
    pid_t pid = start_command(&command, uid, path, true);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t got = read(fd, out, size - 1);
    (void)close(fd);
    (void)unlink(path);
    assert_true(got >= 0);
    out[got] = '\0';
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool peer_logged(const struct peer *peer, const char *text)
{
    char line[4096];
    bool found = false;
    FILE *log = fopen(peer->log_path, "re");
    while (log && !found && fgets(line, sizeof line, log))
        found = strstr(line, text) != NULL;
    if (log)
        (void)fclose(log);
    return found;
}

void peer_kill_agent(struct peer *peer)
{
    if (peer->agent <= 0)
        return;
    (void)kill(peer->agent, SIGKILL);
    (void)waitpid(peer->agent, NULL, 0);
    peer->agent = 0;
    peer_disconnect(peer);
}

static bool agent_gone(struct peer *peer, void *status)
{
    return waitpid(peer->agent, status, WNOHANG) == peer->agent;
}

int peer_stop_agent(struct peer *peer)
{
    int status = -1;
    (void)kill(peer->agent, SIGTERM);
    assert_true(peer_wait(peer, agent_gone, &status, 30000));
    peer->agent = 0;
    peer_disconnect(peer);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int end_cgroup(void *context, const char *name)
{
    struct cgroup *cgroup;
    if (cgroup_open_existing(context, name, &cgroup) < 0)
        return 0;
    fs_drop(cgroup_brake_release_to_kernel(cgroup));
    fs_drop(cgroup_kill(cgroup));
    if (cgroup_destroy(cgroup, 2000) < 0)
        cgroup_close(cgroup);
    return 0;
}

static int count_cgroup(void *context, const char *name)
{
    (void)name;
    ++*(int *)context;
    return 0;
}

bool peer_cgroups_left(const struct peer *peer)
{
    char error[256], path[256];
    struct cgroup_host *host;
    struct cgroup_host_options options = {.subtree = peer->subtree};
    int count = 0;
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup/memory/%s", peer->subtree);
    bool directory = access(path, F_OK) == 0;
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup/%s", peer->subtree);
    directory = directory || access(path, F_OK) == 0;
    if (cgroup_host_open(&options, error, sizeof error, &host) < 0)
        return true;
    fs_drop(cgroup_list(host, count_cgroup, &count));
    fs_drop(cgroup_host_remove(host));
    cgroup_host_close(host);
    return directory || count > 0;
}

void peer_end_cgroups(const struct peer *peer)
{
    char error[256];
    struct cgroup_host *host;
    struct cgroup_host_options options = {.subtree = peer->subtree};
    if (cgroup_host_open(&options, error, sizeof error, &host) < 0)
        return;
    fs_drop(cgroup_list(host, end_cgroup, host)); /* their supervisors end with them */
    fs_drop(cgroup_host_remove(host));
    cgroup_host_close(host);
}
