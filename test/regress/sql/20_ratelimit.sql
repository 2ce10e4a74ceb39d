-- SPDX-License-Identifier: PostgreSQL
-- Rate limits: GCRA in shared memory, per key and tenant, unaffected by rollback.
\set SHOW_CONTEXT never
CREATE ROLE rate_joe;
GRANT USAGE ON SCHEMA goldenarch TO rate_joe;
GRANT EXECUTE ON FUNCTION goldenarch.rate_limit(text, text, integer), goldenarch.set_rate_limit(text, text, integer) TO rate_joe;

SELECT goldenarch.set_rate_limit('api', '3/hour');
SELECT allowed, remaining, retry_after = '0' AS no_wait, reset_after > '19 min' AS busy FROM goldenarch.rate_limit('api', 'k');
SELECT allowed, remaining FROM goldenarch.rate_limit('api', 'k', 0);
-- A rollback gives nothing back.
BEGIN;
SELECT allowed, remaining FROM goldenarch.rate_limit('api', 'k');
ROLLBACK;
SELECT allowed, remaining FROM goldenarch.rate_limit('api', 'k');
SELECT allowed, remaining, retry_after > '19 min' AND retry_after <= '20 min' AS wait FROM goldenarch.rate_limit('api', 'k');
SELECT allowed, remaining FROM goldenarch.rate_limit('api', 'other key');
SELECT goldenarch.require_rate('api', 'other key');
\set VERBOSITY sqlstate
SELECT goldenarch.require_rate('api', 'k');
\set VERBOSITY default
-- Time brings it back, a unit at a time.
SET goldenarch.debug_clock_offset = '1201 s';
SELECT allowed, remaining FROM goldenarch.rate_limit('api', 'k');
SELECT allowed, remaining FROM goldenarch.rate_limit('api', 'k');
RESET goldenarch.debug_clock_offset;
-- A cost above the burst is never allowed; a burst of one's own.
SELECT allowed, retry_after IS NULL AS never FROM goldenarch.rate_limit('api', 'big', 4);
SELECT goldenarch.require_rate('api', 'big', 4);
SELECT goldenarch.set_rate_limit('api', '1/s', 10);
SELECT allowed, remaining FROM goldenarch.rate_limit('api', 'burst', 9);

-- Another tenant's key of the same name is another key.
SELECT goldenarch.set_rate_limit('shared', '1/hour');
SELECT allowed FROM goldenarch.rate_limit('shared', 'k');
SELECT allowed FROM goldenarch.rate_limit('shared', 'k');
INSERT INTO goldenarch.role_mappings (tenant, pg_role, subject, roles) VALUES ('acme', 'rate_joe', 'joe', '{developer}');
SET ROLE rate_joe;
SELECT allowed FROM goldenarch.rate_limit('shared', 'k');
SELECT allowed FROM goldenarch.rate_limit('shared', 'k');
-- His role's rate is that of developers.
SELECT abs(n - 31) <= 1 AS thirty FROM (SELECT count(*) FILTER (WHERE (goldenarch.rate_limit()).allowed) AS n FROM generate_series(1, 40)) c;
RESET ROLE;
DELETE FROM goldenarch.role_mappings WHERE pg_role = 'rate_joe';

-- Null name: the highest rate of the caller's roles (admin: 100 a minute, anonymous: 5).
SELECT abs(n - 102) <= 2 AS hundred FROM (SELECT count(*) FILTER (WHERE (goldenarch.rate_limit()).allowed) AS n FROM generate_series(1, 110)) c;
SET ROLE rate_joe;
SELECT count(*) FILTER (WHERE (goldenarch.rate_limit()).allowed) FROM generate_series(1, 7);
SELECT goldenarch.set_rate_limit('api', '1000/s');
RESET ROLE;

-- Bad arguments.
SELECT * FROM goldenarch.rate_limit('no such limit');
SELECT * FROM goldenarch.rate_limit('');
SELECT * FROM goldenarch.rate_limit('api', '');
SELECT * FROM goldenarch.rate_limit('api', 'k', -1);
SELECT * FROM goldenarch.rate_limit('api', 'k', NULL);
SELECT * FROM goldenarch.rate_limit('api', repeat('k', 257));
SELECT goldenarch.set_rate_limit(NULL, '1/s');
SELECT goldenarch.set_rate_limit('', '1/s');
SELECT goldenarch.set_rate_limit(repeat('n', 129), '1/s');
SELECT goldenarch.set_rate_limit('api', NULL);
SELECT goldenarch.set_rate_limit('api', 'often');
SELECT goldenarch.set_rate_limit('api', '0/s');
SELECT goldenarch.set_rate_limit('api', '1/s', 0);
SELECT action, resource_id, outcome FROM goldenarch.audit_log WHERE resource_type = 'rate_limit' ORDER BY id;

DROP OWNED BY rate_joe;
DROP ROLE rate_joe;
