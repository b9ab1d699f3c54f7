/* The removal of an attempt that was reported: its cgroup, then its directory. See agent.h. */
#include <errno.h>
#include <unistd.h>

#include "agent/agent.h"

#define LEFT_MS 5000 /* killed processes are gone by then, but for those that cannot be */
#define SOON_MS 10
#define LATER_MS 1000

bool attempt_left_behind(const struct attempt *attempt, int64_t now_ms)
{
    return now_ms - attempt->ended_ms >= LEFT_MS;
}

void agent_not_removed(const char *name, int error)
{
    log_warn("directory_not_removed", "attempt=%s error=\"%s\" retry=\"when the agent starts again\"", name,
             strerror(-error));
}

/* Its admission goes first: without it the next agent clears what a kill or an error here leaves, and does
 * not report it again. When not even that goes, all stays, with the claim that says it was reported. -EAGAIN:
 * the remover has as many as it takes. */
static int remove_directory(const struct agent *agent, const struct attempt *attempt)
{
    if ((unlinkat(attempt->directory_fd, ATTEMPT_ADMISSION, 0) < 0 && errno != ENOENT) ||
        fsync(attempt->directory_fd) < 0)
        return -errno;
    return remover_take(agent->remover, agent->attempts_fd, attempt->name);
}

/* What is left behind keeps its share of the node: its memory is not free before it is gone. */
static void try_later(struct attempt *attempt, int64_t now_ms)
{
    bool left = attempt_left_behind(attempt, now_ms);
    attempt->retry_ms = now_ms + (left ? LATER_MS : SOON_MS);
    if (!left || attempt->left_told)
        return;
    attempt->left_told = true;
    log_warn(
        "processes_left",
        "attempt=%s processes=%d hint=\"killed, but they wait in the kernel for a disk or server "
        "that does not answer; the attempt is reported, what it had committed stays taken until they go\"",
        attempt->name, cgroup_population(attempt->cgroup));
}

bool agent_removed(struct agent *agent, struct attempt *attempt, int64_t now_ms)
{
    if (attempt->cgroup && cgroup_destroy(attempt->cgroup, 0) < 0) {
        fs_drop(cgroup_kill(attempt->cgroup)); /* tried again with the removal */
        try_later(attempt, now_ms);
        return false;
    }
    attempt->cgroup = NULL;
    int result = remove_directory(agent, attempt);
    if (result == -EAGAIN) {
        attempt->retry_ms = now_ms + SOON_MS;
        return false;
    }
    if (result < 0)
        agent_not_removed(attempt->name, result);
    return true;
}
