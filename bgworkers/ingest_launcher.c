/* SPDX-License-Identifier: PostgreSQL */
/*
 * The ingest worker of a database: keeps one handler process running for each PostgreSQL role that
 * has subscribed, connected as that role, because what a handler does must be done with its rights
 * alone, deferred triggers at commit included. A process that keeps dying is started less and less
 * often. The processes end with their launcher; two at once would be slow, not wrong: the inbox
 * lets each message through once.
 */
#include "worker.h"

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

#include "goldenarch/clock.h"
#include "goldenarch/query.h"
#include "backoff.h"
#include "ingest_launcher.h"

#define ROLES_MAX 32
#define LOOK_MS 2000
#define RESTART_BASE_MS 1000
#define RESTART_CAP_MS 60000
#define STEADY_NS (60 * INT64CONST(1000000000))

extern GA_EXPORT void ga_ingest_main(Datum arg);

typedef struct Process
{
	Oid role; /* InvalidOid: free */
	char name[NAMEDATALEN];
	BackgroundWorkerHandle *handle; /* null: not running */
	int64 started_at;
	int64 start_at; /* not before */
	int failures;
	bool wanted;
} Process;

static Process processes[ROLES_MAX];

static Process *
find(Oid role)
{
	int i;

	for (i = 0; i < ROLES_MAX; i++)
		if (processes[i].role == role)
			return &processes[i];
	return NULL;
}

/* Which roles have subscriptions and may log in. */
static void
list_roles(void *arg)
{
	static GaStmt roles = GA_STMT(
	    "SELECT DISTINCT r.oid, r.rolname::pg_catalog.text FROM goldenarch.subscriptions AS s"
	    " JOIN pg_catalog.pg_roles AS r ON r.rolname OPERATOR(pg_catalog.=) s.pg_role"
	    " WHERE r.rolcanlogin");
	GaRows rows = ga_query(&roles);
	uint64 i;

	(void) arg;
	for (i = 0; i < ROLES_MAX; i++)
		processes[i].wanted = false;
	for (i = 0; i < rows.count; i++)
	{
		bool isnull;
		Oid role = DatumGetObjectId(ga_row_datum(&rows, i, 1, OIDOID, &isnull));
		Process *process = find(role);

		if (!process)
			process = find(InvalidOid);
		if (!process)
		{
			ereport(WARNING, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			                  errmsg("more than %d roles have subscriptions", ROLES_MAX)));
			return;
		}
		if (process->role != role)
			*process = (Process){.role = role};
		strlcpy(process->name, ga_row_text_present(&rows, i, 2), NAMEDATALEN);
		process->wanted = true;
	}
}

static void
start(Process *process)
{
	GaHandlerProcess what = {MyDatabaseId, process->role};
	BackgroundWorker config = {
	    .bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
	    .bgw_start_time = BgWorkerStart_RecoveryFinished,
	    .bgw_restart_time = BGW_NEVER_RESTART,
	    .bgw_library_name = "goldenarch",
	    .bgw_function_name = "ga_handler_main",
	    .bgw_type = "goldenarch handler",
	    .bgw_notify_pid = MyProcPid,
	};
	MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);

	snprintf(config.bgw_name, BGW_MAXLEN, "goldenarch handler for %s", process->name);
	memcpy(config.bgw_extra, &what, sizeof(what));
	if (!RegisterDynamicBackgroundWorker(&config, &process->handle))
	{
		process->handle = NULL;
		process->start_at = ga_monotonic_ns() + RESTART_CAP_MS * INT64CONST(1000000);
		ereport(WARNING, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
		                  errmsg("no worker slot is free for \"%s\"", config.bgw_name),
		                  errhint("Raise max_worker_processes.")));
	}
	process->started_at = ga_monotonic_ns();
	MemoryContextSwitchTo(before);
}

static void
look_after(Process *process)
{
	int64 now = ga_monotonic_ns();
	pid_t pid;

	if (process->handle && GetBackgroundWorkerPid(process->handle, &pid) == BGWH_STOPPED)
	{
		pfree(process->handle);
		process->handle = NULL;
		process->failures = now - process->started_at > STEADY_NS ? 0 : process->failures + 1;
		process->start_at =
		    now + ga_backoff_ceiling(process->failures - 1, RESTART_BASE_MS, RESTART_CAP_MS) *
		              INT64CONST(1000000);
	}
	/* One that is no longer wanted finds that out, deletes its consumers and ends by itself. */
	if (!process->handle && process->wanted && now >= process->start_at)
		start(process);
	else if (!process->handle && !process->wanted)
		process->role = InvalidOid;
}

static void
end_processes(int code, Datum arg)
{
	int i;

	(void) code;
	(void) arg;
	for (i = 0; i < ROLES_MAX; i++)
		if (processes[i].handle)
			TerminateBackgroundWorker(processes[i].handle);
}

void
ga_ingest_main(Datum arg)
{
	int i;

	(void) arg;
	ga_worker_start(GA_WORKER_INGEST);
	before_shmem_exit(end_processes, (Datum) 0);
	for (;;)
	{
		if (ga_worker_transaction("reading subscriptions", list_roles, NULL))
			for (i = 0; i < ROLES_MAX; i++)
				if (OidIsValid(processes[i].role))
					look_after(&processes[i]);
		(void) ga_worker_wait(LOOK_MS);
	}
}
