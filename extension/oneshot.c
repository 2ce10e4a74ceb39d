/* SPDX-License-Identifier: PostgreSQL */
/*
 * One-shot background workers (goldenarch/oneshot.h): a segment of shared memory carries the
 * payload there and one flag back.
 *
 * The cap is kept by session-level advisory locks in a class that pg_advisory_lock cannot name, so
 * that these workers cannot eat the server's worker slots. Lock order: a slot's lock is taken last,
 * never waited for but polled, and released at the end whatever happens; the worker takes none.
 * A crash of the server ends both sides; nothing is left behind.
 */
#include "goldenarch/oneshot.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#define LOCK_CLASS 0x6761 /* advisory locks of SQL use classes 1 and 2 */
#define POLL_MS 5
#define ENDING_MS 1000

static const char *const names[] = {"goldenarch denial", "goldenarch seal"};

typedef struct Segment
{
	pg_atomic_uint32 committed;
	Oid database;
	Size size;
	char payload[FLEXIBLE_ARRAY_MEMBER] pg_attribute_aligned(MAXIMUM_ALIGNOF);
} Segment;

typedef struct Run
{
	TimestampTz deadline;
	bool ending;
	LOCKTAG tag;
	bool locked;
	dsm_segment *segment;
	BackgroundWorkerHandle *worker;
	BgwHandleStatus status;
} Run;

/*
 * The time is up. A backend that is told to end while its interrupts are held waits little longer:
 * enough for a worker that can start, and a server that stops starts none.
 */
static bool
over(Run *run)
{
	TimestampTz now = GetCurrentTimestamp();

	if (ProcDiePending && !run->ending)
	{
		run->ending = true;
		run->deadline = Min(run->deadline, TimestampTzPlusMilliseconds(now, ENDING_MS));
	}
	return now >= run->deadline;
}

static void
nap(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, POLL_MS,
	                 GA_WAIT_EVENT("GoldenarchOneShot"));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

static bool
take_slot(Run *run, GaOneShotPurpose purpose)
{
	uint32 slot = (uint32) MyProcPid;

	for (;; slot++)
	{
		SET_LOCKTAG_ADVISORY(run->tag, MyDatabaseId, (uint32) purpose, slot % GA_ONE_SHOT_WORKERS,
		                     LOCK_CLASS);
		if (LockAcquire(&run->tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL)
			return run->locked = true;
		if (over(run))
			return false;
		if (slot % GA_ONE_SHOT_WORKERS == 0)
			nap();
	}
}

static bool
start_worker(Run *run, const char *function_name, GaOneShotPurpose purpose)
{
	BackgroundWorker config = {
	    .bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
	    .bgw_start_time = BgWorkerStart_RecoveryFinished,
	    .bgw_restart_time = BGW_NEVER_RESTART,
	    .bgw_library_name = "goldenarch",
	};

	strlcpy(config.bgw_name, names[purpose], sizeof(config.bgw_name));
	strlcpy(config.bgw_type, names[purpose], sizeof(config.bgw_type));
	strlcpy(config.bgw_function_name, function_name, sizeof(config.bgw_function_name));
	config.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(run->segment));
	config.bgw_notify_pid = MyProcPid;
	while (!RegisterDynamicBackgroundWorker(&config, &run->worker))
	{
		if (over(run))
			return false;
		nap();
	}
	return true;
}

static bool
await(Run *run, const char *function_name, GaOneShotPurpose purpose, const void *payload, Size size)
{
	Segment *shared;
	pid_t pid;

	if (!take_slot(run, purpose))
		return false;
	run->segment = dsm_create(offsetof(Segment, payload) + size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (!run->segment)
		return false;
	shared = dsm_segment_address(run->segment);
	pg_atomic_init_u32(&shared->committed, 0);
	shared->database = MyDatabaseId;
	shared->size = size;
	memcpy(shared->payload, payload, size);
	if (!start_worker(run, function_name, purpose))
		return false;
	while (run->status != BGWH_STOPPED && run->status != BGWH_POSTMASTER_DIED && !over(run))
	{
		nap();
		run->status = GetBackgroundWorkerPid(run->worker, &pid);
	}
	return pg_atomic_read_u32(&shared->committed) == 1;
}

bool
ga_one_shot(const char *function_name, GaOneShotPurpose purpose, const void *payload, Size size,
            TimestampTz deadline)
{
	Run *run = palloc0(sizeof(Run));
	volatile bool committed = false;

	run->deadline = deadline;
	run->status = BGWH_NOT_YET_STARTED;
	PG_TRY();
	{
		committed = await(run, function_name, purpose, payload, size);
	}
	PG_FINALLY();
	{
		if (run->worker && run->status != BGWH_STOPPED)
			TerminateBackgroundWorker(run->worker);
		if (run->segment)
			dsm_detach(run->segment);
		if (run->locked)
			(void) LockRelease(&run->tag, ExclusiveLock, true);
	}
	PG_END_TRY();
	return committed;
}

const void *
ga_one_shot_begin(Datum arg, GaOneShot *shot, Size size)
{
	Segment *shared;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "goldenarch one-shot");
	shot->segment = dsm_attach(DatumGetUInt32(arg));
	if (!shot->segment)
		proc_exit(1);
	dsm_pin_mapping(shot->segment);
	shared = dsm_segment_address(shot->segment);
	if (shared->size != size)
		proc_exit(1);
	BackgroundWorkerInitializeConnectionByOid(shared->database, InvalidOid, 0);
	return shared->payload;
}

void
ga_one_shot_committed(GaOneShot *shot)
{
	Segment *shared = dsm_segment_address(shot->segment);

	pg_atomic_write_u32(&shared->committed, 1);
}
