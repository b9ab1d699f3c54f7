/* One agent under load: many attempts at ten samples a second. Prints what it cost and how even the ticks
 * were. FORESTALL_LOAD_ATTEMPTS and FORESTALL_LOAD_MS make it larger or longer. */
#include "tests/agent/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"

#define MEASURES_MAX 200000

struct measures {
    size_t gap_count, delay_count;
    double gaps_ms[MEASURES_MAX], delays_ms[MEASURES_MAX];
    const struct msg_tick *last;
    bool on;
};

static int64_t setting(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoll(text, NULL, 10) : otherwise;
}

/* Seconds of CPU that a process has used. */
static double cpu_seconds(pid_t pid)
{
    char path[64], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    read_text(path, text, sizeof text);
    char *at = strrchr(text, ')'); /* the end of field 2; 14 and 15 are wanted */
    for (int field = 2; at && field < 14; field++)
        at = strchr(at + 1, ' ');
    if (!at) {
        fail_msg("%s is not what proc(5) says", path);
        return 0;
    }
    unsigned long long user = strtoull(at, &at, 10);
    unsigned long long kernel = strtoull(at, NULL, 10);
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

/* Gaps between the samples of the first attempt, and the way of each tick to here. */
static void measure(struct peer *peer, const struct msg_tick *tick)
{
    struct measures *measures = peer->context;
    const struct msg_tick *last = measures->last;
    int64_t now_us = clock_realtime_us();
    if (!measures->on || tick->samples.count == 0)
        return;
    if (measures->delay_count < MEASURES_MAX)
        measures->delays_ms[measures->delay_count++] = (double)(now_us - tick->time_us) / 1e3;
    if (memcmp(tick->samples.items[0].execution, peer->newest[0].sample->execution, 16) != 0)
        return;
    if (last && measures->gap_count < MEASURES_MAX)
        measures->gaps_ms[measures->gap_count++] = (double)(tick->monotonic_us - last->monotonic_us) / 1e3;
    measures->last = tick;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile(double *values, size_t count, double share)
{
    assert_true(count > 0);
    qsort(values, count, sizeof *values, compare);
    return values[(size_t)((double)(count - 1) * share)];
}

static bool all_sampled(struct peer *peer, void *count)
{
    return peer->newest_count >= *(size_t *)count;
}

static bool past(struct peer *peer, void *until_ms)
{
    (void)peer;
    return clock_monotonic_ms() >= *(int64_t *)until_ms;
}

static void agent__many_attempts__sampled_in_time(void **state)
{
    static struct measures measures;
    static const char *const arguments[] = {"--capacity_memory=64G", "--end_attempts=yes", NULL};
    struct peer *peer = started(state, arguments);
    size_t count = (size_t)setting("FORESTALL_LOAD_ATTEMPTS", 100);
    int64_t length_ms = setting("FORESTALL_LOAD_MS", 5000);
    measures = (struct measures){0};
    peer->on_tick = measure;
    peer->context = &measures;
    for (size_t i = 0; i < count; i++) {
        struct msg_admission admission = shell(peer, "exec sleep 600", 16 * MIB);
        peer_send_admission(peer, &admission);
        size_t wanted = i + 1;
        assert_true(peer_wait(peer, all_sampled, &wanted, WAIT_MS));
    }
    double begun_s = cpu_seconds(peer->agent);
    int64_t until_ms = clock_monotonic_ms() + length_ms;
    measures.on = true;
    assert_true(peer_wait(peer, past, &until_ms, (int)length_ms + WAIT_MS));
    measures.on = false;
    double used = (cpu_seconds(peer->agent) - begun_s) * 1e3 / (double)length_ms;
    print_message(
        "%zu attempts: agent %.1f %% of a core; samples %.1f ms apart (p1 %.1f, p99 %.1f), sample to "
        "ingest p50 %.2f ms, p99 %.2f ms\n",
        count, 100 * used, quantile(measures.gaps_ms, measures.gap_count, 0.5),
        quantile(measures.gaps_ms, measures.gap_count, 0.01),
        quantile(measures.gaps_ms, measures.gap_count, 0.99),
        quantile(measures.delays_ms, measures.delay_count, 0.5),
        quantile(measures.delays_ms, measures.delay_count, 0.99));
    /* Wide, as the machine may be busy with other things: what must not happen is that ticks are lost. */
    assert_in_range((int)quantile(measures.gaps_ms, measures.gap_count, 0.5), 90, 110);
    assert_true(measures.gap_count >= (size_t)(length_ms / 100 * 8 / 10));
    stop_cleanly(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(agent__many_attempts__sampled_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
