/* SPDX-License-Identifier: PostgreSQL */
/*
 * Claims: which worker has which task, for how long. Workers pass locked rows over (SKIP LOCKED);
 * a claim's number comes from one sequence, so a later claim has a greater one, and whoever holds
 * an earlier number is told to stop. A task in developing without a lease can be claimed only
 * where it had one before an escalation; one that someone advanced by hand is his. A lease that
 * ran out is judged where it is read: the task can be claimed at once, and the maintenance job
 * only buries what used up its attempts.
 */
#include "task.h"

#include "common/pg_prng.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "backoff.h"
#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/deadletter.h"
#include "goldenarch/error.h"
#include "goldenarch/guc.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/maintenance.h"

#define ERROR_KEPT 10000 /* bytes */
#define LEASE_MAX_US (INT64CONST(24) * 3600 * USECS_PER_SEC)
#define RETRY_BASE_US (INT64CONST(10) * USECS_PER_SEC)
#define RETRY_CAP_US (INT64CONST(3600) * USECS_PER_SEC)

static int64
lease_arg(FunctionCallInfo fcinfo, int n)
{
	int64 lease = ga_arg_interval_us(fcinfo, n, "lease", false);

	if (lease > LEASE_MAX_US)
		ga_bad_argument("lease", "It is longer than 24 hours.");
	return lease;
}

GA_FUNCTION(ga_sql_claim_task);
Datum
ga_sql_claim_task(PG_FUNCTION_ARGS)
{
	static GaStmt claim = GA_STMT(
	    "WITH candidate AS MATERIALIZED (SELECT tenant, id FROM goldenarch.tasks"
	    " WHERE tenant OPERATOR(pg_catalog.>=) $1 AND tenant OPERATOR(pg_catalog.<=) $2"
	    " AND (agent_role IS NULL OR agent_role OPERATOR(pg_catalog.=) $3)"
	    " AND ((state OPERATOR(pg_catalog.=) 'created' AND not_before OPERATOR(pg_catalog.<=) $4)"
	    "  OR (state OPERATOR(pg_catalog.=) 'developing' AND (lease_until OPERATOR(pg_catalog.<=) "
	    "$4"
	    "   OR (lease_until IS NULL AND claimed_by IS NOT NULL))))"
	    " AND attempt OPERATOR(pg_catalog.<) max_attempts"
	    " AND NOT $5 OPERATOR(pg_catalog.=) ANY (barred)"
	    " ORDER BY priority USING OPERATOR(pg_catalog.<),"
	    " created_at USING OPERATOR(pg_catalog.<), id USING OPERATOR(pg_catalog.<)"
	    " LIMIT 1 FOR UPDATE SKIP LOCKED)"
	    " UPDATE goldenarch.tasks AS t SET state = 'developing', claimed_by = $5,"
	    " claim = pg_catalog.nextval('goldenarch.task_claim_seq'::pg_catalog.regclass),"
	    " claimants = CASE WHEN $5 OPERATOR(pg_catalog.=) ANY (t.claimants) THEN t.claimants"
	    "  ELSE pg_catalog.array_append(t.claimants, $5) END,"
	    " lease_until = $6, attempt = t.attempt OPERATOR(pg_catalog.+) 1, updated_at = $4"
	    " FROM candidate AS c WHERE t.tenant OPERATOR(pg_catalog.=) c.tenant"
	    " AND t.id OPERATOR(pg_catalog.=) c.id"
	    " RETURNING t.id::pg_catalog.uuid, t.claim::pg_catalog.int8, t.title::pg_catalog.text,"
	    " t.payload::pg_catalog.jsonb, t.attempt::pg_catalog.int4",
	    TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID);
	GaCall call;
	GaRows rows;
	TimestampTz now;
	char *agent_role;
	int64 lease;
	const char *subject;

	ga_enter(&call, "task.update");
	agent_role = ga_arg_text_max(fcinfo, 0, "agent_role", GA_NAME_BYTES, false);
	lease = lease_arg(fcinfo, 1);
	subject = call.principal->subject;
	ga_agent_require_active(call.principal->tenant, subject, "task.claim");
	now = ga_now();
	rows = ga_query(&claim, ga_text(ga_tenant_floor(call.principal)),
	                ga_text(ga_tenant_ceiling(call.principal)), ga_text(agent_role),
	                ga_timestamp(now), ga_text(subject), ga_timestamp(now + lease));
	ga_set_begin(fcinfo);
	ga_set_add_rows(fcinfo, &rows);
	ga_leave(&call);
	return (Datum) 0;
}

GA_FUNCTION(ga_sql_heartbeat_task);
Datum
ga_sql_heartbeat_task(PG_FUNCTION_ARGS)
{
	static GaStmt renew = GA_STMT("UPDATE goldenarch.tasks SET lease_until = $3"
	                              " WHERE tenant OPERATOR(pg_catalog.=) $1"
	                              " AND id OPERATOR(pg_catalog.=) $2",
	                              TEXTOID, UUIDOID, TIMESTAMPTZOID);
	GaCall call;
	GaTask *task;
	int64 lease;
	bool live;

	ga_enter(&call, "task.update");
	(void) ga_arg_int8(fcinfo, 1, "claim", 1, PG_INT64_MAX);
	lease = lease_arg(fcinfo, 2);
	task = ga_task_find(ga_task_uuid_arg(fcinfo, 0, "task_id"), true);
	live = ga_task_holds(task, fcinfo, 1) && task->state >= GA_TASK_DEVELOPING &&
	       task->state <= GA_TASK_DEPLOYING;
	if (live)
		(void) ga_query(&renew, ga_text(task->tenant), ga_uuid(task->id),
		                ga_timestamp(ga_now() + lease));
	ga_leave(&call);
	PG_RETURN_BOOL(live);
}

/* Back to created for another attempt after a pause, or to failed. */
static void
end_attempt(GaTask *task, const char *error)
{
	static GaStmt end = GA_STMT(
	    "UPDATE goldenarch.tasks SET state = $3, revision = revision OPERATOR(pg_catalog.+) 1,"
	    " attempt = $4, not_before = $5, last_error = $6, updated_at = $7,"
	    " finished_at = CASE WHEN $8 THEN NULL ELSE $7 END, claim = NULL,"
	    " claimed_by = NULL, lease_until = NULL"
	    " WHERE tenant OPERATOR(pg_catalog.=) $1 AND id OPERATOR(pg_catalog.=) $2",
	    TEXTOID, UUIDOID, TEXTOID, INT4OID, TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID, BOOLOID);
	int attempt = task->claimed ? task->attempt : task->attempt + 1;
	bool again = attempt < task->max_attempts;
	TimestampTz now = ga_now();
	TimestampTz later = now + ga_backoff(Max(attempt - 1, 0), RETRY_BASE_US, RETRY_CAP_US,
	                                     pg_prng_uint64(&pg_global_prng_state));

	task->attempt = attempt;
	task->state = again ? GA_TASK_CREATED : GA_TASK_FAILED;
	(void) ga_query(&end, ga_text(task->tenant), ga_uuid(task->id), ga_text(ga_task_state(task)),
	                ga_int4(attempt), ga_timestamp(again ? later : now), ga_text(error),
	                ga_timestamp(now), ga_bool(again));
	if (!again)
		ga_task_bury(task, error);
	(void) ga_audit("task.fail", "task", ga_task_uuid_show(task->id),
	                ga_json_pairs("error", error, "state", ga_task_state(task), NULL));
}

GA_FUNCTION(ga_sql_fail_task);
Datum
ga_sql_fail_task(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaTask *task;
	char *error;
	bool mine;

	ga_enter(&call, "task.update");
	error = ga_arg_text(fcinfo, 1, "error");
	/* what went wrong may be long: a worker must be able to say so all the same */
	error[pg_mbcliplen(error, (int) strlen(error), ERROR_KEPT)] = '\0';
	task = ga_task_find(ga_task_uuid_arg(fcinfo, 0, "task_id"), true);
	mine = ga_task_holds(task, fcinfo, 2);
	if (mine)
	{
		ga_task_require_unfinished(task);
		if (task->state == GA_TASK_ESCALATED)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			                errmsg("task %s is escalated", ga_task_uuid_show(task->id)),
			                errhint("Resolve the escalation with {\"action\": \"fail\"}.")));
		end_attempt(task, error);
	}
	ga_leave(&call);
	PG_RETURN_BOOL(mine);
}

/* Tasks whose last attempt was abandoned: nobody may claim them again. */
int64
ga_task_fail_abandoned(void)
{
	static GaStmt find = GA_STMT(
	    "SELECT id::pg_catalog.uuid FROM goldenarch.tasks"
	    " WHERE tenant OPERATOR(pg_catalog.>=) $1 AND tenant OPERATOR(pg_catalog.<=) $2"
	    " AND state OPERATOR(pg_catalog.=) 'developing' AND lease_until OPERATOR(pg_catalog.<=) $3"
	    " AND attempt OPERATOR(pg_catalog.>=) max_attempts LIMIT $4 FOR UPDATE SKIP LOCKED",
	    TEXTOID, TEXTOID, TIMESTAMPTZOID, INT4OID);
	const GaPrincipal *who = ga_principal();
	GaRows rows = ga_query(&find, ga_text(ga_tenant_floor(who)), ga_text(ga_tenant_ceiling(who)),
	                       ga_timestamp(ga_now()), ga_int4(GA_MAINTENANCE_BATCH));

	for (uint64 i = 0; i < rows.count; i++)
		end_attempt(ga_task_find(ga_task_row_uuid(&rows, i, 1), true),
		            "the lease of the last attempt ran out");
	return (int64) rows.count;
}

/* Finished trees of tasks, whole, once the root and all below it are old enough. */
int64
ga_task_retain(void)
{
	static GaStmt prune = GA_STMT(
	    "DELETE FROM goldenarch.tasks AS t USING (SELECT old.tenant, old.root"
	    " FROM goldenarch.tasks AS old WHERE old.tenant OPERATOR(pg_catalog.>=) $1"
	    " AND old.tenant OPERATOR(pg_catalog.<=) $2 AND old.id OPERATOR(pg_catalog.=) old.root"
	    " AND old.finished_at OPERATOR(pg_catalog.<) $3"
	    " AND NOT EXISTS (SELECT FROM goldenarch.tasks AS live"
	    "  WHERE live.tenant OPERATOR(pg_catalog.=) old.tenant"
	    "  AND live.root OPERATOR(pg_catalog.=) old.root"
	    "  AND (live.finished_at IS NULL OR live.finished_at OPERATOR(pg_catalog.>=) $3))"
	    " LIMIT $4) AS done WHERE t.tenant OPERATOR(pg_catalog.=) done.tenant"
	    " AND t.root OPERATOR(pg_catalog.=) done.root",
	    TEXTOID, TEXTOID, TIMESTAMPTZOID, INT4OID);
	const GaPrincipal *who = ga_principal();
	TimestampTz before =
	    ga_now() - (int64) ga_guc_retention_tasks * SECS_PER_MINUTE * USECS_PER_SEC;

	return (int64) ga_query(&prune, ga_text(ga_tenant_floor(who)), ga_text(ga_tenant_ceiling(who)),
	                        ga_timestamp(before), ga_int4(GA_MAINTENANCE_BATCH))
	    .count;
}

void
ga_task_restart(const char *task_id)
{
	Datum id = DirectFunctionCall1(uuid_in, CStringGetDatum(task_id));
	GaTask *task = ga_task_find(DatumGetUUIDP(id), true);

	if (task->state != GA_TASK_FAILED)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("task %s is %s", task_id, ga_task_state(task)),
		                errhint("Only a failed task starts again.")));
	ga_task_move(task, GA_TASK_CREATED);
}

void
ga_task_bury(const GaTask *task, const char *error)
{
	static GaStmt find = GA_STMT("SELECT payload::pg_catalog.text FROM goldenarch.tasks"
	                             " WHERE tenant OPERATOR(pg_catalog.=) $1"
	                             " AND id OPERATOR(pg_catalog.=) $2",
	                             TEXTOID, UUIDOID);
	GaRows rows = ga_query(&find, ga_text(task->tenant), ga_uuid(task->id));
	char *payload = ga_row_text_present(&rows, 0, 1);
	GaDeadLetter letter = {.tenant = task->tenant,
	                       .source = "task",
	                       .subject = psprintf("prc.%s.failed", ga_task_uuid_show(task->id)),
	                       .payload = payload,
	                       .payload_bytes = strlen(payload),
	                       .error = error,
	                       .error_count = task->attempt,
	                       .origin = ga_task_uuid_show(task->id)};

	(void) ga_dead_letter(&letter);
}
