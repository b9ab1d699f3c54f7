/* The two clocks: real time for what crosses machines, monotonic time for intervals. */
#ifndef FORESTALL_COMMON_CLOCK_H
#define FORESTALL_COMMON_CLOCK_H

#include <stdint.h>

int64_t clock_realtime_us(void);
int64_t clock_monotonic_us(void);
int64_t clock_monotonic_ms(void);

#endif
