-- SPDX-License-Identifier: PostgreSQL
-- Rate limits and circuit breakers: immediate, unaffected by a rollback; without preload 55000.

CREATE OR REPLACE FUNCTION goldenarch.set_rate_limit(name text, rate text, burst integer DEFAULT NULL) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_set_rate_limit';
COMMENT ON FUNCTION goldenarch.set_rate_limit(text, text, integer) IS
'Makes or changes a named rate limit. rate: a count, a slash and second, minute, hour or day, as in ''30/minute'' or ''10/s''; burst: units that may come at once, null: the count. What keys have used so far is kept. Transactional and audited. Errors: 22023; 55000 without preload. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.rate_limit(name text DEFAULT NULL, key text DEFAULT NULL, cost integer DEFAULT 1)
RETURNS goldenarch.rate_decision
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_rate_limit';
COMMENT ON FUNCTION goldenarch.rate_limit(text, text, integer) IS
'Takes cost units of the limit for key, if it has them: one decision. name null: the highest rate of the caller''s roles; key null: the caller''s subject; keys are counted apart for each tenant; cost 0 only asks. retry_after is zero when allowed and null when cost exceeds the burst. Immediate: a rollback gives nothing back. Call it in FROM: (f()).* takes once a column. Errors: 42704 unknown name, 22023, 53400 table full, 55000 without preload. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.require_rate(name text DEFAULT NULL, key text DEFAULT NULL, cost integer DEFAULT 1)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_require_rate';
COMMENT ON FUNCTION goldenarch.require_rate(text, text, integer) IS
'As rate_limit(), but raises ZG001 when the call is not allowed; DETAIL tells the wait. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.set_breaker(name text, failure_threshold integer DEFAULT 5,
    recovery_timeout interval DEFAULT '30 s', half_open_max_calls integer DEFAULT 3, time_window interval DEFAULT '60 s',
    failure_rate real DEFAULT NULL, slow_call interval DEFAULT NULL) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_set_breaker';
COMMENT ON FUNCTION goldenarch.set_breaker(text, integer, interval, integer, interval, real, interval) IS
'Makes a circuit breaker or changes its settings. It opens after failure_threshold failures within time_window; with failure_rate (0 to 1), when at least failure_threshold calls were made in it and that share failed. A call that took slow_call or longer counts as failed. After recovery_timeout it lets half_open_max_calls (1 to 100) calls probe: that many successes close it, one failure opens it again, and a probe that reports nothing frees its place after recovery_timeout. Transactional and audited. Errors: 22023; 55000 without preload. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.breaker_allow(name text) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_breaker_allow';
COMMENT ON FUNCTION goldenarch.breaker_allow(text) IS
'Whether a call may be made through this circuit now; report how it went with breaker_success() or breaker_failure(). In half_open, true takes one of the probes. Immediate. A name that was never configured or used is made with the defaults of set_breaker() by system.admin outside of any tenant, and is 42501 to others. Errors: 22023, 53400 table full, 55000 without preload. Permission: agent.view.';

CREATE OR REPLACE FUNCTION goldenarch.require_breaker(name text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_require_breaker';
COMMENT ON FUNCTION goldenarch.require_breaker(text) IS
'As breaker_allow(), but raises ZG003 when the call may not be made; DETAIL tells the wait. Permission: agent.view.';

CREATE OR REPLACE FUNCTION goldenarch.breaker_success(name text, took interval DEFAULT NULL) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_breaker_success';
COMMENT ON FUNCTION goldenarch.breaker_success(text, interval) IS
'Reports a call that went well, and how long it took; returns the circuit''s state: closed, open or half_open. The outcome of a call that this session was admitted to before the circuit last changed moves nothing. Immediate. Permission: agent.view.';

CREATE OR REPLACE FUNCTION goldenarch.breaker_failure(name text, error text DEFAULT NULL, took interval DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_breaker_failure';
COMMENT ON FUNCTION goldenarch.breaker_failure(text, text, interval) IS
'Reports a call that failed; returns the circuit''s state: closed, open or half_open. Call it outside the transaction that failed, or before its rollback: a rollback takes nothing back. error goes to the server log at DEBUG1. Permission: agent.view.';

CREATE OR REPLACE FUNCTION goldenarch.breaker_reset(name text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_breaker_reset';
COMMENT ON FUNCTION goldenarch.breaker_reset(text) IS
'Closes the circuit and empties its window. Immediate; the audit row is transactional. Errors: 42704, 22023; 55000 without preload. Permission: breaker.reset.';

CREATE OR REPLACE FUNCTION goldenarch.breaker_reset_all() RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_breaker_reset_all';
COMMENT ON FUNCTION goldenarch.breaker_reset_all() IS
'Closes every circuit of this database; returns how many were not closed. Immediate. Error: 55000 without preload. Permission: breaker.reset.';

CREATE OR REPLACE FUNCTION goldenarch.with_breaker(name text, query text, params jsonb DEFAULT '[]')
RETURNS SETOF jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_with_breaker';
COMMENT ON FUNCTION goldenarch.with_breaker(text, text, jsonb) IS
'Runs your query with your own rights, if the circuit lets a call through (else ZG003): each of its rows is one jsonb object. $1, $2 ... of the query are the elements of params, a JSON array. An error of the query is recorded as a failure, at once, and then raised; the time it took counts for slow_call. Call it in FROM. A new name needs system.admin. Errors: 22023, 42P02 more parameters than params, ZG003; 55000 without preload. Permission: agent.view.';

CREATE OR REPLACE FUNCTION goldenarch.breaker_list(OUT name text, OUT state text,
    OUT failure_count bigint, OUT success_count bigint, OUT total_calls bigint, OUT total_failures bigint,
    OUT opened_at timestamptz, OUT retry_after interval)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_breaker_list';
COMMENT ON FUNCTION goldenarch.breaker_list() IS
'Rows of the view circuit_breakers. Error: 55000 without preload. For members of pg_monitor, or with the permission. Permission: agent.view.';
GRANT EXECUTE ON FUNCTION goldenarch.breaker_list() TO pg_monitor;

CREATE OR REPLACE VIEW goldenarch.circuit_breakers WITH (security_invoker = true, security_barrier = true) AS
SELECT b.name, b.state, b.failure_count, b.success_count, b.total_calls, b.total_failures,
    b.opened_at, b.retry_after
FROM goldenarch.breaker_list() b;
COMMENT ON VIEW goldenarch.circuit_breakers IS
'Circuit breakers of this database: state closed, open or half_open; failure_count and success_count of the window (open: the failures that opened it; half_open: the probes that succeeded); totals since the server started; opened_at and retry_after while not closed. For members of pg_monitor, or with agent.view.';
GRANT SELECT ON goldenarch.circuit_breakers TO pg_monitor;
