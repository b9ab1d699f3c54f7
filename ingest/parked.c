/* Messages whose writer's schema is not known yet: kept in order until an agent or the topic `schemas` tells
 * it, for as long as every reader waits (topic_codec.h), then to quarantine. Bounded per connection by
 * unacked_limit. See ingest.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/ingest.h"
#include "schemas/topic_codec.h"

struct parked {
    struct parked *next;
    enum frame_type type;
    uint64_t number;
    int64_t since_ms;
    size_t size;
    char bytes[];
};

static void pop(struct ingest *ingest, struct connection *connection)
{
    struct parked *parked = connection->parked_first;
    connection->parked_first = parked->next;
    connection->parked_bytes -= parked->size;
    free(parked);
    if (connection->parked_first)
        return;
    connection->parked_last = NULL;
    connection_unlist(&ingest->lists[LIST_PARKED], LIST_PARKED, connection);
}

bool parked_add(struct ingest *ingest, struct connection *connection, enum frame_type type, uint64_t number,
                struct str payload)
{
    if (connection->parked_bytes + payload.size > (size_t)ingest->options->unacked_bytes)
        return false;
    struct parked *parked = malloc(sizeof *parked + payload.size);
    if (!parked)
        return false;
    *parked =
        (struct parked){.type = type, .number = number, .since_ms = ingest->now_ms, .size = payload.size};
    memcpy(parked->bytes, payload.data, payload.size);
    if (connection->parked_last)
        connection->parked_last->next = parked;
    else
        connection->parked_first = parked;
    connection->parked_last = parked;
    connection->parked_bytes += payload.size;
    connection_list(&ingest->lists[LIST_PARKED], LIST_PARKED, connection);
    return true;
}

/* True when it is settled one way or the other. */
static bool give_up(struct ingest *ingest, struct connection *connection, const struct parked *parked,
                    struct str payload)
{
    char reason[120];
    uint64_t fingerprint = 0;
    fs_drop(codec_fingerprint(payload, &fingerprint)); /* it had one when it was parked */
    (void)snprintf(reason, sizeof reason,
                   "written with schema %016" PRIx64 ", which nobody put into the topic schemas",
                   fingerprint);
    metric_add(ingest->counters.invalid, 1);
    if (parked->type == FRAME_EVENT || parked->type == FRAME_RECORD)
        return uplink_quarantine(ingest, connection, parked->number, payload, reason) == 0;
    uplink_put_aside(ingest, connection, payload, reason);
    return true;
}

void parked_retry(struct ingest *ingest, struct connection *connection)
{
    while (connection->parked_first && ingest->gate != GATE_CLOSED) {
        struct parked *parked = connection->parked_first;
        struct str payload = {parked->bytes, parked->size};
        bool unknown;
        enum uplink_result result =
            uplink_judge(ingest, connection, parked->type, parked->number, payload, &unknown);
        if (result == UPLINK_BLOCKED ||
            !connection->listed[LIST_PARKED]) /* or it was dismissed by a report */
            return;
        if (unknown && (ingest->now_ms - parked->since_ms < TOPIC_CODEC_LOOKUP_MS ||
                        !give_up(ingest, connection, parked, payload)))
            return;
        pop(ingest, connection);
    }
}

void parked_retry_all(struct ingest *ingest)
{
    struct connection_head *list = &ingest->lists[LIST_PARKED];
    for (size_t left = list->count; left > 0 && list->first; left--) {
        struct connection *connection = list->first;
        parked_retry(ingest, connection);
        if (!connection->listed[LIST_PARKED])
            continue;
        connection_unlist(list, LIST_PARKED, connection);
        connection_list(list, LIST_PARKED, connection);
    }
}

void parked_drop(struct ingest *ingest, struct connection *connection)
{
    while (connection->parked_first)
        pop(ingest, connection);
}
