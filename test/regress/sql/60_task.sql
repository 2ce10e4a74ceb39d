-- SPDX-License-Identifier: PostgreSQL
-- Tasks: states, claims with leases and fencing numbers, retries, dead letters, tenants.
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

CREATE ROLE task_ann;
CREATE ROLE task_bob;
CREATE ROLE task_op;
CREATE ROLE task_acme;
CREATE ROLE task_nobody;
INSERT INTO goldenarch.role_mappings (tenant, pg_role, subject, roles) VALUES
	('', 'task_ann', 'ann', '{developer}'), ('', 'task_bob', 'bob', '{developer}'),
	('', 'task_op', 'op', '{operator}'), ('acme', 'task_acme', 'wile', '{developer}');
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA goldenarch TO task_ann, task_bob, task_op, task_acme, task_nobody;
GRANT SELECT ON goldenarch.tasks TO task_ann, task_acme, task_nobody;

-- created, claimed, guarded, completed
SET ROLE task_ann;
SELECT goldenarch.create_task('parse the feed', '{"url": "x"}', 'developer') AS task \gset
SELECT goldenarch.create_task('someone else''s', '{}', 'tester') IS NOT NULL AS made;
SELECT ok, state, failed_guards, fixes FROM goldenarch.advance_task(:'task', 'created');
SELECT claim AS first, title, payload, attempt, task_id = :'task' AS the_task FROM goldenarch.claim_task('developer') \gset
SELECT :'title' AS title, :'payload' AS payload, :attempt AS attempt, :'the_task' AS the_task;
SELECT count(*) AS nothing_left FROM goldenarch.claim_task('developer');
SELECT goldenarch.heartbeat_task(:'task', :first) AS live, goldenarch.heartbeat_task(:'task', :first + 1) AS unknown_claim;
SELECT ok, state, failed_guards, fixes FROM goldenarch.advance_task(:'task', 'reviewing');
SELECT attempt(format('SELECT goldenarch.advance_task(%L, %L)', :'task', 'deploying'));
SELECT attempt(format('SELECT goldenarch.complete_task(%L, %L, %s)', :'task', '{}', :first));
RESET ROLE;
SET ROLE task_op;
SELECT goldenarch.report_guard(:'task', g, true) FROM unnest('{code_quality,has_tests,security_approved,has_documentation}'::text[]) AS g;
RESET ROLE;
SET ROLE task_ann;
SELECT ok, state, failed_guards, fixes FROM goldenarch.advance_task(:'task', 'reviewing');
SELECT ok, state, failed_guards, fixes FROM goldenarch.advance_task(:'task', 'deploying');
SELECT attempt(format('SELECT goldenarch.complete_task(%L, %L, %s)', :'task', '{}', :first));
RESET ROLE;
SET ROLE task_op;
SELECT goldenarch.report_guard(:'task', 'performance_ok', true);
-- not op's to complete while ann's claim is live
SELECT goldenarch.complete_task(:'task') AS without_claim, goldenarch.complete_task(:'task', '{}', :first) AS with_anothers_claim;
RESET ROLE;
SET ROLE task_ann;
SELECT goldenarch.complete_task(:'task', '{"rows": 3}', :first) AS done, goldenarch.complete_task(:'task', '{}', :first) AS again;
SELECT attempt(format('SELECT goldenarch.advance_task(%L, %L)', :'task', 'developing'));
SELECT attempt(format('SELECT goldenarch.complete_task(%L)', :'task'));
SELECT attempt(format('SELECT goldenarch.fail_task(%L, %L)', :'task', 'x'));
SELECT goldenarch.heartbeat_task(:'task', :first) AS over;
SELECT state, result, revision, claimed_by, claimants, finished_at IS NOT NULL AS finished FROM goldenarch.tasks WHERE id = :'task';
RESET ROLE;

-- a lease that ran out: the next worker has it at once, and the former one is told to stop
SET ROLE task_ann;
SELECT goldenarch.create_task('slow work', agent_role => 'developer') AS task \gset
SELECT claim AS first FROM goldenarch.claim_task('developer', '1 minute') \gset
RESET ROLE;
SET ROLE task_bob;
SELECT count(*) AS taken FROM goldenarch.claim_task('developer');
RESET ROLE;
UPDATE goldenarch.tasks SET lease_until = now() - interval '1 s' WHERE id = :'task';
SET ROLE task_bob;
SELECT claim AS second, claim > :first AS greater, attempt FROM goldenarch.claim_task('developer') \gset
SELECT :'greater' AS greater, :attempt AS attempt;
RESET ROLE;
SET ROLE task_ann;
SELECT goldenarch.heartbeat_task(:'task', :first) AS heartbeat, goldenarch.complete_task(:'task', '{}', :first) AS complete,
	goldenarch.fail_task(:'task', 'late', :first) AS fail, goldenarch.complete_task(:'task') AS without;
SELECT attempt(format('SELECT goldenarch.advance_task(%L, %L)', :'task', 'cancelled'));
RESET ROLE;

-- failing: a retry after a pause, then a dead letter, and again from there
SET ROLE task_bob;
SELECT goldenarch.fail_task(:'task', 'disk full', :second) AS failed;
SELECT goldenarch.fail_task(:'task', 'disk full', :second) AS twice;
RESET ROLE;
SELECT state, attempt, max_attempts, revision, not_before BETWEEN now() - interval '1 s' AND now() + interval '21 s' AS pause, last_error, claim, claimants
FROM goldenarch.tasks WHERE id = :'task';
UPDATE goldenarch.tasks SET not_before = now() + interval '1 h' WHERE id = :'task';
SET ROLE task_bob;
SELECT count(*) AS pausing FROM goldenarch.claim_task('developer');
RESET ROLE;
UPDATE goldenarch.tasks SET not_before = now() WHERE id = :'task';
SET ROLE task_bob;
SELECT claim AS third FROM goldenarch.claim_task('developer') \gset
SELECT goldenarch.fail_task(:'task', 'disk still full' || repeat('e', 20000), :third) AS failed;
RESET ROLE;
SELECT state, attempt, claim, finished_at IS NOT NULL AS finished FROM goldenarch.tasks WHERE id = :'task';
SELECT source, left(error, 15) AS error, length(error) AS kept, error_count, data FROM goldenarch.dlq_messages;
SELECT goldenarch.dlq_retry(id) FROM goldenarch.dlq_messages;
SELECT state, attempt, finished_at FROM goldenarch.tasks WHERE id = :'task';
SELECT resolved, resolution_notes FROM goldenarch.dlq_messages;
-- a dead letter of a task that went on otherwise restarts nothing
INSERT INTO goldenarch.dead_letters SELECT (jsonb_populate_record(d, '{"id": 1000, "resolved_at": null}')).* FROM goldenarch.dead_letters AS d;
SELECT attempt('SELECT goldenarch.dlq_retry(1000)');

-- the lease of a last attempt: maintenance buries it
UPDATE goldenarch.tasks SET attempt = 3, state = 'developing', claim = 1, lease_until = now() - interval '1 s' WHERE id = :'task';
SET ROLE task_bob;
SELECT count(*) AS used_up FROM goldenarch.claim_task('developer');
RESET ROLE;
SELECT affected FROM goldenarch.run_maintenance() WHERE job = 'abandoned_tasks';
SELECT state, last_error FROM goldenarch.tasks WHERE id = :'task';

-- a retry that someone takes up by hand is his
SET ROLE task_ann;
SELECT goldenarch.create_task('by hand', agent_role => 'artist') AS hand \gset
SELECT goldenarch.fail_task(:'hand', 'x', claim) AS failed FROM goldenarch.claim_task('artist');
SELECT ok, state FROM goldenarch.advance_task(:'hand', 'developing');
SELECT count(*) AS taken FROM goldenarch.claim_task('artist');
SELECT ok, state FROM goldenarch.advance_task(:'hand', 'cancelled');
RESET ROLE;

-- order: urgency, then age; a task without a role is anybody's
SET ROLE task_ann;
SELECT goldenarch.create_task('for anyone') AS anyone \gset
SELECT goldenarch.create_task('a part of it', parent => :'anyone') AS part \gset
SELECT title FROM goldenarch.claim_task('painter');
SELECT title FROM goldenarch.claim_task('painter');
SELECT (SELECT root FROM goldenarch.tasks WHERE id = :'part') = :'anyone' AS same_root;
SELECT ok, state FROM goldenarch.advance_task(:'part', 'cancelled');
SELECT attempt(format('SELECT goldenarch.create_task(%L, parent => %L)', 'below a finished one', :'part'));
RESET ROLE;
SELECT goldenarch.set_agent('ann', 'developer', status => 'paused');
SET ROLE task_ann;
SELECT attempt($$SELECT goldenarch.claim_task('developer')$$);
RESET ROLE;

-- tenants
SET ROLE task_acme;
SELECT goldenarch.create_task('rocket', agent_role => 'developer') AS rocket \gset
SELECT tenant, title FROM goldenarch.tasks;
SELECT attempt(format(q, :'anyone')) FROM (VALUES ('SELECT goldenarch.advance_task(%L, ''cancelled'')'), ('SELECT goldenarch.complete_task(%L)'),
	('SELECT goldenarch.fail_task(%L, ''x'')'), ('SELECT goldenarch.heartbeat_task(%L, 1)'), ('SELECT goldenarch.create_task(''x'', parent => %L)'),
	('SELECT goldenarch.handle_guard_failure(%L, ''{"guard_name": "x"}'')')) AS foreign_task(q);
SELECT attempt($$SELECT goldenarch.create_task('x', tenant => 'other')$$);
RESET ROLE;
SET ROLE task_bob;
SELECT count(*) AS foreign_claim FROM goldenarch.claim_task('developer');
RESET ROLE;
SET ROLE task_nobody;
SELECT count(*) AS seen FROM goldenarch.tasks;
RESET ROLE;
SELECT goldenarch.create_task('made by an admin', tenant => 'acme') AS given \gset
SELECT tenant, created_by = current_user::text AS by_admin FROM goldenarch.tasks WHERE id = :'given';
SELECT attempt(format($$SELECT goldenarch.create_task('x', parent => %L, tenant => 'other')$$, :'given'));

-- rolled back is never done
BEGIN;
SELECT count(*) AS claimed FROM goldenarch.claim_task('developer');
ROLLBACK;
SELECT state, attempt, claim FROM goldenarch.tasks WHERE id = :'rocket';

-- bad input
SELECT q, attempt(replace(q, 'TASK', quote_literal(:'anyone'))) FROM (VALUES
	('SELECT goldenarch.create_task(NULL)'), ($$SELECT goldenarch.create_task('')$$), ($$SELECT goldenarch.create_task(repeat('x', 1001))$$),
	($$SELECT goldenarch.create_task('x', NULL)$$), ($$SELECT goldenarch.create_task('x', agent_role => '')$$),
	($$SELECT goldenarch.create_task('x', agent_role => repeat('x', 201))$$), ($$SELECT goldenarch.claim_task(repeat('x', 201))$$),
	($$SELECT goldenarch.create_task('x', max_attempts => 0)$$), ($$SELECT goldenarch.create_task('x', max_attempts => NULL)$$),
	($$SELECT goldenarch.create_task('x', jsonb_build_object('x', repeat('x', 2000000)))$$),
	($$SELECT goldenarch.create_task('x', parent => '00000000-0000-0000-0000-000000000000')$$),
	($$SELECT goldenarch.create_task('x', tenant => 'b c')$$),
	($$SELECT goldenarch.advance_task(NULL, 'developing')$$), ('SELECT goldenarch.advance_task(TASK, NULL)'),
	($$SELECT goldenarch.advance_task(TASK, 'flying')$$), ($$SELECT goldenarch.advance_task(TASK, 'failed')$$), ($$SELECT goldenarch.advance_task(TASK, 'escalated')$$),
	($$SELECT goldenarch.advance_task(TASK, 'completed')$$),
	($$SELECT goldenarch.advance_task('00000000-0000-0000-0000-000000000000', 'developing')$$),
	('SELECT goldenarch.claim_task(NULL)'), ($$SELECT goldenarch.claim_task('')$$), ($$SELECT goldenarch.claim_task('x', '0 s')$$),
	($$SELECT goldenarch.claim_task('x', '25 h')$$), ($$SELECT goldenarch.claim_task('x', NULL)$$), ($$SELECT goldenarch.claim_task('x', '1 month')$$),
	('SELECT goldenarch.heartbeat_task(NULL, 1)'), ('SELECT goldenarch.heartbeat_task(TASK, NULL)'), ('SELECT goldenarch.heartbeat_task(TASK, 0)'),
	($$SELECT goldenarch.heartbeat_task(TASK, 1, '-1 s')$$), ($$SELECT goldenarch.heartbeat_task('00000000-0000-0000-0000-000000000000', 1)$$),
	('SELECT goldenarch.complete_task(NULL)'), ('SELECT goldenarch.complete_task(TASK, NULL)'),
	($$SELECT goldenarch.complete_task('00000000-0000-0000-0000-000000000000')$$),
	($$SELECT goldenarch.fail_task(NULL, 'x')$$), ('SELECT goldenarch.fail_task(TASK, NULL)'), ($$SELECT goldenarch.fail_task(TASK, '')$$),
	($$SELECT goldenarch.fail_task('00000000-0000-0000-0000-000000000000', 'x')$$)) AS bad(q);
SET ROLE task_nobody;
SELECT q, attempt(q) FROM (VALUES ('SELECT goldenarch.create_task(NULL)'), ('SELECT goldenarch.advance_task(NULL, NULL)'), ('SELECT goldenarch.claim_task(NULL)'),
	('SELECT goldenarch.heartbeat_task(NULL, NULL)'), ('SELECT goldenarch.complete_task(NULL)'), ('SELECT goldenarch.fail_task(NULL, NULL)')) AS bad(q);
RESET ROLE;

-- finished trees are kept for a while, then go whole
UPDATE goldenarch.tasks SET state = 'cancelled', finished_at = now() - interval '1000 days' WHERE id IN (:'anyone', :'part');
SELECT count(*) AS guards_kept FROM goldenarch.guard_results;
SELECT affected FROM goldenarch.run_maintenance() WHERE job = 'old_tasks';
SELECT count(*) AS gone FROM goldenarch.tasks WHERE id IN (:'anyone', :'part');
SELECT action, count(*) FROM goldenarch.audit_log WHERE action LIKE 'task.%' AND outcome = 'ok' GROUP BY action ORDER BY action COLLATE "C";
