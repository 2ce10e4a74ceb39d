/* SPDX-License-Identifier: PostgreSQL */
/* The clock seam: see goldenarch/clock.h. */
#include "goldenarch/clock.h"

#include <time.h>

#include "debug_point.h"

TimestampTz
ga_now(void)
{
#ifdef GA_DEBUG
	return GetCurrentTimestamp() + (int64) ga_debug_clock_offset * USECS_PER_SEC;
#else
	return GetCurrentTimestamp();
#endif
}

int64
ga_monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
#ifdef GA_DEBUG
	return ((int64) now.tv_sec + ga_debug_clock_offset) * INT64CONST(1000000000) + now.tv_nsec;
#else
	return (int64) now.tv_sec * INT64CONST(1000000000) + now.tv_nsec;
#endif
}
