/* Valid messages of one agent, to be spoilt field by field. */
#ifndef FORESTALL_TESTS_INGEST_SAMPLE_MESSAGES_H
#define FORESTALL_TESTS_INGEST_SAMPLE_MESSAGES_H

#include "ingest/session.h"

#define SAMPLE_NOW_US INT64_C(1700000000000000) /* 2023: past on every machine */

struct identity sample_identity(void);
struct msg_hello sample_hello(void);
/* Point to static samples and series: each call begins anew. */
struct msg_tick sample_tick(void);
struct msg_node_status sample_status(void);
struct msg_execution_event sample_event(void);
struct msg_execution_record sample_record(void);

#endif
