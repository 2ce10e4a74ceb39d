/* SPDX-License-Identifier: PostgreSQL */
/*
 * What run_maintenance() and the maintenance worker do: a table of jobs in maintenance.c, each
 * idempotent, each in a transaction (worker) or subtransaction (function) of its own, run inside
 * ga_enter as GA_SYSTEM. A job does a bounded batch (GA_MAINTENANCE_BATCH rows) and returns how
 * many rows it touched.
 */
#ifndef GOLDENARCH_MAINTENANCE_H
#define GOLDENARCH_MAINTENANCE_H

#include "postgres.h"

#include "goldenarch/compat.h"

#define GA_MAINTENANCE_BATCH 10000

typedef struct GaMaintenanceJob
{
	const char *name;
	int64 (*run)(void);
	bool on_wake; /* also as soon as GA_WORKER_MAINTENANCE is woken, not only at the interval */
} GaMaintenanceJob;

/* Job i of the table, null past its end. */
extern GA_EXPORT const GaMaintenanceJob *ga_maintenance_job(int i);

#endif
