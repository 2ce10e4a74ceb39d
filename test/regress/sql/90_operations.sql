-- SPDX-License-Identifier: PostgreSQL
-- Health, metrics and maintenance: who may look, what is said.
\set SHOW_CONTEXT never
CREATE ROLE ops_joe;
CREATE ROLE ops_scraper IN ROLE pg_monitor;
SELECT status FROM goldenarch.health() WHERE component = 'extension';
SELECT component, status FROM goldenarch.health() WHERE component = 'maintenance';
SELECT name, kind FROM goldenarch.metrics WHERE name IN ('goldenarch_audit_rows_total', 'goldenarch_build_info') ORDER BY name;
-- A counter moves at once and stays when the transaction does not.
SELECT value AS before FROM goldenarch.metrics WHERE name = 'goldenarch_audit_rows_total' \gset
BEGIN;
SELECT goldenarch.audit('x', 'y', 'z') > 0 AS written;
ROLLBACK;
SELECT value > :before AS counted FROM goldenarch.metrics WHERE name = 'goldenarch_audit_rows_total';
-- OpenMetrics: a family without _total, a sample with it, the end marked.
SELECT line FROM regexp_split_to_table(goldenarch.prometheus_metrics(), '\n') line WHERE line ~ 'denial|audit_rows|EOF' AND line !~ '^[^#].* [0-9]+$';
-- What an autoscaler asks.
SELECT s, goldenarch.autoscale_backlog(s) FROM unnest('{reviews,supervisor,orchestrator,sandbox}'::text[]) s;
SELECT goldenarch.autoscale_backlog('coffee');
SELECT goldenarch.autoscale_backlog(NULL);
-- pg_monitor sees it, others do not.
SET ROLE ops_scraper;
SELECT count(*) > 0 AS seen FROM goldenarch.metrics;
SELECT count(*) > 0 AS seen FROM goldenarch.health();
SELECT * FROM goldenarch.run_maintenance();
SET ROLE ops_joe;
SELECT count(*) FROM goldenarch.metrics;
SELECT count(*) FROM goldenarch.health();
SELECT goldenarch.autoscale_backlog('sandbox');
RESET ROLE;
-- Without pg_cron in this database it says who does the work.
SELECT * FROM goldenarch.schedule_maintenance();
-- A decoy of that name is not called.
CREATE SCHEMA cron;
CREATE FUNCTION cron.schedule(text, text, text) RETURNS bigint LANGUAGE sql AS 'SELECT 1/0';
SELECT * FROM goldenarch.schedule_maintenance();
DROP SCHEMA cron CASCADE;
DROP ROLE ops_joe;
DROP ROLE ops_scraper;
