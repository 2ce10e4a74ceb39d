/* SPDX-License-Identifier: PostgreSQL */
/* metrics.h: what the executor counts, and the loopback page that shows it. */
#ifndef GOLDENARCH_EXECUTOR_METRICS_H
#define GOLDENARCH_EXECUTOR_METRICS_H

#include <poll.h>

#include "fsm.h"
#include "sys.h"

typedef enum GaTally
{
	GA_TALLY_CLAIMED,
	GA_TALLY_RELEASED,
	GA_TALLY_REVOKED,
	GA_TALLY_STALE_FINISH,
	GA_TALLY_WARM_FAILURES,
	GA_TALLY_RECONNECTS,
	GA_TALLIES
} GaTally;

typedef struct GaMetrics
{
	uint64_t counters[GA_TALLIES];
	uint64_t outcomes[GA_JOB_LOST + 1]; /* by state of the job machine */
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
