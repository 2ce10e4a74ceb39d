-- SPDX-License-Identifier: PostgreSQL
-- Guards and what is done about their failures: rules, limits, escalation.
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

CREATE FUNCTION failure(guard text, checks text[] = '{}', target text = NULL) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_strip_nulls(jsonb_build_object('guard_name', guard, 'reason', guard || ' does not hold', 'failed_checks', checks, 'target_state', target)) $$;
CREATE FUNCTION told(answer jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(answer::text, '[0-9a-f]{8}-[0-9a-f-]{27}', 'UUID', 'g') $$;
CREATE ROLE guard_dev;
CREATE ROLE guard_op;
CREATE ROLE guard_signer;
CREATE ROLE guard_nobody;
INSERT INTO goldenarch.roles (role, permissions, inherits) VALUES ('signer', '{guard.sign}', '{operator}');
INSERT INTO goldenarch.role_mappings (tenant, pg_role, subject, roles) VALUES
	('', 'guard_dev', 'dev', '{operator}'), ('', 'guard_op', 'op', '{operator}'), ('', 'guard_signer', 'signer', '{signer}');
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA goldenarch TO guard_dev, guard_op, guard_signer, guard_nobody;

-- the shipped rules
SELECT guard, target_state, permission, security FROM goldenarch.guards ORDER BY target_state COLLATE "C", guard COLLATE "C";
SELECT g, t, r->>'status' AS status, a->>'type' AS type, a->'priority' AS priority, a->>'agent' AS agent, a->>'description' AS description, r->>'new_state' AS new_state
FROM (VALUES ('has_tests', 'deploying'), ('has_tests', NULL), ('has_tests', 'completed'), ('security_approved', 'deploying'), ('code_quality', 'reviewing'), ('has_documentation', 'deploying'),
	('performance_ok', 'completed'), ('house_style', 'reviewing'), ('house_style', NULL)) AS f(g, t),
	LATERAL goldenarch.create_task('rule ' || g) AS task, LATERAL goldenarch.handle_guard_failure(task, failure(g, target => t)) AS r, LATERAL jsonb_array_elements(r->'actions') AS a;
-- each is a real task below the one that failed
SELECT fix.title, fix.kind, fix.agent_role, fix.priority, fix.state, fix.payload, fix.parent = above.id AS below, fix.root = above.root AS same_root, fix.fix_depth, fix.fingerprint_attempt
FROM goldenarch.tasks AS fix JOIN goldenarch.tasks AS above ON above.id = fix.parent WHERE above.title = 'rule has_tests' ORDER BY fix.payload->>'target_state' COLLATE "C", fix.title COLLATE "C" LIMIT 1;

-- who may say that a guard holds
SET ROLE guard_dev;
SELECT goldenarch.create_task('the work', agent_role => 'mason') AS task \gset
RESET ROLE;
UPDATE goldenarch.tasks SET priority = 0 WHERE id = :'task';
SET ROLE guard_dev;
SELECT claim FROM goldenarch.claim_task('mason') \gset
SELECT attempt(format('SELECT goldenarch.report_guard(%L, %L, true)', :'task', 'code_quality'));
RESET ROLE;
UPDATE goldenarch.tasks SET lease_until = now() - interval '1 day' WHERE id = :'task';
SET ROLE guard_dev;
SELECT attempt(format('SELECT goldenarch.report_guard(%L, %L, true)', :'task', 'code_quality')) AS nor_a_former_one;
RESET ROLE;
SELECT outcome, subject, action FROM goldenarch.audit_log WHERE action = 'guard.report' AND outcome = 'denied' ORDER BY id;
UPDATE goldenarch.guards SET permission = 'guard.sign' WHERE guard = 'security_approved';
SET ROLE guard_op;
SELECT attempt(format('SELECT goldenarch.report_guard(%L, %L, true)', :'task', 'security_approved'));
SELECT goldenarch.report_guard(:'task', 'code_quality', true, '{"score": 9}');
SELECT ok, state FROM goldenarch.advance_task(:'task', 'reviewing');
RESET ROLE;
SET ROLE guard_signer;
SELECT goldenarch.report_guard(:'task', 'security_approved', true);
RESET ROLE;

-- a failure is dealt with once, however often one asks; what nobody reported is not fixed
SET ROLE guard_op;
SELECT goldenarch.report_guard(:'task', 'has_tests', false, '{"reason": "no test of the parser"}');
SELECT ok, state, failed_guards, told(fixes) AS fixes FROM goldenarch.advance_task(:'task', 'deploying') \gx
SELECT fixes AS first FROM goldenarch.advance_task(:'task', 'deploying') \gset
SELECT fixes = :'first' AS the_same FROM goldenarch.advance_task(:'task', 'deploying');
RESET ROLE;
UPDATE goldenarch.tasks SET priority = 0 WHERE parent = :'task';
SELECT kind, agent_role, payload FROM goldenarch.tasks WHERE parent = :'task';
-- a fix is completed without guards of its own
SET ROLE guard_op;
SELECT task_id AS fix, claim AS fix_claim FROM goldenarch.claim_task('tester') \gset
SELECT goldenarch.complete_task(:'fix', '{}', :fix_claim) AS fixed;
SELECT goldenarch.report_guard(:'task', 'has_tests', true), goldenarch.report_guard(:'task', 'has_documentation', true);
SELECT ok, state, failed_guards, fixes FROM goldenarch.advance_task(:'task', 'deploying');
-- going back is new work: reports on the former do not count
SELECT ok, state FROM goldenarch.advance_task(:'task', 'developing');
SELECT ok, state, failed_guards FROM goldenarch.advance_task(:'task', 'reviewing');
RESET ROLE;

-- limits: two attempts at one failure
SELECT goldenarch.create_task('loop') AS loop \gset
SELECT told(goldenarch.handle_guard_failure(:'loop', failure('has_tests', '{line 12: empty,Line 40: empty}')));
SELECT r->>'status' AS same_but_for_numbers_and_order FROM goldenarch.handle_guard_failure(:'loop', failure('has_tests', '{line 7: empty,line 99: empty}')) AS r;
SELECT told(goldenarch.handle_guard_failure(:'loop', failure('has_tests', '{line 1: empty,line 2: empty}')));
SELECT told(goldenarch.handle_guard_failure(:'loop', failure('code_quality')));
SELECT state, fix_count, (SELECT count(*) FROM goldenarch.tasks AS f WHERE f.parent = t.id) AS fixes FROM goldenarch.tasks AS t WHERE id = :'loop';
SELECT reason, pattern_type, context, status FROM goldenarch.escalations WHERE task_id = :'loop';

-- five below a root, whatever fails and wherever
SELECT goldenarch.create_task('root') AS root \gset
SELECT goldenarch.create_task('part', parent => :'root') AS part \gset
SELECT i, r->>'status' AS status, r->>'reason' AS reason, r->>'new_state' AS new_state
FROM generate_series(1, 7) AS i, LATERAL goldenarch.handle_guard_failure(CASE WHEN i % 2 = 0 THEN :'part' ELSE :'root' END::uuid, failure('check_' || chr(64 + i))) AS r;
SELECT fix_count, state FROM goldenarch.tasks WHERE id = :'root';
SELECT count(*) AS fixes FROM goldenarch.tasks WHERE root = :'root' AND fingerprint IS NOT NULL;

-- a fix of a fix, no deeper
SELECT goldenarch.create_task('deep') AS d0 \gset
SELECT goldenarch.handle_guard_failure(:'d0', failure('a'))->'actions'->0->>'task_id' AS d1 \gset
SELECT goldenarch.handle_guard_failure(:'d1', failure('b'))->'actions'->0->>'task_id' AS d2 \gset
SELECT r->>'status' AS status, r->>'reason' AS reason FROM goldenarch.handle_guard_failure(:'d2', failure('c')) AS r;
-- nor by a task that the fixer makes below it
SELECT goldenarch.create_task('hidden', parent => :'d1') AS hidden \gset
SELECT r->>'status' AS status FROM goldenarch.handle_guard_failure(:'hidden', failure('d')) AS r;
SELECT fix_depth FROM goldenarch.tasks WHERE parent = :'hidden';

-- no progress: the same work failed in the same way
SELECT goldenarch.create_task('stuck') AS stuck \gset
SELECT r->>'status' AS status FROM goldenarch.handle_guard_failure(:'stuck', failure('has_tests') || '{"artifact": "sha-1"}') AS r;
SELECT r->>'status' AS status, r->>'reason' AS reason FROM goldenarch.handle_guard_failure(:'stuck', failure('has_tests') || '{"artifact": "sha-1"}') AS r;

-- security is never fixed: reviewed by someone else, or escalated
SELECT goldenarch.create_task('secrets', agent_role => 'smith') AS secrets \gset
UPDATE goldenarch.tasks SET priority = 0 WHERE id = :'secrets';
SET ROLE guard_dev;
SELECT title FROM goldenarch.claim_task('smith');
RESET ROLE;
SELECT told(goldenarch.handle_guard_failure(:'secrets', failure('security_approved')));
UPDATE goldenarch.tasks SET priority = 0 WHERE parent = :'secrets';
SET ROLE guard_dev;
SELECT title AS not_his_own FROM goldenarch.claim_task('reviewer');
RESET ROLE;
SET ROLE guard_op;
SELECT title FROM goldenarch.claim_task('reviewer');
RESET ROLE;
SELECT r->>'status' AS status, r->>'reason' AS reason, r->'actions'->0->>'type' AS type, r->>'new_state' AS new_state
FROM goldenarch.handle_guard_failure(:'secrets', failure('security_approved', target => 'completed')) AS r;
-- no rule
SELECT id, goldenarch.drop_autofix_rule(id) AS dropped, goldenarch.drop_autofix_rule(id) AS again FROM goldenarch.autofix_rules WHERE guard = '*';
SELECT goldenarch.create_task('no rule') AS norule \gset
SELECT goldenarch.handle_guard_failure(:'norule', failure('house_style'));

-- rules and guards are rows, changed on record
SELECT goldenarch.set_guard('licence_ok', 'developing', remediation => true);
SELECT goldenarch.set_autofix_rule('licence_ok', 'ask', 'lawyer', 'Ask about the licence', 7) AS one,
	goldenarch.set_autofix_rule('licence_ok', 'ask', 'lawyer', 'Ask again', 8) AS same;
SELECT goldenarch.create_task('licensed') AS licensed \gset
SELECT ok, failed_guards FROM goldenarch.advance_task(:'licensed', 'developing');
SELECT told(goldenarch.handle_guard_failure(:'licensed', failure('licence_ok')));
SELECT goldenarch.drop_guard('licence_ok') AS dropped, goldenarch.drop_guard('licence_ok') AS again;
SELECT ok, state FROM goldenarch.advance_task(:'licensed', 'developing');
SELECT action, resource_id, details FROM goldenarch.audit_log WHERE resource_type IN ('guard', 'autofix_rule') ORDER BY id;

-- rolled back is not counted
BEGIN;
SELECT goldenarch.handle_guard_failure(:'norule', failure('has_tests'))->>'status' AS status;
ROLLBACK;
SELECT fix_count FROM goldenarch.tasks WHERE id = :'norule';

-- bad input
SELECT q, attempt(replace(q, 'TASK', quote_literal(:'norule'))) FROM (VALUES
	($$SELECT goldenarch.report_guard(NULL, 'has_tests', true)$$), ('SELECT goldenarch.report_guard(TASK, NULL, true)'),
	($$SELECT goldenarch.report_guard(TASK, 'has_tests', NULL)$$), ($$SELECT goldenarch.report_guard(TASK, 'has_tests', true, NULL)$$),
	($$SELECT goldenarch.report_guard(TASK, 'has_tests', true, '[]')$$), ($$SELECT goldenarch.report_guard(TASK, 'no_such', true)$$),
	($$SELECT goldenarch.report_guard('00000000-0000-0000-0000-000000000000', 'has_tests', true)$$),
	($$SELECT goldenarch.handle_guard_failure(NULL, '{"guard_name": "a"}')$$), ('SELECT goldenarch.handle_guard_failure(TASK, NULL)'),
	($$SELECT goldenarch.handle_guard_failure(TASK, '[]')$$), ($$SELECT goldenarch.handle_guard_failure(TASK, '{}')$$),
	($$SELECT goldenarch.handle_guard_failure(TASK, '{"guard_name": ""}')$$), ($$SELECT goldenarch.handle_guard_failure(TASK, '{"guard_name": 7}')$$),
	($$SELECT goldenarch.handle_guard_failure(TASK, '{"guard_name": "a", "reason": []}')$$),
	($$SELECT goldenarch.handle_guard_failure(TASK, '{"guard_name": "a", "failed_checks": "b"}')$$),
	($$SELECT goldenarch.handle_guard_failure(TASK, '{"guard_name": "a", "failed_checks": [1]}')$$),
	($$SELECT goldenarch.handle_guard_failure(TASK, '{"guard_name": "a", "failed_checks": [{"a": "b"}]}')$$),
	($$SELECT goldenarch.handle_guard_failure(TASK, '{"guard_name": "a", "target_state": "nowhere"}')$$),
	($$SELECT goldenarch.handle_guard_failure(TASK, '{"guard_name": "a", "current_state": "nowhere"}')$$),
	($$SELECT goldenarch.handle_guard_failure('00000000-0000-0000-0000-000000000000', '{"guard_name": "a"}')$$)) AS bad(q);
SELECT q, attempt(q) FROM (VALUES ($$SELECT goldenarch.set_guard(NULL, 'reviewing')$$), ($$SELECT goldenarch.set_guard('*', 'reviewing')$$),
	($$SELECT goldenarch.set_guard('a', NULL)$$), ($$SELECT goldenarch.set_guard('a', 'failed')$$), ($$SELECT goldenarch.set_guard('a', '*')$$),
	($$SELECT goldenarch.set_guard('a', 'reviewing', '')$$), ($$SELECT goldenarch.set_guard('a', 'reviewing', 'nodot')$$), ($$SELECT goldenarch.set_guard('a', 'reviewing', security => NULL)$$),
	($$SELECT goldenarch.set_guard('a', 'reviewing', remediation => NULL)$$), ('SELECT goldenarch.drop_guard(NULL)'),
	($$SELECT goldenarch.set_autofix_rule(NULL, 'fix', 'r', 'd')$$), ($$SELECT goldenarch.set_autofix_rule('a', '', 'r', 'd')$$),
	($$SELECT goldenarch.set_autofix_rule('a', 'task', 'r', 'd')$$), ($$SELECT goldenarch.set_autofix_rule('a', 'fix', NULL, 'd')$$),
	($$SELECT goldenarch.set_autofix_rule('a', 'fix', 'r', NULL)$$), ($$SELECT goldenarch.set_autofix_rule('a', 'fix', 'r', 'd', 0)$$),
	($$SELECT goldenarch.set_autofix_rule('a', 'fix', 'r', 'd', 1, 'created')$$), ('SELECT goldenarch.drop_autofix_rule(NULL)'),
	('SELECT goldenarch.drop_autofix_rule(0)')) AS bad(q);
SELECT ok FROM goldenarch.advance_task(:'norule', 'cancelled');
SELECT attempt(format('SELECT goldenarch.handle_guard_failure(%L, failure(%L))', :'norule', 'has_tests'));
SELECT attempt(format('SELECT goldenarch.report_guard(%L, %L, true)', :'norule', 'has_tests'));
SET ROLE guard_nobody;
SELECT q, attempt(q) FROM (VALUES ('SELECT goldenarch.report_guard(NULL, NULL, NULL)'), ('SELECT goldenarch.handle_guard_failure(NULL, NULL)'),
	('SELECT goldenarch.set_guard(NULL, NULL)'), ('SELECT goldenarch.drop_guard(NULL)'),
	('SELECT goldenarch.set_autofix_rule(NULL, NULL, NULL, NULL)'), ('SELECT goldenarch.drop_autofix_rule(NULL)')) AS bad(q);
RESET ROLE;
SELECT action, outcome, count(*) FROM goldenarch.audit_log WHERE action LIKE 'guard.%' GROUP BY action, outcome ORDER BY action COLLATE "C", outcome COLLATE "C";
