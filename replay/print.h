/* What replay tells: a table for people, or one JSON object per line. */
#ifndef FORESTALL_REPLAY_PRINT_H
#define FORESTALL_REPLAY_PRINT_H

#include "replay/dead.h"

/* 0, -EIO, -ENOMEM. */
FS_MUST_CHECK int print_scores_head(bool json);
FS_MUST_CHECK int print_score(bool json, const struct replay_policy *policy, struct score *score);
FS_MUST_CHECK int print_dead(bool json, const struct msg_execution_record *record,
                             const struct dead_verdict *verdict);
/* What of the trace could not be replayed; to standard error. */
void print_left_out(const struct trace *trace);

#endif
