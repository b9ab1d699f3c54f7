/* One execution drawn: use of the scarce resource, its limit and the probability of failure over time, as
 * inline SVG. */
#ifndef FORESTALL_DEMO_CHART_H
#define FORESTALL_DEMO_CHART_H

#include "common/buffer.h"
#include "demo/trial.h"

/* Appends an <svg>. Without a series: a sentence that says so. */
void chart_draw(struct buffer *out, const struct trial *trial);
/* Appends text with the characters that HTML reserves escaped. */
void chart_escape(struct buffer *out, struct str text);

#endif
