/* See options.h. */
#include "predict/options.h"

#define FIELD(field) offsetof(struct predict_options, field)
#define KEY(key) "predict", #key

const struct config_option predict_option_table[] = {
    {KEY(member), CONFIG_STRING, FIELD(member), "1", 0, 0,
     "name of this instance in the group; every instance needs its own"},
    {KEY(model), CONFIG_STRING, FIELD(model), "", 0, 0,
     "safetensors file used until the topic `models` has a champion; empty = the shipped one, none = "
     "histograms "
     "decide"},
    {KEY(executions), CONFIG_INT, FIELD(executions), "100000", 4096, 1e7,
     "running attempts whose state is kept; past it the one without samples for longest is dropped"},
    {KEY(nodes), CONFIG_INT, FIELD(nodes), "20000", 16, 1e7, "nodes whose place in the stream is kept"},
    {KEY(codes), CONFIG_INT, FIELD(codes), "20000", PREDICT_RECORDS, 1e7,
     "profiles of codes kept in memory, 10 KB each; past it the longest unused is dropped, and a batch of "
     "records of dropped ones reads their partitions of `codes` through again"},
    {KEY(rewind_ticks), CONFIG_INT, FIELD(rewind_ticks), "64", 1, 100000,
     "ticks from which a state is built anew after a restart or rebalance; the model's training length"},
    {KEY(rewind_nodes), CONFIG_INT, FIELD(rewind_nodes), "16", 1, 1e6,
     "nodes per partition of `telemetry` the first rewinding allows for; more are found and rewound for"},
    {KEY(rewind_records), CONFIG_INT, FIELD(rewind_records), "200000", 1, 1e8,
     "most records rewound per partition"},
    {KEY(refresh), CONFIG_DURATION_MS, FIELD(refresh_ms), "4800ms", 100, 5000,
     "longest time between two risks of a running attempt"},
    {KEY(change), CONFIG_DOUBLE, FIELD(change), "0.02", 0, 10,
     "above the threshold a risk is told again when memory or demand moved by this ratio"},
    {KEY(stale), CONFIG_DURATION_MS, FIELD(stale_ms), "10s", 100, 86400000,
     "while catching up, risks of ticks older than this are not told: their horizon has passed"},
    {KEY(idle), CONFIG_DURATION_MS, FIELD(idle_ms), "60s", 1000, 86400000,
     "the state of an attempt without samples is dropped after this time"},
    {KEY(code_idle), CONFIG_DURATION_MS, FIELD(code_idle_ms), "720h", 60000, 4e10,
     "the profile of a code without finished executions is deleted after this time"},
    {KEY(follow_wait), CONFIG_DURATION_MS, FIELD(follow_wait_ms), "30s", 100, 3600000,
     "longest time that a start waits for `codes` and `models` to be read to their ends before it decides"},
    {KEY(learn_ticks), CONFIG_INT, FIELD(learn_ticks), "600", 10, 100000,
     "newest ticks of a finished execution that are learned from"},
    {KEY(model_bytes), CONFIG_BYTES, FIELD(model_bytes), "64M", 4096, 1e10,
     "largest model accepted from `models`"},
};

const size_t predict_option_count = FS_COUNT(predict_option_table);
