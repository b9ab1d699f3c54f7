/* See sample_messages.h. */
#include "tests/ingest/sample_messages.h"

#define NODE "n1"
#define POOL "p1"
#define BOOT "boot-1"
#define EPOCH 3
#define STARTED_US (SAMPLE_NOW_US - 5000000)

static const struct msg_limits limits = {.memory_bytes = 64 << 20, .cpu_millicores = 500, .cpu_weight = 100};
static struct msg_custom_metric custom;
static struct str argv[] = {{"xz", 2}};

static struct msg_counters counters(void)
{
    custom = (struct msg_custom_metric){.name = str_of("queue"), .value = 3};
    return (struct msg_counters){.cpu_usage_us = 1000000,
                                 .memory_bytes = 30 << 20,
                                 .memory_usage_bytes = 40 << 20,
                                 .memory_peak_bytes = 31 << 20,
                                 .tasks = 2,
                                 .custom = {&custom, 1}};
}

static void name(uint8_t incarnation[UUID_SIZE])
{
    memset(incarnation, 'i', UUID_SIZE);
}

struct identity sample_identity(void)
{
    struct identity identity = {.node = NODE, .pool = POOL, .boot_id = BOOT, .epoch = EPOCH};
    name(identity.incarnation);
    return identity;
}

struct msg_hello sample_hello(void)
{
    struct msg_hello hello = {.node = str_of(NODE),
                              .pool = str_of(POOL),
                              .epoch = EPOCH,
                              .boot_id = str_of(BOOT),
                              .version = str_of("1"),
                              .spooled_through = 7};
    name(hello.incarnation);
    return hello;
}

struct msg_tick sample_tick(void)
{
    static struct msg_sample sample;
    sample = (struct msg_sample){.attempt = 1,
                                 .code = str_of("xz"),
                                 .started_us = STARTED_US,
                                 .timeout_ms = 60000,
                                 .limits = limits,
                                 .counters = counters()};
    struct msg_tick tick = {.node = str_of(NODE),
                            .pool = str_of(POOL),
                            .epoch = EPOCH,
                            .sequence = 9,
                            .time_us = SAMPLE_NOW_US,
                            .samples = {&sample, 1}};
    name(tick.incarnation);
    return tick;
}

struct msg_node_status sample_status(void)
{
    static struct msg_running_attempt running;
    static struct msg_short_of wanting;
    static struct str capability;
    running = (struct msg_running_attempt){
        .attempt = 1, .placement = 1, .code = str_of("xz"), .limits = limits, .memory_bytes = 30 << 20};
    wanting = (struct msg_short_of){.attempt = 1, .resource = MSG_CAUSE_MEMORY, .wanted = INT64_C(1) << 40};
    capability = str_of("memory");
    struct msg_node_status status = {.node = str_of(NODE),
                                     .pool = str_of(POOL),
                                     .epoch = EPOCH,
                                     .boot_id = str_of(BOOT),
                                     .time_us = SAMPLE_NOW_US,
                                     .version = str_of("1"),
                                     .capacity = limits,
                                     .committed = limits,
                                     .capabilities = {&capability, 1},
                                     .running = {&running, 1},
                                     .short_ = {&wanting, 1}};
    name(status.incarnation);
    return status;
}

struct msg_execution_event sample_event(void)
{
    struct msg_execution_event event = {.kind = MSG_EVENT_KIND_STARTED,
                                        .pool = str_of(POOL),
                                        .node = str_of(NODE),
                                        .epoch = EPOCH,
                                        .attempt = 1,
                                        .placement = 1,
                                        .code = str_of("xz"),
                                        .time_us = SAMPLE_NOW_US,
                                        .limits = limits};
    name(event.incarnation);
    return event;
}

struct msg_execution_record sample_record(void)
{
    static struct msg_series_point points[2];
    for (size_t i = 0; i < FS_COUNT(points); i++)
        points[i] = (struct msg_series_point){
            .time_us = STARTED_US + (int64_t)i * 100000, .limits = limits, .counters = counters()};
    struct msg_execution_record record = {.attempt = 1,
                                          .placement = 1,
                                          .code = str_of("xz"),
                                          .pool = str_of(POOL),
                                          .node = str_of(NODE),
                                          .request = {.code = str_of("xz"), .argv = {argv, 1}},
                                          .started_us = STARTED_US,
                                          .ended_us = SAMPLE_NOW_US,
                                          .outcome = MSG_OUTCOME_FINISHED,
                                          .totals = counters(),
                                          .first_limits = limits,
                                          .highest_limits = limits,
                                          .last_limits = limits,
                                          .propensity = 1,
                                          .series = {points, FS_COUNT(points)},
                                          .series_inclusion = 1,
                                          .series_stride = 1};
    name(record.incarnation);
    return record;
}
