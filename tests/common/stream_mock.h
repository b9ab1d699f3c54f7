/* What the tests of the stream share: librdkafka's mock cluster in this process, one per test program, and
 * streams on it. Everything fails the running test when it does not work. */
#ifndef FORESTALL_TESTS_COMMON_STREAM_MOCK_H
#define FORESTALL_TESTS_COMMON_STREAM_MOCK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "common/stream.h"

#define DEADLINE_MS 20000

/* A test that failed must not leave the broker down for the next one. */
#define MOCK_TEST(function) cmocka_unit_test_setup(function, mock_bring_up)

/* Group fixtures: the cluster, with the topic `quarantine`. */
int mock_create(void **state);
int mock_destroy(void **state);
int mock_bring_up(void **state);

extern rd_kafka_mock_cluster_t *mock;
const char *mock_bootstrap(void);
void mock_set_up(bool up);

/* A new topic; the name stays valid until the next call. */
const char *make_topic(int partitions);
struct stream *open_stream(const char *transactional_id);
void assign(struct stream *stream, const char *topic, enum stream_start start);

/* Values are ints in machine order; key "k". */
void produce_numbers(struct stream *stream, const char *topic, int32_t partition, int from, int to);
int number_of(const struct stream_message *message);
/* Reads until `wanted` numbers of one partition came, each the successor of the one before. */
void expect_numbers(struct stream *stream, int from, int wanted);
/* Polls until a batch has messages; the caller releases it. */
void poll_messages(struct stream *stream, struct stream_batch *batch);

#endif
