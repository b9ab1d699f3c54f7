/* The container trusts nothing: truncated, mutated and hand-made hostile files give an error (ASan watches
 * the reads). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/network.h"
#include "model/safetensors.h"

static const float six[] = {1, 2, 3, 4, 5, 6};

static void make(struct buffer *out)
{
    const struct safetensors_tensor tensors[] = {
        {"a", 2, {2, 3}, six}, {"b", 1, {1}, six}, {"empty", 1, {0}, six}};
    const struct safetensors_metadata metadata[] = {{"format", "x"}, {"quote", "\"\\\n\xc3\xa9"}};
    buffer_init(out, 0);
    assert_int_equal(safetensors_encode(tensors, 3, metadata, 2, out), 0);
}

static void open__what_encode_wrote__reads_back(void **state)
{
    (void)state;
    struct buffer bytes;
    struct safetensors *file;
    char error[128];
    float out[6];
    size_t dimensions, shape[SAFETENSORS_DIMENSIONS_MAX];
    make(&bytes);
    assert_int_equal((bytes.data[0] | bytes.data[1] << 8) % 8, 0);
    assert_int_equal(safetensors_open(buffer_str(&bytes), &file, error, sizeof error), 0);
    assert_int_equal(safetensors_shape(file, "a", &dimensions, shape), 0);
    assert_true(dimensions == 2 && shape[0] == 2 && shape[1] == 3);
    assert_int_equal(safetensors_read(file, "a", (size_t[]){2, 3}, 2, out), 0);
    assert_memory_equal(out, six, sizeof six);
    assert_int_equal(safetensors_read(file, "a", (size_t[]){3, 2}, 2, out), -EBADMSG);
    assert_int_equal(safetensors_read(file, "c", (size_t[]){3, 2}, 2, out), -ENOENT);
    assert_int_equal(safetensors_read(file, "empty", (size_t[]){0}, 1, out), 0);
    assert_string_equal(safetensors_metadata(file, "quote"), "\"\\\n\xc3\xa9");
    assert_null(safetensors_metadata(file, "none"));
    safetensors_close(file);
    buffer_fini(&bytes);
}

static int open_exact(const uint8_t *bytes, size_t size, char *error, size_t error_size)
{
    struct safetensors *file;
    char *exact = malloc(size ? size : 1); /* its own block, so that a read past the end is seen */
    memcpy(exact, bytes, size);
    int result = safetensors_open((struct str){exact, size}, &file, error, error_size);
    if (result == 0)
        safetensors_close(file);
    free(exact);
    return result;
}

static void open__every_truncation__is_refused(void **state)
{
    (void)state;
    struct buffer bytes;
    char error[128];
    make(&bytes);
    for (size_t size = 0; size < bytes.size; size++)
        assert_int_equal(open_exact(bytes.data, size, error, sizeof error), -EBADMSG);
    buffer_fini(&bytes);
}

static void expect_refused(const char *header, size_t data_size)
{
    struct buffer bytes;
    char error[128] = "";
    uint8_t length[8] = {0}, zero[256] = {0};
    size_t size = strlen(header);
    buffer_init(&bytes, 0);
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)size >> (8 * i));
    buffer_append(&bytes, length, 8);
    buffer_append(&bytes, header, size);
    buffer_append(&bytes, zero, data_size);
    int result = open_exact(bytes.data, bytes.size, error, sizeof error);
    if (result != -EBADMSG || !error[0])
        fail_msg("%s: result %d '%s'", header, result, error);
    buffer_fini(&bytes);
}

static void open__hostile_headers__are_refused(void **state)
{
    (void)state;
    expect_refused("", 0);
    expect_refused("[]", 0);
    expect_refused("{\"a\":1}", 0);
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8);
    expect_refused("{\"a\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4);
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4);
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", 4);
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4);
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 0);
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8);
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8);
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}", 4);
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0);
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,4],\"data_offsets\":[0,4]}}", 4);
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                   "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                   4);
}

static void open__a_length_of_everything__is_refused(void **state)
{
    (void)state;
    uint8_t bytes[16];
    char error[128];
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(open_exact(bytes, sizeof bytes, error, sizeof error), -EBADMSG);
}

static void load__mutated_models__an_error_or_a_sane_network(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c"};
    struct network *network = network_create(&(struct network_shape){3, 2, 1, 0}, 1), *loaded;
    struct buffer bytes;
    unsigned seed = 12345;
    char error[256];
    size_t refused = 0;
    buffer_init(&bytes, 0);
    assert_int_equal(network_save(network, names, &bytes), 0);
    uint8_t *copy = malloc(bytes.size);
    for (int round = 0; round < 20000; round++) {
        memcpy(copy, bytes.data, bytes.size);
        size_t header = 8 + (size_t)(bytes.data[0] | bytes.data[1] << 8);
        for (unsigned i = 0; i <= seed % 4; i++) {
            seed = seed * 1664525u + 1013904223u;
            size_t at = (seed >> 8) % (round % 2 ? header : bytes.size);
            copy[at] = (uint8_t)(round % 3 ? seed >> 3 : copy[at] ^ (1u << (seed % 8)));
        }
        int result = network_load((struct str){(const char *)copy, bytes.size}, &loaded, error, sizeof error);
        refused += result < 0;
        assert_true(result == 0 || result == -EBADMSG);
        if (result == 0)
            network_destroy(loaded);
    }
    print_message("%zu of 20000 mutations refused\n", refused);
    assert_true(refused > 8000);
    free(copy);
    network_destroy(network);
    buffer_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open__what_encode_wrote__reads_back),
        cmocka_unit_test(open__every_truncation__is_refused),
        cmocka_unit_test(open__hostile_headers__are_refused),
        cmocka_unit_test(open__a_length_of_everything__is_refused),
        cmocka_unit_test(load__mutated_models__an_error_or_a_sane_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
