/* SPDX-License-Identifier: PostgreSQL */
/*
 * Counters in shared memory: one atomic each, added to without a lock. They start from zero with
 * the server, which is what scrapers expect of a counter.
 */
#include "goldenarch/metrics.h"

#include "port/atomics.h"

#include "ground.h"

typedef struct Counters
{
	pg_atomic_uint64 value[GA_COUNTER_COUNT];
} Counters;

void *ga_metrics_shared;

Size
ga_metrics_shmem_size(void)
{
	return sizeof(Counters);
}

void
ga_metrics_shmem_init(void *part)
{
	Counters *counters = part;
	int i;

	for (i = 0; i < GA_COUNTER_COUNT; i++)
		pg_atomic_init_u64(&counters->value[i], 0);
}

void
ga_count_n(GaCounter counter, uint64 n)
{
	if (ga_metrics_shared)
		pg_atomic_fetch_add_u64(&((Counters *) ga_metrics_shared)->value[counter], (int64) n);
}

void
ga_count(GaCounter counter)
{
	ga_count_n(counter, 1);
}

uint64
ga_counter_value(GaCounter counter)
{
	if (!ga_metrics_shared)
		return 0;
	return pg_atomic_read_u64(&((Counters *) ga_metrics_shared)->value[counter]);
}
