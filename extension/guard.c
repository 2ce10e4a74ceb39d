/* SPDX-License-Identifier: PostgreSQL */
/*
 * Guards: who may report one, and whether those of a state hold. A report counts for the revision
 * of the task it was made on. The task's row is locked before a report is written, so that none
 * slips in between a check of the guards and the move it allowed.
 */
#include "guard.h"

#include "utils/builtins.h"

#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/metrics.h"

#define CHECKS_MAX 1000

GaGuardCheck *
ga_guards_unmet(const GaTask *task, GaTaskState target, int *n)
{
	static GaStmt unmet = GA_STMT(
	    "SELECT g.guard::pg_catalog.text, r.passed::pg_catalog.bool, r.details::pg_catalog.jsonb,"
	    " r.handled::pg_catalog.jsonb FROM goldenarch.guards AS g"
	    " LEFT JOIN goldenarch.guard_results AS r ON r.tenant OPERATOR(pg_catalog.=) $1"
	    " AND r.task_id OPERATOR(pg_catalog.=) $2 AND r.guard OPERATOR(pg_catalog.=) g.guard"
	    " AND r.revision OPERATOR(pg_catalog.=) $3"
	    " WHERE g.target_state OPERATOR(pg_catalog.=) $4 AND (g.remediation OR NOT $5)"
	    " AND r.passed IS NOT TRUE ORDER BY g.guard COLLATE pg_catalog.\"C\" USING "
	    "OPERATOR(pg_catalog.<)",
	    TEXTOID, UUIDOID, INT4OID, TEXTOID, BOOLOID);
	GaRows rows =
	    ga_query(&unmet, ga_text(task->tenant), ga_uuid(task->id), ga_int4(task->revision),
	             ga_text(ga_fsm_state_name(GA_MACHINE_TASK, target)),
	             ga_bool(strcmp(task->kind, "task") != 0));
	GaGuardCheck *checks = palloc0(sizeof(GaGuardCheck) * (rows.count + 1));

	for (uint64 i = 0; i < rows.count; i++)
	{
		checks[i].guard = ga_row_text_present(&rows, i, 1);
		checks[i].reported = !ga_row_isnull(&rows, i, 2);
		checks[i].details = ga_row_jsonb(&rows, i, 3);
		checks[i].handled = ga_row_jsonb(&rows, i, 4);
	}
	*n = (int) rows.count;
	return checks;
}

/* What advance_task says of a guard that nobody reported: nothing is known, so nothing is fixed. */
static void
write_unreported(GaJson *json, const GaTask *task, const char *guard)
{
	ga_json_begin_object_in(json, NULL);
	ga_json_text(json, "status", "no_fix_available");
	ga_json_text(json, "guard", guard);
	ga_json_text(json, "reason", "not reported yet");
	ga_json_begin_array_in(json, "actions");
	ga_json_end_array(json);
	ga_json_text(json, "new_state", ga_task_state(task));
	ga_json_end_object(json);
}

Jsonb *
ga_guards_fix(GaTask *task, GaTaskState target, const GaGuardCheck *unmet, int n)
{
	GaJson json;

	ga_json_begin_array(&json);
	for (int i = 0; i < n; i++)
	{
		if (!unmet[i].reported)
			write_unreported(&json, task, unmet[i].guard);
		else if (unmet[i].handled != NULL) /* asking again is not another failure */
			ga_json_jsonb(&json, NULL, unmet[i].handled);
		else
			ga_json_jsonb(
			    &json, NULL,
			    ga_autofix(task, ga_failure_of_report(&unmet[i],
			                                          ga_fsm_state_name(GA_MACHINE_TASK, target))));
	}
	return ga_json_end(&json);
}

/* The permission a reporter of the guard needs beside task.report_guard. */
static char *
guard_permission(const char *guard)
{
	static GaStmt find = GA_STMT("SELECT permission::pg_catalog.text FROM goldenarch.guards"
	                             " WHERE guard OPERATOR(pg_catalog.=) $1",
	                             TEXTOID);
	GaRows rows = ga_query(&find, ga_text(guard));

	if (rows.count == 0)
		ereport(ERROR,
		        (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("guard \"%s\" does not exist", guard),
		         errhint("SELECT guard, target_state FROM goldenarch.guards;")));
	return ga_row_text_present(&rows, 0, 1);
}

static void
write_report(const GaTask *task, const char *guard, bool passed, const Jsonb *details)
{
	static GaStmt report = GA_STMT(
	    "INSERT INTO goldenarch.guard_results AS r"
	    " (tenant, task_id, guard, revision, passed, details, reported_by, reported_at)"
	    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, task_id, guard) DO UPDATE"
	    " SET revision = EXCLUDED.revision, passed = EXCLUDED.passed, details = EXCLUDED.details,"
	    " reported_by = EXCLUDED.reported_by, reported_at = EXCLUDED.reported_at, handled = NULL",
	    TEXTOID, UUIDOID, TEXTOID, INT4OID, BOOLOID, JSONBOID, TEXTOID, TIMESTAMPTZOID);
	GaJson json;

	(void) ga_query(&report, ga_text(task->tenant), ga_uuid(task->id), ga_text(guard),
	                ga_int4(task->revision), ga_bool(passed), ga_jsonb(details),
	                ga_text(ga_principal()->subject), ga_timestamp(ga_now()));
	ga_json_begin_object(&json);
	ga_json_text(&json, "guard", guard);
	ga_json_bool(&json, "passed", passed);
	ga_json_int8(&json, "revision", task->revision);
	ga_json_jsonb(&json, "details", details);
	(void) ga_audit("guard.report", "task", ga_task_uuid_show(task->id), ga_json_end(&json));
}

GA_FUNCTION(ga_sql_report_guard);
Datum
ga_sql_report_guard(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaTask *task;
	char *guard;
	char *permission;
	bool passed;
	Jsonb *details;

	ga_enter(&call, "task.report_guard");
	guard = ga_arg_text(fcinfo, 1, "guard");
	passed = ga_arg_bool(fcinfo, 2, "passed");
	details = ga_task_jsonb_arg(fcinfo, 3, "details", true);
	permission = guard_permission(guard);
	ga_require_permission(call.principal, permission);
	task = ga_task_find(ga_task_uuid_arg(fcinfo, 0, "task_id"), true);
	ga_task_refuse_claimant(task, "guard.report",
	                        "a claimant does not report the guards of its own task");
	ga_task_require_unfinished(task);
	write_report(task, guard, passed, details);
	ga_task_touch(task);
	if (!passed)
		ga_count(GA_COUNT_GUARD_FAILURES);
	ga_leave(&call);
	PG_RETURN_VOID();
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* failed_checks: texts, or nothing. */
static void
read_checks(GaFailure *failure, const Jsonb *object)
{
	JsonbValue found;
	JsonbIterator *it;
	JsonbValue value;
	JsonbIteratorToken token;

	if (getKeyJsonValueFromContainer((JsonbContainer *) &object->root, "failed_checks", 13,
	                                 &found) == NULL ||
	    found.type == jbvNull)
		return;
	if (found.type != jbvBinary || !JsonContainerIsArray(found.val.binary.data) ||
	    JsonContainerSize(found.val.binary.data) > CHECKS_MAX)
		ga_bad_argument("failure", "failed_checks must be an array of at most 1000 texts.");
	failure->checks = palloc(sizeof(char *) * (JsonContainerSize(found.val.binary.data) + 1));
	it = JsonbIteratorInit(found.val.binary.data);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (value.type != jbvString)
			ga_bad_argument("failure", "failed_checks must be an array of at most 1000 texts.");
		failure->checks[failure->nchecks++] = pnstrdup(value.val.string.val, value.val.string.len);
	}
	qsort(failure->checks, failure->nchecks, sizeof(char *), by_name);
}

/* A member that is a text, or absent. */
static char *
text_member(const Jsonb *object, const char *key)
{
	JsonbValue found;

	if (getKeyJsonValueFromContainer((JsonbContainer *) &object->root, key, (int) strlen(key),
	                                 &found) == NULL ||
	    found.type == jbvNull)
		return NULL;
	if (found.type != jbvString)
		ga_bad_argument("failure", psprintf("%s must be a text.", key));
	return found.val.string.len == 0 ? NULL : pnstrdup(found.val.string.val, found.val.string.len);
}

/* Where a failure does not say, the state that the guard stands before. */
static char *
guard_target(const char *guard)
{
	static GaStmt find = GA_STMT("SELECT target_state::pg_catalog.text FROM goldenarch.guards"
	                             " WHERE guard OPERATOR(pg_catalog.=) $1",
	                             TEXTOID);
	GaRows rows = ga_query(&find, ga_text(guard));

	return rows.count > 0 ? ga_row_text_present(&rows, 0, 1) : pstrdup("");
}

GaFailure *
ga_failure_read(const Jsonb *object)
{
	GaFailure *failure = palloc0(sizeof(GaFailure));
	char *state = text_member(object, "current_state");

	failure->guard = text_member(object, "guard_name");
	if (failure->guard == NULL)
		ga_bad_argument("failure", "guard_name must be a text that is not empty.");
	failure->reason = text_member(object, "reason");
	failure->target = text_member(object, "target_state");
	failure->artifact = text_member(object, "artifact");
	read_checks(failure, object);
	if (state != NULL && ga_fsm_state_by_name(GA_MACHINE_TASK, state) < 0)
		ga_bad_argument("failure", psprintf("There is no state \"%s\".", state));
	if (failure->target == NULL)
		failure->target = guard_target(failure->guard);
	else if (ga_fsm_state_by_name(GA_MACHINE_TASK, failure->target) < 0)
		ga_bad_argument("failure", psprintf("There is no state \"%s\".", failure->target));
	if (failure->reason == NULL)
		failure->reason = psprintf("guard %s failed", failure->guard);
	return failure;
}

/* A report may say as much as a failure does; what has another shape there is no error. */
GaFailure *
ga_failure_of_report(const GaGuardCheck *check, const char *target)
{
	GaFailure *failure = palloc0(sizeof(GaFailure));

	failure->guard = check->guard;
	failure->target = target;
	failure->reason = ga_json_get_text(check->details, "reason");
	failure->artifact = ga_json_get_text(check->details, "artifact");
	if (failure->reason == NULL)
		failure->reason = psprintf("guard %s failed", failure->guard);
	return failure;
}

GA_FUNCTION(ga_sql_handle_guard_failure);
Datum
ga_sql_handle_guard_failure(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaTask *task;
	GaFailure *failure;
	Jsonb *answer;

	ga_enter(&call, "task.update");
	failure = ga_failure_read(ga_task_jsonb_arg(fcinfo, 1, "failure", true));
	task = ga_task_find(ga_task_uuid_arg(fcinfo, 0, "task_id"), true);
	ga_task_require_unfinished(task);
	ga_count(GA_COUNT_GUARD_FAILURES);
	answer = ga_task_keep(&call, ga_autofix(task, failure));
	ga_leave(&call);
	PG_RETURN_JSONB_P(answer);
}
