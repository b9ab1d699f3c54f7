/* The files of one attempt, in <state_dir>/a/<execution as 32 hex digits>.<attempt>/ : what agent and
 * supervisor share, and all a later agent needs to adopt the attempt. Short names: two of them are paths of
 * Unix sockets, which may have 107 bytes. */
#ifndef FORESTALL_AGENT_ATTEMPT_FILES_H
#define FORESTALL_AGENT_ATTEMPT_FILES_H

#include "agent/cgroup.h"

#define ATTEMPTS_DIRECTORY "a"
#define ATTEMPT_NAME_SIZE 48
#define ATTEMPT_ADMISSION                                                                                    \
    "admission"               /* the Admission as it came, codec-framed; written before anything else */
#define ATTEMPT_TRACK "track" /* struct track, mapped by the agent; its beginning by the supervisor */
#define ATTEMPT_ADJUSTMENTS "adjustments" /* every adjustment met: u32be size + AppliedAdjustment */
#define ATTEMPT_LOCK "lock"               /* flock(2) held by the supervisor as long as it lives */
#define ATTEMPT_SUPERVISOR "supervisor"   /* its pid and start time */
#define ATTEMPT_STARTED "started"         /* the program was executed */
#define ATTEMPT_STATUS "status"           /* how it ended, see status_file.h */
#define ATTEMPT_KILL "kill"               /* why it is to be ended; the supervisor looks at it on SIGTERM */
#define ATTEMPT_LIMITS "limits"           /* FORESTALL_LIMITS */
#define ATTEMPT_METRICS "m"               /* FORESTALL_METRICS, a socket */
#define ATTEMPT_SCRATCH "scratch"         /* working directory when none was asked for */
#define ATTEMPT_LOG "supervisor.log"
#define AGENT_SOCKET "agent.sock" /* in state_dir: where supervisors send notices */

/* Name of an attempt's directory and of its cgroup. */
void attempt_name(const uint8_t execution[16], int32_t attempt, char out[ATTEMPT_NAME_SIZE]);
/* The reverse: 0 or -EINVAL. */
FS_MUST_CHECK int attempt_name_parse(const char *name, uint8_t execution[16], int32_t *attempt);

/* The file asked for, with "{attempt}" in it replaced by the attempt's number: each attempt writes its own.
 * False when it does not fit. */
FS_MUST_CHECK bool attempt_output_path(struct str asked, int32_t attempt, char *out, size_t size);

/* How an attempt ended, as its supervisor saw it: `key=value` lines, so that an agent of another version can
 * read it. */
#define STATUS_PURPOSE_MAX 256
struct status_file {
    int64_t wait_status, started, timed_out,
        on_purpose; /* started 0: the program was never executed, purpose says why */
    int64_t started_us, ended_us, duration_us; /* duration on a clock that nobody sets */
    struct cgroup_sample counters;             /* the last; limits and tasks are not kept */
    char purpose[STATUS_PURPOSE_MAX];
};
FS_MUST_CHECK int status_file_write(int directory_fd, const struct status_file *status);
/* -ENOENT: not ended (or nobody wrote it); -EBADMSG. */
FS_MUST_CHECK int status_file_read(int directory_fd, struct status_file *out);

/* Pid and start time (clock ticks since boot), so that a pid that was given to another process is not taken
 * for it. */
FS_MUST_CHECK int supervisor_file_write(int directory_fd);
/* A pidfd of the live supervisor; -ENOENT no file yet, -ESRCH it is gone. */
FS_MUST_CHECK int supervisor_file_open(int directory_fd);

enum notice_kind { NOTICE_STARTED = 1, NOTICE_BRAKE_ENGAGED, NOTICE_BRAKE_RELEASED };
struct notice {
    uint32_t magic, kind;
    uint8_t execution[16];
    int32_t attempt;
};
#define NOTICE_MAGIC 0x464e5431u
/* To the agent, if one listens; never blocks, nothing depends on it. path: of AGENT_SOCKET, relative is fine.
 */
void notice_send(int fd, const char *path, const struct notice *notice);

#endif
