/* SPDX-License-Identifier: PostgreSQL */
/*
 * What must be on disk before the caller learns of it: a denial before its error, the intent before
 * a secret leaves. Another process writes and commits the record, so it outlives the caller's
 * rollback: the audit writer of this database, through the ring; where none serves it (nothing
 * preloaded, database not listed, writer gone), a one-shot worker.
 *
 * The caller waits no longer than goldenarch.audit_wait; what is not on disk by then is refused all
 * the same, with ZG009. The writers take no lock that a caller could hold but those of inserting
 * the row, and give those up (denial_writer.c).
 */
#include "goldenarch/audit.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"

#include "goldenarch/error.h"
#include "goldenarch/guc.h"
#include "goldenarch/metrics.h"
#include "goldenarch/oneshot.h"
#include "goldenarch/query.h"
#include "goldenarch/queue.h"
#include "denial_record.h"
#include "denial_ring.h"
#include "denial_spool.h"

extern GA_EXPORT void ga_denial_worker_main(Datum arg);

/* Interrupts are held: a cancelled wait must not lose the record. */
static bool
write_by_one_shot(const GaRecord *record, TimestampTz deadline)
{
	bool written;

	HOLD_INTERRUPTS();
	written = ga_one_shot("ga_denial_worker_main", GA_ONE_SHOT_DENIAL, record, sizeof(GaRecord),
	                      deadline);
	RESUME_INTERRUPTS();
	return written;
}

/* Null when the record is on disk, else why it is not known to be. */
static const char *
write_durably(const GaRecord *record)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ga_guc_audit_wait);
	GaRing *ring = ga_ring_mine();
	GaRingResult result = ring ? ga_ring_record(ring, record, deadline) : GA_RING_NO_WRITER;

	if (result == GA_RING_DURABLE ||
	    (result == GA_RING_NO_WRITER && write_by_one_shot(record, deadline)))
		return NULL;
	ga_count(GA_COUNT_DENIAL_LOST);
	return result == GA_RING_FULL ? "Too many records of this caller, or of all, wait already"
	                              : "It was not confirmed to be on disk";
}

static void
refuse(const char *message, const char *why)
{
	ereport(ERROR,
	        (errcode(GA_ERR_AUDIT_UNAVAILABLE), errmsg("%s", message),
	         errdetail("The attempt could not be recorded: %s within goldenarch.audit_wait (%d "
	                   "ms).",
	                   why, ga_guc_audit_wait),
	         errhint("The call stays refused. Look at health(), max_worker_processes and the "
	                 "server log.")));
}

void
ga_deny(const GaDenial *denial)
{
	bool standby = RecoveryInProgress();

	if (!standby)
	{
		GaRecord *record = palloc(sizeof(GaRecord));
		const char *why;

		ga_record_denial(record, denial);
		why = write_durably(record);
		if (why)
			refuse(denial->message, why);
	}
	ereport(ERROR,
	        (errcode(denial->sqlstate), errmsg("%s", denial->message),
	         denial->detail || standby
	             ? errdetail("%s%s%s", denial->detail ? denial->detail : "",
	                         denial->detail && standby ? " " : "",
	                         standby ? "The denial could not be recorded: this is a standby." : "")
	             : 0,
	         denial->hint ? errhint("%s", denial->hint) : 0));
}

void
ga_audit_durable(const char *action, const char *resource_type, const char *resource_id,
                 const Jsonb *details)
{
	GaRecord *record = palloc(sizeof(GaRecord));
	const char *why;

	ga_require_writable(action);
	ga_record_intent(record, action, resource_type, resource_id, details);
	why = write_durably(record);
	if (why)
		refuse(psprintf("\"%s\" cannot be recorded beforehand", action), why);
	pfree(record);
}

int64
ga_denials_spooled(void)
{
	int64 records;

	if (ga_worker_pid(GA_WORKER_AUDIT_WRITER) == 0 || !ga_ring_spooled(&records))
		records = ga_spool_count();
	return records;
}

void
ga_denial_worker_main(Datum arg)
{
	GaOneShot shot;
	const GaRecord *record = ga_one_shot_begin(arg, &shot, sizeof(GaRecord));
	GaCall call;

	ga_worker_begin(&call);
	ga_record_write(record);
	ForceSyncCommit();
	ga_worker_commit(&call);
	ga_one_shot_committed(&shot);
}
