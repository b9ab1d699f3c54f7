/* Network bytes of one cgroup, counted by two cgroup_skb eBPF programs, and the HTB class of what it sends.
 *
 * The programs stay attached to the cgroup without any process: they go when the cgroup is removed, and a
 * restarted agent finds them (and their counters) again by asking the cgroup. Reading is two loads from
 * shared memory. Loopback is not counted. Bytes are those of IP packets, headers included. */
#ifndef FORESTALL_AGENT_NETCOUNT_H
#define FORESTALL_AGENT_NETCOUNT_H

#include "common/base.h"

struct netcount {
    volatile uint64_t *cells; /* NULL = not counting */
};

/* Loads programs and map once and throws them away. 0, or why not (-EPERM, -EINVAL, -ENOSYS, ...). */
FS_MUST_CHECK int netcount_probe(void);
/* Attaches to the cgroup2 directory cgroup_fd, which stays the caller's. */
FS_MUST_CHECK int netcount_attach(int cgroup_fd, struct netcount *out);
/* Finds what netcount_attach left on this cgroup. -ENOENT when there is nothing. */
FS_MUST_CHECK int netcount_reopen(int cgroup_fd, struct netcount *out);
/* Unmaps; the programs stay. */
void netcount_close(struct netcount *net);
void netcount_read(const struct netcount *net, int64_t *rx_bytes, int64_t *tx_bytes);
/* Every packet the cgroup sends from now on carries this priority, the HTB class "major:minor"; 0 = leave as
 * it is. */
void netcount_set_class(struct netcount *net, uint32_t classid);
uint32_t netcount_class(const struct netcount *net);

#endif
