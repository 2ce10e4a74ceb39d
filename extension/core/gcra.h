/* SPDX-License-Identifier: PostgreSQL */
/*
 * gcra.h: the generic cell rate algorithm. One int64 (the theoretical arrival time) is all the
 * state a key needs; all times are nanoseconds of one monotonic clock, which the caller reads.
 *
 * Pure functions: the caller loads the old value, asks, and stores tat (by compare-and-swap or
 * under a lock) when the call was allowed. A stored 0, or any time in the past, is an idle key.
 */
#ifndef GA_GCRA_H
#define GA_GCRA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct GaRate
{
	int64_t interval_ns; /* between two units at the sustained rate; >= 1 */
	int64_t burst;       /* units that may come at once; >= 1 */
} GaRate;

typedef struct GaGcraDecision
{
	bool allowed;
	bool never;             /* cost exceeds the burst: waiting will not help */
	int64_t tat;            /* to store when allowed, else the old one */
	int64_t remaining;      /* units left at once, after this call */
	int64_t retry_after_ns; /* 0 when allowed; meaningless when never */
	int64_t reset_after_ns; /* until the key is idle again */
} GaGcraDecision;

/*
 * Reads '30/minute', '10/s', '5 / 1h'-like text: a count, a slash, a unit among s, sec, second, m,
 * min, minute, h, hour, d, day (any case, plural s allowed). False when it is not one.
 */
extern bool ga_rate_parse(const char *text, size_t bytes, int64_t *count, int64_t *period_ns);

/* burst 0: the count itself. The interval is rounded up, so the rate is never exceeded. */
extern bool ga_rate_make(int64_t count, int64_t period_ns, int64_t burst, GaRate *rate);

/* cost 0 asks without taking; a negative cost is never allowed. */
extern GaGcraDecision ga_gcra(const GaRate *rate, int64_t tat, int64_t now, int64_t cost);

/*
 * Correct a call afterwards by `units` (positive: it was dearer than it said, and the key runs into
 * debt; negative: give some back). Returns the new value to store; never fails.
 */
extern int64_t ga_gcra_correct(const GaRate *rate, int64_t tat, int64_t now, int64_t units);

#endif /* GA_GCRA_H */
