/* SPDX-License-Identifier: PostgreSQL */
/*
 * Configuring guards and what is done about their failures. States and edges stay fixed; a row is
 * what a user adds, changes or takes away, and each change is audited. Tasks under way are judged
 * by the rows as they are when they are asked.
 */
#include "task.h"

#include "utils/builtins.h"

#include "goldenarch/audit.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "rbac.h"

/* A state that work advances to: guards stand before no other. */
static char *
guarded_state_arg(FunctionCallInfo fcinfo, int n, bool any)
{
	char *name = ga_arg_text(fcinfo, n, "target_state");
	int state = ga_fsm_state_by_name(GA_MACHINE_TASK, name);

	if ((state < GA_TASK_DEVELOPING || state > GA_TASK_COMPLETED) &&
	    !(any && strcmp(name, "*") == 0))
		ga_bad_argument("target_state",
		                any ? "It must be developing, reviewing, deploying, completed or *."
		                    : "It must be developing, reviewing, deploying or completed.");
	return name;
}

GA_FUNCTION(ga_sql_set_guard);
Datum
ga_sql_set_guard(PG_FUNCTION_ARGS)
{
	static GaStmt set = GA_STMT(
	    "INSERT INTO goldenarch.guards (guard, target_state, permission, security, remediation)"
	    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (guard) DO UPDATE"
	    " SET target_state = EXCLUDED.target_state, permission = EXCLUDED.permission,"
	    " security = EXCLUDED.security, remediation = EXCLUDED.remediation",
	    TEXTOID, TEXTOID, TEXTOID, BOOLOID, BOOLOID);
	GaCall call;
	char *guard;
	char *state;
	char *permission;
	bool security;
	bool remediation;
	GaJson json;

	ga_enter_global(&call, "system.admin");
	guard = ga_arg_text_max(fcinfo, 0, "guard", GA_NAME_BYTES, false);
	if (strcmp(guard, "*") == 0)
		ga_bad_argument("guard", "The name * stands for all guards in autofix_rules.");
	state = guarded_state_arg(fcinfo, 1, false);
	permission = ga_arg_text_max(fcinfo, 2, "permission", GA_NAME_BYTES, false);
	if (!ga_is_permission(permission))
		ga_bad_argument("permission", "It is of the form part.verb.");
	security = ga_arg_bool(fcinfo, 3, "security");
	remediation = ga_arg_bool(fcinfo, 4, "remediation");
	(void) ga_query(&set, ga_text(guard), ga_text(state), ga_text(permission), ga_bool(security),
	                ga_bool(remediation));
	ga_json_begin_object(&json);
	ga_json_text(&json, "target_state", state);
	ga_json_text(&json, "permission", permission);
	ga_json_bool(&json, "security", security);
	ga_json_bool(&json, "remediation", remediation);
	(void) ga_audit("guard.set", "guard", guard, ga_json_end(&json));
	ga_leave(&call);
	PG_RETURN_VOID();
}

GA_FUNCTION(ga_sql_drop_guard);
Datum
ga_sql_drop_guard(PG_FUNCTION_ARGS)
{
	static GaStmt drop =
	    GA_STMT("DELETE FROM goldenarch.guards WHERE guard OPERATOR(pg_catalog.=) $1", TEXTOID);
	GaCall call;
	char *guard;
	bool dropped;

	ga_enter_global(&call, "system.admin");
	guard = ga_arg_text_max(fcinfo, 0, "guard", GA_NAME_BYTES, false);
	dropped = ga_query(&drop, ga_text(guard)).count > 0;
	if (dropped)
		(void) ga_audit("guard.drop", "guard", guard, NULL);
	ga_leave(&call);
	PG_RETURN_BOOL(dropped);
}

GA_FUNCTION(ga_sql_set_autofix_rule);
Datum
ga_sql_set_autofix_rule(PG_FUNCTION_ARGS)
{
	static GaStmt add = GA_STMT(
	    "INSERT INTO goldenarch.autofix_rules"
	    " (id, guard, target_state, action, priority, agent_role, description) VALUES"
	    " (pg_catalog.nextval('goldenarch.autofix_rule_seq'::pg_catalog.regclass)"
	    "::pg_catalog.int4, $1, $2, $3, $4, $5, $6) ON CONFLICT (guard, target_state, action)"
	    " DO UPDATE SET priority = EXCLUDED.priority, agent_role = EXCLUDED.agent_role,"
	    " description = EXCLUDED.description RETURNING id::pg_catalog.int4",
	    TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID, TEXTOID);
	GaCall call;
	char *guard;
	char *action;
	char *agent_role;
	char *description;
	char *state;
	int priority;
	GaRows rows;
	int id;

	ga_enter_global(&call, "system.admin");
	guard = ga_arg_text_max(fcinfo, 0, "guard", GA_NAME_BYTES, false);
	action = ga_arg_text_max(fcinfo, 1, "action", GA_NAME_BYTES, false);
	agent_role = ga_arg_text_max(fcinfo, 2, "agent_role", GA_NAME_BYTES, false);
	description = ga_arg_text_max(fcinfo, 3, "description", GA_WORDS_BYTES, false);
	priority = ga_arg_int4(fcinfo, 4, "priority", 1, 100);
	state = guarded_state_arg(fcinfo, 5, true);
	if (strcmp(action, "task") == 0)
		ga_bad_argument("action", "The name task is what a task that fixes nothing is called.");
	rows = ga_query(&add, ga_text(guard), ga_text(state), ga_text(action), ga_int4(priority),
	                ga_text(agent_role), ga_text(description));
	id = ga_row_int4(&rows, 0, 1);
	(void) ga_audit("autofix_rule.set", "autofix_rule", psprintf("%d", id),
	                ga_json_pairs("guard", guard, "target_state", state, "action", action,
	                              "agent_role", agent_role, NULL));
	ga_leave(&call);
	PG_RETURN_INT32(id);
}

GA_FUNCTION(ga_sql_drop_autofix_rule);
Datum
ga_sql_drop_autofix_rule(PG_FUNCTION_ARGS)
{
	static GaStmt drop =
	    GA_STMT("DELETE FROM goldenarch.autofix_rules WHERE id OPERATOR(pg_catalog.=) $1", INT4OID);
	GaCall call;
	int id;
	bool dropped;

	ga_enter_global(&call, "system.admin");
	id = ga_arg_int4(fcinfo, 0, "rule", 1, PG_INT32_MAX);
	dropped = ga_query(&drop, ga_int4(id)).count > 0;
	if (dropped)
		(void) ga_audit("autofix_rule.drop", "autofix_rule", psprintf("%d", id), NULL);
	ga_leave(&call);
	PG_RETURN_BOOL(dropped);
}
