/* SPDX-License-Identifier: PostgreSQL */
/*
 * Starting workers: those of goldenarch.databases at server start, or, where nothing is preloaded,
 * those of this database by start_workers(). Every worker is registered under library goldenarch;
 * the bridge's reach their own library from there.
 */
#include "goldenarch/compat.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "goldenarch/error.h"
#include "goldenarch/guc.h"
#include "goldenarch/query.h"
#include "goldenarch/queue.h"
#include "goldenarch/shmem.h"
#include "launch.h"

#define RESTART_SECONDS 2

typedef struct Kind
{
	GaWorker worker;
	const char *name;
	const char *function;
} Kind;

static const Kind kinds[] = {
    {GA_WORKER_MAINTENANCE, "maintenance", "ga_maintenance_main"},
    {GA_WORKER_AUDIT_WRITER, "audit writer", "ga_audit_writer_main"},
    {GA_WORKER_SEALER, "sealer", "ga_sealer_main"},
    {GA_WORKER_RELAY, "relay", "ga_relay_main"},
    {GA_WORKER_INGEST, "ingest", "ga_ingest_main"},
    {GA_WORKER_MIRROR, "mirror", "ga_mirror_main"},
};

static BackgroundWorker
describe(const Kind *kind, const char *database)
{
	BackgroundWorker config = {
	    .bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
	    .bgw_start_time = BgWorkerStart_RecoveryFinished,
	    .bgw_restart_time = RESTART_SECONDS,
	    .bgw_library_name = "goldenarch",
	};

	snprintf(config.bgw_name, BGW_MAXLEN, "goldenarch %s for %s", kind->name, database);
	snprintf(config.bgw_type, BGW_MAXLEN, "goldenarch %s", kind->name);
	strlcpy(config.bgw_function_name, kind->function, BGW_MAXLEN);
	strlcpy(config.bgw_extra, database, BGW_EXTRALEN);
	return config;
}

List *
ga_listed_databases(void)
{
	List *databases;

	if (!SplitIdentifierString(pstrdup(ga_guc_databases), ',', &databases))
		ereport(FATAL, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		                errmsg("invalid list syntax in \"goldenarch.databases\"")));
	return databases;
}

void
ga_register_static_workers(void)
{
	List *databases = ga_listed_databases();
	ListCell *cell;
	int i;

	foreach (cell, databases)
	{
		for (i = 0; i < (int) lengthof(kinds); i++)
		{
			BackgroundWorker config = describe(&kinds[i], lfirst(cell));

			RegisterBackgroundWorker(&config);
		}
	}
	if (ga_guc_metrics_port > 0 && databases != NIL)
	{
		static const Kind metrics = {GA_WORKER_METRICS, "metrics", "ga_metrics_main"};
		BackgroundWorker config = describe(&metrics, linitial(databases));

		RegisterBackgroundWorker(&config);
	}
}

/* True when the server starts this database's workers itself. */
static bool
listed(const char *database)
{
	ListCell *cell;

	if (!ga_preloaded())
		return false;
	foreach (cell, ga_listed_databases())
		if (strcmp(lfirst(cell), database) == 0)
			return true;
	return false;
}

/* True when a worker of this kind already serves this database. */
static bool
running(const Kind *kind)
{
	static GaStmt find =
	    GA_STMT("SELECT 1 FROM pg_catalog.pg_stat_get_activity(NULL) a WHERE a.backend_type "
	            "OPERATOR(pg_catalog.=) $1 AND a.datid OPERATOR(pg_catalog.=) $2",
	            TEXTOID, OIDOID);

	return ga_query(&find, ga_text(psprintf("goldenarch %s", kind->name)),
	                ga_datum(ObjectIdGetDatum(MyDatabaseId), false))
	           .count > 0;
}

GA_FUNCTION(ga_start_workers);
Datum
ga_start_workers(PG_FUNCTION_ARGS)
{
	GaCall call;
	bool present[lengthof(kinds)];
	char *database = get_database_name(MyDatabaseId);
	int i;

	ga_enter_global(&call, "system.admin");
	ga_require_writable("start_workers()");
	for (i = 0; i < (int) lengthof(kinds); i++)
		present[i] = running(&kinds[i]);
	ga_leave(&call);
	ga_set_begin(fcinfo);
	for (i = 0; i < (int) lengthof(kinds); i++)
	{
		BackgroundWorker config = describe(&kinds[i], database);
		BackgroundWorkerHandle *handle;
		const char *said = "was already running";
		Datum values[1];
		bool nulls[1] = {false};

		if (listed(database))
			said = "is started by the server (goldenarch.databases)";
		else if (!present[i])
		{
			/* Gone after a server restart: pg_cron calls this function again. */
			if (!RegisterDynamicBackgroundWorker(&config, &handle))
				ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				                errmsg("no worker slot is free for \"%s\"", config.bgw_name),
				                errhint("Raise max_worker_processes.")));
			said = "started";
		}
		values[0] = CStringGetTextDatum(psprintf("%s: %s", kinds[i].name, said));
		ga_set_add(fcinfo, values, nulls);
	}
	return (Datum) 0;
}
