-- SPDX-License-Identifier: PostgreSQL
-- Health, metrics, workers and maintenance.

CREATE OR REPLACE FUNCTION goldenarch.health(OUT component text, OUT status text, OUT detail text)
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_health';
COMMENT ON FUNCTION goldenarch.health() IS
'One row a component; status: ok, degraded, down or off (not configured); detail says what to do. Reads state only, asks nothing outside. For members of pg_monitor, or with the permission. Permission: metrics.view.';
GRANT EXECUTE ON FUNCTION goldenarch.health() TO pg_monitor;

CREATE OR REPLACE FUNCTION goldenarch.start_workers() RETURNS SETOF text
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_start_workers';
COMMENT ON FUNCTION goldenarch.start_workers() IS
'Starts the workers of this database dynamically, where goldenarch is not preloaded; says which were running. To be called again after a server restart (pg_cron). Errors: 53400 (no worker slot). Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.run_maintenance(OUT job text, OUT affected bigint)
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_run_maintenance';
COMMENT ON FUNCTION goldenarch.run_maintenance() IS
'Runs every maintenance job once (expiry, leases, retention; never the audit log) and says how many rows each touched. Call it in FROM. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.schedule_maintenance() RETURNS SETOF text
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_schedule_maintenance';
COMMENT ON FUNCTION goldenarch.schedule_maintenance() IS
'Registers run_maintenance() with pg_cron, every minute, as the caller; without pg_cron in this database the maintenance worker does the same. Says which. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.metric_rows(
    OUT name text, OUT kind text, OUT labels jsonb, OUT value double precision, OUT help text)
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_metric_rows';
COMMENT ON FUNCTION goldenarch.metric_rows() IS
'The rows of view metrics. For members of pg_monitor, or with the permission. Permission: metrics.view.';
GRANT EXECUTE ON FUNCTION goldenarch.metric_rows() TO pg_monitor;

CREATE OR REPLACE VIEW goldenarch.metrics
    WITH (security_invoker = true, security_barrier = true) AS
SELECT m.name, m.kind, m.labels, m.value, m.help FROM goldenarch.metric_rows() m;
COMMENT ON VIEW goldenarch.metrics IS
'Counters (since server start; zero where goldenarch is not preloaded) and gauges, one sample a row. For members of pg_monitor, or with metrics.view.';
GRANT SELECT ON goldenarch.metrics TO pg_monitor;

CREATE OR REPLACE FUNCTION goldenarch.prometheus_metrics() RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_prometheus_metrics';
COMMENT ON FUNCTION goldenarch.prometheus_metrics() IS
'All metrics as OpenMetrics text. For members of pg_monitor, or with the permission. Permission: metrics.view.';
GRANT EXECUTE ON FUNCTION goldenarch.prometheus_metrics() TO pg_monitor;

CREATE OR REPLACE FUNCTION goldenarch.autoscale_backlog(service text) RETURNS double precision
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_autoscale_backlog';
COMMENT ON FUNCTION goldenarch.autoscale_backlog(text) IS
'Work waiting and running, in items, for an autoscaler: reviews (open peer reviews), supervisor (open escalations), orchestrator (unfinished tasks) or sandbox (jobs queued and running). Errors: 22023 for another service. For members of pg_monitor, or with the permission. Permission: metrics.view.';
GRANT EXECUTE ON FUNCTION goldenarch.autoscale_backlog(text) TO pg_monitor;
