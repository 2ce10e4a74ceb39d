-- SPDX-License-Identifier: PostgreSQL
CREATE OR REPLACE FUNCTION goldenarch.report_guard(task_id uuid, guard text, passed boolean, details jsonb DEFAULT '{}')
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_report_guard';
COMMENT ON FUNCTION goldenarch.report_guard(uuid, text, boolean, jsonb) IS
'Says whether a guard of a task holds, for the revision the task is at; the last report counts. details: an object;
its reason and artifact are used where a failure is handled. Needs the permission of the guard''s row in
goldenarch.guards too; whoever ever claimed the task is refused. Errors: 22023, 42501, 42704, 55000 (finished).
Permission: task.report_guard.';

CREATE OR REPLACE FUNCTION goldenarch.handle_guard_failure(task_id uuid, failure jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_handle_guard_failure';
COMMENT ON FUNCTION goldenarch.handle_guard_failure(uuid, jsonb) IS
'Deals with a failed guard by the rules of goldenarch.autofix_rules. failure: {guard_name, reason, failed_checks[],
current_state, target_state, artifact}, all but guard_name optional. Answers {status, guard, actions: [{type,
priority, description, agent, task_id}], new_state}. status auto_fixed: remediation tasks were made;
no_fix_available: no rule applies, or a review was requested; escalated: a limit is reached. Limits, counted on the
root task until an escalation is resolved: 2 attempts at one failure (guard, target state and failed checks), 5
below a root, fixes of fixes 2 deep, none where artifact says that nothing changed. A security guard is never
fixed, only reviewed or escalated. Errors: 22023, 42704, 55000 (finished).
Permission: task.update.';

CREATE OR REPLACE FUNCTION goldenarch.set_guard(guard text, target_state text,
	permission text DEFAULT 'task.report_guard', security boolean DEFAULT false, remediation boolean DEFAULT false)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_set_guard';
COMMENT ON FUNCTION goldenarch.set_guard(text, text, text, boolean, boolean) IS
'Adds a guard before target_state (developing, reviewing, deploying or completed), or changes one. permission: what a
reporter needs beside task.report_guard. security: its failure is reviewed or escalated, never fixed. remediation: it
stands before remediation tasks too. Holds for tasks under way. Errors: 22023.
Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.drop_guard(guard text) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_drop_guard';
COMMENT ON FUNCTION goldenarch.drop_guard(text) IS
'Takes a guard away, also from tasks under way; false where there is none. Errors: 22023.
Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.set_autofix_rule(guard text, action text, agent_role text, description text,
	priority integer DEFAULT 5, target_state text DEFAULT '*') RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_set_autofix_rule';
COMMENT ON FUNCTION goldenarch.set_autofix_rule(text, text, text, text, integer, text) IS
'Adds a rule of what handle_guard_failure does, or changes the one of this guard, target_state and action; returns its
number. guard: * is every guard without a rule of its own. action: what the task it makes is to do; review asks for a
review and fixes nothing. priority: 1 to 100, 1 the most urgent. Errors: 22023.
Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.drop_autofix_rule(rule integer) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_drop_autofix_rule';
COMMENT ON FUNCTION goldenarch.drop_autofix_rule(integer) IS
'Takes a rule away; false where there is none. Errors: 22023.
Permission: system.admin.';
