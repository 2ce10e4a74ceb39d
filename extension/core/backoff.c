/* SPDX-License-Identifier: PostgreSQL */
/*
 * backoff.c: see backoff.h. Full jitter, because equal or no jitter lets clients that failed
 * together come back together.
 */
#include "backoff.h"

int64_t
ga_backoff_ceiling(int attempt, int64_t base, int64_t cap)
{
	int64_t ceiling = base > 0 ? base : 0;

	if (cap < 0)
		cap = 0;
	for (int i = 0; i < attempt && ceiling > 0 && ceiling < cap; i++)
	{
		if (ceiling > INT64_MAX / 2)
			return cap;
		ceiling *= 2;
	}
	return ceiling < cap ? ceiling : cap;
}

int64_t
ga_backoff(int attempt, int64_t base, int64_t cap, uint64_t random)
{
	uint64_t ceiling = (uint64_t) ga_backoff_ceiling(attempt, base, cap);

	/* scale by the high half of a 128-bit product: uniform, and no division */
	return (int64_t) (uint64_t) (((unsigned __int128) random * (ceiling + 1)) >> 64);
}
