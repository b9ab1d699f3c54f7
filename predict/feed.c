/* See feed.h. */
#include "predict/feed.h"

#define PASSES_MAX 3

static int64_t back_by(const struct feed_rules *rules, int64_t committed, double records)
{
    double most = (double)FS_MIN(rules->records_max, committed);
    return committed - (int64_t)(records < most ? records : most);
}

static void begin_pass(struct feed *feed, int64_t start)
{
    feed->start = start;
    feed->first = -1;
    feed->records = 0;
    feed->passes++;
}

bool feed_assign(struct feed *feed, const struct feed_rules *rules, int64_t committed, int64_t *start)
{
    if (feed->phase == FEED_AWAY && feed->next >= 0 && feed->next >= committed) {
        feed->phase = FEED_LIVE;
        *start = feed->next;
        return true;
    }
    *feed = (struct feed){
        .phase = committed > 0 ? FEED_REPLAYING : FEED_CATCHING_UP, .committed = committed, .next = -1};
    begin_pass(feed,
               committed > 0 ? back_by(rules, committed, (double)rules->ticks * (double)rules->nodes) : 0);
    *start = feed->start;
    return false;
}

void feed_leave(struct feed *feed)
{
    if (feed->phase != FEED_LIVE) /* half built: of no use to anybody */
        feed->next = -1;
    feed->phase = FEED_AWAY;
}

/* Every attempt had its ticks, or there is nothing further back, or going back further is not allowed. */
static bool enough(const struct feed *feed, const struct feed_rules *rules, uint32_t least_ticks)
{
    return least_ticks >= rules->ticks || feed->records == 0 || feed->start == 0 ||
           feed->first > feed->start || feed->passes >= PASSES_MAX ||
           feed->committed - feed->start >= rules->records_max;
}

bool feed_ends_pass(const struct feed *feed, int64_t offset)
{
    return feed->phase == FEED_REPLAYING && offset >= feed->committed;
}

enum feed_action feed_take(struct feed *feed, const struct feed_rules *rules, int64_t offset, int64_t age_ms,
                           bool caught_up, uint32_t least_ticks)
{
    if (feed->first < 0)
        feed->first = offset;
    if (feed_ends_pass(feed, offset)) {
        if (!enough(feed, rules, least_ticks)) { /* a quarter more: nodes do not take turns exactly */
            double wanted =
                (double)feed->records * (double)rules->ticks / FS_MAX((double)least_ticks, 1) * 1.25;
            begin_pass(feed, back_by(rules, feed->committed, wanted));
            return FEED_REWIND;
        }
        feed->phase = FEED_CATCHING_UP;
    }
    if (feed->phase == FEED_CATCHING_UP && (age_ms < rules->stale_ms || caught_up))
        feed->phase = FEED_LIVE;
    return feed->phase == FEED_LIVE ? FEED_TELL : FEED_BUILD;
}

void feed_handled(struct feed *feed, int64_t offset)
{
    feed->next = offset + 1;
    feed->records++;
}
