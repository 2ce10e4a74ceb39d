-- SPDX-License-Identifier: PostgreSQL
CREATE OR REPLACE FUNCTION goldenarch.create_escalation(task_id uuid, reason text, pattern_type text DEFAULT NULL,
	suggested_fix text DEFAULT NULL)
RETURNS uuid
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_create_escalation';
COMMENT ON FUNCTION goldenarch.create_escalation(uuid, text, text, text) IS
'Hands a task to a person: it becomes escalated (a finished one stays as it is), its claim ends,
supervisor.escalation gets an event. Returns the escalation''s id. Errors: 22023, 42704.
Permission: escalation.create.';

CREATE OR REPLACE FUNCTION goldenarch.resolve_escalation(escalation_id uuid, resolution jsonb) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_resolve_escalation';
COMMENT ON FUNCTION goldenarch.resolve_escalation(uuid, jsonb) IS
'Closes an escalation. resolution: an object; its action, where it has one, moves the task: resume (developing),
retry (created), fail or cancel. The root task may be fixed automatically again as often as a new one. Whoever ever
claimed the task is refused. Errors: 22023, 42501, 42704, 55000 (resolved already).
Permission: escalation.resolve.';
