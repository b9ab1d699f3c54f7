/* What ingest can be told: section [ingest]. */
#ifndef FORESTALL_INGEST_OPTIONS_H
#define FORESTALL_INGEST_OPTIONS_H

#include "common/config.h"

struct ingest_options {
    const char *listen, *address_file;
    int64_t max_connections;
    int64_t frame_bytes, output_bytes, unacked_bytes, inflight_bytes;
    int64_t stall_ms, hold_ms, stop_timeout_ms;
    int64_t clock_skew_ms;
    int64_t quarantine_rate;
};

extern const struct config_option ingest_option_table[];
extern const size_t ingest_option_count;

#endif
