/* What this machine allows an agent to do, found out by doing it once in a throw-away subtree.
 *
 * Used by `forestall-agent --check` (prints the table) and by the agent at start (refuses when a required
 * item fails). */
#ifndef FORESTALL_AGENT_CHECK_H
#define FORESTALL_AGENT_CHECK_H

#include "agent/cgroup.h"
#include "common/buffer.h"

#define CHECK_ITEMS_MAX 24

struct check_item {
    const char *name; /* stable word: "root", "cgroups", "memory", ... */
    bool ok;
    bool required;    /* without it no execution can run here */
    char detail[200]; /* what was found */
    char advice[200]; /* what to do when not ok; empty otherwise */
};

struct check {
    struct check_item items[CHECK_ITEMS_MAX];
    size_t count;
};

/* Tries everything; takes a few milliseconds and leaves nothing behind. The subtree is used with a suffix of
 * its own, so a running agent is not disturbed. */
void check_run(const struct cgroup_host_options *options, struct check *out);
/* All required items are ok. */
bool check_passed(const struct check *check);
/* The table for people, one line per item, advice below. */
void check_print(const struct check *check, struct buffer *out);

#endif
