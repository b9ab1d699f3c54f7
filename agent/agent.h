/* The agent's state and the steps its loop takes. One thread; everything here runs from main.c's loop.
 * Order of what is written for one attempt (each durable before the next): its directory with the admission,
 * the journal's answer, the ACCEPTED event, the program; at its end: record and FINISHED event, then the
 * directory goes (to the remover). So an agent that is killed anywhere finds enough to go on, and reports
 * each attempt once.
 */
#ifndef FORESTALL_AGENT_AGENT_H
#define FORESTALL_AGENT_AGENT_H

#include "agent/adjust.h"
#include "agent/attempt_files.h"
#include "agent/capacity.h"
#include "agent/limit_marks.h"
#include "agent/link.h"
#include "agent/node.h"
#include "agent/options.h"
#include "agent/outcome.h"
#include "agent/placements.h"
#include "agent/remover.h"
#include "agent/spool.h"
#include "agent/statsd.h"
#include "agent/syncer.h"
#include "agent/track.h"
#include "common/log.h"
#include "common/map.h"
#include "common/metrics.h"
#include "schemas/codec.h"
#include "schemas/request.h"

enum attempt_state {
    ATTEMPT_RUNNING, /* its supervisor lives */
    ATTEMPT_ENDED,   /* its supervisor is gone: to be reported */
    ATTEMPT_REPORTED /* to be removed as soon as the kernel lets its cgroup go */
};

/* A raise the node had no room for. */
struct short_of {
    int64_t wanted, until_ms; /* wanted 0 = nothing */
};

/* How an attempt comes near its memory limit; all zero = look now. */
struct near {
    int64_t next_us, usage_bytes; /* the next look, monotonic; what it had when it last grew or fell */
    int32_t calm;                 /* looks in a row that saw no growth, bounded */
    int32_t tenths;               /* of the limit, the highest seen since it changed */
};

struct attempt {
    enum attempt_state state;
    char name[ATTEMPT_NAME_SIZE];
    struct arena *arena; /* of admission */
    struct buffer framed;
    struct msg_admission admission; /* borrows from arena and framed */
    int directory_fd;
    struct cgroup *cgroup; /* NULL when it could not be opened any more */
    struct track *track;
    struct msg_limits limits; /* committed */
    int pid_fd, metrics_fd;   /* -1 = none */
    int adjustments_fd;       /* of ATTEMPT_ADJUSTMENTS, appended to; -1 = not open */
    struct short_of wants[MSG_CAUSE_COUNT];
    struct statsd_counts statsd;
    struct request_identity identity; /* of admission.request */
    bool end_wanted, killed;          /* it is to be ended; its supervisor was told */
    bool last_taken;
    bool left_told;                     /* that processes of it cannot be killed */
    bool supervisor_ended;              /* its pid_fd said so */
    bool record_spooled, event_spooled; /* of its ending; finish.c */
    bool sample_now;                    /* out of the cycle */
    bool limits_file_due;               /* the limits in force are not in it yet */
    int64_t extra_us;                   /* last sample out of the cycle, monotonic */
    int64_t let_go_us;                  /* memory was raised last, monotonic: what the brake held goes on */
    struct near near;
    int64_t decided_bytes; /* memory limit that somebody else decided last */
    int64_t ended_ms;      /* its supervisor was seen gone, monotonic */
    int64_t retry_ms;      /* ATTEMPT_ENDED, ATTEMPT_REPORTED: not before */
};

struct agent_metrics {
    struct metric *accepted, *refused, *repeated, *finished, *failed, *oom_kills, *adjusted, *ignored, *ticks,
        *ticks_dropped, *late_ticks, *running, *spool_waiting, *spool_bytes, *spool_damaged, *link_up,
        *statsd, *removals, *statsd_malformed, *undecodable, *brakes, *near_limit, *advances,
        *advances_refused, *codes_unseen, *processes_not_asked, *tick_seconds;
};

struct agent {
    const struct agent_options *options;
    struct node node;
    int state_fd, attempts_fd, output_fd, spool_fd, notice_fd;
    char state_dir[4096], supervisor[4096];
    int64_t program_files; /* the soft limit on descriptors that the agent was started with; 0 = still has */
    struct codec *codec;
    struct arena *arena; /* of one message or one tick */
    struct buffer scratch, body;
    struct spool *spool;
    struct syncer *syncer;
    uint64_t syncing; /* the spool's number that it is at */
    struct remover *remover;
    struct placements *placements;
    struct link *link;
    struct cgroup_host *host;
    struct capacity capacity;
    struct msg_limits committed;
    struct attempt **attempts;
    size_t attempt_count, attempt_max;
    size_t finish_next;     /* the pass over what has ended goes on below this index */
    struct map *codes_seen; /* code -> count of executions finished here, as a pointer's value */
    int64_t sequence;
    int64_t status_ms;
    uint64_t finished;
    bool tick_now;        /* an attempt has sample_now */
    bool limits_file_due; /* an attempt has limits_file_due */
    bool finish_due;      /* the last pass over what has ended left some of it */
    bool draining;
    struct log_limiter limiter;
    struct agent_metrics metrics;
};

/* attempt.c: one attempt's memory and files */
struct attempt *attempt_create(const char *name);
void attempt_destroy(struct attempt *attempt); /* closes; removes nothing */
FS_MUST_CHECK int attempt_decode(struct attempt *attempt, struct codec *codec, struct str framed);
struct attempt *agent_find(const struct agent *agent, const uint8_t execution[16], int32_t attempt);
void agent_add(struct agent *agent, struct attempt *attempt);
void agent_remove(struct agent *agent, size_t index);
void agent_commit(struct agent *agent, struct attempt *attempt,
                  const struct msg_limits *limits); /* changes what it commits */
void attempt_open_metrics(const struct agent *agent, struct attempt *attempt);
/* Opens, or makes, the file that its adjustments are kept in. 0 or negative errno. */
FS_MUST_CHECK int attempt_open_adjustments(struct attempt *attempt);
/* Asks the supervisor to end the attempt, as soon as it is known; the reason goes into the record. */
void attempt_end(struct attempt *attempt, const char *reason);
/* Its supervisor is known from now on: takes the pidfd, and asks what could not be asked before. */
void attempt_found(struct attempt *attempt, int pid_fd);
/* Tells the supervisor that limits changed. -ESRCH: it is not known yet, or gone. */
int attempt_signal(const struct attempt *attempt, int number);
FS_MUST_CHECK int attempt_spawn(const struct agent *agent, struct attempt *attempt, int lock_fd);
FS_MUST_CHECK int attempt_lock(int directory_fd); /* the lock's descriptor; -EWOULDBLOCK a supervisor lives */
void attempt_set_lease(const struct agent *agent, struct attempt *attempt);

/* admit.c */
void agent_take_admission(void *context, struct str framed);
/* apply.c */
void agent_take_adjustment(void *context, struct str framed);
/* Puts applied->adjustment.limits in force and tells the result: kernel, committed sums, event, record,
 * sample. */
void agent_put_in_force(struct agent *agent, struct attempt *attempt, struct msg_applied_adjustment *applied);
/* advance.c: it comes near its limit with `held` bytes of its own: more memory at once, before anybody is
 * asked. False: it may not have more. */
bool agent_advance(struct agent *agent, struct attempt *attempt, int64_t held);
/* The attempt's limits file is to be written when there is nothing more urgent. */
void agent_want_limits_file(struct agent *agent, struct attempt *attempt);
/* Writes one limits file that is due; the loop calls again without waiting while agent->limits_file_due. */
void agent_write_limits_file(struct agent *agent);
/* finish.c: reports and removes what has ended; cheap when nothing has. Stops after a few milliseconds with
 * agent->finish_due set: the loop calls again without waiting. */
void agent_finish(struct agent *agent, int64_t now_ms);
/* What of its ending an earlier agent spooled; last: the spool's last number before this agent appended
 * anything. */
void agent_judge_claim(struct attempt *attempt, uint64_t last);
/* removal.c */
/* True when its cgroup is gone and its directory is the remover's; else retry_ms says when to try again. A
 * directory that cannot be handed over is left to the next agent: what the attempt had committed must not
 * wait for it. */
bool agent_removed(struct agent *agent, struct attempt *attempt, int64_t now_ms);
/* Long after its end: what is left in its cgroup was killed, and waits in the kernel for a disk or server
 * that does not answer. */
bool attempt_left_behind(const struct attempt *attempt, int64_t now_ms);
/* A directory that stays. Any thread may tell it. */
void agent_not_removed(const char *name, int error);
/* Something ended and waits for its next try. */
bool agent_finishing(const struct agent *agent);
/* output.c: removes the oldest kept outputs past the configured number */
void output_prune(const struct agent *agent);
/* adopt.c */
FS_MUST_CHECK int agent_adopt(struct agent *agent);
/* sampler.c */
/* Samples every attempt and sends as it goes: no sample waits for those of more than TICK_SAMPLES others. */
void agent_tick(struct agent *agent);
/* Something happened to it: a sample out of the cycle. */
void agent_want_sample(struct agent *agent, struct attempt *attempt);
/* Sends the samples asked for. Milliseconds until it must be called again, INT64_MAX when none waits. */
int64_t agent_extra_tick(struct agent *agent);
void agent_take_notices(struct agent *agent);
/* near.c: looks at the attempts whose time has come; samples and advances. Milliseconds
 * until the next look, INT64_MAX when nothing is looked at. */
int64_t agent_look_near(struct agent *agent);
/* What holds programs that outgrow their limit here: the kernel's brake when agent.brake is on. An attempt
 * whose stay ended by the deadline is without until its limits change. */
enum limit_brake agent_brake(const struct agent *agent);
/* patience.c: extends the stay in the brake of those for whose raise there is no room; with each tick */
void agent_be_patient(const struct agent *agent);
/* report.c */
struct msg_execution_event agent_event(const struct agent *agent, const struct attempt *attempt,
                                       enum msg_event_kind kind);
/* Appends; the loop syncs before anything is sent. */
FS_MUST_CHECK int agent_spool_event(struct agent *agent, const struct msg_execution_event *event);
void agent_report_started(struct agent *agent, struct attempt *attempt);
void agent_status(struct agent *agent);
void agent_greet(void *context, struct buffer *out);
void agent_welcomed(void *context, struct buffer *out);
void agent_note(void *context, const char *event, const char *reason);
/* start.c: opens everything in order with one precise error each */
FS_MUST_CHECK int agent_open(struct agent *agent, const struct agent_options *options, const char *state_dir,
                             struct metrics *metrics, char *error, size_t error_size);
void agent_close(struct agent *agent);

#endif
