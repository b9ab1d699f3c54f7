/* See feed.h. */
#include "predict/feed.h"

#define PASSES_MAX 3

static int64_t rewind_to(const struct feed_rules *rules, int64_t committed, int64_t nodes)
{
    int64_t records;
    if (__builtin_mul_overflow(rules->ticks, FS_MAX(nodes, 1), &records))
        records = rules->records_max;
    return FS_MAX(committed - FS_MIN(records, rules->records_max), 0);
}

static void begin_pass(struct feed *feed, int64_t start)
{
    feed->start = start;
    feed->first = -1;
    feed->records = 0;
    feed->nodes = 0;
    feed->passes++;
}

bool feed_assign(struct feed *feed, const struct feed_rules *rules, int64_t committed, int64_t *start)
{
    if (feed->phase == FEED_AWAY && feed->next >= 0 && feed->next == committed) {
        feed->phase = FEED_LIVE;
        *start = committed;
        return true;
    }
    *feed = (struct feed){
        .phase = committed > 0 ? FEED_REPLAYING : FEED_CATCHING_UP, .committed = committed, .next = -1};
    begin_pass(feed, committed > 0 ? rewind_to(rules, committed, rules->nodes) : 0);
    *start = feed->start;
    return false;
}

void feed_leave(struct feed *feed)
{
    if (feed->phase != FEED_LIVE) /* half built: of no use to anybody */
        feed->next = -1;
    feed->phase = FEED_AWAY;
}

/* Every node had its ticks, or there is nothing further back, or going back further is not allowed. */
static bool enough(const struct feed *feed, const struct feed_rules *rules)
{
    return feed->nodes == 0 || feed->records / feed->nodes >= rules->ticks || feed->start == 0 ||
           feed->first > feed->start || feed->passes >= PASSES_MAX ||
           feed->committed - feed->start >= rules->records_max;
}

enum feed_action feed_take(struct feed *feed, const struct feed_rules *rules, int64_t offset, int64_t age_ms,
                           bool caught_up)
{
    if (feed->first < 0)
        feed->first = offset;
    if (feed->phase == FEED_REPLAYING && offset >= feed->committed) {
        if (!enough(feed, rules)) { /* a quarter more: nodes do not take turns exactly */
            begin_pass(feed, rewind_to(rules, feed->committed, feed->nodes + feed->nodes / 4 + 1));
            return FEED_REWIND;
        }
        feed->phase = FEED_CATCHING_UP;
    }
    if (feed->phase == FEED_CATCHING_UP && (age_ms < rules->stale_ms || caught_up))
        feed->phase = FEED_LIVE;
    return feed->phase == FEED_LIVE ? FEED_TELL : FEED_BUILD;
}

void feed_handled(struct feed *feed, int64_t offset, bool new_node)
{
    feed->next = offset + 1;
    feed->records++;
    feed->nodes += new_node;
}
