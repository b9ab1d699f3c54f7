/* One interface for all policies that are replayed: what a try of an execution starts with, what the next try
 * gets after a failure, what is learned from each try, and, for those that act while a program runs, what
 * limit it gets next. Memory only, in bytes; times in seconds.
 *
 * A policy keeps one state per code; tries of one code come one after the other. Policies are pure: no clock,
 * no files, nothing shared but the settings. docs/design/replay.md says how each rule reads what a trace does
 * not tell, tests/replay checks the published vectors. */
#ifndef FORESTALL_REPLAY_POLICY_H
#define FORESTALL_REPLAY_POLICY_H

#include "common/base.h"
#include "schemas/messages.h"

struct ours_tools; /* policy_ours.h: network and learner of the product's own policy */

struct replay_settings {
    double node_bytes;  /* the largest allocation that can be given */
    double size_factor; /* last size x factor: the factor */
    struct ours_tools *ours;
};

/* One try that is about to start. */
struct replay_request {
    double now_s;
    double requested_bytes; /* what its submitter asked for */
    double input_bytes;     /* NAN: not known */
    int32_t attempt;        /* from 1 */
};

/* One try that ended. */
struct replay_run {
    double started_s, ended_s;
    double peak_bytes;        /* of a failed try: what it held when it was killed, its limit */
    double first_limit_bytes; /* it began with */
    double limit_bytes;       /* highest it had */
    double requested_bytes, input_bytes;
    int32_t attempt;
    bool failed;
    bool raised;                               /* while it ran */
    const struct msg_execution_record *record; /* the recording it was read from; NULL: none */
};

/* A running try at a sample. */
struct replay_moment {
    double now_s, started_s;
    double limit_bytes, used_bytes, peak_bytes;
    double stalled_s; /* held in the brake so far */
    bool braked;      /* now */
    bool extra;       /* out of the rhythm: the brake took hold, or a new limit is in force */
    int32_t attempt;
    int64_t sequence;                          /* of the sample, from 1 */
    const struct msg_counters *counters;       /* as recorded, memory as replayed */
    const struct msg_execution_record *record; /* the recording */
};

struct replay_policy {
    const char *name, *summary;
    size_t state_size; /* of one code, zeroed before begin */
    double period_s;   /* adjust is asked so often; 0 = never */
    bool brake;        /* what meets its limit is held, not killed */
    bool advance;      /* what comes near its limit is given more by its agent at once */
    bool events; /* adjust is asked at once, too, when the brake takes hold or a limit came into force */
    /* 0, -ENOMEM. end is called for every state that began, also when begin failed. NULL: nothing to do. */
    int (*begin)(void *state, const struct replay_settings *settings, struct str code);
    void (*end)(void *state);
    /* The limit of the first try, and of the next one after a failed one. */
    double (*allocate)(void *state, const struct replay_request *request);
    double (*retry)(void *state, const struct replay_request *request, const struct replay_run *failed);
    /* Every try that ended, failed ones included, before retry is asked. NULL: learns nothing. 0, -ENOMEM. */
    int (*learn)(void *state, const struct replay_run *run);
    /* The limit from now on; the limit in force when nothing is to change. */
    double (*adjust)(void *state, const struct replay_moment *moment);
};

#define POLICIES_MAX 24
extern const struct replay_policy *const replay_policies[POLICIES_MAX];
extern const size_t replay_policy_count;

/* A retry with twice what failed: what people and most schedulers do. */
double policy_retry_double(void *state, const struct replay_request *request,
                           const struct replay_run *failed);

extern const struct replay_policy policy_ours, policy_static, policy_headroom, policy_eta, policy_eta_fast,
    policy_linear, policy_vpa, policy_vpa_fair, policy_crane, policy_koordinator, policy_autopilot,
    policy_flotilla, policy_witt_percentile, policy_witt_regression, policy_tovar, policy_last_size,
    policy_senpai;

#endif
