/* SPDX-License-Identifier: PostgreSQL */
/*
 * What the audit writer does with the records of the ring: all that wait become rows of one
 * transaction, flushed; where the table cannot be written they go to the spool; then their callers
 * go on. Where neither works they wait, and their callers are refused when their time is up.
 *
 * The table is given up for RETRY_MS when a row waits for a lock longer than LOCK_TIMEOUT, when the
 * batch takes longer than TABLE_TIMEOUT_MS, or on any error: a caller may itself hold what the
 * insert needs, and waits for us. The spool is replayed, REPLAY_RECORDS a transaction, before new
 * records go to the table again.
 *
 * Exactly once: the ring is told right after the commit, with no place in between at which the
 * process could be interrupted; a crash forgets the ring. A replay commits with its position.
 */
#include "goldenarch/audit.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lock.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timeout.h"

#include "goldenarch/debug.h"
#include "goldenarch/query.h"
#include "denial_ring.h"
#include "denial_spool.h"

#define WRITER_LOCK_CLASS 0x6762 /* advisory locks of SQL use classes 1 and 2 */
#define LOCK_TIMEOUT "1s"
#define TABLE_TIMEOUT_MS 2000
#define RETRY_MS 3000
#define BLOCKED_MS 250
#define IDLE_MS 60000
#define REPLAY_RECORDS 500

static GaRing *ring;
static TimestampTz table_again_at;

/* One writer a database: the ring and the spool have one owner. Waits for the one before to end. */
static void
be_the_writer(void)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, WRITER_LOCK_CLASS);
	StartTransactionCommand();
	(void) LockAcquire(&tag, ExclusiveLock, true, false);
	CommitTransactionCommand();
}

void
ga_denials_serve(const char *database)
{
	be_the_writer();
	SetConfigOption("lock_timeout", LOCK_TIMEOUT, PGC_SUSET, PGC_S_OVERRIDE);
	ga_spool_open();
	ring = ga_ring_serve(database);
	if (ring)
		ga_ring_tell_spooled(ring, ga_spool_waiting());
}

/* One flushed transaction, bounded in time. False: it was rolled back and is in the server log. */
static bool
transact(void (*body)(void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool ok = false;
	GaCall call;

	PG_TRY();
	{
		enable_timeout_after(STATEMENT_TIMEOUT, TABLE_TIMEOUT_MS);
		ga_worker_begin(&call);
		body(arg);
		ForceSyncCommit();
		disable_timeout(STATEMENT_TIMEOUT, false);
		ga_worker_commit(&call);
		ok = true;
	}
	PG_CATCH();
	{
		disable_timeout(STATEMENT_TIMEOUT, false);
		MemoryContextSwitchTo(context);
		HOLD_INTERRUPTS();
		EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		RESUME_INTERRUPTS();
		table_again_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RETRY_MS);
	}
	PG_END_TRY();
	/* A timeout that struck after the last look at it is of no more interest. */
	QueryCancelPending = false;
	MemoryContextSwitchTo(context);
	return ok;
}

/* In a context that is kept: the memory of a row is not asked of the system each time. */
static void
write_row(const GaRecord *record)
{
	static MemoryContext row;
	MemoryContext context;

	if (!row)
		row = AllocSetContextCreate(TopMemoryContext, "goldenarch record", ALLOCSET_DEFAULT_SIZES);
	context = MemoryContextSwitchTo(row);
	ga_record_write(record);
	MemoryContextSwitchTo(context);
	MemoryContextReset(row);
}

static void
write_rows(void *arg)
{
	int n = *(int *) arg;
	int i;

	GA_DEBUG_POINT("denials-before-rows");
	for (i = 0; i < n; i++)
		write_row(ga_ring_taken(ring, i));
}

static const GaRecord *
taken(const void *arg, int i)
{
	return ga_ring_taken(arg, i);
}

static bool
table_is_given_up(void)
{
	return GetCurrentTimestamp() < table_again_at;
}

/* False: the records wait on. */
static bool
write_records(int n)
{
	bool in_table = !table_is_given_up() && ga_spool_waiting() <= 0 && transact(write_rows, &n);

	if (in_table || ga_spool_append(taken, ring, n))
	{
		GA_DEBUG_POINT("denials-before-done");
		ga_ring_done(ring);
		if (!in_table)
			ga_ring_tell_spooled(ring, ga_spool_waiting());
		return true;
	}
	ga_ring_put_back(ring);
	return false;
}

static int64
replayed_to(void)
{
	static GaStmt find = GA_STMT("SELECT r.replayed::pg_catalog.int8 FROM goldenarch.audit_replays "
	                             "r WHERE r.generation OPERATOR(pg_catalog.=) $1",
	                             BYTEAOID);
	GaRows rows = ga_query(&find, ga_bytea(ga_spool_generation(), GA_JOURNAL_CHECK_BYTES));

	return rows.count > 0 ? ga_row_int8(&rows, 0, 1) : 0;
}

static void
replay_some(void *arg)
{
	static GaStmt note =
	    GA_STMT("INSERT INTO goldenarch.audit_replays AS r (generation, replayed) VALUES ($1, $2) "
	            "ON CONFLICT (generation) DO UPDATE SET replayed = EXCLUDED.replayed",
	            BYTEAOID, INT8OID);
	GaRecord *record = palloc(sizeof(GaRecord));
	int n;

	(void) arg;
	ga_spool_seek(replayed_to());
	for (n = 0; n < REPLAY_RECORDS && ga_spool_read(record); n++)
		write_row(record);
	if (n > 0)
		(void) ga_query(&note, ga_bytea(ga_spool_generation(), GA_JOURNAL_CHECK_BYTES),
		                ga_int8(ga_spool_position()));
}

static void
replay(void)
{
	if (transact(replay_some, NULL) && ga_spool_replayed())
		ereport(LOG, (errmsg("denials kept in a spool file are in the audit table")));
	if (ring)
		ga_ring_tell_spooled(ring, ga_spool_waiting());
}

/*
 * One batch a call while a spool is in use, so that its replay gets its turns under any load.
 */
long
ga_denials_write(void)
{
	int n = 0;

	if (ga_spool_waiting() > 0 && !table_is_given_up())
		replay();
	while (ring && (n = ga_ring_take(ring)) > 0)
	{
		if (!write_records(n))
			return BLOCKED_MS;
		if (ga_spool_waiting() > 0)
			break;
	}
	pgstat_report_stat(false);
	if (ga_spool_waiting() <= 0)
		return IDLE_MS;
	return n == 0 && table_is_given_up() ? RETRY_MS : 0;
}
