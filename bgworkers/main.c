/* SPDX-License-Identifier: PostgreSQL */
/* The shape every worker shares: see worker.h. */
#include "worker.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"

#include "goldenarch/query.h"

#define INSTALL_POLL_MS 1000

static MemoryContext loop_context;

bool
ga_worker_wait(long timeout_ms)
{
	int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout_ms,
	                       GA_WAIT_EVENT("GoldenarchWorker"));

	if (events & WL_LATCH_SET)
		ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	return (events & WL_LATCH_SET) != 0;
}

void
ga_worker_report(const char *what)
{
	pgstat_report_activity(what ? STATE_RUNNING : STATE_IDLE, what ? what : "");
}

static bool
installed(void)
{
	bool yes;

	StartTransactionCommand();
	yes = ga_installed();
	CommitTransactionCommand();
	return yes;
}

static void
take_signals(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
}

static void
use_loop_context(void)
{
	if (!loop_context)
		loop_context =
		    AllocSetContextCreate(TopMemoryContext, "goldenarch worker", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(loop_context);
}

static void
begin_work(GaWorker worker)
{
	use_loop_context();
	ga_worker_report("waiting for CREATE EXTENSION goldenarch");
	while (!installed())
		(void) ga_worker_wait(INSTALL_POLL_MS);
	ga_worker_register(worker);
	ga_worker_report(NULL);
}

void
ga_worker_start(GaWorker worker)
{
	take_signals();
	BackgroundWorkerInitializeConnection(MyBgworkerEntry->bgw_extra, NULL, 0);
	begin_work(worker);
}

void
ga_worker_start_as(GaWorker worker, Oid database, Oid role)
{
	take_signals();
	BackgroundWorkerInitializeConnectionByOid(database, role, 0);
	begin_work(worker);
}

bool
ga_worker_transaction(const char *what, void (*body)(void *arg), void *arg)
{
	volatile bool ok = false;
	GaCall call;

	use_loop_context();
	ga_worker_report(what);
	PG_TRY();
	{
		ga_worker_begin(&call);
		body(arg);
		ga_worker_commit(&call);
		ok = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(loop_context);
		HOLD_INTERRUPTS();
		EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(loop_context);
	MemoryContextReset(loop_context);
	pgstat_report_stat(true);
	ga_worker_report(NULL);
	return ok;
}
