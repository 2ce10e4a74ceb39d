/* SPDX-License-Identifier: PostgreSQL */
/*
 * The maintenance worker: every job of the table, each in a transaction of its own, once an
 * interval; those marked so also when woken. Holds nothing between two jobs.
 */
#include "worker.h"

#include "goldenarch/clock.h"
#include "goldenarch/guc.h"
#include "goldenarch/maintenance.h"

extern GA_EXPORT void ga_maintenance_main(Datum arg);

static void
run_job(void *arg)
{
	(void) ((const GaMaintenanceJob *) arg)->run();
}

static void
run_jobs(bool all)
{
	const GaMaintenanceJob *job;
	int i;

	for (i = 0; (job = ga_maintenance_job(i)) != NULL; i++)
		if (all || job->on_wake)
			(void) ga_worker_transaction(job->name, run_job, unconstify(GaMaintenanceJob *, job));
}

void
ga_maintenance_main(Datum arg)
{
	int64 next_ns = 0;

	(void) arg;
	ga_worker_start(GA_WORKER_MAINTENANCE);
	for (;;)
	{
		int64 left_ms = (next_ns - ga_monotonic_ns()) / 1000000;
		bool all = left_ms <= 0;

		run_jobs(all);
		if (all)
		{
			left_ms = ga_guc_maintenance_interval * INT64CONST(1000);
			next_ns = ga_monotonic_ns() + left_ms * 1000000;
		}
		(void) ga_worker_wait(Max((long) left_ms, 1));
	}
}
