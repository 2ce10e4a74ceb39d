/* SPDX-License-Identifier: PostgreSQL */
/*
 * backoff.h: exponential backoff with full jitter. Pure: the caller brings the randomness.
 */
#ifndef GA_BACKOFF_H
#define GA_BACKOFF_H

#include <stdint.h>

/*
 * How long to wait before attempt number `attempt` (0 is the first retry): uniform in
 * [0, min(cap, base * 2^attempt)], in the unit of base and cap. Negative arguments count as 0.
 */
extern int64_t ga_backoff(int attempt, int64_t base, int64_t cap, uint64_t random);

/* The upper end of that range, for callers that must not wait less (no jitter). */
extern int64_t ga_backoff_ceiling(int attempt, int64_t base, int64_t cap);

#endif /* GA_BACKOFF_H */
