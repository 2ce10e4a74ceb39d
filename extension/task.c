/* SPDX-License-Identifier: PostgreSQL */
/*
 * Creating tasks, moving them from state to state past their guards, completing them. States and
 * edges are core/fsm's. Lock: the task's row, for the whole decision. Nothing outlives a rollback.
 */
#include "task.h"

#include "utils/builtins.h"

#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"

#define TITLE_BYTES 1000

/* The task that the new one is below; its tenant is then the new one's. */
static void
place_below(GaNewTask *new, const pg_uuid_t *parent, const char *named_tenant)
{
	GaTask *above = ga_task_find(parent, true);

	if (named_tenant != NULL && strcmp(named_tenant, above->tenant) != 0)
		ga_bad_argument("tenant", "It is not the tenant of the parent task.");
	ga_task_require_unfinished(above);
	new->tenant = above->tenant;
	new->parent = above->id;
	new->root = above->root;
	new->fix_depth = above->fix_depth;
}

GA_FUNCTION(ga_sql_create_task);
Datum
ga_sql_create_task(PG_FUNCTION_ARGS)
{
	GaNewTask new = {.priority = 5};
	GaCall call;
	const char *tenant;
	pg_uuid_t *id;

	ga_enter(&call, "task.create");
	new.title = ga_arg_text_max(fcinfo, 0, "title", TITLE_BYTES, false);
	new.payload = ga_task_jsonb_arg(fcinfo, 1, "payload", false);
	new.agent_role = ga_arg_text_max(fcinfo, 2, "agent_role", GA_NAME_BYTES, true);
	new.max_attempts = ga_arg_int4(fcinfo, 4, "max_attempts", 1, 100);
	tenant = PG_ARGISNULL(5) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(5));
	new.tenant = ga_tenant_for_new_row(call.principal, tenant);
	if (!PG_ARGISNULL(3))
		place_below(&new, PG_GETARG_UUID_P(3), tenant);
	id = ga_task_insert(&new);
	(void) ga_audit("task.create", "task", ga_task_uuid_show(id),
	                ga_json_pairs("title", new.title, "agent_role", new.agent_role, NULL));
	id = memcpy(MemoryContextAlloc(call.result_context, sizeof(*id)), id, sizeof(*id));
	ga_leave(&call);
	PG_RETURN_UUID_P(id);
}

static GaTaskState
target_arg(FunctionCallInfo fcinfo, int n)
{
	char *name = ga_arg_text(fcinfo, n, "target_state");
	int target = ga_fsm_state_by_name(GA_MACHINE_TASK, name);

	if (target < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		                errmsg("invalid value for argument \"target_state\""),
		                errdetail("There is no state \"%s\".", name),
		                errhint("States are created, developing, reviewing, deploying, completed, "
		                        "failed, escalated, cancelled.")));
	if (target == GA_TASK_ESCALATED || target == GA_TASK_FAILED)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		                errmsg("invalid value for argument \"target_state\""),
		                errdetail("A task is not advanced to %s.", name),
		                errhint(target == GA_TASK_FAILED ? "Call fail_task()."
		                                                 : "Call create_escalation().")));
	return (GaTaskState) target;
}

static void
refuse_while_escalated(const GaTask *task)
{
	pg_uuid_t *escalation = task->state == GA_TASK_ESCALATED ? ga_escalation_open(task) : NULL;

	if (escalation != NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("task %s is escalated", ga_task_uuid_show(task->id)),
		                errdetail("Escalation %s is open.", ga_task_uuid_show(escalation)),
		                errhint("Someone with escalation.resolve calls resolve_escalation().")));
}

/* A worker whose task was given to another stops, whichever way it tries to go on. */
static void
refuse_stale_worker(const GaTask *task)
{
	const char *subject = ga_principal()->subject;

	if (task->claimed && task->lease > ga_now() && task->claimed_by != NULL &&
	    strcmp(task->claimed_by, subject) != 0 && ga_task_worked_on_by(task, subject))
		ereport(ERROR,
		        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		         errmsg("the caller's claim of task %s is stale", ga_task_uuid_show(task->id)),
		         errdetail("Another worker has claimed it since."),
		         errhint("Stop working on it.")));
}

static Datum
advance_result(FunctionCallInfo fcinfo, const GaTask *task, const GaGuardCheck *unmet, int n,
               const Jsonb *fixes)
{
	Datum values[4];
	bool nulls[4] = {false};
	const char **names = palloc(sizeof(char *) * (n + 1));

	for (int i = 0; i < n; i++)
		names[i] = unmet[i].guard;
	values[0] = BoolGetDatum(n == 0);
	values[1] = CStringGetTextDatum(ga_task_state(task));
	values[2] = ga_text_array(names, n).value;
	values[3] = JsonbPGetDatum(fixes);
	return ga_return_record(fcinfo, values, nulls, 4);
}

static Jsonb *
empty_array(void)
{
	GaJson json;

	ga_json_begin_array(&json);
	return ga_json_end(&json);
}

static void
audit_advance(const GaTask *task, const char *from, GaTaskState target, const GaGuardCheck *unmet,
              int n)
{
	GaJson json;

	ga_json_begin_object(&json);
	ga_json_text(&json, "from", from);
	ga_json_text(&json, "to", ga_fsm_state_name(GA_MACHINE_TASK, target));
	ga_json_bool(&json, "ok", n == 0);
	ga_json_begin_array_in(&json, "failed_guards");
	for (int i = 0; i < n; i++)
		ga_json_text(&json, NULL, unmet[i].guard);
	ga_json_end_array(&json);
	(void) ga_audit("task.advance", "task", ga_task_uuid_show(task->id), ga_json_end(&json));
}

GA_FUNCTION(ga_sql_advance_task);
Datum
ga_sql_advance_task(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaTask *task;
	GaTaskState target;
	GaGuardCheck *unmet = NULL;
	const char *from;
	Jsonb *fixes;
	MemoryContext inside;
	Datum result;
	int n = 0;

	ga_enter(&call, "task.update");
	target = target_arg(fcinfo, 1);
	task = ga_task_find(ga_task_uuid_arg(fcinfo, 0, "task_id"), true);
	from = ga_task_state(task);
	fixes = empty_array();
	if (task->state != target)
	{
		refuse_stale_worker(task);
		refuse_while_escalated(task);
		ga_task_require_edge(task, target);
		unmet = ga_guards_unmet(task, target, &n);
		if (n == 0)
			ga_task_move(task, target);
		else
		{
			fixes = ga_guards_fix(task, target, unmet, n);
			ga_task_touch(task);
		}
		audit_advance(task, from, target, unmet, n);
	}
	inside = MemoryContextSwitchTo(call.result_context);
	result = advance_result(fcinfo, task, unmet, n, fixes);
	MemoryContextSwitchTo(inside);
	ga_leave(&call);
	PG_RETURN_DATUM(result);
}

/* ZG006 unless every guard between the task's state and completed holds. */
static void
require_all_guards(const GaTask *task)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int state = task->state + 1; state <= GA_TASK_COMPLETED; state++)
	{
		int n;
		GaGuardCheck *unmet = ga_guards_unmet(task, (GaTaskState) state, &n);

		for (int i = 0; i < n; i++)
			appendStringInfo(&list, "%s%s (%s)", list.len > 0 ? ", " : "", unmet[i].guard,
			                 unmet[i].reported ? "failed" : "not reported");
	}
	if (list.len > 0)
		ereport(ERROR, (errcode(GA_ERR_GUARD_FAILED),
		                errmsg("guards of task %s do not hold", ga_task_uuid_show(task->id)),
		                errdetail("Not passed: %s.", list.data),
		                errhint("Others report guards with report_guard(); advance_task() starts "
		                        "the fixes of those that failed.")));
}

bool
ga_task_holds(const GaTask *task, FunctionCallInfo fcinfo, int n)
{
	if (!PG_ARGISNULL(n))
		return task->claimed && task->claim == PG_GETARG_INT64(n) && task->claimed_by != NULL &&
		       strcmp(task->claimed_by, ga_principal()->subject) == 0;
	return !task->claimed || task->lease <= ga_now() ||
	       (task->claimed_by != NULL && strcmp(task->claimed_by, ga_principal()->subject) == 0);
}

GA_FUNCTION(ga_sql_complete_task);
Datum
ga_sql_complete_task(PG_FUNCTION_ARGS)
{
	static GaStmt finish =
	    GA_STMT("UPDATE goldenarch.tasks SET state = 'completed', result = $3, finished_at = $4,"
	            " updated_at = $4 WHERE tenant OPERATOR(pg_catalog.=) $1"
	            " AND id OPERATOR(pg_catalog.=) $2",
	            TEXTOID, UUIDOID, JSONBOID, TIMESTAMPTZOID);
	GaCall call;
	GaTask *task;
	Jsonb *result;
	bool done = false;

	ga_enter(&call, "task.update");
	result = ga_task_jsonb_arg(fcinfo, 1, "result", false);
	task = ga_task_find(ga_task_uuid_arg(fcinfo, 0, "task_id"), true);
	if (ga_task_holds(task, fcinfo, 2))
	{
		done = true;
		if (task->state != GA_TASK_COMPLETED || PG_ARGISNULL(2))
		{
			ga_task_require_unfinished(task);
			if (task->state == GA_TASK_ESCALATED)
				ga_task_require_edge(task, GA_TASK_COMPLETED);
			require_all_guards(task);
			(void) ga_query(&finish, ga_text(task->tenant), ga_uuid(task->id), ga_jsonb(result),
			                ga_timestamp(ga_now()));
			(void) ga_audit("task.complete", "task", ga_task_uuid_show(task->id), NULL);
		}
	}
	ga_leave(&call);
	PG_RETURN_BOOL(done);
}
