-- SPDX-License-Identifier: PostgreSQL
-- Sandbox jobs: what to run, who runs it under which lease, how it ended.

CREATE TABLE goldenarch.sandbox_runtimes (
    language text COLLATE "C" PRIMARY KEY CHECK (language ~ '^[a-z][a-z0-9_+-]{0,31}$'),
    argv     text[] NOT NULL CHECK (pg_catalog.cardinality(argv) BETWEEN 1 AND 32),
    rootfs   text NOT NULL CHECK (rootfs ~ '^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$'),
    shipped  boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE goldenarch.sandbox_runtimes IS
'How a language is run: argv, to which the path of the code and the job''s arguments are added, in a named root file system of the executor. Written by set_runtime().';
INSERT INTO goldenarch.sandbox_runtimes (language, argv, rootfs, shipped) VALUES
    ('python', '{/usr/bin/python3,-s,-B,-u}', 'default', true),
    ('shell', '{/bin/sh}', 'default', true);
CREATE TRIGGER seed_restore BEFORE INSERT ON goldenarch.sandbox_runtimes
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.seed_restore();
SELECT pg_catalog.pg_extension_config_dump('goldenarch.sandbox_runtimes', '');

CREATE SEQUENCE goldenarch.job_token AS bigint;
COMMENT ON SEQUENCE goldenarch.job_token IS
'Fencing tokens: each claim of a job gets a higher one than any claim before.';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.job_token', '');

CREATE TABLE goldenarch.jobs (
    tenant           text COLLATE "C" NOT NULL,
    id               uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
    request_id       text COLLATE "C",
    request_digest   bytea,
    subject          text NOT NULL,
    language         text COLLATE "C" NOT NULL,
    code             text NOT NULL,
    args             text[] NOT NULL,
    stdin            text,
    files            jsonb NOT NULL,
    timeout_ms       bigint NOT NULL CHECK (timeout_ms > 0),
    memory_mb        integer NOT NULL CHECK (memory_mb > 0),
    cpus             real NOT NULL CHECK (cpus > 0),
    pids             integer NOT NULL CHECK (pids > 0),
    state            text NOT NULL DEFAULT 'queued' CHECK (goldenarch.is_state('job', state)),
    attempts         integer NOT NULL DEFAULT 0,
    token            bigint,
    executor         text,
    lease_until      timestamptz,
    not_before       timestamptz NOT NULL,
    cancel_requested boolean NOT NULL DEFAULT false,
    exit_code        integer,
    signal           integer,
    stdout           bytea,
    stderr           bytea,
    truncated        boolean NOT NULL DEFAULT false,
    wall_ms          bigint,
    cpu_ms           bigint,
    max_rss_kb       bigint,
    error            text,
    submitted_xid    xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    submitted_at     timestamptz NOT NULL,
    started_at       timestamptz,
    finished_at      timestamptz,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, request_id),
    CHECK ((state = 'running') = (lease_until IS NOT NULL)),
    CHECK ((state IN ('queued', 'running')) = (finished_at IS NULL))
) PARTITION BY LIST (tenant);
COMMENT ON TABLE goldenarch.jobs IS
'Sandbox jobs and their results. A result is recorded once, under the fencing token of the claim that ran it.';
CREATE TABLE goldenarch.jobs_rows PARTITION OF goldenarch.jobs DEFAULT;
CREATE UNIQUE INDEX jobs_id ON goldenarch.jobs_rows (id);
CREATE INDEX jobs_queue ON goldenarch.jobs_rows (submitted_at, id) WHERE state = 'queued';
CREATE INDEX jobs_queue_tenant ON goldenarch.jobs_rows (tenant) WHERE state = 'queued';
CREATE INDEX jobs_leases ON goldenarch.jobs_rows (lease_until) WHERE state = 'running';
CREATE INDEX jobs_finished ON goldenarch.jobs_rows (finished_at) WHERE finished_at IS NOT NULL;
ALTER TABLE goldenarch.jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.jobs FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.jobs
    USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('sandbox.view'))
       AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('sandbox.view')));
SELECT pg_catalog.pg_extension_config_dump('goldenarch.jobs_rows', '');

CREATE TABLE goldenarch.executors (
    name          text PRIMARY KEY,
    version       text NOT NULL,
    slots         integer NOT NULL,
    ready         integer NOT NULL,
    state         text NOT NULL CHECK (state IN ('ready', 'draining', 'stopped')),
    registered_at timestamptz NOT NULL,
    last_seen     timestamptz NOT NULL
);
COMMENT ON TABLE goldenarch.executors IS
'Executors that have registered, and when each was last heard of. Not dumped: they register anew.';

CREATE TYPE goldenarch.sandbox_result AS (
    job_id uuid, status text, exit_code integer, signal integer, stdout text, stderr text,
    truncated boolean, wall_ms bigint, cpu_ms bigint, max_rss_kb bigint, error text, attempts integer
);
COMMENT ON TYPE goldenarch.sandbox_result IS
'How a sandbox job stands or ended. stdout, stderr: bytes that are not UTF-8 are shown as \xNN; max_rss_kb counts the whole sandbox.';
