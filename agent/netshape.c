/* See netshape.h. One rtnetlink socket, requests answered one at a time; tc(8) would cost a fork and 5 ms
 * each.
 *
 * A socket belongs to the network namespace it was made in, for good. So only a short-lived thread ever
 * enters the device's namespace (setns(2) is per thread): whatever happens there, the agent's own threads
 * stay where they are. */
#include "agent/netshape.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ROOT_MAJOR 0xf057U /* Forestall's handle; a qdisc with it is ours */
#define ROOT_HANDLE (ROOT_MAJOR << 16)
#define MINOR_MAX 0xffffU
#define UNLIMITED_BPS 125000000000LL /* 1 Tbit/s: HTB has no "none" */
#define BURST_NS 10000000            /* what a class may send at once: 10 ms of its rate ... */
#define BURST_MIN_BYTES 16384        /* ... but never less than a few packets */
#define ANSWER_BYTES 16384

struct netshape {
    int socket;
    int ifindex;
    uint32_t sequence;
    uint32_t next; /* where the search for a free minor begins */
    uint64_t taken[(MINOR_MAX + 1) / 64];
};

struct request {
    struct nlmsghdr header;
    struct tcmsg tc;
    char attributes[512];
};

struct opening {
    const char *namespace_path;
    int result; /* socket or negative errno */
};

static void *open_socket(void *context)
{
    struct opening *opening = context;
    if (opening->namespace_path) {
        int fd = open(opening->namespace_path, O_RDONLY | O_CLOEXEC);
        int result = fd < 0 || setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
        if (fd >= 0)
            (void)close(fd); /* the thread is in the namespace or fails */
        if (result < 0) {
            opening->result = result;
            return NULL;
        }
    }
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    opening->result = fd < 0 ? -errno : fd;
    return NULL;
}

static int socket_in_namespace(const char *namespace_path)
{
    struct opening opening = {namespace_path, 0};
    pthread_t thread;
    if (!namespace_path) {
        (void)open_socket(&opening); /* its result is in opening */
        return opening.result;
    }
    int error = pthread_create(&thread, NULL, open_socket, &opening);
    if (error != 0)
        return -error;
    (void)pthread_join(thread, NULL); /* cannot fail: joined once, not detached */
    return opening.result;
}

static void add(struct request *request, uint16_t type, const void *data, size_t size)
{
    struct rtattr *attribute =
        (struct rtattr *)(void *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));
    attribute->rta_type = type;
    attribute->rta_len = (uint16_t)RTA_LENGTH(size);
    if (size > 0)
        memcpy(RTA_DATA(attribute), data, size);
    request->header.nlmsg_len =
        NLMSG_ALIGN(request->header.nlmsg_len) + (uint32_t)RTA_ALIGN(attribute->rta_len);
}

static size_t begin_options(struct request *request)
{
    size_t at = NLMSG_ALIGN(request->header.nlmsg_len);
    add(request, TCA_OPTIONS, NULL, 0);
    return at;
}

static void end_options(struct request *request, size_t at)
{
    struct rtattr *attribute = (struct rtattr *)(void *)((char *)request + at);
    attribute->rta_len = (uint16_t)(request->header.nlmsg_len - at);
}

static struct request make(struct netshape *shape, uint16_t type, unsigned flags, uint32_t parent,
                           uint32_t handle)
{
    struct request request = {0};
    request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.tc);
    request.header.nlmsg_type = type;
    request.header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    request.header.nlmsg_seq = ++shape->sequence;
    request.tc.tcm_family = AF_UNSPEC;
    request.tc.tcm_ifindex = shape->ifindex;
    request.tc.tcm_parent = parent;
    request.tc.tcm_handle = handle;
    return request;
}

typedef void answer_fn(void *context, const struct tcmsg *tc, const struct rtattr *attributes, size_t size);

/* Handles one datagram's messages: 1 the request is answered, 0 more to come, or its negative errno. */
static int take_answer(struct netshape *shape, void *data, size_t size, answer_fn *answer, void *context)
{
    unsigned left = (unsigned)size;
    for (struct nlmsghdr *header = data; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
        if (header->nlmsg_seq != shape->sequence)
            continue; /* of an earlier request that was given up */
        if (header->nlmsg_type == NLMSG_DONE)
            return 1;
        if (header->nlmsg_type == NLMSG_ERROR) {
            const struct nlmsgerr *error = NLMSG_DATA(header);
            return error->error < 0 ? error->error : 1;
        }
        if (answer && header->nlmsg_len >= NLMSG_LENGTH(sizeof(struct tcmsg)))
            answer(context, NLMSG_DATA(header),
                   (const void *)((char *)header + NLMSG_ALIGN(NLMSG_LENGTH(sizeof(struct tcmsg)))),
                   header->nlmsg_len - NLMSG_ALIGN(NLMSG_LENGTH(sizeof(struct tcmsg))));
    }
    return 0;
}

static int transact(struct netshape *shape, const struct request *request, answer_fn *answer, void *context)
{
    _Alignas(struct nlmsghdr) char buffer[ANSWER_BYTES];
    if (send(shape->socket, request, request->header.nlmsg_len, 0) < 0)
        return -errno;
    for (;;) {
        ssize_t size = recv(shape->socket, buffer, sizeof buffer, 0);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return -errno;
        int result = take_answer(shape, buffer, (size_t)size, answer, context);
        if (result != 0)
            return FS_MIN(result, 0);
    }
}

static int install_root(struct netshape *shape)
{
    struct tc_htb_glob options = {.version = 3, .rate2quantum = 10, .defcls = 0};
    struct request request =
        make(shape, RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, TC_H_ROOT, ROOT_HANDLE);
    add(&request, TCA_KIND, "htb", sizeof "htb");
    size_t at = begin_options(&request);
    add(&request, TCA_HTB_INIT, &options, sizeof options);
    end_options(&request, at);
    int result = transact(shape, &request, NULL, NULL);
    if (result != -EEXIST)
        return result;
    request = make(shape, RTM_GETQDISC, NLM_F_ACK, TC_H_ROOT, ROOT_HANDLE);
    return transact(shape, &request, NULL, NULL) == 0 ? 1 : -EEXIST;
}

void netshape_claim(struct netshape *shape, uint32_t minor)
{
    if (minor <= MINOR_MAX)
        shape->taken[minor / 64] |= 1ULL << (minor % 64);
}

static void claim_class(void *context, const struct tcmsg *tc, const struct rtattr *attributes, size_t size)
{
    (void)attributes;
    (void)size;
    if (tc->tcm_handle >> 16 == ROOT_MAJOR)
        netshape_claim(context, tc->tcm_handle & MINOR_MAX);
}

static int prepare(struct netshape *shape, const char *device)
{
    struct ifreq interface = {0};
    struct timeval patience = {.tv_sec = 5}; /* the kernel answers at once; this only bounds a bug */
    if (!str_copy(interface.ifr_name, sizeof interface.ifr_name, str_of(device)))
        return -ENODEV;
    if (setsockopt(shape->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
        ioctl(shape->socket, SIOCGIFINDEX, &interface) < 0)
        return -errno;
    shape->ifindex = interface.ifr_ifindex;
    int result = install_root(shape);
    if (result < 0)
        return result;
    netshape_claim(shape, 0);
    struct request request = make(shape, RTM_GETTCLASS, NLM_F_DUMP, 0, 0);
    int claimed = transact(shape, &request, claim_class, shape);
    return claimed < 0 ? claimed : result;
}

int netshape_open(const char *namespace_path, const char *device, struct netshape **out)
{
    struct netshape *shape = calloc(1, sizeof *shape);
    if (!shape)
        return -ENOMEM;
    shape->socket = socket_in_namespace(namespace_path);
    int result = shape->socket < 0 ? shape->socket : prepare(shape, device);
    if (result < 0) {
        netshape_close(shape);
        return result;
    }
    *out = shape;
    return result;
}

void netshape_close(struct netshape *shape)
{
    if (!shape)
        return;
    if (shape->socket >= 0)
        (void)close(shape->socket); /* nothing is under way */
    free(shape);
}

int netshape_remove(struct netshape *shape)
{
    struct request request = make(shape, RTM_DELQDISC, NLM_F_ACK, TC_H_ROOT, ROOT_HANDLE);
    return transact(shape, &request, NULL, NULL);
}

/* Numbers go round, so that a class just deleted is not soon somebody else's. */
int netshape_take(struct netshape *shape, uint32_t *minor)
{
    for (uint32_t i = 0; i <= MINOR_MAX; i++) {
        uint32_t candidate = (shape->next + i) & MINOR_MAX;
        if (shape->taken[candidate / 64] >> (candidate % 64) & 1)
            continue;
        netshape_claim(shape, candidate);
        shape->next = candidate + 1;
        *minor = candidate;
        return 0;
    }
    return -ENOSPC;
}

static uint32_t burst_ticks(int64_t bps)
{
    __int128 ns = (__int128)BURST_MIN_BYTES * 1000000000 / bps;
    ns = FS_MAX(ns, BURST_NS) >> 6; /* psched ticks of 64 ns */
    return (uint32_t)FS_MIN(ns, UINT32_MAX);
}

static void add_rate(struct request *request, int64_t bps, int32_t priority)
{
    struct tc_htb_opt options = {0};
    uint64_t rate = (uint64_t)bps;
    options.rate.linklayer = TC_LINKLAYER_ETHERNET;
    options.rate.rate = (uint32_t)FS_MIN(rate, UINT32_MAX);
    options.ceil = options.rate;
    options.buffer = options.cbuffer = burst_ticks(bps);
    options.quantum = (uint32_t)FS_MIN(FS_MAX(bps / 10, 1500), 200000);
    options.prio = (uint32_t)priority;
    add(request, TCA_HTB_PARMS, &options, sizeof options);
    if (rate >= UINT32_MAX) {
        add(request, TCA_HTB_RATE64, &rate, sizeof rate);
        add(request, TCA_HTB_CEIL64, &rate, sizeof rate);
    }
}

int netshape_set(struct netshape *shape, uint32_t minor, int64_t bps, int32_t priority)
{
    if (minor == 0 || minor > MINOR_MAX || bps < 0 || priority < 0 || priority > 7)
        return -EINVAL;
    if (bps == 0 || bps > UNLIMITED_BPS)
        bps = UNLIMITED_BPS;
    struct request request =
        make(shape, RTM_NEWTCLASS, NLM_F_ACK | NLM_F_CREATE, ROOT_HANDLE, netshape_classid(shape, minor));
    add(&request, TCA_KIND, "htb", sizeof "htb");
    size_t at = begin_options(&request);
    add_rate(&request, bps, priority);
    end_options(&request, at);
    return transact(shape, &request, NULL, NULL);
}

struct reading {
    uint32_t handle;
    bool found;
    uint64_t bps;
    uint32_t priority;
};

static void read_options(const struct rtattr *attribute, size_t size, struct reading *out)
{
    uint64_t wide = 0;
    unsigned left = (unsigned)size;
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        if (attribute->rta_type == TCA_HTB_PARMS && RTA_PAYLOAD(attribute) >= sizeof(struct tc_htb_opt)) {
            const struct tc_htb_opt *options = RTA_DATA(attribute);
            out->bps = options->rate.rate;
            out->priority = options->prio;
            out->found = true;
        } else if (attribute->rta_type == TCA_HTB_RATE64 && RTA_PAYLOAD(attribute) >= sizeof wide) {
            memcpy(&wide, RTA_DATA(attribute), sizeof wide);
        }
    }
    if (wide > 0)
        out->bps = wide;
}

static void read_class(void *context, const struct tcmsg *tc, const struct rtattr *attribute, size_t size)
{
    struct reading *reading = context;
    unsigned left = (unsigned)size;
    if (tc->tcm_handle != reading->handle)
        return;
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        if ((attribute->rta_type & NLA_TYPE_MASK) == TCA_OPTIONS)
            read_options(RTA_DATA(attribute), RTA_PAYLOAD(attribute), reading);
    }
}

int netshape_get(struct netshape *shape, uint32_t minor, int64_t *bps, int32_t *priority)
{
    struct reading reading = {.handle = netshape_classid(shape, minor)};
    struct request request =
        make(shape, RTM_GETTCLASS, NLM_F_ACK | NLM_F_ECHO, ROOT_HANDLE, netshape_classid(shape, minor));
    int result = transact(shape, &request, read_class, &reading);
    if (result < 0)
        return result;
    if (!reading.found)
        return -ENOENT;
    *bps = reading.bps >= (uint64_t)UNLIMITED_BPS ? 0 : (int64_t)reading.bps;
    *priority = (int32_t)(reading.priority & 7);
    return 0;
}

int netshape_put(struct netshape *shape, uint32_t minor)
{
    if (minor == 0 || minor > MINOR_MAX)
        return -EINVAL;
    struct request request =
        make(shape, RTM_DELTCLASS, NLM_F_ACK, ROOT_HANDLE, netshape_classid(shape, minor));
    int result = transact(shape, &request, NULL, NULL);
    if (result == 0 || result == -ENOENT)
        shape->taken[minor / 64] &= ~(1ULL << (minor % 64));
    return result;
}

uint32_t netshape_classid(const struct netshape *shape, uint32_t minor)
{
    (void)shape;
    return ROOT_HANDLE | minor;
}
