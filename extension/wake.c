/* SPDX-License-Identifier: PostgreSQL */
/*
 * Who sleeps where: a small shared table of workers and their latches, and the commit callback that
 * wakes them. One LWLock, held for the few loads it takes; nothing else is acquired under it.
 * A worker that dies leaves its slot through before_shmem_exit; a killed server makes all anew.
 */
#include "goldenarch/queue.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"

#include "goldenarch/shmem.h"
#include "ground.h"

#define SLOTS 64

typedef struct Slot
{
	Oid database;
	GaWorker worker;
	int pid; /* 0: free */
	Latch *latch;
} Slot;

typedef struct Sleepers
{
	LWLock lock;
	Slot slot[SLOTS];
} Sleepers;

void *ga_wake_shared;
static uint32 pending; /* bit a GaWorker, of the running transaction */

Size
ga_wake_shmem_size(void)
{
	return sizeof(Sleepers);
}

void
ga_wake_shmem_init(void *part)
{
	LWLockInitialize(&((Sleepers *) part)->lock, ga_lwlock_tranche());
}

static void
wake_mask(uint32 mask)
{
	Sleepers *sleepers = ga_wake_shared;
	int i;

	if (!sleepers || !mask)
		return;
	LWLockAcquire(&sleepers->lock, LW_SHARED);
	for (i = 0; i < SLOTS; i++)
	{
		Slot *slot = &sleepers->slot[i];

		if (slot->pid && slot->database == MyDatabaseId && (mask & (1u << slot->worker)))
			SetLatch(slot->latch);
	}
	LWLockRelease(&sleepers->lock);
}

void
ga_wake_at_commit(GaWorker worker)
{
	pending |= 1u << worker;
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	uint32 mask = pending;

	(void) arg;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			pending = 0;
			wake_mask(mask);
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			pending = 0;
			break;
		default:
			break;
	}
}

void
ga_wake_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
}

static void
leave(int code, Datum arg)
{
	Sleepers *sleepers = ga_wake_shared;

	(void) code;
	LWLockAcquire(&sleepers->lock, LW_EXCLUSIVE);
	sleepers->slot[DatumGetInt32(arg)].pid = 0;
	LWLockRelease(&sleepers->lock);
}

void
ga_worker_register(GaWorker worker)
{
	Sleepers *sleepers = ga_wake_shared;
	int i;

	if (!sleepers)
		return;
	LWLockAcquire(&sleepers->lock, LW_EXCLUSIVE);
	for (i = 0; i < SLOTS && sleepers->slot[i].pid; i++)
		;
	if (i < SLOTS)
	{
		sleepers->slot[i] = (Slot){MyDatabaseId, worker, MyProcPid, &MyProc->procLatch};
		before_shmem_exit(leave, Int32GetDatum(i));
	}
	LWLockRelease(&sleepers->lock);
	if (i == SLOTS)
		ereport(WARNING, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
		                  errmsg("no slot left to wake this goldenarch worker by"),
		                  errdetail("It looks for work by itself once a second.")));
}

int
ga_worker_pid(GaWorker worker)
{
	Sleepers *sleepers = ga_wake_shared;
	int pid = 0;
	int i;

	if (!sleepers)
		return 0;
	LWLockAcquire(&sleepers->lock, LW_SHARED);
	for (i = 0; i < SLOTS && !pid; i++)
		if (sleepers->slot[i].database == MyDatabaseId && sleepers->slot[i].worker == worker)
			pid = sleepers->slot[i].pid;
	LWLockRelease(&sleepers->lock);
	return pid;
}
