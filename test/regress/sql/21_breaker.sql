-- SPDX-License-Identifier: PostgreSQL
-- Circuit breakers: count-based, probes as leases, unaffected by rollback.
\set SHOW_CONTEXT never
CREATE ROLE breaker_joe;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA goldenarch TO breaker_joe;
GRANT USAGE ON SCHEMA goldenarch TO breaker_joe;

SELECT goldenarch.set_breaker('llm', failure_threshold => 3, half_open_max_calls => 2);
SELECT name, state, failure_count, success_count, total_calls, total_failures, opened_at, retry_after FROM goldenarch.circuit_breakers;
SELECT goldenarch.breaker_allow('llm'), goldenarch.breaker_success('llm');
SELECT goldenarch.breaker_failure('llm', 'timeout');
-- The transaction that fails is the one that rolls back: its failure counts.
BEGIN;
SELECT goldenarch.breaker_failure('llm');
ROLLBACK;
SELECT state, failure_count, success_count FROM goldenarch.circuit_breakers;
SELECT goldenarch.breaker_failure('llm');
SELECT goldenarch.breaker_allow('llm');
SELECT name, state, failure_count, total_calls, total_failures, opened_at IS NOT NULL AS opened,
       retry_after > '25 s' AND retry_after <= '30 s' AS wait FROM goldenarch.circuit_breakers;
\set VERBOSITY sqlstate
SELECT goldenarch.require_breaker('llm');
\set VERBOSITY default

-- Half open: two probes, no third; a probe that reports nothing frees its place.
SET goldenarch.debug_clock_offset = '31 s';
SELECT goldenarch.breaker_allow('llm'), goldenarch.breaker_allow('llm'), goldenarch.breaker_allow('llm');
SELECT state, success_count FROM goldenarch.circuit_breakers;
SET goldenarch.debug_clock_offset = '62 s';
SELECT goldenarch.breaker_allow('llm'), goldenarch.breaker_success('llm');
-- One failed probe opens it again.
SELECT goldenarch.breaker_allow('llm'), goldenarch.breaker_failure('llm');
SET goldenarch.debug_clock_offset = '93 s';
SELECT goldenarch.breaker_allow('llm'), goldenarch.breaker_success('llm');
SELECT goldenarch.breaker_allow('llm'), goldenarch.breaker_success('llm');
SELECT state, failure_count FROM goldenarch.circuit_breakers;
RESET goldenarch.debug_clock_offset;

-- A late result of a call from before the circuit opened moves nothing.
SELECT goldenarch.set_breaker('late', failure_threshold => 1, half_open_max_calls => 1);
SELECT goldenarch.breaker_allow('late');
\c -
\set SHOW_CONTEXT never
SELECT goldenarch.breaker_failure('late');
SELECT goldenarch.breaker_reset('late');
SELECT goldenarch.breaker_allow('late');
SELECT goldenarch.breaker_reset('late');
SELECT goldenarch.breaker_failure('late') AS of_the_generation_before, goldenarch.breaker_failure('late') AS unknown;

-- Slow calls, failure rates.
SELECT goldenarch.set_breaker('slow', failure_threshold => 2, slow_call => '1 s');
SELECT goldenarch.breaker_success('slow', '0.9 s'), goldenarch.breaker_success('slow', '1 s'), goldenarch.breaker_success('slow', '2 s');
SELECT goldenarch.set_breaker('rate', failure_threshold => 4, failure_rate => 0.5);
SELECT goldenarch.breaker_failure('rate'), goldenarch.breaker_failure('rate'), goldenarch.breaker_success('rate'), goldenarch.breaker_failure('rate');

-- The defaults: made by system.admin at first use; five failures.
SELECT goldenarch.breaker_failure('new'), goldenarch.breaker_failure('new'), goldenarch.breaker_failure('new'),
       goldenarch.breaker_failure('new'), goldenarch.breaker_failure('new');
SELECT name, state FROM goldenarch.circuit_breakers ORDER BY name COLLATE "C";
SELECT goldenarch.breaker_reset_all();
SELECT name, state FROM goldenarch.circuit_breakers WHERE state <> 'closed';

-- A query behind a breaker: with the caller's own rights, its error recorded before the rollback.
SELECT goldenarch.set_breaker('db', failure_threshold => 2);
SELECT * FROM goldenarch.with_breaker('db', 'SELECT 1 AS a, ''x'' AS b UNION ALL SELECT 2, NULL');
SELECT * FROM goldenarch.with_breaker('db', 'SELECT $1::int + $2 AS sum, $3 AS text, $4::jsonb AS doc, $5::text IS NULL AS absent, $6::boolean AS yes',
    '[40, 2, "it''s", {"a": [1]}, null, true]');
SELECT * FROM goldenarch.with_breaker('db', 'CREATE TEMP TABLE breaker_t (a int)');
SELECT * FROM goldenarch.with_breaker('db', 'INSERT INTO breaker_t VALUES ($1), ($1 + 1) RETURNING a', '[7]');
SELECT * FROM goldenarch.with_breaker('db', 'SELECT current_user = session_user AS own, current_setting(''search_path'') ~ ''public'' AS path');
SELECT * FROM goldenarch.with_breaker('db', 'SELECT 1/0');
SELECT state, failure_count, success_count FROM goldenarch.circuit_breakers WHERE name = 'db';
SELECT * FROM goldenarch.with_breaker('db', 'SELECT $2', '["one"]');
-- how many seconds are left depends on the clock
\set VERBOSITY terse
SELECT * FROM goldenarch.with_breaker('db', 'SELECT 1');
\set VERBOSITY default
SELECT state, failure_count FROM goldenarch.circuit_breakers WHERE name = 'db';
SELECT goldenarch.breaker_reset('db');
SELECT * FROM goldenarch.with_breaker('db', 'COMMIT');
SELECT * FROM goldenarch.with_breaker(NULL, 'SELECT 1');
SELECT * FROM goldenarch.with_breaker('db', '');
SELECT * FROM goldenarch.with_breaker('db', 'SELECT 1', NULL);
SELECT * FROM goldenarch.with_breaker('db', 'SELECT 1', '{}');
SELECT * FROM goldenarch.with_breaker('db', 'SELECT 1', '1');
SELECT state, failure_count FROM goldenarch.circuit_breakers WHERE name = 'db';
-- A mapped observer reads with his rights, not ours.
INSERT INTO goldenarch.role_mappings (tenant, pg_role, subject, roles) VALUES ('', 'breaker_joe', 'joe', '{observer}');
SET ROLE breaker_joe;
SELECT * FROM goldenarch.with_breaker('db', 'SELECT current_user');
SELECT * FROM goldenarch.with_breaker('db', 'SELECT count(*) FROM goldenarch.breaker_settings');
SELECT * FROM goldenarch.with_breaker('brand new', 'SELECT 1');
RESET ROLE;
DELETE FROM goldenarch.role_mappings WHERE pg_role = 'breaker_joe';

-- Who may do what.
SET ROLE breaker_joe;
SELECT goldenarch.with_breaker('llm', 'SELECT 1');
SELECT goldenarch.breaker_allow('llm');
SELECT goldenarch.breaker_failure('llm');
SELECT goldenarch.breaker_reset('llm');
SELECT goldenarch.breaker_reset_all();
SELECT goldenarch.set_breaker('mine');
RESET ROLE;
CREATE ROLE breaker_nobody;
SELECT goldenarch.grant_access('breaker_nobody', 'app');
SET ROLE breaker_nobody;
SELECT count(*) FROM goldenarch.circuit_breakers;
RESET ROLE;
-- Circuits are shared by all tenants: an admin of one tenant uses them and makes none.
SELECT goldenarch.map_role('breaker_nobody', 'tenant-admin', '{admin}', 'acme');
SET ROLE breaker_nobody;
SELECT goldenarch.breaker_allow('llm') IS NOT NULL AS answered;
SELECT goldenarch.breaker_allow('made by a tenant');
SET ROLE pg_monitor;
SELECT count(*) > 0 AS seen FROM goldenarch.circuit_breakers;
RESET ROLE;

-- Bad arguments.
SELECT goldenarch.breaker_allow(NULL);
SELECT goldenarch.require_breaker('');
SELECT goldenarch.breaker_success('llm', '-1 s');
SELECT goldenarch.breaker_failure('llm', NULL, '1 month');
SELECT goldenarch.breaker_reset('nobody knows it');
SELECT goldenarch.set_breaker(NULL);
SELECT goldenarch.set_breaker(repeat('n', 129));
SELECT goldenarch.set_breaker('llm', 0);
SELECT goldenarch.set_breaker('llm', recovery_timeout => '0');
SELECT goldenarch.set_breaker('llm', half_open_max_calls => 101);
SELECT goldenarch.set_breaker('llm', time_window => '-1 s');
SELECT goldenarch.set_breaker('llm', failure_rate => 1.5);
SELECT goldenarch.set_breaker('llm', failure_rate => 'nan');
SELECT goldenarch.set_breaker('llm', slow_call => '0');

DROP OWNED BY breaker_joe;
DROP ROLE breaker_joe;
