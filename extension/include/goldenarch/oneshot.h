/* SPDX-License-Identifier: PostgreSQL */
/*
 * A short task in a process of its own, committed whatever becomes of the caller's transaction:
 *
 *	caller:  committed = ga_one_shot("ga_seal_once", GA_ONE_SHOT_SEAL, &order, sizeof(order),
 *	                                 deadline);
 *
 *	worker:  void ga_seal_once(Datum arg)      -- GA_EXPORT, looked up by name in library goldenarch
 *	         {
 *	             GaOneShot shot;
 *	             const Order *order = ga_one_shot_begin(arg, &shot, sizeof(Order));
 *
 *	             ga_worker_begin(&call); ... ForceSyncCommit(); ga_worker_commit(&call);
 *	             ga_one_shot_committed(&shot);
 *	         }
 *
 * No preloading is needed, only a free worker slot of the server. At most GA_ONE_SHOT_WORKERS tasks
 * of one purpose run in a database at a time. The wait ends with the worker, at the deadline, or by
 * a cancel of the caller unless it holds interrupts; the worker is told to end in each case.
 */
#ifndef GOLDENARCH_ONESHOT_H
#define GOLDENARCH_ONESHOT_H

#include "postgres.h"

#include "storage/dsm.h"
#include "utils/timestamp.h"

#include "goldenarch/compat.h"

/* What the cap counts together. */
typedef enum GaOneShotPurpose
{
	GA_ONE_SHOT_DENIAL,
	GA_ONE_SHOT_SEAL
} GaOneShotPurpose;

#define GA_ONE_SHOT_WORKERS 2

typedef struct GaOneShot
{
	dsm_segment *segment;
} GaOneShot;

/*
 * True when the worker said that it committed. False: not by the deadline, no slot, or it failed
 * (then the reason is in the server log); what it did may still have been committed.
 */
extern GA_EXPORT bool ga_one_shot(const char *function_name, GaOneShotPurpose purpose,
                                  const void *payload, Size size, TimestampTz deadline);

/*
 * In the worker: signals, connection to the caller's database (as superuser: ga_worker_begin
 * switches). Returns the payload, writable only to the worker's harm; ends the process where the
 * caller is gone or the payload is not of this size.
 */
extern GA_EXPORT const void *ga_one_shot_begin(Datum arg, GaOneShot *shot, Size size);
extern GA_EXPORT void ga_one_shot_committed(GaOneShot *shot);

#endif
