/* SPDX-License-Identifier: PostgreSQL */
/*
 * Escalations: what agents could not settle goes to a person, with an event on
 * supervisor.escalation. Resolving one gives the root task a new allowance of fixes. Locks: the
 * task, then its root, then the escalation's row.
 */
#include "task.h"

#include "utils/builtins.h"

#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/queue.h"

pg_uuid_t *
ga_escalation_open(const GaTask *task)
{
	static GaStmt find =
	    GA_STMT("SELECT id::pg_catalog.uuid FROM goldenarch.escalations"
	            " WHERE tenant OPERATOR(pg_catalog.=) $1 AND task_id OPERATOR(pg_catalog.=) $2"
	            " AND status OPERATOR(pg_catalog.=) 'open'"
	            " ORDER BY created_at USING OPERATOR(pg_catalog.>) LIMIT 1",
	            TEXTOID, UUIDOID);
	GaRows rows = ga_query(&find, ga_text(task->tenant), ga_uuid(task->id));

	return rows.count > 0 ? ga_task_row_uuid(&rows, 0, 1) : NULL;
}

static void
announce(const GaTask *task, const pg_uuid_t *id, const char *reason, const char *pattern_type,
         const char *suggested_fix, const Jsonb *context)
{
	GaJson json;

	ga_json_begin_object(&json);
	ga_json_text(&json, "escalation_id", ga_task_uuid_show(id));
	ga_json_text(&json, "task_id", ga_task_uuid_show(task->id));
	ga_json_text(&json, "tenant", task->tenant);
	ga_json_text(&json, "title", task->title);
	ga_json_text(&json, "reason", reason);
	ga_json_text(&json, "pattern_type", pattern_type);
	ga_json_text(&json, "suggested_fix", suggested_fix);
	ga_json_jsonb(&json, "context", context);
	(void) ga_outbox_publish(task->tenant, "supervisor.escalation", ga_json_end(&json), NULL,
	                         ga_task_uuid_show(id));
}

pg_uuid_t *
ga_escalate(GaTask *task, const char *reason, const char *pattern_type, const char *suggested_fix,
            const Jsonb *context)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.escalations (tenant, id, task_id, reason, pattern_type,"
	    " suggested_fix, context, created_by, created_at)"
	    " VALUES ($1, $2, $3, $4, $5, $6, COALESCE($7, '{}'::pg_catalog.jsonb), $8, $9)",
	    TEXTOID, UUIDOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, TEXTOID, TIMESTAMPTZOID);
	pg_uuid_t *id = ga_task_uuid_new();

	(void) ga_query(&insert, ga_text(task->tenant), ga_uuid(id), ga_uuid(task->id), ga_text(reason),
	                ga_text(pattern_type), ga_text(suggested_fix), ga_jsonb(context),
	                ga_text(ga_principal()->subject), ga_timestamp(ga_now()));
	if (ga_fsm_edge(GA_MACHINE_TASK, task->state, GA_TASK_ESCALATED))
		ga_task_move(task, GA_TASK_ESCALATED);
	announce(task, id, reason, pattern_type, suggested_fix, context);
	(void) ga_audit("escalation.create", "escalation", ga_task_uuid_show(id),
	                ga_json_pairs("task_id", ga_task_uuid_show(task->id), "reason", reason, NULL));
	return id;
}

GA_FUNCTION(ga_sql_create_escalation);
Datum
ga_sql_create_escalation(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaTask *task;
	char *reason;
	char *pattern_type;
	char *suggested_fix;
	pg_uuid_t *id;

	ga_enter(&call, "escalation.create");
	reason = ga_arg_text_max(fcinfo, 1, "reason", GA_WORDS_BYTES, false);
	pattern_type = ga_arg_text_max(fcinfo, 2, "pattern_type", GA_NAME_BYTES, true);
	suggested_fix = ga_arg_text_max(fcinfo, 3, "suggested_fix", GA_WORDS_BYTES, true);
	task = ga_task_find(ga_task_uuid_arg(fcinfo, 0, "task_id"), true);
	id = ga_escalate(task, reason, pattern_type, suggested_fix, NULL);
	id = memcpy(MemoryContextAlloc(call.result_context, sizeof(*id)), id, sizeof(*id));
	ga_leave(&call);
	PG_RETURN_UUID_P(id);
}

/* resolution.action: what becomes of the task. -1: it stays as it is. */
static int
resolution_target(const Jsonb *resolution)
{
	static const struct
	{
		const char *action;
		GaTaskState state;
	} actions[] = {{"resume", GA_TASK_DEVELOPING},
	               {"retry", GA_TASK_CREATED},
	               {"fail", GA_TASK_FAILED},
	               {"cancel", GA_TASK_CANCELLED}};
	char *action = ga_json_get_text(resolution, "action");

	if (action == NULL)
		return -1;
	for (size_t i = 0; i < lengthof(actions); i++)
	{
		if (strcmp(actions[i].action, action) == 0)
			return actions[i].state;
	}
	ga_bad_argument("resolution", "action must be resume, retry, fail or cancel.");
}

/* The task of an escalation that the caller sees, locked; 42704 where there is none. */
static GaTask *
task_of(const pg_uuid_t *escalation)
{
	static GaStmt find =
	    GA_STMT("SELECT task_id::pg_catalog.uuid FROM goldenarch.escalations"
	            " WHERE id OPERATOR(pg_catalog.=) $1 AND tenant OPERATOR(pg_catalog.>=) $2"
	            " AND tenant OPERATOR(pg_catalog.<=) $3",
	            UUIDOID, TEXTOID, TEXTOID);
	const GaPrincipal *who = ga_principal();
	GaRows rows = ga_query(&find, ga_uuid(escalation), ga_text(ga_tenant_floor(who)),
	                       ga_text(ga_tenant_ceiling(who)));

	if (rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("escalation %s does not exist", ga_task_uuid_show(escalation))));
	return ga_task_find(ga_task_row_uuid(&rows, 0, 1), true);
}

/* A person looked: limits of auto-fix below this root count from nothing again. */
static void
renew_allowance(const GaTask *task)
{
	static GaStmt renew = GA_STMT(
	    "UPDATE goldenarch.tasks SET fix_count = 0, fix_round = fix_round OPERATOR(pg_catalog.+) 1"
	    " WHERE tenant OPERATOR(pg_catalog.=) $1 AND id OPERATOR(pg_catalog.=) $2",
	    TEXTOID, UUIDOID);

	(void) ga_query(&renew, ga_text(task->tenant), ga_uuid(task->root));
}

GA_FUNCTION(ga_sql_resolve_escalation);
Datum
ga_sql_resolve_escalation(PG_FUNCTION_ARGS)
{
	static GaStmt resolve =
	    GA_STMT("UPDATE goldenarch.escalations SET status = 'resolved', resolved_by = $3,"
	            " resolved_at = $4, resolution = $5 WHERE tenant OPERATOR(pg_catalog.=) $1"
	            " AND id OPERATOR(pg_catalog.=) $2 AND status OPERATOR(pg_catalog.=) 'open'",
	            TEXTOID, UUIDOID, TEXTOID, TIMESTAMPTZOID, JSONBOID);
	GaCall call;
	GaTask *task;
	const pg_uuid_t *id;
	Jsonb *resolution;
	int target;

	ga_enter(&call, "escalation.resolve");
	resolution = ga_task_jsonb_arg(fcinfo, 1, "resolution", true);
	target = resolution_target(resolution);
	id = ga_task_uuid_arg(fcinfo, 0, "escalation_id");
	task = task_of(id);
	ga_task_refuse_claimant(task, "escalation.resolve",
	                        "a claimant does not resolve the escalations of its own task");
	renew_allowance(task);
	if (ga_query(&resolve, ga_text(task->tenant), ga_uuid(id), ga_text(call.principal->subject),
	             ga_timestamp(ga_now()), ga_jsonb(resolution))
	        .count == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("escalation %s is already resolved", ga_task_uuid_show(id))));
	if (target >= 0 && task->state == GA_TASK_ESCALATED)
		ga_task_move(task, (GaTaskState) target);
	(void) ga_audit("escalation.resolve", "escalation", ga_task_uuid_show(id), resolution);
	ga_leave(&call);
	PG_RETURN_VOID();
}
