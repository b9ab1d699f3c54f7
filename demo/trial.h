/* One run of a case, without Forestall (forestall-record under the same limits) or with it (forestall run).
 */
#ifndef FORESTALL_DEMO_TRIAL_H
#define FORESTALL_DEMO_TRIAL_H

#include <sys/types.h>

#include "demo/cases.h"
#include "demo/watch.h"

/* Where things are; borrowed strings. */
struct demo_places {
    const char *bin, *programs, *work, *state;
    const char *space;  /* path of the network case's namespace; "" = none */
    const char *device; /* its network device */
};

enum trial_kind { TRIAL_WITHOUT, TRIAL_WITH, TRIAL_NEXT, TRIAL_KINDS };

struct trial {
    enum trial_kind kind;
    const struct demo_case *what;
    pid_t pid;
    char report_path[512], log_path[512];
    bool known;       /* what follows was found out */
    char outcome[24]; /* finished, oom_killed, deadline_missed, crashed, dead_lettered */
    int64_t attempts, raises;
    int64_t peak_bytes, first_limit_bytes, final_limit_bytes, duration_ms;
    double max_probability;
    bool has_lead;
    int64_t lead_ms; /* from the first raise in the kernel to the moment it was needed */
    uint8_t execution[16];
    const struct msg_execution_record *record; /* of the last attempt; NULL = none */
    const struct watch_risk *risks;
    size_t risk_count;
    struct arena *arena; /* of a record from a file */
    struct buffer storage;
};

/* Runs the case's program once without a limit, its output thrown away: the files that it is made of are in
 * memory then and belong to no execution. Where they belong to one that is at its limit, the kernel drops and
 * reads them again page by page for minutes before it kills. Its exit status, or negative errno. */
FS_MUST_CHECK int trial_warm(const struct demo_case *what, const struct demo_places *places);
/* Starts it. 0, or negative errno. */
FS_MUST_CHECK int trial_start(struct trial *trial, enum trial_kind kind, const struct demo_case *what,
                              const struct demo_places *places);
/* Waits for its end and finds out what happened; watch is NULL for TRIAL_WITHOUT. 0, or negative with a
 * sentence in error. */
FS_MUST_CHECK int trial_finish(struct trial *trial, struct watch *watch, char *error, size_t error_size);
void trial_fini(struct trial *trial);

#endif
