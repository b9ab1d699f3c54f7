/* See ledger.h. One line (queue of tickets in offset order) per partition. */
#include "allocate/ledger.h"

#include <stdlib.h>

#define NOTHING (-1)

struct ticket {
    struct ticket *next; /* in its line, or among the free ones */
    struct line *line;   /* NULL: its partition was forgotten */
    int64_t offset;
    uint32_t holds;
};

struct line {
    const char *topic;
    int32_t partition;
    int64_t last, durable, handed_out; /* offsets, NOTHING at first */
    struct ticket *head, *tail;
};

struct ledger {
    struct ticket *tickets, *free;
    size_t pending;
    struct line lines[LEDGER_LINES_MAX];
    size_t line_count, found, cursor;
};

struct ledger *ledger_create(size_t max_tickets)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (!ledger)
        return NULL;
    ledger->tickets = calloc(max_tickets, sizeof *ledger->tickets);
    if (!ledger->tickets) {
        free(ledger);
        return NULL;
    }
    for (size_t i = max_tickets; i-- > 0;) {
        ledger->tickets[i].next = ledger->free;
        ledger->free = &ledger->tickets[i];
    }
    return ledger;
}

void ledger_destroy(struct ledger *ledger)
{
    if (!ledger)
        return;
    free(ledger->tickets);
    free(ledger);
}

static bool is_line(const struct line *line, const char *topic, int32_t partition)
{
    return line->partition == partition && (line->topic == topic || strcmp(line->topic, topic) == 0);
}

static struct line *find(struct ledger *ledger, const char *topic, int32_t partition)
{
    if (ledger->found < ledger->line_count && is_line(&ledger->lines[ledger->found], topic, partition))
        return &ledger->lines[ledger->found]; /* batches come partition by partition */
    for (size_t i = 0; i < ledger->line_count; i++) {
        if (is_line(&ledger->lines[i], topic, partition)) {
            ledger->found = i;
            return &ledger->lines[i];
        }
    }
    return NULL;
}

static struct line *obtain(struct ledger *ledger, const char *topic, int32_t partition)
{
    struct line *line = find(ledger, topic, partition);
    if (line || ledger->line_count == LEDGER_LINES_MAX)
        return line;
    line = &ledger->lines[ledger->line_count++];
    *line = (struct line){topic, partition, NOTHING, NOTHING, NOTHING, NULL, NULL};
    return line;
}

struct ticket *ledger_take(struct ledger *ledger, const char *topic, int32_t partition, int64_t offset)
{
    struct line *line = obtain(ledger, topic, partition);
    struct ticket *ticket = ledger->free;
    if (!line || !ticket)
        return NULL;
    ledger->free = ticket->next;
    ledger->pending++;
    bool again = offset <= line->last;
    *ticket = (struct ticket){.line = again ? NULL : line, .offset = offset, .holds = 1};
    if (again)
        return ticket;
    line->last = offset;
    if (line->tail)
        line->tail->next = ticket;
    else
        line->head = ticket;
    line->tail = ticket;
    return ticket;
}

void ledger_hold(struct ticket *ticket)
{
    ticket->holds++;
}

static void give_back(struct ledger *ledger, struct ticket *ticket)
{
    ticket->next = ledger->free;
    ledger->free = ticket;
    ledger->pending--;
}

void ledger_release(struct ledger *ledger, struct ticket *ticket)
{
    if (--ticket->holds > 0)
        return;
    struct line *line = ticket->line;
    if (!line) {
        give_back(ledger, ticket);
        return;
    }
    while (line->head && line->head->holds == 0) {
        struct ticket *done = line->head;
        line->durable = done->offset;
        line->head = done->next;
        if (!line->head)
            line->tail = NULL;
        give_back(ledger, done);
    }
}

void ledger_put_back(struct ledger *ledger, struct ticket *ticket)
{
    struct line *line = ticket->line;
    if (line) {
        struct ticket *before = NULL;
        for (struct ticket *each = line->head; each != ticket; each = each->next)
            before = each;
        if (before)
            before->next = NULL;
        else
            line->head = NULL;
        line->tail = before;
        line->last = ticket->offset - 1;
    }
    give_back(ledger, ticket);
}

bool ledger_next(struct ledger *ledger, struct ledger_position *out)
{
    for (; ledger->cursor < ledger->line_count; ledger->cursor++) {
        struct line *line = &ledger->lines[ledger->cursor];
        if (line->durable <= line->handed_out)
            continue;
        line->handed_out = line->durable;
        *out = (struct ledger_position){line->topic, line->partition, line->durable};
        return true;
    }
    ledger->cursor = 0;
    return false;
}

void ledger_forget(struct ledger *ledger, const char *topic, int32_t partition)
{
    struct line *line = find(ledger, topic, partition);
    if (!line)
        return;
    while (line->head) {
        struct ticket *ticket = line->head;
        line->head = ticket->next;
        ticket->line = NULL;
        if (ticket->holds == 0)
            give_back(ledger, ticket);
    }
    *line = (struct line){line->topic, partition, NOTHING, NOTHING, NOTHING, NULL, NULL};
}

size_t ledger_pending(const struct ledger *ledger)
{
    return ledger->pending;
}
