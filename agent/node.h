/* Who this agent is: the incarnation made with its state directory, the epoch raised at each start, the
 * kernel's boot. */
#ifndef FORESTALL_AGENT_NODE_H
#define FORESTALL_AGENT_NODE_H

#include "common/base.h"

#define NODE_ID_SIZE 256 /* with its end; as ingest takes it */

struct node {
    char id[NODE_ID_SIZE], pool[256], boot_id[40];
    uint8_t incarnation[16];
    int64_t epoch;
    int lock_fd; /* held as long as the agent lives: one agent per state directory */
};

/* id NULL or empty: the host name. Makes the incarnation when the directory has none, raises the epoch;
 * durable before it returns 0. -EBUSY another agent holds the directory; -EBADMSG a file in it is damaged;
 * others as the disk said. */
FS_MUST_CHECK int node_open(int state_fd, const char *id, const char *pool, struct node *out);
void node_close(struct node *node);

#endif
