-- SPDX-License-Identifier: PostgreSQL
-- Escalations: to a person, by a person, and what becomes of the task.
\set SHOW_CONTEXT never
CREATE FUNCTION attempt(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
	EXECUTE query;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN regexp_replace(concat_ws(' | ', SQLSTATE, SQLERRM, nullif(detail, '')), '[0-9a-f]{8}-[0-9a-f-]{27}', 'UUID', 'g');
END $$;

CREATE ROLE escalation_dev;
CREATE ROLE escalation_op;
CREATE ROLE escalation_foreign;
INSERT INTO goldenarch.role_mappings (tenant, pg_role, subject, roles) VALUES
	('', 'escalation_dev', 'dev', '{operator}'), ('', 'escalation_op', 'op', '{operator}'), ('other', 'escalation_foreign', 'spy', '{operator}');
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA goldenarch TO escalation_dev, escalation_op, escalation_foreign;
GRANT SELECT ON goldenarch.escalations TO escalation_op, escalation_foreign;

SET ROLE escalation_dev;
SELECT goldenarch.create_task('hard work', agent_role => 'developer') AS task \gset
SELECT claim FROM goldenarch.claim_task('developer') \gset
SELECT goldenarch.create_escalation(:'task', 'two agents disagree', 'agent_conflict', 'ask the architect') AS escalation \gset
SELECT goldenarch.heartbeat_task(:'task', :claim) AS live, goldenarch.complete_task(:'task', '{}', :claim) AS completed;
SELECT attempt(format('SELECT goldenarch.advance_task(%L, %L)', :'task', 'developing'));
SELECT attempt(format('SELECT goldenarch.fail_task(%L, %L)', :'task', 'x'));
SELECT attempt(format('SELECT goldenarch.complete_task(%L)', :'task'));
SELECT attempt(format('SELECT goldenarch.resolve_escalation(%L, %L)', :'escalation', '{}'));
RESET ROLE;
SET ROLE escalation_foreign;
SELECT attempt(format('SELECT goldenarch.resolve_escalation(%L, %L)', :'escalation', '{}'));
SELECT attempt(format('SELECT goldenarch.create_escalation(%L, %L)', :'task', 'x'));
SELECT count(*) AS seen FROM goldenarch.escalations;
RESET ROLE;
SET ROLE escalation_op;
SELECT attempt(format('SELECT goldenarch.resolve_escalation(%L, %L)', :'escalation', '{"action": "explode"}'));
SELECT goldenarch.resolve_escalation(:'escalation', '{"action": "resume", "notes": "the architect decided"}');
SELECT attempt(format('SELECT goldenarch.resolve_escalation(%L, %L)', :'escalation', '{}'));
SELECT reason, pattern_type, suggested_fix, status, created_by, resolved_by, resolution FROM goldenarch.escalations;
RESET ROLE;
SELECT state, revision, claim FROM goldenarch.tasks WHERE id = :'task';
SET ROLE escalation_op;
SELECT title, attempt, claim > :claim AS later FROM goldenarch.claim_task('developer');
RESET ROLE;
SELECT payload_json - 'escalation_id' - 'task_id' AS event FROM (SELECT convert_from(payload, 'UTF8')::jsonb AS payload_json FROM goldenarch.outbox WHERE subject = 'supervisor.escalation') AS o;

-- every action
SELECT goldenarch.create_escalation(goldenarch.create_task('act ' || action), action) IS NOT NULL AS made FROM unnest('{resume,retry,fail,cancel}'::text[]) AS action;
SELECT goldenarch.resolve_escalation(id, jsonb_build_object('action', reason)) FROM goldenarch.escalations WHERE status = 'open';
SELECT title, state FROM goldenarch.tasks WHERE title LIKE 'act %' ORDER BY title COLLATE "C";
-- none: the task waits for someone to advance it
SELECT goldenarch.create_task('no action') AS task \gset
SELECT goldenarch.create_escalation(:'task', 'x') AS escalation \gset
SELECT goldenarch.resolve_escalation(:'escalation', '{}');
SELECT ok, state FROM goldenarch.advance_task(:'task', 'developing');
-- of a finished task: noted, and it stays finished
SELECT ok, state FROM goldenarch.advance_task(:'task', 'cancelled');
SELECT goldenarch.create_escalation(:'task', 'why cancelled?') AS escalation \gset
SELECT goldenarch.resolve_escalation(:'escalation', '{"action": "retry"}');
SELECT state FROM goldenarch.tasks WHERE id = :'task';

-- a resolved escalation allows fixes anew, as many as before
SELECT goldenarch.create_task('loop') AS loop \gset
SELECT i, r->>'status' AS status FROM generate_series(1, 3) AS i, LATERAL goldenarch.handle_guard_failure(:'loop', jsonb_build_object('guard_name', 'has_tests', 'reason', 'line ' || i)) AS r;
SELECT goldenarch.resolve_escalation(id, '{"action": "resume"}') FROM goldenarch.escalations WHERE task_id = :'loop';
SELECT i, r->>'status' AS status FROM generate_series(1, 3) AS i, LATERAL goldenarch.handle_guard_failure(:'loop', jsonb_build_object('guard_name', 'has_tests', 'reason', 'line ' || i)) AS r;

-- bad input
SELECT q, attempt(replace(q, 'TASK', quote_literal(:'loop'))) FROM (VALUES
	($$SELECT goldenarch.create_escalation(NULL, 'x')$$), ('SELECT goldenarch.create_escalation(TASK, NULL)'), ($$SELECT goldenarch.create_escalation(TASK, '')$$),
	($$SELECT goldenarch.create_escalation(TASK, 'x', '')$$), ($$SELECT goldenarch.create_escalation(TASK, repeat('x', 10001))$$), ($$SELECT goldenarch.create_escalation('00000000-0000-0000-0000-000000000000', 'x')$$),
	($$SELECT goldenarch.resolve_escalation(NULL, '{}')$$), ('SELECT goldenarch.resolve_escalation(TASK, NULL)'), ($$SELECT goldenarch.resolve_escalation(TASK, '[]')$$),
	($$SELECT goldenarch.resolve_escalation(TASK, '{}')$$)) AS bad(q);
CREATE ROLE escalation_nobody;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA goldenarch TO escalation_nobody;
SET ROLE escalation_nobody;
SELECT q, attempt(q) FROM (VALUES ('SELECT goldenarch.create_escalation(NULL, NULL)'), ('SELECT goldenarch.resolve_escalation(NULL, NULL)')) AS bad(q);
RESET ROLE;
SELECT action, outcome, count(*) FROM goldenarch.audit_log WHERE action LIKE 'escalation.%' GROUP BY action, outcome ORDER BY action COLLATE "C", outcome COLLATE "C";
