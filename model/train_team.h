/* Threads that share one piece of work at a time: for the windows of a training, which are milliseconds long.
 */
#ifndef FORESTALL_MODEL_TRAIN_TEAM_H
#define FORESTALL_MODEL_TRAIN_TEAM_H

#include <stddef.h>

struct train_team;

typedef void train_team_job(void *context, size_t part);

/* So many at work with the caller; fewer when the system gives no more threads. NULL: out of memory. */
struct train_team *train_team_create(size_t members);
void train_team_destroy(struct train_team *team);
/* Calls the job once for each part from 0 on, many at a time; all are done when it returns. */
void train_team_run(struct train_team *team, train_team_job *job, void *context, size_t parts);
/* CPUs that this process may run on, at least 1. */
size_t train_team_cpus(void);

#endif
