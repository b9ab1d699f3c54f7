/* See options.h. The defaults' reasons: policy.c, settle.c, docs/design/allocation.md. */
#include "allocate/options.h"

#define FIELD(field) offsetof(struct allocate_options, field)
#define KEY(key) "allocate", #key

const struct config_option allocate_option_table[] = {
    {KEY(member), CONFIG_STRING, FIELD(member), "1", 0, 0,
     "name of this instance; must differ between instances and outlive a restart"},
    {KEY(expiry), CONFIG_DURATION_MS, FIELD(expiry_ms), "2s", 100, 60000,
     "an agent ignores an adjustment older than this"},
    {KEY(idle), CONFIG_DURATION_MS, FIELD(idle_ms), "720h", 1000, 1e12,
     "the allocation of a code without an execution for so long is dropped"},
    {KEY(max_codes), CONFIG_INT, FIELD(max_codes), "200000", 16, 1e7,
     "codes known at a time; past it the longest idle one is dropped"},
    {KEY(max_attempts), CONFIG_INT, FIELD(max_attempts), "20000", 16, 1e6,
     "running attempts known at a time (up to 25 KiB each); past it the longest silent one is forgotten"},
    {KEY(max_nodes), CONFIG_INT, FIELD(max_nodes), "20000", 1, 1e6, "nodes known at a time"},
    {KEY(max_pending), CONFIG_INT, FIELD(max_pending), "1024", 16, 1e6,
     "finished records whose effects are on their way; past it the partition waits"},
    {KEY(replay_risks), CONFIG_INT, FIELD(replay_risks), "2000", 0, 1e7,
     "risks per partition read again at a start, to know the running attempts' past"},
    {KEY(raise_reserve), CONFIG_DOUBLE, FIELD(raise_reserve), "0.1", 0, 0.9,
     "share of a node's memory that no retry is promised: as queue.raise_reserve"},
    {KEY(redis_timeout), CONFIG_DURATION_MS, FIELD(redis_timeout_ms), "200ms", 10, 10000,
     "longest wait for an answer of Redis; decisions wait as long"},
    {KEY(memory_headroom), CONFIG_DOUBLE, FIELD(policy.memory_headroom), "1.4", 1.05, 4,
     "a raise without history never exceeds this multiple of the memory seen"},
    {KEY(memory_headroom_braked), CONFIG_DOUBLE, FIELD(policy.memory_headroom_braked), "1.12", 1.05, 4,
     "the same on nodes with a brake, where what outgrows a raise waits instead of dying"},
    {KEY(cover_ms), CONFIG_DOUBLE, FIELD(policy.cover_ms), "1500", 10, 600000,
     "demand of so many milliseconds is covered until the next decision"},
    {KEY(rerun_seconds), CONFIG_DOUBLE, FIELD(policy.rerun_s), "60", 0, 1e6,
     "what a rerun costs beside the time already spent, in seconds of the limit"},
    {KEY(settle), CONFIG_DURATION_MS, FIELD(settle_ms), "60ms", 1, 10000,
     "a sample that shows a decision is waited for so long before deciding again"},
    {KEY(shrink_after), CONFIG_DURATION_MS, FIELD(shrink_after_ms), "30s", 1000, 1e9,
     "quiet time before a limit is lowered, and between two such steps"},
    {KEY(margin), CONFIG_DOUBLE, FIELD(settle.margin), "0.05", 0, 4,
     "the next execution starts with this share above the peak of the code's history"},
    {KEY(margin_first), CONFIG_DOUBLE, FIELD(settle.margin_first), "0.10", 0, 4,
     "further share, divided by the square root of the executions counted"},
    {KEY(failure_step), CONFIG_DOUBLE, FIELD(settle.failure_step), "1.5", 1.05, 10,
     "after a failure the resource is multiplied by this, when history asks for no more"},
    {KEY(mark_runs), CONFIG_INT, FIELD(mark_runs), "20", 1, 1e6,
     "a raised mark ends after so many good executions"},
};

const size_t allocate_option_count = FS_COUNT(allocate_option_table);

void allocate_options_finish(struct allocate_options *options)
{
    struct policy_config policy = policy_defaults;
    policy.memory_headroom = options->policy.memory_headroom;
    policy.memory_headroom_braked = options->policy.memory_headroom_braked;
    policy.cover_ms = options->policy.cover_ms;
    policy.rerun_s = options->policy.rerun_s;
    policy.settle_us = options->settle_ms * 1000;
    policy.shrink_after_us = options->shrink_after_ms * 1000;
    options->policy = policy;
    struct settle_config settle = settle_defaults;
    settle.margin = options->settle.margin;
    settle.margin_first = options->settle.margin_first;
    settle.failure_step = options->settle.failure_step;
    settle.mark_runs = (int32_t)options->mark_runs;
    options->settle = settle;
}
