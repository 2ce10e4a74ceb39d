/* SPDX-License-Identifier: PostgreSQL */
/* metrics.h: what the executor counts, and the loopback page that shows it. */
#ifndef GOLDENARCH_EXECUTOR_METRICS_H
#define GOLDENARCH_EXECUTOR_METRICS_H

#include <poll.h>

#include "sys.h"

typedef enum GaCounter
{
	GA_COUNT_CLAIMED,
	GA_COUNT_SUCCEEDED,
	GA_COUNT_FAILED,
	GA_COUNT_TIMED_OUT,
	GA_COUNT_OOM_KILLED,
	GA_COUNT_OUTPUT_LIMIT,
	GA_COUNT_CANCELLED,
	GA_COUNT_LOST,
	GA_COUNT_RELEASED,
	GA_COUNT_REVOKED,
	GA_COUNT_STALE_FINISH,
	GA_COUNT_WARM_FAILURES,
	GA_COUNT_RECONNECTS,
	GA_COUNTERS
} GaCounter;

typedef struct GaMetrics
{
	uint64_t counters[GA_COUNTERS];
	int listener;
	int ready;
	int busy;
	int slots;
} GaMetrics;

/* Listen on 127.0.0.1:port; port 0: do not. */
bool ga_metrics_open(GaMetrics *metrics, int port, char *why);
/* Answer one request, if one is waiting; never blocks for longer than a quarter second. */
void ga_metrics_serve(GaMetrics *metrics);

#endif
