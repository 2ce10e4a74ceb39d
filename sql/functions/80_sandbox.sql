-- SPDX-License-Identifier: PostgreSQL
-- Sandbox jobs: for callers first, below for the executor's role alone (grant_access(role, 'executor')).

CREATE OR REPLACE FUNCTION goldenarch.submit_job(language text, code text, args text[] DEFAULT '{}', stdin text DEFAULT NULL,
    files jsonb DEFAULT '{}', timeout interval DEFAULT '30 s', memory_mb integer DEFAULT 256, cpus real DEFAULT 0.5,
    pids integer DEFAULT 64, request_id text DEFAULT NULL)
RETURNS uuid
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_submit_job';
COMMENT ON FUNCTION goldenarch.submit_job(text, text, text[], text, jsonb, interval, integer, real, integer, text) IS
'Queues code to run in a gVisor sandbox of its own, without network and without any file of the host, and returns the job''s id; it starts after you commit. The code is a file in /tmp/job, the working folder; files: an object of names and texts put beside it. timeout: wall time, at most 1 hour; memory_mb: of the whole sandbox, 32 to 4096 (an interpreter needs about 40); cpus: 0.05 to 64; pids: processes and threads, 1 to 1024. A request_id makes it idempotent in the tenant. Errors: 22023, 42704 (language), ZG004, 53400 (queue full). Permission: sandbox.submit.';

CREATE OR REPLACE FUNCTION goldenarch.wait_job(job_id uuid, timeout interval DEFAULT '60 s')
RETURNS goldenarch.sandbox_result
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_wait_job';
COMMENT ON FUNCTION goldenarch.wait_job(uuid, interval) IS
'Waits until a job of the caller''s has ended, at most timeout (zero: look once), and returns how it stands; sees what others commit at any isolation level. status: queued, running, succeeded, failed, timed_out, oom_killed, output_limit, cancelled or lost. Call it in FROM. Errors: 22023, 42704, 55000 for a job of the caller''s own open transaction. Permission: sandbox.submit.';

CREATE OR REPLACE FUNCTION goldenarch.cancel_job(job_id uuid) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_cancel_job';
COMMENT ON FUNCTION goldenarch.cancel_job(uuid) IS
'Cancels a queued job of the caller''s, or has a running one stopped; false where it had ended. Errors: 22023, 42704. Permission: sandbox.submit.';

CREATE OR REPLACE FUNCTION goldenarch.set_runtime(language text, argv text[], rootfs text DEFAULT 'default')
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_set_runtime';
COMMENT ON FUNCTION goldenarch.set_runtime(text, text[], text) IS
'Sets how a language is run: an absolute program and its options, to which the code''s path and the job''s arguments are added; rootfs: a name below the executor''s own --rootfs-dir, never a path. Audited. Errors: 22023. Permission: system.admin.';

CREATE OR REPLACE VIEW goldenarch.sandbox_jobs WITH (security_invoker = true, security_barrier = true) AS
SELECT j.id AS job_id, j.tenant, j.subject, j.request_id, j.language, j.state AS status, j.attempts, j.executor, j.exit_code,
       j.signal, pg_catalog.octet_length(j.stdout) AS stdout_bytes, pg_catalog.octet_length(j.stderr) AS stderr_bytes,
       j.truncated, j.wall_ms, j.cpu_ms, j.max_rss_kb, j.error, j.cancel_requested, j.submitted_at, j.started_at,
       j.finished_at
FROM goldenarch.jobs j
WHERE j.tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('sandbox.view'))
  AND j.tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('sandbox.view'));
COMMENT ON VIEW goldenarch.sandbox_jobs IS
'Sandbox jobs of the caller''s tenant, without code and output. Needs sandbox.view.';

CREATE OR REPLACE FUNCTION goldenarch.executor_rows(OUT name text, OUT version text, OUT state text, OUT slots integer,
    OUT ready integer, OUT registered_at timestamptz, OUT last_seen timestamptz)
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_executor_rows';
COMMENT ON FUNCTION goldenarch.executor_rows() IS
'The rows of view sandbox_executors. For members of pg_monitor, or with the permission. Permission: sandbox.view.';
GRANT EXECUTE ON FUNCTION goldenarch.executor_rows() TO pg_monitor;

CREATE OR REPLACE VIEW goldenarch.sandbox_executors WITH (security_invoker = true, security_barrier = true) AS
SELECT e.name, e.version, e.state, e.slots, e.ready, e.registered_at, e.last_seen FROM goldenarch.executor_rows() e;
COMMENT ON VIEW goldenarch.sandbox_executors IS
'Executors: state ready, draining, stopped, or down (not heard of for 4 seconds); slots and how many of them are ready. For members of pg_monitor, or with sandbox.view.';
GRANT SELECT ON goldenarch.sandbox_executors TO pg_monitor;

CREATE OR REPLACE FUNCTION goldenarch.register_executor(executor text, version text, slots integer, ready integer,
    state text DEFAULT 'ready', fresh boolean DEFAULT false)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_register_executor';
COMMENT ON FUNCTION goldenarch.register_executor(text, text, integer, integer, text, boolean) IS
'Announces an executor, or its state: ready, draining, stopped. fresh: the executor has just started and runs nothing, so jobs still leased under its name are given to others at once. Access: executor. Errors: 22023. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.claim_jobs(executor text, max_jobs integer, OUT job_id uuid, OUT token bigint,
    OUT language text, OUT argv jsonb, OUT rootfs text, OUT code text, OUT args jsonb, OUT stdin text,
    OUT files jsonb, OUT timeout_ms bigint, OUT memory_mb integer, OUT cpus real, OUT pids integer)
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_claim_jobs';
COMMENT ON FUNCTION goldenarch.claim_jobs(text, integer) IS
'Takes at most max_jobs (1 to 64) queued jobs, oldest first, under a lease of 30 seconds and a fencing token higher than any before. Access: executor. Errors: 22023. Call it in FROM. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.heartbeat_jobs(executor text, ids uuid[], tokens bigint[],
    ready integer DEFAULT NULL, OUT job_id uuid, OUT keep boolean)
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_heartbeat_jobs';
COMMENT ON FUNCTION goldenarch.heartbeat_jobs(text, uuid[], bigint[], integer) IS
'Says that the executor lives and renews the leases of its jobs; keep false: stop the job, it was cancelled or is no longer yours. Access: executor. Errors: 22023. Call it in FROM. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.finish_job(job_id uuid, token bigint, status text, exit_code integer, signal integer,
    stdout bytea, stderr bytea, truncated boolean, wall_ms bigint, cpu_ms bigint, max_rss_kb bigint, error text)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_finish_job';
COMMENT ON FUNCTION goldenarch.finish_job(uuid, bigint, text, integer, integer, bytea, bytea, boolean, bigint, bigint,
    bigint, text) IS
'Records a job''s result, once: false, and nothing changes, where the token is no longer the job''s. status lost queues the job again while attempts are left. Access: executor. Errors: 22023. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.release_jobs(executor text, ids uuid[], tokens bigint[]) RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_release_jobs';
COMMENT ON FUNCTION goldenarch.release_jobs(text, uuid[], bigint[]) IS
'Gives unfinished jobs back to the queue, the attempt not counted (an executor that drains); how many. Access: executor. Errors: 22023. Permission: none.';
