/* Lock, users and description of a local instance. */
#include "tests/cli/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/instance.h"
#include "cli/target.h"

static char directory[64];

static int set_up(void **state)
{
    (void)state;
    assert_true(str_copy(directory, sizeof directory, str_of("/tmp/test_instance.XXXXXX")));
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    static const char *const names[] = {INSTANCE_LOCK, INSTANCE_USERS, INSTANCE_FILE, INSTANCE_CONFIG};
    char path[128];
    (void)state;
    for (size_t i = 0; i < FS_COUNT(names); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    return rmdir(directory);
}

static void lock__second_instance__refused_until_the_first_is_gone(void **state)
{
    (void)state;
    assert_int_equal(instance_running(directory), -ENOENT);
    int first = instance_lock(directory);
    assert_true(first >= 0);
    assert_int_equal(instance_running(directory), 1);
    assert_int_equal(instance_lock(directory), -EBUSY);
    (void)close(first);
    assert_int_equal(instance_running(directory), 0);
    int second = instance_lock(directory);
    assert_true(second >= 0);
    (void)close(second);
}

static void users__shared_then_claimed__new_ones_wait(void **state)
{
    (void)state;
    int owner = instance_open_users(directory), a = instance_use(directory, 0),
        b = instance_use(directory, 0);
    assert_true(owner >= 0 && a >= 0 && b >= 0);
    assert_int_equal(instance_claim_unused(owner), -EAGAIN);
    (void)close(a);
    assert_int_equal(instance_claim_unused(owner), -EAGAIN);
    (void)close(b);
    assert_int_equal(instance_claim_unused(owner), 0);
    assert_int_equal(instance_use(directory, 30), -ETIMEDOUT);
    (void)close(owner);
    a = instance_use(directory, 0);
    assert_true(a >= 0);
    (void)close(a);
}

static void save_load__round_trip__only_while_it_runs(void **state)
{
    struct instance out, instance = {.pid = 42, .started_us = 7, .embedded = true, .service_count = 1};
    (void)state;
    assert_true(str_copy(instance.state_dir, sizeof instance.state_dir, str_of(directory)));
    assert_true(str_copy(instance.brokers, sizeof instance.brokers, str_of("127.0.0.1:9")));
    assert_true(str_copy(instance.redis, sizeof instance.redis, str_of("/r.sock")));
    assert_true(str_copy(instance.pool, sizeof instance.pool, str_of("p")));
    assert_true(str_copy(instance.services[0].name, sizeof instance.services[0].name, str_of("agent")));
    instance.services[0].pid = 43;
    instance.services[0].http_port = 8080;
    assert_int_equal(instance_save(&instance), 0);
    assert_int_equal(instance_load(directory, &out), -ENOENT); /* left behind by a killed one */
    int lock = instance_lock(directory);
    assert_int_equal(instance_load(directory, &out), 0);
    assert_memory_equal(&out, &instance, sizeof out);
    instance_remove(directory);
    assert_int_equal(instance_load(directory, &out), -ENOENT); /* starting or ending */
    (void)close(lock);
}

static void load__damaged__told_apart(void **state)
{
    struct instance out;
    char path[128];
    (void)state;
    int lock = instance_lock(directory);
    (void)snprintf(path, sizeof path, "%s/" INSTANCE_FILE, directory);
    FILE *file = fopen(path, "we");
    (void)fputs("{\"pid\": 1, \"brokers\": 5}", file);
    (void)fclose(file);
    assert_int_equal(instance_load(directory, &out), -EBADMSG);
    (void)close(lock);
}

static struct instance with_config(void)
{
    struct instance instance = {.pid = 1};
    (void)snprintf(instance.config, sizeof instance.config, "%s/" INSTANCE_CONFIG, directory);
    return instance;
}

/* A file that everybody may read, made and kept open. */
static int leave_open(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    assert_true(fd >= 0);
    return fd;
}

static void save_config__files_left_by_others__only_the_owner_reads_from_the_first_byte_on(void **state)
{
    struct instance instance = with_config();
    char beside[4300], text[64] = "";
    struct stat status;
    (void)state;
    (void)snprintf(beside, sizeof beside, "%s.new", instance.config);
    mode_t mask = umask(0);
    int old = leave_open(instance.config), killed = leave_open(beside);
    assert_int_equal(instance_save_config(&instance, str_of("[service]\n")), 0);
    (void)umask(mask);
    assert_int_equal(stat(instance.config, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_size, 10);
    assert_int_equal(pread(old, text, sizeof text, 0), 0); /* opened while that was allowed */
    assert_int_equal(pread(killed, text, sizeof text, 0), 0);
    assert_int_equal(access(beside, F_OK), -1);
    (void)close(old);
    (void)close(killed);
}

static void save_config__no_directory__error(void **state)
{
    struct instance instance = {.config = "/nowhere/at/all/forestall.ini"};
    (void)state;
    assert_int_equal(instance_save_config(&instance, str_of("")), -ENOENT);
}

static void target__settings_of_another_user__says_who_may_read_them(void **state)
{
    struct instance instance = with_config();
    struct target target;
    char error[512] = "";
    uid_t user = geteuid();
    (void)state;
    assert_int_equal(instance_save_config(&instance, str_of("[service]\n")), 0);
    assert_int_equal(chmod(instance.config, 0), 0);
    if (user == 0)
        assert_int_equal(seteuid(65534), 0);
    int result = target_from_instance(&instance, &target, error, sizeof error);
    if (user == 0)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(result, -EACCES);
    assert_non_null(strstr(error, INSTANCE_CONFIG));
    assert_non_null(strstr(error, "only who runs `forestall local` can read it"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lock__second_instance__refused_until_the_first_is_gone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(users__shared_then_claimed__new_ones_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(save_load__round_trip__only_while_it_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(load__damaged__told_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            save_config__files_left_by_others__only_the_owner_reads_from_the_first_byte_on, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(save_config__no_directory__error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(target__settings_of_another_user__says_who_may_read_them, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
