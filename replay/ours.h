/* What the product's own policy is replayed with: the shipped or a given network, and the code profiles that
 * predict would keep. The decisions are those of allocate/ and predict/ themselves, linked, not copied. */
#ifndef FORESTALL_REPLAY_OURS_H
#define FORESTALL_REPLAY_OURS_H

#include "common/base.h"

struct ours_tools;

/* model: a safetensors file, "" = the shipped one, "none" = histograms decide; read only when with_series.
 * codes: most codes at a time. 0, or negative errno with a sentence. */
FS_MUST_CHECK int ours_open(struct ours_tools **out, const char *model, bool with_series, size_t codes,
                            char *error, size_t error_size);
void ours_close(struct ours_tools *tools);
/* Forgets all codes: the next replay begins with nothing known. */
void ours_reset(struct ours_tools *tools);

#endif
