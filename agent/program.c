/* See program.h. */
#include "agent/program.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/attempt_files.h"

static char **make_list(struct arena *arena, const struct msg_str_array *texts, size_t more)
{
    char **list = arena_alloc(arena, texts->count + more + 1, sizeof *list);
    for (size_t i = 0; list && i < texts->count; i++)
        if (!(list[i] = arena_strdup(arena, texts->items[i])))
            return NULL;
    return list;
}

static char *variable(struct arena *arena, const char *name, const char *directory, const char *file)
{
    char text[4200];
    (void)snprintf(text, sizeof text, "%s=%s%s%s", name, directory, file ? "/" : "", file ? file : "");
    return arena_strdup(arena, str_of(text));
}

char **program_argv(const struct msg_execution_request *request, struct arena *arena)
{
    return make_list(arena, &request->argv, 0);
}

char **program_env(const struct msg_admission *admission, const char *directory, struct arena *arena)
{
    const struct msg_execution_request *request = &admission->request;
    char **env = make_list(arena, &request->env, 4);
    char attempt[16], uuid[40], name[ATTEMPT_NAME_SIZE];
    size_t at = request->env.count;
    if (!env)
        return NULL;
    attempt_name(request->execution, admission->attempt, name);
    (void)snprintf(uuid, sizeof uuid, "%.8s-%.4s-%.4s-%.4s-%.12s", name, name + 8, name + 12, name + 16,
                   name + 20);
    (void)snprintf(attempt, sizeof attempt, "%d", admission->attempt);
    env[at++] = variable(arena, "FORESTALL_EXECUTION", uuid, NULL);
    env[at++] = variable(arena, "FORESTALL_ATTEMPT", attempt, NULL);
    env[at++] = variable(arena, "FORESTALL_LIMITS", directory, ATTEMPT_LIMITS);
    if (access(ATTEMPT_METRICS, F_OK) == 0) /* no socket: its path would have been too long */
        env[at++] = variable(arena, "FORESTALL_METRICS", directory, ATTEMPT_METRICS);
    return env[at - 1] && env[request->env.count] ? env : NULL;
}

/* Output the agent keeps lies where the user cannot make files: it is made for the user here. */
static int make_output(const char *path, uid_t uid, gid_t gid)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int result = fchown(fd, uid, gid) < 0 ? -errno : 0;
    (void)close(fd);
    return result;
}

int program_make_places(const struct msg_execution_request *request, const char *user,
                        const char *stdout_path, const char *stderr_path)
{
    struct passwd entry, *found = NULL;
    char text[4096];
    uid_t uid = geteuid();
    gid_t gid = getegid();
    if (*user && getpwnam_r(user, &entry, text, sizeof text, &found) == 0 &&
        found) { /* an unknown one: launch_start says it */
        uid = entry.pw_uid;
        gid = entry.pw_gid;
    }
    if (mkdir(ATTEMPT_SCRATCH, 0700) < 0 && errno != EEXIST)
        return -errno;
    int result = chown(ATTEMPT_SCRATCH, uid, gid) < 0 ? -errno : 0;
    if (result == 0 && request->stdout_path.size == 0)
        result = make_output(stdout_path, uid, gid);
    if (result == 0 && request->stderr_path.size == 0)
        result = make_output(stderr_path, uid, gid);
    return result;
}
