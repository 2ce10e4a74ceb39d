/* SPDX-License-Identifier: PostgreSQL */
/*
 * Where the bridge's workers start: here in goldenarch.so, so that the server needs no libnats and
 * no libhiredis to start a worker of ours, or to run without them. The second library is loaded
 * once the worker is connected; when that fails the worker says so and tries again every minute.
 */
#include "worker.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

#include "goldenarch/bridge.h"
#include "goldenarch/version.h"
#include "ingest_launcher.h"

#define LIBRARY "$libdir/goldenarch_bridge"
#define RETRY_MS 60000

extern GA_EXPORT void ga_relay_main(Datum arg);
extern GA_EXPORT void ga_handler_main(Datum arg);
extern GA_EXPORT void ga_mirror_main(Datum arg);

typedef struct Library
{
	const char *function;
	int (*abi)(void);
	void (*run)(void);
} Library;

static void
load(Library *library)
{
	void *handle = NULL;

	library->abi = (int (*)(void)) load_external_function(LIBRARY, "ga_bridge_abi", true, &handle);
	if (library->abi() != GA_ABI)
		ereport(ERROR,
		        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		         errmsg("goldenarch_bridge is of another version than goldenarch"),
		         errdetail("It speaks ABI %d, the running server %d.", library->abi(), GA_ABI),
		         errhint("Restart the server to load the installed goldenarch.")));
	library->run =
	    (void (*)(void)) load_external_function(LIBRARY, library->function, true, &handle);
}

/* The worker's rest: loads the library and runs; never returns. */
static void
run_bridge(GaPeer peer, const char *function)
{
	MemoryContext before = CurrentMemoryContext;
	Library library = {.function = function};
	volatile bool loaded = false;

	PG_TRY();
	{
		load(&library);
		loaded = true;
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(before);
		EmitErrorReport();
		error = CopyErrorData();
		FlushErrorState();
		ga_bridge_report_link(peer, GA_LINK_DOWN, NULL, error->message);
	}
	PG_END_TRY();
	if (loaded)
		library.run();
	else
		(void) ga_worker_wait(RETRY_MS);
	/* Non-zero: the postmaster starts the worker again. */
	proc_exit(1);
}

/* One of the ingest launcher's: as the role that subscribed. */
void
ga_handler_main(Datum arg)
{
	GaHandlerProcess process;

	(void) arg;
	memcpy(&process, MyBgworkerEntry->bgw_extra, sizeof(process));
	ga_worker_start_as(GA_WORKER_INGEST, process.database, process.role);
	run_bridge(GA_PEER_INGEST, "ga_bridge_ingest_run");
}

void
ga_relay_main(Datum arg)
{
	(void) arg;
	ga_worker_start(GA_WORKER_RELAY);
	run_bridge(GA_PEER_NATS, "ga_bridge_relay_run");
}

void
ga_mirror_main(Datum arg)
{
	(void) arg;
	ga_worker_start(GA_WORKER_MIRROR);
	run_bridge(GA_PEER_REDIS, "ga_bridge_mirror_run");
}
