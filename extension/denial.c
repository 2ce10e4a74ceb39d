/* SPDX-License-Identifier: PostgreSQL */
/*
 * A denial that outlives the caller's rollback: the row is written and committed by a one-shot
 * background worker, and only then is the error raised. The caller waits no longer than
 * goldenarch.audit_wait; when the row is not there by then it is refused all the same, with ZG009.
 *
 * At most DENIAL_SLOTS such workers of a database run at a time (session-level advisory locks in a
 * class that pg_advisory_lock cannot name), so that denials cannot eat the server's worker slots.
 * Lock order: a slot's lock is taken last, never waited for but polled, and released before the
 * error; the worker takes no lock that a caller could hold but those of inserting the row.
 */
#include "goldenarch/audit.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/guc.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/metrics.h"
#include "goldenarch/query.h"

#define DENIAL_SLOTS 2
#define DENIAL_LOCK_CLASS 0x6761 /* advisory locks of SQL use classes 1 and 2 */
#define POLL_MS 5

/* What the worker writes. Texts are cut to fit, at a character's end. */
typedef struct Record
{
	pg_atomic_uint32 committed;
	Oid database;
	TimestampTz at;
	GaPrincipalKind kind;
	Oid pg_role;
	char subject[256];
	char tenant[128];
	char roles[256];
	char token_id[128];
	char action[128];
	char resource_type[64];
	char resource_id[512];
	char sqlstate[6];
	char message[512];
} Record;

extern GA_EXPORT void ga_denial_worker_main(Datum arg);

static void
put(char *field, size_t size, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	if (len >= size)
		len = pg_mbcliplen(text, (int) len, (int) size - 1);
	memcpy(field, text ? text : "", len);
	field[len] = '\0';
}
#define PUT(field, text) put((field), sizeof(field), (text))

static void
fill(Record *record, const GaDenial *denial)
{
	const GaPrincipal *who = ga_principal();

	memset(record, 0, sizeof(*record));
	pg_atomic_init_u32(&record->committed, 0);
	record->database = MyDatabaseId;
	record->at = ga_now();
	record->kind = who->kind;
	record->pg_role = who->pg_role;
	PUT(record->subject, who->subject);
	PUT(record->tenant, who->tenant);
	PUT(record->roles, who->nroles > 0 ? who->roles[0] : "");
	PUT(record->token_id, who->token_id);
	PUT(record->action, denial->action);
	PUT(record->resource_type, denial->resource_type);
	PUT(record->resource_id, denial->resource_id);
	PUT(record->sqlstate, unpack_sql_state(denial->sqlstate));
	PUT(record->message, denial->message);
}

static bool
past(TimestampTz deadline)
{
	return GetCurrentTimestamp() >= deadline;
}

static void
nap(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, POLL_MS,
	                 GA_WAIT_EVENT("GoldenarchDenial"));
	ResetLatch(MyLatch);
}

static bool
take_slot(LOCKTAG *tag, TimestampTz deadline)
{
	uint32 slot = (uint32) MyProcPid;

	for (;; slot++)
	{
		SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, 0, slot % DENIAL_SLOTS, DENIAL_LOCK_CLASS);
		if (LockAcquire(tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL)
			return true;
		if (past(deadline))
			return false;
		if (slot % DENIAL_SLOTS == 0)
			nap();
	}
}

static bool
start_worker(dsm_handle handle, TimestampTz deadline, BackgroundWorkerHandle **worker)
{
	BackgroundWorker config = {
	    .bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
	    .bgw_start_time = BgWorkerStart_RecoveryFinished,
	    .bgw_restart_time = BGW_NEVER_RESTART,
	    .bgw_name = "goldenarch denial",
	    .bgw_type = "goldenarch denial",
	    .bgw_library_name = "goldenarch",
	    .bgw_function_name = "ga_denial_worker_main",
	};

	config.bgw_main_arg = UInt32GetDatum(handle);
	config.bgw_notify_pid = MyProcPid;
	while (!RegisterDynamicBackgroundWorker(&config, worker))
	{
		if (past(deadline))
			return false;
		nap();
	}
	return true;
}

/* True when the row is on disk. Interrupts are held: a cancelled wait must not lose the record. */
static bool
record_durably(const GaDenial *denial)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ga_guc_audit_wait);
	BackgroundWorkerHandle *worker;
	BgwHandleStatus status = BGWH_NOT_YET_STARTED;
	dsm_segment *segment;
	LOCKTAG tag;
	Record *record;
	bool written = false;
	pid_t pid;

	if (!take_slot(&tag, deadline))
		return false;
	segment = dsm_create(sizeof(Record), DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (segment)
	{
		record = dsm_segment_address(segment);
		fill(record, denial);
		if (start_worker(dsm_segment_handle(segment), deadline, &worker))
		{
			while (status != BGWH_STOPPED && status != BGWH_POSTMASTER_DIED && !past(deadline))
			{
				nap();
				status = GetBackgroundWorkerPid(worker, &pid);
			}
			if (status != BGWH_STOPPED)
				TerminateBackgroundWorker(worker);
			written = pg_atomic_read_u32(&record->committed) == 1;
			pfree(worker);
		}
		dsm_detach(segment);
	}
	(void) LockRelease(&tag, ExclusiveLock, true);
	return written;
}

void
ga_deny(const GaDenial *denial)
{
	bool standby = RecoveryInProgress();
	bool written = false;

	if (!standby)
	{
		HOLD_INTERRUPTS();
		written = record_durably(denial);
		RESUME_INTERRUPTS();
	}
	if (!standby && !written)
	{
		ga_count(GA_COUNT_DENIAL_LOST);
		ereport(
		    ERROR,
		    (errcode(GA_ERR_AUDIT_UNAVAILABLE), errmsg("%s", denial->message),
		     errdetail("The denial could not be recorded within goldenarch.audit_wait (%d ms).",
		               ga_guc_audit_wait),
		     errhint("The call stays refused. Look at max_worker_processes and the server log.")));
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
ga_denial_worker_main(Datum arg)
{
	GaPrincipal who = {.expires_at = DT_NOEND};
	const char *roles[2] = {NULL, NULL};
	dsm_segment *segment;
	Record *record;
	GaCall call;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "goldenarch denial");
	segment = dsm_attach(DatumGetUInt32(arg));
	if (!segment)
		proc_exit(1);
	dsm_pin_mapping(segment);
	record = dsm_segment_address(segment);
	BackgroundWorkerInitializeConnectionByOid(record->database, InvalidOid, 0);
	ga_worker_begin(&call);
	roles[0] = record->roles;
	who.kind = record->kind;
	who.subject = record->subject;
	who.tenant = record->tenant;
	who.roles = roles;
	who.nroles = record->roles[0] ? 1 : 0;
	who.token_id = record->token_id[0] ? record->token_id : NULL;
	who.pg_role = record->pg_role;
	ga_audit_as(&who, record->at, GA_OUTCOME_DENIED, record->action, record->resource_type,
	            record->resource_id[0] ? record->resource_id : "-",
	            ga_json_pairs("sqlstate", record->sqlstate, "message", record->message, "pg_role",
	                          GetUserNameFromId(record->pg_role, true), NULL));
	ForceSyncCommit();
	ga_worker_commit(&call);
	pg_atomic_write_u32(&record->committed, 1);
	proc_exit(0);
}
