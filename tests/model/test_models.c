/* predict/models: chunks in any order, what is damaged or mixed up is refused and the next one works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/models.h"

#define LIMIT 10000

static char digest_text[2][65];

static struct str digest_of(int slot, const char *data, size_t size)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned length;
    assert_int_equal(EVP_Digest(data, size, digest, &length, EVP_sha256(), NULL), 1);
    for (unsigned i = 0; i < length; i++)
        (void)snprintf(digest_text[slot] + (size_t)2 * i, 3, "%02x", digest[i]);
    return str_of(digest_text[slot]);
}

static struct msg_model chunk_of(struct str digest, const char *whole, int32_t number, int32_t chunks)
{
    size_t total = strlen(whole), size = (total + (size_t)chunks - 1) / (size_t)chunks,
           at = size * (size_t)number;
    return (struct msg_model){.version = digest,
                              .sha256 = digest,
                              .chunk = number,
                              .chunks = chunks,
                              .total_bytes = (int64_t)total,
                              .bytes = {whole + at, FS_MIN(size, total - at)}};
}

struct taker {
    struct models *models;
    struct str bytes;
    char error[128];
};

static int take(struct taker *taker, const struct msg_model *chunk)
{
    return models_take(taker->models, MODELS_CHAMPION, chunk, &taker->bytes, taker->error,
                       sizeof taker->error);
}

static void take__chunks_in_any_order__complete_once_all_are_there(void **state)
{
    (void)state;
    struct taker taker = {.models = models_create(LIMIT)};
    const char *whole = "the quick brown fox jumps over the lazy dog";
    struct str digest = digest_of(0, whole, strlen(whole));
    const int32_t order[] = {2, 0, 2, 1};
    for (size_t i = 0; i < FS_COUNT(order); i++) {
        struct msg_model chunk = chunk_of(digest, whole, order[i], 3);
        assert_int_equal(take(&taker, &chunk), i == FS_COUNT(order) - 1);
    }
    assert_true(str_equal(taker.bytes, str_of(whole)));
    models_destroy(taker.models);
}

static void take__new_version_in_between__begins_anew(void **state)
{
    (void)state;
    struct taker taker = {.models = models_create(LIMIT)};
    const char *old = "old old old old", *new = "new new new new!";
    struct str old_digest = digest_of(0, old, strlen(old)), new_digest = digest_of(1, new, strlen(new));
    /* what compaction leaves of an older champion with more chunks, then the newer one */
    struct msg_model left_over = chunk_of(old_digest, old, 2, 3);
    struct msg_model first = chunk_of(new_digest, new, 0, 2), second = chunk_of(new_digest, new, 1, 2);
    assert_int_equal(take(&taker, &left_over), 0);
    assert_int_equal(take(&taker, &first), 0);
    assert_int_equal(take(&taker, &second), 1);
    assert_true(str_equal(taker.bytes, str_of(new)));
    models_destroy(taker.models);
}

static void take__damaged__refused_and_the_same_again_works(void **state)
{
    (void)state;
    struct taker taker = {.models = models_create(LIMIT)};
    const char *whole = "some bytes of a model", *other = "some bytes of a modem";
    struct str digest = digest_of(0, whole, strlen(whole));
    struct msg_model first = chunk_of(digest, whole, 0, 2), second = chunk_of(digest, other, 1, 2);
    assert_int_equal(take(&taker, &first), 0);
    assert_int_equal(take(&taker, &second), -EBADMSG);
    assert_non_null(strstr(taker.error, "sha256"));
    second = chunk_of(digest, whole, 1, 2);
    assert_int_equal(take(&taker, &first), 0);
    assert_int_equal(take(&taker, &second), 1);
    models_destroy(taker.models);
}

static void take__nonsense__refused(void **state)
{
    (void)state;
    struct taker taker = {.models = models_create(LIMIT)};
    const char *whole = "0123456789";
    struct str digest = digest_of(0, whole, strlen(whole));
    struct msg_model good = chunk_of(digest, whole, 0, 2), bad[8];
    for (size_t i = 0; i < FS_COUNT(bad); i++)
        bad[i] = good;
    bad[0].total_bytes = LIMIT + 1;
    bad[1].total_bytes = -1;
    bad[2].chunks = 0;
    bad[3].chunks = INT32_MAX;
    bad[4].chunk = 2;
    bad[5].chunk = -1;
    bad[6].sha256 = str_of("short");
    bad[7].bytes = (struct str){"0123456789abcdef", 16}; /* more than the whole */
    for (size_t i = 0; i < FS_COUNT(bad); i++)
        assert_int_equal(take(&taker, &bad[i]), -EBADMSG);
    struct msg_model second = chunk_of(digest, whole, 1, 2);
    assert_int_equal(take(&taker, &good), 0);
    assert_int_equal(take(&taker, &second), 1);
    models_destroy(taker.models);
}

static void take__chunks_too_small__refused(void **state)
{
    (void)state;
    struct taker taker = {.models = models_create(LIMIT)};
    const char *whole = "0123456789";
    struct str digest = digest_of(0, whole, strlen(whole));
    struct msg_model first = chunk_of(digest, whole, 0, 2), second = chunk_of(digest, whole, 1, 2);
    second.bytes.size--;
    assert_int_equal(take(&taker, &first), 0);
    assert_int_equal(take(&taker, &second), -EBADMSG);
    models_destroy(taker.models);
}

static void role_of__keys__known_ones_only(void **state)
{
    (void)state;
    enum models_role role;
    int32_t chunk;
    assert_int_equal(models_role_of(str_of("champion"), &role, &chunk), 0);
    assert_int_equal(role, MODELS_CHAMPION);
    assert_int_equal(chunk, 0);
    assert_int_equal(models_role_of(str_of("challenger/12"), &role, &chunk), 0);
    assert_int_equal(role, MODELS_CHALLENGER);
    assert_int_equal(chunk, 12);
    assert_int_equal(models_role_of(str_of("previous"), &role, &chunk), 0);
    assert_int_equal(role, MODELS_PREVIOUS);
    const char *const others[] = {"",         "champ", "championship", "champion/x", "champion/99999999999",
                                  "archive/1"};
    for (size_t i = 0; i < FS_COUNT(others); i++)
        assert_int_equal(models_role_of(str_of(others[i]), &role, &chunk), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take__chunks_in_any_order__complete_once_all_are_there),
        cmocka_unit_test(take__new_version_in_between__begins_anew),
        cmocka_unit_test(take__damaged__refused_and_the_same_again_works),
        cmocka_unit_test(take__nonsense__refused),
        cmocka_unit_test(take__chunks_too_small__refused),
        cmocka_unit_test(role_of__keys__known_ones_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
