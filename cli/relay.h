/* Passes what a program writes into files on to a descriptor, live, and so that retries do not show twice.
 *
 * Each attempt writes a file of its own: PATH with the attempt's number. The first attempt's bytes are passed
 * on as they come. A later attempt's are held back until it has written as much as was passed on already:
 * when those bytes are the same, it goes on from there, so a program that always writes the same shows its
 * output once, whole. When they differ, all of the later attempt's output follows the partial one, and
 * relay_repeated() says so. What was passed on is taken from the disk as it goes (holes), so a long output
 * does not fill it, unless it is written faster than it is read here. */
#ifndef FORESTALL_CLI_RELAY_H
#define FORESTALL_CLI_RELAY_H

#include "common/base.h"

#define RELAY_STEP_BYTES                                                                                     \
    ((int64_t)1 << 20) /* about as much as one call passes on: others have their turn                        \
                        */

struct relay {
    const char *path; /* without the attempt's suffix; borrowed */
    int out_fd;
    int in_fd;        /* of the current attempt; -1: not there yet */
    int32_t attempt;  /* being passed on; 0: none yet */
    int64_t position; /* read of the current file */
    int64_t passed;   /* bytes given to out_fd since the last full repetition */
    uint64_t hash;    /* of these bytes */
    uint64_t check;   /* of the current attempt's first bytes */
    bool comparing, repeated, disk_full;
};

void relay_init(struct relay *relay, const char *path, int out_fd);
void relay_fini(struct relay *relay);
/* The files of attempts up to this one exist or will: go on with a newer one once the older is passed on.
 * What has been written so far is handed on; never blocks on the files. Bytes looked at: RELAY_STEP_BYTES or
 * more when there is more, call again; -EPIPE: nobody reads the output; other negative errno. */
FS_MUST_CHECK int64_t relay_step(struct relay *relay, int32_t newest_attempt);
/* An attempt's output could not be matched with what an earlier one had written. */
bool relay_repeated(const struct relay *relay);
/* Its disk had no room left at some look: what the program wrote meanwhile is lost, and it was told so by its
 * write(2). */
bool relay_disk_full(const struct relay *relay);
/* The end: output of the last attempt that was held back (shorter than an earlier one's) is passed on. As
 * relay_step(); until it returns less than RELAY_STEP_BYTES. */
FS_MUST_CHECK int64_t relay_finish(struct relay *relay, int32_t newest_attempt);
/* "PATH.3" for attempt 3. */
void relay_file(const char *path, int32_t attempt, char *out, size_t size);

#endif
