/* The program's own gauges: StatsD lines `name:value|g` in datagrams, `+` or `-` before the value changes it
 * by that much. */
#ifndef FORESTALL_AGENT_STATSD_H
#define FORESTALL_AGENT_STATSD_H

#include "agent/track.h"

#define STATSD_DATAGRAM_MAX 8192
#define STATSD_DATAGRAMS_PER_TICK 64 /* of one attempt: a program cannot keep its agent busy */

struct statsd_counts {
    uint64_t taken, malformed, too_many_names;
};

/* Takes what waits in the socket into the track, at most STATSD_DATAGRAMS_PER_TICK datagrams. Other StatsD
 * types count as malformed. */
void statsd_drain(int fd, struct track *track, struct statsd_counts *counts);
/* Binds a datagram socket at name in the directory, writable for everybody. A descriptor; -ENAMETOOLONG when
 * the path is too long for a Unix socket; others. An old socket of that name is replaced. */
FS_MUST_CHECK int statsd_open(const char *path);

#endif
