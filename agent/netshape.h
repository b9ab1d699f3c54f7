/* Egress bandwidth: one HTB class per attempt on one network device, by rtnetlink.
 *
 * The root qdisc's handle marks it as Forestall's; a device that somebody else has shaped is refused. Packets
 * find their class by their priority (see netcount_set_class); what has none passes unlimited. State lives in
 * the kernel only. */
#ifndef FORESTALL_AGENT_NETSHAPE_H
#define FORESTALL_AGENT_NETSHAPE_H

#include "common/base.h"

struct netshape;

/* Opens a device in the network namespace at path (NULL = the agent's own) and installs the root qdisc unless
 * it is there. 0 installed, 1 it was there. The calling process's namespace is not changed. -ENODEV no such
 * device, -EEXIST shaped by somebody else, -EPERM. */
FS_MUST_CHECK int netshape_open(const char *namespace_path, const char *device, struct netshape **out);
void netshape_close(struct netshape *shape);
/* Removes the root qdisc with all classes. */
FS_MUST_CHECK int netshape_remove(struct netshape *shape);
/* A free class number, 1..65535, taken until netshape_put; -ENOSPC. */
FS_MUST_CHECK int netshape_take(struct netshape *shape, uint32_t *minor);
/* Marks a number found elsewhere as taken. */
void netshape_claim(struct netshape *shape, uint32_t minor);
/* Creates or changes the class; bps bytes per second, 0 = unlimited; priority 0 (first) .. 7. */
FS_MUST_CHECK int netshape_set(struct netshape *shape, uint32_t minor, int64_t bps, int32_t priority);
/* Reads the class back. -ENOENT. */
FS_MUST_CHECK int netshape_get(struct netshape *shape, uint32_t minor, int64_t *bps, int32_t *priority);
/* Deletes the class and frees the number. -ENOENT is fine to ignore. */
FS_MUST_CHECK int netshape_put(struct netshape *shape, uint32_t minor);
/* The priority that puts a packet into the class. */
uint32_t netshape_classid(const struct netshape *shape, uint32_t minor);

#endif
