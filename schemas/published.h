/* Every form that was ever published of what is kept in files (an agent's admissions and events, records and
 * dead letters of retrain), compiled in: these carry a form's fingerprint and not the form, and outlive the
 * program that wrote them. Of what agents and ingest begin with or send unasked as well (greetings,
 * adjustments): there is nobody to ask for its schema. */
#ifndef FORESTALL_SCHEMAS_PUBLISHED_H
#define FORESTALL_SCHEMAS_PUBLISHED_H

#include "schemas/codec.h"

struct published_schema {
    uint64_t fingerprint;
    const char *json;
};

extern const struct published_schema published_schemas[];
extern const size_t published_schema_count;

/* The codec learns all of them: 0, -ENOMEM. */
FS_MUST_CHECK int published_learn(struct codec *codec);

#endif
