/* See learned.h. */
#include "retrain/learned.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "model/online.h"

struct correcting {
    const struct network *network;
    const struct dataset *dataset;
    struct answers *answers;
    struct online_head head; /* of the code being worked on */
    struct online_example *ticks;
};

struct item {
    const struct msg_execution_record *record;
    size_t example;
};

static int compare_codes(struct str a, struct str b)
{
    int order = memcmp(a.data, b.data, FS_MIN(a.size, b.size));
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* By code, by start, and what happened last of a record: it is learned when all its examples are answered. */
static int in_order(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    int order = compare_codes(x->record->code, y->record->code);
    if (order != 0)
        return order;
    if (x->record->started_us != y->record->started_us)
        return x->record->started_us < y->record->started_us ? -1 : 1;
    return (x->example < y->example) - (x->example > y->example); /* as recorded is a record's first */
}

static void correct(struct correcting *c, size_t example)
{
    const struct labels *labels = &c->dataset->items[example].labels;
    for (size_t t = 0; t < labels->ticks; t++) {
        struct network_output *answer = &c->answers->items[example][t];
        struct online_example *tick = &c->ticks[t];
        network_calibrate(c->network, answer->logits, tick->logits);
        for (size_t i = 0; i < NETWORK_CAUSES; i++) {
            size_t at = t * NETWORK_CAUSES + i;
            tick->labels[i] = (int8_t)(labels->mask[at] > 0 ? labels->label[at] > 0.5f : -1);
        }
        online_apply(&c->head, c->network->version, tick->logits, answer->logits);
        for (size_t i = 0; i < NETWORK_CAUSES; i++)
            answer->probabilities[i] = 1 / (1 + expf(-answer->logits[i]));
    }
}

static void correct_all(struct correcting *c, const struct item *items)
{
    for (size_t i = 0; i < c->dataset->count; i++) {
        const struct example *example = &c->dataset->items[items[i].example];
        if (i == 0 || !str_equal(items[i].record->code, items[i - 1].record->code))
            online_reset(&c->head, c->network->version);
        correct(c, items[i].example);
        if (example_happened(example))
            online_learn(&c->head, c->network->version, c->ticks, example->labels.ticks,
                         example->record->series_inclusion);
    }
}

int learned_correct(const struct network *network, const struct dataset *dataset, struct answers *answers)
{
    struct correcting c = {.network = network, .dataset = dataset, .answers = answers};
    struct item *items = calloc(dataset->count + 1, sizeof *items);
    size_t longest = 0;
    for (size_t i = 0; items && i < dataset->count; i++) {
        items[i] = (struct item){dataset->items[i].record, i};
        longest = FS_MAX(longest, dataset->items[i].labels.ticks);
    }
    c.ticks = calloc(longest + 1, sizeof *c.ticks);
    int result = items && c.ticks ? 0 : -ENOMEM;
    if (result == 0) {
        qsort(items, dataset->count, sizeof *items, in_order);
        correct_all(&c, items);
    }
    free(items);
    free(c.ticks);
    return result;
}
