/* SPDX-License-Identifier: PostgreSQL */
/*
 * breaker.h: a circuit breaker as a value. The caller holds it under a lock of its own and reads
 * the monotonic clock; every function below is pure arithmetic on the struct.
 *
 * closed: calls pass; outcomes are counted in a sliding window. open: calls are refused until the
 * deadline. half_open: up to half_open_max_calls permits are out at a time, each a lease that
 * returns by itself, so that a caller that died cannot keep the circuit half open for ever. Every
 * change of state raises the generation; an outcome of a call that began in an older generation is
 * counted in the totals and moves nothing.
 */
#ifndef GA_BREAKER_H
#define GA_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "fsm.h"
#include "limits.h"

#define GA_BREAKER_SLICES 10

typedef struct GaBreakerSettings
{
	int32_t failure_threshold;   /* failures in the window; with a rate: calls that are enough */
	int32_t half_open_max_calls; /* permits, and successes that close the circuit */
	int64_t recovery_ns;         /* how long it stays open; also how long a permit is leased */
	int64_t window_ns;
	double failure_rate; /* 0: none; else the share of failed calls that opens it */
	int64_t slow_ns;     /* 0: none; a call that took this long counts as failed */
} GaBreakerSettings;

typedef struct GaBreakerSlice
{
	int64_t index; /* which slice of time this is */
	int64_t calls;
	int64_t failures;
} GaBreakerSlice;

typedef struct GaBreaker
{
	GaBreakerState state;
	int64_t generation;
	int64_t open_until_ns;
	int64_t opened_at_us; /* the caller's wall clock, for show; 0: never */
	GaBreakerSlice slices[GA_BREAKER_SLICES];
	int64_t opened_failures; /* of the window, when it opened */
	int32_t successes;       /* of the half-open generation */
	int32_t permits;
	int64_t permit_until_ns[GA_BREAKER_HALF_OPEN_MAX_CALLS];
	int64_t total_calls;
	int64_t total_failures;
	int64_t total_successes;
} GaBreaker;

extern const GaBreakerSettings ga_breaker_defaults;

/* False when a number is outside its bounds. */
extern bool ga_breaker_settings_ok(const GaBreakerSettings *settings);

/* May a call be made now? In half_open this takes a permit. */
extern bool ga_breaker_admit(GaBreaker *breaker, const GaBreakerSettings *settings, int64_t now_ns);

/*
 * How a call went. generation: what it was when the call was admitted, -1 where that is not known.
 * took_ns -1: not known. Returns true when this outcome opened the circuit; the caller then sets
 * opened_at_us.
 */
extern bool ga_breaker_outcome(GaBreaker *breaker, const GaBreakerSettings *settings,
                               int64_t now_ns, bool ok, int64_t generation, int64_t took_ns);

/* Closed again, the window empty; totals stay. */
extern void ga_breaker_close(GaBreaker *breaker);
/* Open until the given instant: what a restart remembers. */
extern void ga_breaker_reopen(GaBreaker *breaker, int64_t open_until_ns, int64_t opened_at_us);

/* Closed: of the window. Open: the failures that opened it. Half open: the probes' successes. */
extern void ga_breaker_counts(const GaBreaker *breaker, const GaBreakerSettings *settings,
                              int64_t now_ns, int64_t *successes, int64_t *failures);

/* Until a call may be made: 0 when one may now. */
extern int64_t ga_breaker_retry_after_ns(const GaBreaker *breaker,
                                         const GaBreakerSettings *settings, int64_t now_ns);

#endif /* GA_BREAKER_H */
