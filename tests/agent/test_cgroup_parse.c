/* The readers of kernel text: real contents, odd contents, and mutated ones (seed printed; FORESTALL_SEED
 * repeats a run). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "agent/cgroup_parse.h"

static const char v1_stat[] = "cache 4096\nrss 8192\ntotal_cache 20480\ntotal_rss 1048576\ntotal_rss_huge 0\n"
                              "total_shmem 4096\ntotal_pgfault 77\ntotal_pgmajfault 3\n";
static const char psi[] = "some avg10=0.00 avg60=1.25 avg300=0.10 total=123456\n"
                          "full avg10=0.00 avg60=0.00 avg300=0.00 total=7890\n";
static const char blkio[] = "254:0 Read 1048576\n254:0 Write 4096\n254:0 Sync 1\n254:0 Total 1052672\n"
                            "7:0 Read 999\n253:0 Write 555\n8:16 Read 24\nTotal 1052672\n";
static const char io_stat[] =
    "254:0 rbytes=1000 wbytes=2000 rios=3 wios=4 dbytes=0 dios=0\n"
    "253:0 rbytes=7 wbytes=7 rios=7 wios=7\n8:0 \n8:16 rbytes=1 wbytes=1 rios=1 wios=1\n";
static const char devices[] =
    "Character devices:\n  1 mem\n  7 vcs\n253 watchdog\n\nBlock devices:\n  7 loop\n  8 sd\n"
    "  9 md\n253 zram\n254 virtblk\n";
static const char hybrid[] =
    "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:10 master:2 - cgroup cgroup rw,memory\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

static struct cgroup_parse_majors stacked_majors(void)
{
    struct cgroup_parse_majors majors;
    cgroup_parse_stacked_majors(str_of(devices), &majors);
    return majors;
}

static void number__texts__values(void **state)
{
    (void)state;
    int64_t value = 5;
    assert_int_equal(cgroup_parse_number(str_of("42\n"), &value), 0);
    assert_int_equal(value, 42);
    assert_int_equal(cgroup_parse_number(str_of("-1\n"), &value), 0);
    assert_int_equal(value, -1);
    assert_int_equal(cgroup_parse_number(str_of("max\n"), &value), 0);
    assert_true(value == CGROUP_UNLIMITED);
    assert_int_equal(cgroup_parse_number(str_of("99999999999999999999999"), &value), 0);
    assert_true(value == INT64_MAX);
    assert_int_equal(cgroup_parse_number(str_of(""), &value), -EINVAL);
    assert_int_equal(cgroup_parse_number(str_of("x1"), &value), -EINVAL);
    assert_int_equal(cgroup_parse_number(str_of("-"), &value), -EINVAL);
}

static void keyed__memory_stat__only_whole_names(void **state)
{
    (void)state;
    int64_t rss = -1, cache = -1, absent = -1;
    const struct cgroup_parse_key keys[] = {{"total_rss", &rss}, {"cache", &cache}, {"absent", &absent}};
    assert_int_equal(cgroup_parse_keyed(str_of(v1_stat), keys, FS_COUNT(keys)), 2);
    assert_int_equal(rss, 1048576); /* not total_rss_huge */
    assert_int_equal(cache, 4096);
    assert_int_equal(absent, -1);
}

static void keyed__cut_off_line__ignored(void **state)
{
    (void)state;
    int64_t value = -1;
    const struct cgroup_parse_key keys[] = {{"anon", &value}};
    assert_int_equal(cgroup_parse_keyed(str_of("file 3\nanon 12"), keys, 1), 0);
    assert_int_equal(value, -1);
    assert_int_equal(cgroup_parse_keyed(str_of("anon x\nanon 12345\n"), keys, 1), 1);
    assert_int_equal(value, 12345);
}

static void psi__file__totals(void **state)
{
    (void)state;
    int64_t some = -1, full = -1;
    assert_int_equal(cgroup_parse_psi(str_of(psi), &some, &full), 0);
    assert_int_equal(some, 123456);
    assert_int_equal(full, 7890);
    assert_int_equal(cgroup_parse_psi(str_of("some avg10=0.00 total=9\n"), &some, &full), 0);
    assert_int_equal(some, 9);
    assert_int_equal(full, 0);
    assert_int_equal(cgroup_parse_psi(str_of("full total=9\n"), &some, &full), -EINVAL);
    assert_int_equal(cgroup_parse_psi(str_of("some total=\n"), &some, &full), -EINVAL);
    assert_int_equal(some, 9);
}

static void stacked_majors__proc_devices__block_only(void **state)
{
    (void)state;
    struct cgroup_parse_majors majors = stacked_majors();
    assert_true(cgroup_parse_is_stacked(&majors, 7));
    assert_true(cgroup_parse_is_stacked(&majors, 9));
    assert_true(cgroup_parse_is_stacked(
        &majors, 253)); /* as zram; the character device of that number does not count */
    assert_false(cgroup_parse_is_stacked(&majors, 254));
    assert_false(cgroup_parse_is_stacked(&majors, 8));
    assert_false(cgroup_parse_is_stacked(&majors, 1));
    assert_false(cgroup_parse_is_stacked(&majors, UINT32_MAX));
}

static void blkio__several_devices__disks_summed(void **state)
{
    (void)state;
    struct cgroup_parse_majors majors = stacked_majors();
    int64_t reads = -1, writes = -1;
    cgroup_parse_blkio(str_of(blkio), &majors, &reads, &writes);
    assert_int_equal(reads, 1048576 + 24);
    assert_int_equal(writes, 4096);
    cgroup_parse_blkio(str_of("Total 0\n"), &majors, &reads, &writes);
    assert_int_equal(reads, 0);
    assert_int_equal(writes, 0);
}

static void io_stat__several_devices__disks_summed(void **state)
{
    (void)state;
    struct cgroup_parse_majors majors = stacked_majors();
    struct cgroup_parse_io io;
    cgroup_parse_io_stat(str_of(io_stat), &majors, &io);
    assert_int_equal(io.read_bytes, 1001);
    assert_int_equal(io.write_bytes, 2001);
    assert_int_equal(io.read_ops, 4);
    assert_int_equal(io.write_ops, 5);
}

static void io_stat__no_counts__ignored(void **state)
{
    (void)state;
    struct cgroup_parse_majors majors = stacked_majors();
    struct cgroup_parse_io io;
    cgroup_parse_io_stat(str_of("254:0 rbytes=-5 wbytes=max rios=x wios=7\n"), &majors, &io);
    assert_int_equal(io.read_bytes, 0);
    assert_int_equal(io.write_bytes, 0);
    assert_int_equal(io.read_ops, 0);
    assert_int_equal(io.write_ops, 7);
}

static void limits__device_lines__own_device_only(void **state)
{
    (void)state;
    int64_t reads, writes, quota = 0, period = 0;
    assert_int_equal(cgroup_parse_device_value(str_of("8:0 77\n254:0 1048576\n"), 254, 0), 1048576);
    assert_int_equal(cgroup_parse_device_value(str_of("254:01 5\n"), 25, 0), 0);
    assert_int_equal(cgroup_parse_device_value(str_of(""), 254, 0), 0);
    cgroup_parse_io_max(
        str_of("8:0 rbps=1 wbps=1 riops=max wiops=max\n254:0 rbps=max wbps=512 riops=max wiops=max\n"), 254,
        0, &reads, &writes);
    assert_int_equal(reads, 0);
    assert_int_equal(writes, 512);
    assert_int_equal(cgroup_parse_cpu_max(str_of("max 100000\n"), &quota, &period), 0);
    assert_true(quota == CGROUP_UNLIMITED);
    assert_int_equal(cgroup_parse_cpu_max(str_of("20000 100000\n"), &quota, &period), 0);
    assert_int_equal(quota, 20000);
    assert_int_equal(cgroup_parse_cpu_max(str_of("20000 0\n"), &quota, &period), -EINVAL);
    assert_int_equal(cgroup_parse_cpu_max(str_of("20000\n"), &quota, &period), -EINVAL);
    assert_true(cgroup_parse_has_word(str_of("cpuset cpu io memory\n"), "memory"));
    assert_false(cgroup_parse_has_word(str_of("cpuset io\n"), "cpu"));
}

static void mountinfo__hybrid__each_hierarchy_found(void **state)
{
    (void)state;
    struct cgroup_mount mounts[CGROUP_HIERARCHY_COUNT];
    cgroup_parse_mountinfo(str_of(hybrid), mounts);
    assert_string_equal(mounts[CGROUP_MEMORY].path, "/sys/fs/cgroup/memory");
    assert_string_equal(mounts[CGROUP_CPU].path, "/sys/fs/cgroup/cpu,cpuacct");
    assert_string_equal(mounts[CGROUP_CPUACCT].path, "/sys/fs/cgroup/cpu,cpuacct");
    assert_string_equal(mounts[CGROUP_UNIFIED].path, "/sys/fs/cgroup/unified");
    assert_false(mounts[CGROUP_BLKIO].present);
    assert_true(mounts[CGROUP_MEMORY].whole && mounts[CGROUP_MEMORY].writable);
}

static void mountinfo__container__part_and_read_only_seen(void **state)
{
    (void)state;
    struct cgroup_mount mounts[CGROUP_HIERARCHY_COUNT];
    cgroup_parse_mountinfo(
        str_of("9 8 0:32 /docker/abc /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory\n"), mounts);
    assert_true(mounts[CGROUP_MEMORY].present);
    assert_false(mounts[CGROUP_MEMORY].whole);
    assert_false(mounts[CGROUP_MEMORY].writable);
}

/* What `cgroup: host` with a bind of /sys/fs/cgroup looks like: the runtime's read-only mounts, then the
 * host's over them. */
static void mountinfo__bound_over__later_mount_counts(void **state)
{
    (void)state;
    struct cgroup_mount mounts[CGROUP_HIERARCHY_COUNT];
    cgroup_parse_mountinfo(str_of("9 8 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
                                  "8 7 0:40 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"),
                           mounts);
    assert_false(mounts[CGROUP_MEMORY].present); /* covered */
    cgroup_parse_mountinfo(str_of("9 8 0:32 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
                                  "10 8 0:32 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
                                  "11 8 0:32 /docker/x /mnt\\040point rw - cgroup2 cgroup rw\n"),
                           mounts);
    assert_string_equal(mounts[CGROUP_UNIFIED].path, "/sys/fs/cgroup");
    assert_true(mounts[CGROUP_UNIFIED].writable && mounts[CGROUP_UNIFIED].whole);
    cgroup_parse_mountinfo(str_of("11 8 0:32 / /mnt\\040point rw - cgroup2 cgroup rw\n"), mounts);
    assert_string_equal(mounts[CGROUP_UNIFIED].path, "/mnt point");
}

static void parse_all(struct str text)
{
    struct cgroup_parse_majors majors;
    struct cgroup_mount mounts[CGROUP_HIERARCHY_COUNT];
    struct cgroup_parse_io io;
    int64_t a = 0, b = 0;
    const struct cgroup_parse_key keys[] = {{"total_rss", &a}, {"anon", &b}};
    cgroup_parse_stacked_majors(text, &majors);
    cgroup_parse_keyed(text, keys, FS_COUNT(keys));
    assert_true(a >= 0 && b >= 0);
    if (cgroup_parse_psi(text, &a, &b) == 0)
        assert_true(a >= 0 && b >= 0);
    cgroup_parse_blkio(text, &majors, &a, &b);
    assert_true(a >= 0 && b >= 0);
    cgroup_parse_io_stat(text, &majors, &io);
    assert_true(io.read_bytes >= 0 && io.write_bytes >= 0 && io.read_ops >= 0 && io.write_ops >= 0);
    fs_drop(cgroup_parse_number(text, &a)); /* any result is fine as long as nothing outside is read */
    assert_true(cgroup_parse_device_value(text, 254, 0) >= 0);
    cgroup_parse_io_max(text, 254, 0, &a, &b);
    if (cgroup_parse_cpu_max(text, &a, &b) == 0)
        assert_true(b > 0);
    (void)cgroup_parse_has_word(text, "memory");
    cgroup_parse_mountinfo(text, mounts);
    for (size_t i = 0; i < CGROUP_HIERARCHY_COUNT; i++)
        assert_true(!mounts[i].present || mounts[i].path[0] == '/');
}

static uint64_t random_state;

/* xorshift64 (Marsaglia 2003): the same run from the same seed on every machine. */
static size_t random_below(size_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % bound);
}

static size_t mutate(char *text, size_t size, size_t capacity)
{
    static const char alphabet[] = "0123456789 \n:=-/,\\maxtotal\0\xff";
    size_t changes = 1 + random_below(8);
    while (changes-- > 0 && size > 1) {
        size_t at = random_below(size);
        switch (random_below(4)) {
        case 0:
            size = at;
            break;
        case 1:
            memmove(text + at, text + at + 1, size - at - 1);
            size--;
            break;
        case 2:
            if (size < capacity) {
                memmove(text + at + 1, text + at, size - at);
                size++;
            }
            text[at] = text[random_below(size)];
            break;
        default:
            text[at] = alphabet[random_below(sizeof alphabet - 1)];
            break;
        }
    }
    return size;
}

/* The text ends right before a page that cannot be read: one byte too far is a crash, with or without a
 * sanitizer. */
static void all__mutated_text__never_read_outside(void **state)
{
    (void)state;
    static const char *const corpus[] = {v1_stat, psi,    blkio,          io_stat,
                                         devices, hybrid, "max 100000\n", "-1\n"};
    const char *given = getenv("FORESTALL_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *area = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(area != MAP_FAILED);
    assert_int_equal(mprotect(area + page, page, PROT_NONE), 0);
    printf("seed %u\n", seed);
    random_state = seed + 1ULL;
    for (int round = 0; round < 40000; round++) {
        char text[2048];
        const char *original = corpus[random_below(FS_COUNT(corpus))];
        (void)snprintf(text, sizeof text, "%s", original); /* fits */
        size_t size = mutate(text, strlen(original), sizeof text);
        char *at = area + page - size;
        memcpy(at, text, size);
        parse_all((struct str){at, size});
    }
    assert_int_equal(munmap(area, 2 * page), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(number__texts__values),
        cmocka_unit_test(keyed__memory_stat__only_whole_names),
        cmocka_unit_test(keyed__cut_off_line__ignored),
        cmocka_unit_test(psi__file__totals),
        cmocka_unit_test(stacked_majors__proc_devices__block_only),
        cmocka_unit_test(blkio__several_devices__disks_summed),
        cmocka_unit_test(io_stat__several_devices__disks_summed),
        cmocka_unit_test(io_stat__no_counts__ignored),
        cmocka_unit_test(limits__device_lines__own_device_only),
        cmocka_unit_test(mountinfo__hybrid__each_hierarchy_found),
        cmocka_unit_test(mountinfo__container__part_and_read_only_seen),
        cmocka_unit_test(mountinfo__bound_over__later_mount_counts),
        cmocka_unit_test(all__mutated_text__never_read_outside),
    };
    return cmocka_run_group_tests_name("cgroup_parse", tests, NULL, NULL);
}
