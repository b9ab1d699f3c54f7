/* What is known of each code: profiles by code, bounded, the longest unused dropped first. A profile is only
 * replaced by a newer revision. No broker. */
#ifndef FORESTALL_PREDICT_CODES_H
#define FORESTALL_PREDICT_CODES_H

#include "model/profile.h"

struct codes;

struct code {
    struct profile profile;
};

/* NULL when out of memory. */
struct codes *codes_create(size_t capacity);
void codes_destroy(struct codes *codes);
/* The code, which is thereby in use, or NULL. Valid until the next codes_own, codes_take or codes_drop. */
struct code *codes_find(struct codes *codes, struct str name);
/* The code, made with an empty profile when it is not known. NULL: not a name of 1..128 bytes. */
struct code *codes_own(struct codes *codes, struct str name);
/* A profile was read: 1 = taken, 0 = it is not newer than what is here, -EBADMSG = not usable. */
FS_MUST_CHECK int codes_take(struct codes *codes, const struct msg_code_profile *message);
void codes_drop(struct codes *codes, struct str name);
/* The code unused for longest, NULL at the end: walks on with codes_next. */
struct code *codes_first(const struct codes *codes);
struct code *codes_next(const struct codes *codes, const struct code *code);
size_t codes_count(const struct codes *codes);
/* Profiles dropped because the bound was reached. */
uint64_t codes_evicted(const struct codes *codes);
/* A code that is not here may be in the topic: its profile was dropped, or that of another code with the same
 * mark (marks.h). */
bool codes_maybe_evicted(const struct codes *codes, struct str name);

#endif
