/* Tovar et al.: of the peaks seen, the allocation that would have cost least. */
#ifndef FORESTALL_REPLAY_TOVAR_H
#define FORESTALL_REPLAY_TOVAR_H

#include "replay/samples.h"

/* argmin over a in the values seen of sum t_i * (a - v_i if v_i <= a, else a + vmax - v_i): a run that does
 * not fit costs its allocation and runs again with the highest seen. Of equal ones the smallest; 0 when there
 * is none. highest: vmax. */
double tovar_choose(const struct samples *samples, double *highest);

#endif
