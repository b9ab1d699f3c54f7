/* See netcount.h. Raw bpf(2): the programs are a dozen instructions, no compiler or library is needed on the
 * node.
 *
 * One array map per cgroup with three cells (sent, received, class), memory-mapped into the agent. The map
 * lives as long as the attached programs do; netcount_reopen goes cgroup -> program ids -> map id. */
#include "agent/netcount.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum cell { CELL_SENT, CELL_RECEIVED, CELL_CLASS, CELL_COUNT };

#define MAP_BYTES 4096
#define PROGRAM_NAME "forestall_net" /* at most 15 bytes */
#define LOOPBACK_IFINDEX 1           /* the kernel gives it to `lo` in every network namespace */
#define PROGRAMS_MAX 64              /* programs asked for on one cgroup; others' may be among them */

#define INSN(c, d, s, o, i)                                                                                  \
    ((struct bpf_insn){                                                                                      \
        .code = (uint8_t)(c), .dst_reg = (d)&0xf, .src_reg = (s)&0xf, .off = (int16_t)(o), .imm = (i)})

static int bpf(int command, union bpf_attr *attr)
{
    long result = syscall(SYS_bpf, command, attr, sizeof *attr);
    return result < 0 ? -errno : (int)result;
}

static int create_map(void)
{
    union bpf_attr attr = {0};
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    attr.key_size = sizeof(uint32_t);
    attr.value_size = sizeof(uint64_t);
    attr.max_entries = CELL_COUNT;
    attr.map_flags = BPF_F_MMAPABLE;
    memcpy(attr.map_name, PROGRAM_NAME, sizeof PROGRAM_NAME);
    return bpf(BPF_MAP_CREATE, &attr);
}

static int load(const struct bpf_insn *code, size_t count, enum bpf_attach_type type)
{
    union bpf_attr attr = {0};
    attr.prog_type = BPF_PROG_TYPE_CGROUP_SKB;
    attr.expected_attach_type = type;
    attr.insns = (uintptr_t)code;
    attr.insn_cnt = (uint32_t)count;
    attr.license = (uintptr_t) "GPL";
    memcpy(attr.prog_name, PROGRAM_NAME, sizeof PROGRAM_NAME);
    return bpf(BPF_PROG_LOAD, &attr);
}

/* r0 = &cell[index] of the map, or `miss` instructions on. Takes seven slots; r6..r9 survive. */
#define LOAD_CELL(map, index, miss)                                                                          \
    INSN(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, index),                                                \
        INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0),                                      \
        INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4),                                              \
        INSN(BPF_LD | BPF_IMM | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map), INSN(0, 0, 0, 0, 0),          \
        INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),                                         \
        INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, miss, 0)

/* if (ifindex != lo) cell[received] += len; return 1; */
static int load_ingress(int map)
{
    const struct bpf_insn code[] = {
        INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_7, BPF_REG_1, offsetof(struct __sk_buff, ifindex), 0),
        INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_6, BPF_REG_1, offsetof(struct __sk_buff, len), 0),
        INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_7, 0, 8, LOOPBACK_IFINDEX),
        LOAD_CELL(map, CELL_RECEIVED, 1),
        INSN(BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_0, BPF_REG_6, 0, BPF_ADD),
        INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1),
        INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
    };
    return load(code, FS_COUNT(code), BPF_CGROUP_INET_INGRESS);
}

/* if (ifindex != lo) { cell[sent] += len; if (cell[class]) skb->priority = cell[class]; } return 1; */
static int load_egress(int map)
{
    const struct bpf_insn code[] = {
        INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_8, BPF_REG_1, 0, 0),
        INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_7, BPF_REG_1, offsetof(struct __sk_buff, ifindex), 0),
        INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_6, BPF_REG_1, offsetof(struct __sk_buff, len), 0),
        INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_7, 0, 18, LOOPBACK_IFINDEX),
        LOAD_CELL(map, CELL_SENT, 11),
        INSN(BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_0, BPF_REG_6, 0, BPF_ADD),
        LOAD_CELL(map, CELL_CLASS, 3),
        INSN(BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_7, BPF_REG_0, 0, 0),
        INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_7, 0, 1, 0),
        INSN(BPF_STX | BPF_MEM | BPF_W, BPF_REG_8, BPF_REG_7, offsetof(struct __sk_buff, priority), 0),
        INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1),
        INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
    };
    return load(code, FS_COUNT(code), BPF_CGROUP_INET_EGRESS);
}

static int attach(int cgroup_fd, int program, enum bpf_attach_type type)
{
    union bpf_attr attr = {0};
    attr.target_fd = (uint32_t)cgroup_fd;
    attr.attach_bpf_fd = (uint32_t)program;
    attr.attach_type = type;
    attr.attach_flags = BPF_F_ALLOW_MULTI; /* beside those of others, here and above */
    return bpf(BPF_PROG_ATTACH, &attr);
}

static void detach(int cgroup_fd, int program, enum bpf_attach_type type)
{
    union bpf_attr attr = {0};
    attr.target_fd = (uint32_t)cgroup_fd;
    attr.attach_bpf_fd = (uint32_t)program;
    attr.attach_type = type;
    fs_drop(bpf(BPF_PROG_DETACH, &attr)); /* undoing an error that is already on its way up */
}

static int map_cells(int map, struct netcount *out)
{
    void *cells = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
    if (cells == MAP_FAILED)
        return -errno;
    out->cells = cells;
    return 0;
}

/* cgroup_fd -1: only tries whether everything loads. */
static int install(int cgroup_fd, struct netcount *out)
{
    int map = create_map();
    if (map < 0)
        return map;
    int ingress = -1, egress = load_egress(map);
    int result = egress;
    if (egress >= 0)
        result = ingress = load_ingress(map);
    if (result >= 0)
        result = 0;
    if (result == 0 && cgroup_fd >= 0) {
        result = attach(cgroup_fd, egress, BPF_CGROUP_INET_EGRESS);
        if (result == 0)
            result = attach(cgroup_fd, ingress, BPF_CGROUP_INET_INGRESS);
        if (result == 0)
            result = map_cells(map, out);
        if (result < 0) {
            detach(cgroup_fd, egress, BPF_CGROUP_INET_EGRESS);
            detach(cgroup_fd, ingress, BPF_CGROUP_INET_INGRESS);
        }
    }
    if (ingress >= 0)
        (void)close(ingress); /* attached programs need no descriptor */
    if (egress >= 0)
        (void)close(egress);
    (void)close(map); /* the programs and the mapping hold it */
    return result;
}

int netcount_probe(void)
{
    return install(-1, NULL);
}

int netcount_attach(int cgroup_fd, struct netcount *out)
{
    return install(cgroup_fd, out);
}

static int open_id(int command, uint32_t id)
{
    union bpf_attr attr = {0};
    attr.map_id = id; /* the same place as prog_id */
    return bpf(command, &attr);
}

/* The map of a program if the program is ours; -ENOENT otherwise. */
static int map_of_program(uint32_t program_id)
{
    struct bpf_prog_info info = {0};
    union bpf_attr attr = {0};
    uint32_t map_id = 0;
    int program = open_id(BPF_PROG_GET_FD_BY_ID, program_id);
    if (program < 0)
        return program;
    info.nr_map_ids = 1;
    info.map_ids = (uintptr_t)&map_id;
    attr.info.bpf_fd = (uint32_t)program;
    attr.info.info_len = sizeof info;
    attr.info.info = (uintptr_t)&info;
    int result = bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
    (void)close(program); /* stays attached */
    if (result < 0)
        return result;
    if (strcmp(info.name, PROGRAM_NAME) != 0 || info.nr_map_ids != 1)
        return -ENOENT;
    return open_id(BPF_MAP_GET_FD_BY_ID, map_id);
}

int netcount_reopen(int cgroup_fd, struct netcount *out)
{
    uint32_t ids[PROGRAMS_MAX] = {0};
    union bpf_attr attr = {0};
    attr.query.target_fd = (uint32_t)cgroup_fd;
    attr.query.attach_type = BPF_CGROUP_INET_INGRESS;
    attr.query.prog_ids = (uintptr_t)ids;
    attr.query.prog_cnt = PROGRAMS_MAX;
    int result = bpf(BPF_PROG_QUERY, &attr);
    if (result < 0)
        return result;
    for (uint32_t i = 0; i < attr.query.prog_cnt && i < PROGRAMS_MAX; i++) {
        int map = map_of_program(ids[i]);
        if (map < 0)
            continue;
        result = map_cells(map, out);
        (void)close(map); /* the mapping holds it */
        return result;
    }
    return -ENOENT;
}

void netcount_close(struct netcount *net)
{
    if (net->cells)
        (void)munmap((void *)(uintptr_t)net->cells, MAP_BYTES); /* it was mapped by us with this size */
    net->cells = NULL;
}

void netcount_read(const struct netcount *net, int64_t *rx_bytes, int64_t *tx_bytes)
{
    *rx_bytes = net->cells ? (int64_t)net->cells[CELL_RECEIVED] : 0;
    *tx_bytes = net->cells ? (int64_t)net->cells[CELL_SENT] : 0;
}

void netcount_set_class(struct netcount *net, uint32_t classid)
{
    if (net->cells)
        net->cells[CELL_CLASS] = classid;
}

uint32_t netcount_class(const struct netcount *net)
{
    return net->cells ? (uint32_t)net->cells[CELL_CLASS] : 0;
}
