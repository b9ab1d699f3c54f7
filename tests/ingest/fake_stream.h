/* A Kafka that the test holds in its hands: what common/stream.h offers to those who produce, kept in memory,
 * reported when the test says so. Linked in the place of common/stream. */
#ifndef FORESTALL_TESTS_INGEST_FAKE_STREAM_H
#define FORESTALL_TESTS_INGEST_FAKE_STREAM_H

#include "common/stream.h"

#define FAKE_MESSAGES_MAX 4096
#define FAKE_TEXT_MAX 512

struct fake_message {
    char topic[64], key[FAKE_TEXT_MAX], reason[FAKE_TEXT_MAX], origin[FAKE_TEXT_MAX];
    uint8_t *value;
    size_t value_size;
    stream_delivered_fn *on_delivered;
    void *context;
    bool reported;
};

/* Forgets all messages and accepts all again.. */
void fake_stream_reset(void);
size_t fake_stream_count(void);
struct fake_message *fake_stream_message(size_t index);
/* The next calls that produce return this instead of accepting; 0: accept again. */
void fake_stream_refuse(int error);
/* Values longer than this are refused at once with -EMSGSIZE; 0: none are. */
void fake_stream_limit(size_t bytes);
/* From now on values are not kept, so that nothing is allocated. */
void fake_stream_forget_values(void);
void fake_stream_report(size_t index, int error);
/* All that are not reported yet, also those that come meanwhile. */
void fake_stream_report_all(int error);

#endif
