/* See options.h. */
#include "ingest/options.h"

#define FIELD(field) offsetof(struct ingest_options, field)
#define KEY(key) "ingest", #key

const struct config_option ingest_option_table[] = {
    {KEY(listen), CONFIG_STRING, FIELD(listen), "127.0.0.1:7400", 0, 0,
     "host:port agents connect to; port 0 takes any free one"},
    {KEY(address_file), CONFIG_STRING, FIELD(address_file), "", 0, 0,
     "file that gets the host:port listened on, once it can be connected to; empty = none"},
    {KEY(max_connections), CONFIG_INT, FIELD(max_connections), "16384", 1, 1000000,
     "agents connected at a time; more are refused"},
    {KEY(frame_limit), CONFIG_BYTES, FIELD(frame_bytes), "1M", 65536, 67108864,
     "longest frame taken from an agent"},
    {KEY(output_limit), CONFIG_BYTES, FIELD(output_bytes), "4M", 65536, 1e9,
     "bytes waiting for one agent to read them; past it the connection is closed"},
    {KEY(unacked_limit), CONFIG_BYTES, FIELD(unacked_bytes), "4M", 65536, 1e9,
     "events and records of one agent that Kafka has not confirmed; past it the agent is not read"},
    {KEY(inflight_limit), CONFIG_BYTES, FIELD(inflight_bytes), "64M", 1048576, 1e11,
     "all that Kafka has not confirmed; past half of it ticks are dropped oldest first, past three quarters "
     "no agent is read"},
    {KEY(stall), CONFIG_DURATION_MS, FIELD(stall_ms), "5s", 100, 20000,
     "Kafka confirms nothing for so long: no agent is read until it does"},
    {KEY(hold), CONFIG_DURATION_MS, FIELD(hold_ms), "60s", 1000, 86400000,
     "agents are kept so long beyond that, then sent to look for another ingest"},
    {KEY(stop_timeout), CONFIG_DURATION_MS, FIELD(stop_timeout_ms), "5s", 0, 600000,
     "on SIGTERM: longest wait for Kafka's confirmations and for agents to read theirs"},
    {KEY(clock_skew), CONFIG_DURATION_MS, FIELD(clock_skew_ms), "1h", 1000, 86400000,
     "a message from further in the future than this is not valid"},
    {KEY(quarantine_rate), CONFIG_INT, FIELD(quarantine_rate), "100", 1, 100000,
     "entries a second in the topic quarantine for what nobody waits for; more are only counted"},
};

const size_t ingest_option_count = FS_COUNT(ingest_option_table);
