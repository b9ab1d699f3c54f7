/* Every form of ExecutionRecord and DeadExecution that was ever published, compiled in: these are kept in
 * files, which carry a form's fingerprint and not the form, and outlive the program that wrote them. */
#ifndef FORESTALL_SCHEMAS_PUBLISHED_H
#define FORESTALL_SCHEMAS_PUBLISHED_H

#include <stddef.h>
#include <stdint.h>

struct published_schema {
    uint64_t fingerprint;
    const char *json;
};

extern const struct published_schema published_schemas[];
extern const size_t published_schema_count;

#endif
