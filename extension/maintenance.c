/* SPDX-License-Identifier: PostgreSQL */
/*
 * The table of maintenance jobs, and the function that runs them once: the maintenance worker does
 * the same every goldenarch.maintenance_interval, pg_cron where schedule_maintenance() has
 * registered it.
 */
#include "goldenarch/maintenance.h"

#include "utils/builtins.h"

#include "approval.h"
#include "audit_seal.h"
#include "budget.h"
#include "goldenarch/error.h"
#include "goldenarch/query.h"
#include "ground.h"
#include "limiters.h"
#include "message.h"
#include "revocation.h"
#include "sandbox_lease.h"
#include "task.h"

static const GaMaintenanceJob jobs[] = {
    /* name, function, also when woken */
    {"expire_approvals", ga_approval_expire, false},
    {"escalate_approvals", ga_approval_escalate, false},
    {"sandbox_leases", ga_sandbox_expire_leases, false},
    {"sandbox_notify", ga_sandbox_notify, true},
    {"sandbox_retention", ga_sandbox_retain, false},
    {"abandoned_tasks", ga_task_fail_abandoned, false},
    {"due_reviews", ga_review_settle_due, false},
    {"message_retention", ga_message_retain, false},
    {"old_tasks", ga_task_retain, false},
    {"breakers", ga_breaker_maintain, false},
    {"budget_expiry", ga_budget_expire, false},
    {"budget_retention", ga_budget_prune, false},
    {"revoked_tokens", ga_forget_revocations, false},
    {"seal", ga_seal_job, false},
    {NULL, NULL, false},
};

const GaMaintenanceJob *
ga_maintenance_job(int i)
{
	return jobs[i].run ? &jobs[i] : NULL;
}

typedef struct Run
{
	const GaMaintenanceJob *job;
	int64 affected;
} Run;

static void
run_one(void *arg)
{
	Run *run = arg;
	GaCall call;

	ga_enter_as(&call, &ga_system_principal);
	run->affected = run->job->run();
	ga_leave(&call);
}

GA_FUNCTION(ga_run_maintenance);
Datum
ga_run_maintenance(PG_FUNCTION_ARGS)
{
	GaCall call;
	int i;

	ga_enter_global(&call, "system.admin");
	ga_require_writable("run_maintenance()");
	ga_leave(&call);
	ga_set_begin(fcinfo);
	for (i = 0; jobs[i].run; i++)
	{
		Run run = {&jobs[i], 0};
		ErrorData *error;
		Datum values[2];
		bool nulls[2] = {false, false};

		/* One job that fails must not keep the others from their work; it says so in the log. */
		if (!ga_try(run_one, &run, &error))
			ereport(WARNING,
			        (errcode(error->sqlerrcode),
			         errmsg("maintenance job \"%s\" failed: %s", jobs[i].name, error->message)));
		values[0] = CStringGetTextDatum(jobs[i].name);
		values[1] = Int64GetDatum(run.affected);
		ga_set_add(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

/*
 * pg_cron's own function, and no decoy of that name: it must be a member of the extension. The job
 * belongs to the caller, who therefore needs system.admin for each run, too.
 */
GA_FUNCTION(ga_schedule_maintenance);
Datum
ga_schedule_maintenance(PG_FUNCTION_ARGS)
{
	static GaStmt find = GA_STMT(
	    "SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid "
	    "OPERATOR(pg_catalog.=) p.pronamespace JOIN pg_catalog.pg_depend d ON d.classid "
	    "OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid AND "
	    "d.objid OPERATOR(pg_catalog.=) p.oid AND d.deptype OPERATOR(pg_catalog.=) "
	    "'e'::pg_catalog.\"char\" JOIN pg_catalog.pg_extension e ON e.oid OPERATOR(pg_catalog.=) "
	    "d.refobjid WHERE e.extname OPERATOR(pg_catalog.=) 'pg_cron'::pg_catalog.name AND "
	    "n.nspname "
	    "OPERATOR(pg_catalog.=) 'cron'::pg_catalog.name AND p.proname OPERATOR(pg_catalog.=) "
	    "'schedule'::pg_catalog.name AND p.pronargs OPERATOR(pg_catalog.=) 3::pg_catalog.int2");
	GaCall call;
	GaRows rows;
	bool isnull;
	Oid schedule = InvalidOid;
	const char *said = "maintenance worker: pg_cron is not installed in this database";

	ga_enter_global(&call, "system.admin");
	ga_require_writable("schedule_maintenance()");
	rows = ga_query(&find);
	if (rows.count > 0)
		schedule = DatumGetObjectId(ga_row_datum(&rows, 0, 1, OIDOID, &isnull));
	ga_leave(&call);
	if (OidIsValid(schedule))
	{
		int64 job = DatumGetInt64(
		    OidFunctionCall3(schedule, CStringGetTextDatum("goldenarch maintenance"),
		                     CStringGetTextDatum("* * * * *"),
		                     CStringGetTextDatum("SELECT * FROM goldenarch.run_maintenance()")));

		said = psprintf("pg_cron job %lld: goldenarch maintenance, every minute", (long long) job);
	}
	ga_set_begin(fcinfo);
	{
		Datum values[1] = {CStringGetTextDatum(said)};
		bool nulls[1] = {false};

		ga_set_add(fcinfo, values, nulls);
	}
	return (Datum) 0;
}
