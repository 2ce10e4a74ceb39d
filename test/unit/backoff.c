/* SPDX-License-Identifier: PostgreSQL */
/* backoff.c: range, cap and overflow of the backoff. */
#include "backoff.h"

#include "unit.h"

int
main(void)
{
	uint64_t random = 7;
	int64_t low = INT64_MAX;
	int64_t high = 0;

	CHECK_INT(ga_backoff_ceiling(0, 100, 1000), 100);
	CHECK_INT(ga_backoff_ceiling(3, 100, 1000), 800);
	CHECK_INT(ga_backoff_ceiling(4, 100, 1000), 1000);
	CHECK_INT(ga_backoff_ceiling(1000000000, 1, INT64_MAX), INT64_MAX);
	CHECK_INT(ga_backoff_ceiling(-5, 100, 1000), 100);
	CHECK_INT(ga_backoff_ceiling(5, -1, 1000), 0);
	CHECK_INT(ga_backoff_ceiling(5, 100, -1), 0);
	CHECK_INT(ga_backoff(0, 100, 1000, 0), 0);
	CHECK_INT(ga_backoff(0, 100, 1000, UINT64_MAX), 100);
	CHECK_INT(ga_backoff(80, 1, INT64_MAX, UINT64_MAX), INT64_MAX);
	for (int i = 0; i < 10000; i++)
	{
		int64_t wait = ga_backoff(2, 10, 1000, unit_random(&random));

		low = wait < low ? wait : low;
		high = wait > high ? wait : high;
	}
	CHECK_INT(low, 0);
	CHECK_INT(high, 40);
	return unit_done();
}
