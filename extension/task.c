/* SPDX-License-Identifier: PostgreSQL */
/*
 * Tasks: creating them and moving them from state to state. The task's row is locked (FOR UPDATE)
 * by whatever decides about it and always updated by it, so that a decision taken on an older
 * snapshot fails with 40001 instead of passing. Nothing here outlives a rollback.
 */
#include "task.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/queue.h"

#define TITLE_MAX 1000
#define PAYLOAD_MAX (1024 * 1024)

#define TASK_COLUMNS                                                                             \
	"SELECT tenant::pg_catalog.text, id::pg_catalog.uuid, root::pg_catalog.uuid,"                \
	" title::pg_catalog.text, state::pg_catalog.text, kind::pg_catalog.text,"                    \
	" revision::pg_catalog.int4, attempt::pg_catalog.int4, max_attempts::pg_catalog.int4,"       \
	" claim::pg_catalog.int8, lease_until::pg_catalog.timestamptz, claimed_by::pg_catalog.text," \
	" claimants::pg_catalog.text[], created_by::pg_catalog.text, fix_depth::pg_catalog.int4"     \
	" FROM goldenarch.tasks WHERE id OPERATOR(pg_catalog.=) $1"                                  \
	" AND tenant OPERATOR(pg_catalog.>=) $2 AND tenant OPERATOR(pg_catalog.<=) $3"

const pg_uuid_t *
ga_task_uuid_arg(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ga_bad_argument(name, "It must not be null.");
	return PG_GETARG_UUID_P(n);
}

Jsonb *
ga_task_jsonb_arg(FunctionCallInfo fcinfo, int n, const char *name, bool object)
{
	Jsonb *value;

	if (PG_ARGISNULL(n))
		ga_bad_argument(name, "It must not be null.");
	value = PG_GETARG_JSONB_P(n);
	if (object && !JB_ROOT_IS_OBJECT(value))
		ga_bad_argument(name, "It must be a JSON object.");
	if (VARSIZE(value) > PAYLOAD_MAX)
		ga_bad_argument(name, "It is larger than 1 MB.");
	return value;
}

char *
ga_task_uuid_show(const pg_uuid_t *id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
}

pg_uuid_t *
ga_task_uuid_new(void)
{
	return DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
}

Jsonb *
ga_task_keep(const GaCall *call, const Jsonb *value)
{
	Jsonb *copy = MemoryContextAlloc(call->result_context, VARSIZE(value));

	memcpy(copy, value, VARSIZE(value));
	return copy;
}

const char *
ga_task_state(const GaTask *task)
{
	return ga_fsm_state_name(GA_MACHINE_TASK, task->state);
}

GaTask *
ga_task_find(const pg_uuid_t *id, bool lock)
{
	static GaStmt locking = GA_STMT(TASK_COLUMNS " FOR UPDATE", UUIDOID, TEXTOID, TEXTOID);
	static GaStmt reading = GA_STMT(TASK_COLUMNS, UUIDOID, TEXTOID, TEXTOID);
	const GaPrincipal *who = ga_principal();
	GaRows rows = ga_query(lock ? &locking : &reading, ga_uuid(id), ga_text(ga_tenant_floor(who)),
	                       ga_text(ga_tenant_ceiling(who)));
	GaTask *task = palloc0(sizeof(GaTask));
	int state;

	if (rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("task %s does not exist", ga_task_uuid_show(id))));
	task->tenant = ga_row_text(&rows, 0, 1);
	task->id = ga_row_uuid(&rows, 0, 2);
	task->root = ga_row_uuid(&rows, 0, 3);
	task->title = ga_row_text(&rows, 0, 4);
	state = ga_fsm_state_by_name(GA_MACHINE_TASK, ga_row_text(&rows, 0, 5));
	task->kind = ga_row_text(&rows, 0, 6);
	task->revision = ga_row_int4(&rows, 0, 7);
	task->attempt = ga_row_int4(&rows, 0, 8);
	task->max_attempts = ga_row_int4(&rows, 0, 9);
	task->claimed = !ga_row_isnull(&rows, 0, 10) && !ga_row_isnull(&rows, 0, 11);
	if (task->claimed)
	{
		task->claim = ga_row_int8(&rows, 0, 10);
		task->lease = ga_row_timestamp(&rows, 0, 11);
	}
	task->claimed_by = ga_row_text(&rows, 0, 12);
	task->claimants = ga_row_text_array(&rows, 0, 13, &task->nclaimants);
	task->created_by = ga_row_text(&rows, 0, 14);
	task->fix_depth = ga_row_int4(&rows, 0, 15);
	if (state < 0)
		elog(ERROR, "task %s is in a state that does not exist", ga_task_uuid_show(id));
	task->state = (GaTaskState) state;
	return task;
}

bool
ga_task_worked_on_by(const GaTask *task, const char *subject)
{
	for (int i = 0; i < task->nclaimants; i++)
	{
		if (strcmp(task->claimants[i], subject) == 0)
			return true;
	}
	return task->claimed_by != NULL && strcmp(task->claimed_by, subject) == 0;
}

void
ga_task_refuse_claimant(const GaTask *task, const char *action, const char *what)
{
	GaDenial denial = {.sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE,
	                   .action = action,
	                   .resource_type = "task",
	                   .resource_id = ga_task_uuid_show(task->id),
	                   .message = what,
	                   .detail = "The caller holds or held a claim of this task.",
	                   .hint = "Someone else must do it."};

	if (ga_task_worked_on_by(task, ga_principal()->subject))
		ga_deny(&denial);
}

void
ga_task_require_unfinished(const GaTask *task)
{
	if (task->state == GA_TASK_COMPLETED || task->state == GA_TASK_FAILED ||
	    task->state == GA_TASK_CANCELLED)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("task %s is %s", ga_task_uuid_show(task->id), ga_task_state(task))));
}

void
ga_task_publish(const GaTask *task, const char *event, const Jsonb *payload)
{
	char *subject = psprintf("prc.%s.%s", ga_task_uuid_show(task->id), event);

	(void) ga_outbox_publish(task->tenant, subject, payload, NULL, NULL);
}

pg_uuid_t *
ga_task_insert(const GaNewTask *new)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.tasks (tenant, id, title, payload, kind, agent_role, priority,"
	    " parent, root, max_attempts, fix_depth, fingerprint, fingerprint_round,"
	    " fingerprint_attempt, fix_rule, artifact, barred, created_by, created_at, updated_at)"
	    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,"
	    " $19, $19)",
	    TEXTOID, UUIDOID, TEXTOID, JSONBOID, TEXTOID, TEXTOID, INT4OID, UUIDOID, UUIDOID, INT4OID,
	    INT4OID, TEXTOID, INT4OID, INT4OID, INT4OID, TEXTOID, TEXTARRAYOID, TEXTOID,
	    TIMESTAMPTZOID);
	pg_uuid_t *id = ga_task_uuid_new();
	bool fix = new->fingerprint != NULL;

	(void) ga_query(
	    &insert, ga_text(new->tenant), ga_uuid(id), ga_text(new->title), ga_jsonb(new->payload),
	    ga_text(new->kind != NULL ? new->kind : "task"), ga_text(new->agent_role),
	    ga_int4(new->priority), ga_uuid(new->parent), ga_uuid(new->root != NULL ? new->root : id),
	    ga_int4(new->max_attempts), ga_int4(new->fix_depth), ga_text(new->fingerprint),
	    fix ? ga_int4(new->fix_round) : ga_null(), fix ? ga_int4(new->fix_attempt) : ga_null(),
	    fix ? ga_int4(new->fix_rule) : ga_null(), ga_text(new->artifact),
	    ga_text_array((const char *const *) new->barred, new->nbarred),
	    ga_text(ga_principal()->subject), ga_timestamp(ga_now()));
	return id;
}

void
ga_task_touch(const GaTask *task)
{
	static GaStmt touch = GA_STMT("UPDATE goldenarch.tasks SET updated_at = $3"
	                              " WHERE tenant OPERATOR(pg_catalog.=) $1"
	                              " AND id OPERATOR(pg_catalog.=) $2",
	                              TEXTOID, UUIDOID, TIMESTAMPTZOID);

	(void) ga_query(&touch, ga_text(task->tenant), ga_uuid(task->id), ga_timestamp(ga_now()));
}

/* "developing, failed, cancelled" */
static char *
next_states(GaTaskState state)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int to = 0; to < ga_fsm_state_count(GA_MACHINE_TASK); to++)
	{
		if (ga_fsm_edge(GA_MACHINE_TASK, state, to))
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
			                 ga_fsm_state_name(GA_MACHINE_TASK, to));
	}
	return list.len > 0 ? list.data : "nothing more";
}

static void
require_edge(const GaTask *task, GaTaskState target)
{
	if (!ga_fsm_edge(GA_MACHINE_TASK, task->state, target))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("task %s is %s and cannot become %s", ga_task_uuid_show(task->id),
		                       ga_task_state(task), ga_fsm_state_name(GA_MACHINE_TASK, target)),
		                errhint("It can become %s.", next_states(task->state))));
}

void
ga_task_move(GaTask *task, GaTaskState target)
{
	static GaStmt move =
	    GA_STMT("UPDATE goldenarch.tasks SET state = $3, revision = $4, updated_at = $5,"
	            " attempt = $8, finished_at = CASE WHEN $6 THEN $5 END,"
	            " claim = CASE WHEN $7 THEN NULL ELSE claim END,"
	            " lease_until = CASE WHEN $7 THEN NULL ELSE lease_until END"
	            " WHERE tenant OPERATOR(pg_catalog.=) $1 AND id OPERATOR(pg_catalog.=) $2",
	            TEXTOID, UUIDOID, TEXTOID, INT4OID, TIMESTAMPTZOID, BOOLOID, BOOLOID, INT4OID);
	bool again = target == GA_TASK_CREATED ||
	             (target == GA_TASK_DEVELOPING && task->state != GA_TASK_CREATED);
	bool finished =
	    target == GA_TASK_COMPLETED || target == GA_TASK_FAILED || target == GA_TASK_CANCELLED;
	bool unclaim = target == GA_TASK_CREATED || target == GA_TASK_ESCALATED;

	require_edge(task, target);
	if (again)
		task->revision++;
	/* someone decided that it goes on: its attempts are counted anew */
	if (task->state == GA_TASK_FAILED || task->state == GA_TASK_ESCALATED)
		task->attempt = 0;
	task->state = target;
	if (unclaim)
		task->claimed = false;
	(void) ga_query(&move, ga_text(task->tenant), ga_uuid(task->id), ga_text(ga_task_state(task)),
	                ga_int4(task->revision), ga_timestamp(ga_now()), ga_bool(finished),
	                ga_bool(unclaim), ga_int4(task->attempt));
}

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
	new.title = ga_arg_text(fcinfo, 0, "title");
	if (strlen(new.title) > TITLE_MAX)
		ga_bad_argument("title", "It is longer than 1000 bytes.");
	new.payload = ga_task_jsonb_arg(fcinfo, 1, "payload", false);
	new.agent_role = ga_arg_text_or_null(fcinfo, 2, "agent_role");
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
		refuse_while_escalated(task);
		require_edge(task, target);
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
				require_edge(task, GA_TASK_COMPLETED);
			require_all_guards(task);
			(void) ga_query(&finish, ga_text(task->tenant), ga_uuid(task->id), ga_jsonb(result),
			                ga_timestamp(ga_now()));
			(void) ga_audit("task.complete", "task", ga_task_uuid_show(task->id), NULL);
		}
	}
	ga_leave(&call);
	PG_RETURN_BOOL(done);
}
