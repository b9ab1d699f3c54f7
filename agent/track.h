/* What is known of one running attempt so far: series, lifetime peaks, brake stays, names of its own gauges.
 * Fixed size and without pointers: an agent maps it from a file, so that an agent that was killed loses at
 * most the sample it was writing. Its beginning is shared with the attempt's supervisor, which lives on over
 * upgrades. Not for sharing between threads. */
#ifndef FORESTALL_AGENT_TRACK_H
#define FORESTALL_AGENT_TRACK_H

#include "agent/cgroup.h"
#include "agent/series.h"

#define TRACK_BRAKES_MAX 64
#define TRACK_CUSTOM_NAME_MAX 64

/* What agent and supervisor tell each other. The two may be of different versions: never change what is here;
 * what is new goes into a file of its own. */
struct track_shared {
    uint64_t magic;
    int64_t lease_until_us; /* CLOCK_BOOTTIME; past it the supervisor ends the attempt; 0 = never */
    uint32_t brake_wait_s;  /* CLOCK_BOOTTIME in seconds: the brake lets nobody go before; 0 = its deadline */
    bool brake_engaged;
    uint32_t brake_count, brakes_dropped;
    int64_t brake_us;       /* of the stays that ended */
    int64_t brake_begun_us; /* monotonic, of the stay that goes on */
    struct msg_brake_period brakes[TRACK_BRAKES_MAX];
};

struct track {
    struct track_shared shared;
    uint64_t layout; /* the version and size of what follows: another version's is begun anew */
    int64_t started_us, started_monotonic_us;
    int64_t memory_peak_bytes;
    int64_t peak_cpu_millicores, peak_io_bps, peak_net_bps; /* over one second */
    struct msg_limits first_limits, highest_limits;
    uint32_t raised; /* bit per enum msg_cause: raised while it ran */
    uint32_t custom_count;
    char custom_names[SERIES_CUSTOM_MAX][TRACK_CUSTOM_NAME_MAX + 1];
    double custom_values[SERIES_CUSTOM_MAX];
    uint32_t custom_set;
    int64_t last_decision, last_epoch, last_sequence; /* of the last adjustment applied */
    uint32_t adjustments, adjustments_dropped;        /* kept in the attempt's file; past its bound */
    bool reported_started;                            /* the STARTED event is spooled */
    struct series_point last;                         /* the newest sample, all zero before the first */
    struct series series;
};

/* Begins anew with these limits in force. */
void track_reset(struct track *track, int64_t started_us, int64_t started_monotonic_us,
                 const struct msg_limits *limits);
/* Maps the file, made with its full size on disk when create (so that a full disk is met here, not in a page
 * fault). 0; -ENOENT; -EPROTO: what is not shared is another version's or damaged; -EBADMSG all of it is;
 * -ENOSPC and others. Unmap with track_unmap. */
FS_MUST_CHECK int track_map(int directory_fd, const char *name, bool create, struct track **out);
/* After -EPROTO: maps the same file, which the supervisor goes on with, and begins anew what is not shared.
 */
FS_MUST_CHECK int track_renew(int directory_fd, const char *name, int64_t started_us,
                              int64_t started_monotonic_us, const struct msg_limits *limits,
                              struct track **out);
void track_unmap(struct track *track);
/* A supervisor's view: the shared part alone, of whatever version the rest is. */
FS_MUST_CHECK int track_map_shared(int directory_fd, const char *name, struct track_shared **out);
void track_unmap_shared(struct track_shared *shared);

/* Takes one sample of the kernel's counters: peaks, rates, brake time. The sample becomes track->last; push
 * says whether it joins the series as well (a sample out of the 100 ms cycle does not have to). braked: the
 * kernel holds it still; between stays (track_brake) it does not matter. */
void track_add(struct track *track, int64_t time_us, int64_t monotonic_us, const struct cgroup_sample *sample,
               bool braked, bool push);
/* limits were put in force: highest and raised follow. */
void track_limits(struct track *track, const struct msg_limits *before, const struct msg_limits *after);
/* One gauge of the program's: 0, or -ENOSPC when it is one name too many, -EINVAL a name too long or empty.
 * relative adds to the last value. */
FS_MUST_CHECK int track_gauge(struct track *track, struct str name, double value, bool relative);
/* The last value of a gauge; 0: it had none. */
double track_gauge_value(const struct track *track, struct str name);
/* The brake began or ended to hold the program; repeats are fine. */
void track_brake(struct track_shared *shared, bool engaged, bool by_raise, int64_t time_us,
                 int64_t monotonic_us);
/* The brake's deadline does not end a stay before until_us, CLOCK_BOOTTIME. Read by the supervisor. */
void track_extend_brake(struct track_shared *shared, int64_t until_us);
int64_t track_brake_wait(const struct track_shared *shared);
/* The agent had contact: the attempt may go on until then. Read by the supervisor. */
void track_extend_lease(struct track_shared *shared, int64_t until_us);
int64_t track_lease(const struct track_shared *shared);
/* A point's counters as the message carries them; custom_out is room for SERIES_CUSTOM_MAX metrics, borrowed
 * by the result. */
struct msg_counters track_counters(const struct track *track, const struct series_point *point,
                                   struct msg_custom_metric *custom_out);

#endif
