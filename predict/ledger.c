/* See ledger.h. A ring of batches; messages in flight point at their batch. */
#include "predict/ledger.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct position {
    const char *topic;
    int32_t partition;
    int64_t offset;
};

struct batch {
    struct ledger *ledger;
    size_t outstanding, count;
    struct position *positions;
};

struct ledger {
    size_t batches, positions, first, used;
    bool open; /* the newest one still takes records */
    struct batch *ring;
    struct position *block; /* [batches][positions] */
    int failure;
    uint64_t oversized;
};

struct ledger *ledger_create(size_t batches, size_t positions)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    size_t all;
    if (!ledger)
        return NULL;
    ledger->batches = batches;
    ledger->positions = positions;
    ledger->ring = calloc(batches, sizeof *ledger->ring);
    ledger->block = size_multiply(batches, positions, &all) ? calloc(all, sizeof *ledger->block) : NULL;
    if (!ledger->ring || !ledger->block) {
        ledger_destroy(ledger);
        return NULL;
    }
    for (size_t i = 0; i < batches; i++)
        ledger->ring[i] = (struct batch){.ledger = ledger, .positions = ledger->block + i * positions};
    return ledger;
}

void ledger_destroy(struct ledger *ledger)
{
    if (!ledger)
        return;
    free(ledger->ring);
    free(ledger->block);
    free(ledger);
}

bool ledger_full(const struct ledger *ledger)
{
    return ledger->used == ledger->batches && !ledger->open;
}

static struct batch *open_batch(struct ledger *ledger)
{
    if (!ledger->open) {
        assert(ledger->used < ledger->batches);
        struct batch *batch = &ledger->ring[(ledger->first + ledger->used++) % ledger->batches];
        batch->outstanding = 0;
        batch->count = 0;
        ledger->open = true;
    }
    return &ledger->ring[(ledger->first + ledger->used - 1) % ledger->batches];
}

static struct position *find(const struct batch *batch, const char *topic, int32_t partition)
{
    for (size_t i = batch->count; i-- > 0;) { /* the same one as before, mostly */
        struct position *position = &batch->positions[i];
        if (position->partition == partition && strcmp(position->topic, topic) == 0)
            return position;
    }
    return NULL;
}

int ledger_note(struct ledger *ledger, const char *topic, int32_t partition, int64_t offset)
{
    struct batch *batch = open_batch(ledger);
    struct position *position = find(batch, topic, partition);
    if (!position) {
        if (batch->count == ledger->positions)
            return -ENOSPC;
        position = &batch->positions[batch->count++];
        *position = (struct position){.topic = topic, .partition = partition};
    }
    position->offset = offset;
    return 0;
}

void *ledger_expect(struct ledger *ledger)
{
    struct batch *batch = open_batch(ledger);
    batch->outstanding++;
    return batch;
}

void ledger_withdraw(void *context)
{
    struct batch *batch = context;
    batch->outstanding--;
}

void ledger_delivered(void *context, int error)
{
    struct batch *batch = context;
    if (error == -ECANCELED)
        return; /* closing: it comes again after the restart */
    batch->outstanding--;
    if (error == -EMSGSIZE)
        batch->ledger->oversized++;
    else if (error < 0 && batch->ledger->failure == 0)
        batch->ledger->failure = error;
}

void ledger_close_batch(struct ledger *ledger)
{
    ledger->open = false;
}

void ledger_settle(struct ledger *ledger, ledger_store_fn *store, void *context)
{
    while (ledger->used > (ledger->open ? 1u : 0u) && ledger->failure == 0) {
        const struct batch *batch = &ledger->ring[ledger->first];
        if (batch->outstanding > 0)
            return;
        for (size_t i = 0; i < batch->count; i++)
            store(context, batch->positions[i].topic, batch->positions[i].partition,
                  batch->positions[i].offset);
        ledger->first = (ledger->first + 1) % ledger->batches;
        ledger->used--;
    }
}

size_t ledger_open_batches(const struct ledger *ledger)
{
    return ledger->used;
}

void ledger_forget(struct ledger *ledger, const char *topic, int32_t partition)
{
    for (size_t b = 0; b < ledger->used; b++) {
        struct batch *batch = &ledger->ring[(ledger->first + b) % ledger->batches];
        struct position *position = find(batch, topic, partition);
        if (position)
            *position = batch->positions[--batch->count];
    }
}

int ledger_failure(const struct ledger *ledger)
{
    return ledger->failure;
}

uint64_t ledger_oversized(const struct ledger *ledger)
{
    return ledger->oversized;
}
