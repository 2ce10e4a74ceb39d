-- SPDX-License-Identifier: PostgreSQL
-- Sandbox jobs without an executor: what callers and executors may say, and what is made of it.
\set SHOW_CONTEXT never
CREATE ROLE box_ann;
CREATE ROLE box_bob;
CREATE ROLE box_out;
CREATE ROLE box_non;
INSERT INTO goldenarch.role_mappings (tenant, pg_role, subject, roles) VALUES
    ('acme', 'box_ann', 'ann', '{developer}'), ('acme', 'box_bob', 'bob', '{developer}'),
    ('other', 'box_out', 'out', '{developer}');
GRANT EXECUTE ON FUNCTION goldenarch.submit_job(text, text, text[], text, jsonb, interval, integer, real, integer, text),
    goldenarch.wait_job(uuid, interval), goldenarch.cancel_job(uuid), goldenarch.set_runtime(text, text[], text)
    TO box_ann, box_bob, box_out, box_non;
GRANT EXECUTE ON FUNCTION goldenarch.executor_rows() TO box_ann, box_non;
GRANT SELECT ON goldenarch.sandbox_jobs, goldenarch.sandbox_executors, goldenarch.jobs TO box_ann, box_bob, box_out, box_non;

-- Permissions come first, whatever the arguments.
SET ROLE box_non;
SELECT goldenarch.submit_job(NULL, NULL);
SELECT goldenarch.wait_job(NULL);
SELECT goldenarch.cancel_job(NULL);
SELECT goldenarch.set_runtime(NULL, NULL);
SELECT goldenarch.claim_jobs('x', 1);
SELECT goldenarch.heartbeat_jobs('x', '{}', '{}');
SELECT goldenarch.finish_job(gen_random_uuid(), 1, 'failed', 0, 0, '', '', false, 0, 0, 0, '');
SELECT goldenarch.release_jobs('x', '{}', '{}');
SELECT goldenarch.register_executor('x', '1', 1, 1);
SELECT count(*) FROM goldenarch.sandbox_jobs;
SELECT count(*) FROM goldenarch.sandbox_executors;

-- Bad arguments.
SET ROLE box_ann;
SELECT goldenarch.set_runtime('perl', '{/usr/bin/perl}');
SELECT goldenarch.submit_job(NULL, 'x');
SELECT goldenarch.submit_job('python', '');
SELECT goldenarch.submit_job('python', NULL);
SELECT goldenarch.submit_job('cobol', 'x');
SELECT goldenarch.submit_job('python', repeat('x', 262145));
SELECT goldenarch.submit_job('python', 'x', args => NULL);
SELECT goldenarch.submit_job('python', 'x', args => '{a,NULL}');
SELECT goldenarch.submit_job('python', 'x', args => '{{a,b},{c,d}}');
SELECT goldenarch.submit_job('python', 'x', args => array_fill('a'::text, '{65}'));
SELECT goldenarch.submit_job('python', 'x', args => ARRAY[repeat('a', 4097)]);
SELECT goldenarch.submit_job('python', 'x', stdin => repeat('x', 1048577));
SELECT goldenarch.submit_job('python', 'x', files => NULL);
SELECT goldenarch.submit_job('python', 'x', files => '[]');
SELECT goldenarch.submit_job('python', 'x', files => '{"../etc/passwd": "x"}');
SELECT goldenarch.submit_job('python', 'x', files => '{".hidden": "x"}');
SELECT goldenarch.submit_job('python', 'x', files => '{"main": "x"}');
SELECT goldenarch.submit_job('python', 'x', files => '{"": "x"}');
SELECT goldenarch.submit_job('python', 'x', files => '{"a": 1}');
SELECT goldenarch.submit_job('python', 'x', files => '{"a": {"b": "c"}}');
SELECT goldenarch.submit_job('python', 'x', files => (SELECT jsonb_object_agg('f' || i, '') FROM generate_series(1, 33) i));
SELECT goldenarch.submit_job('python', 'x', timeout => NULL);
SELECT goldenarch.submit_job('python', 'x', timeout => '0');
SELECT goldenarch.submit_job('python', 'x', timeout => '61 minutes');
SELECT goldenarch.submit_job('python', 'x', memory_mb => 31);
SELECT goldenarch.submit_job('python', 'x', memory_mb => 4097);
SELECT goldenarch.submit_job('python', 'x', memory_mb => NULL);
SELECT goldenarch.submit_job('python', 'x', cpus => 0);
SELECT goldenarch.submit_job('python', 'x', cpus => 'NaN');
SELECT goldenarch.submit_job('python', 'x', cpus => NULL);
SELECT goldenarch.submit_job('python', 'x', pids => 0);
SELECT goldenarch.submit_job('python', 'x', pids => 1025);
SELECT goldenarch.submit_job('python', 'x', request_id => '');
SELECT goldenarch.wait_job(NULL);
SELECT goldenarch.wait_job('00000000-0000-4000-8000-000000000000');
SELECT goldenarch.wait_job('00000000-0000-4000-8000-000000000000', NULL);
SELECT goldenarch.wait_job('00000000-0000-4000-8000-000000000000', '-1 s');
SELECT goldenarch.cancel_job(NULL);
SELECT goldenarch.cancel_job('00000000-0000-4000-8000-000000000000');
RESET ROLE;
SELECT goldenarch.set_runtime('', '{/bin/x}');
SELECT goldenarch.set_runtime('Perl', '{/bin/x}');
SELECT goldenarch.set_runtime('perl', '{}');
SELECT goldenarch.set_runtime('perl', '{perl}');
SELECT goldenarch.set_runtime('perl', '{/bin/x}', '../host');
SELECT goldenarch.set_runtime('perl', '{/bin/x}', NULL);
SELECT goldenarch.set_runtime('perl', '{/usr/bin/perl,-T}');
SELECT language, argv, rootfs FROM goldenarch.sandbox_runtimes ORDER BY language;

-- A job belongs to its submitter: to others of the tenant it is a row to see, to other tenants nothing.
SET ROLE box_ann;
SELECT goldenarch.submit_job('python', 'print(1)', '{a,""}', 'in', '{"a.txt": "text"}', request_id => 'r1') AS job \gset
SELECT goldenarch.submit_job('python', 'print(1)', '{a,""}', 'in', '{"a.txt": "text"}', request_id => 'r1') = :'job' AS replayed;
SELECT goldenarch.submit_job('python', 'print(2)', '{a,""}', 'in', '{"a.txt": "text"}', request_id => 'r1');
SELECT goldenarch.submit_job('python', 'print(1)', '{a,""}', 'in', '{"a.txt": "text"}', pids => 3, request_id => 'r1');
SELECT status, attempts, stdout FROM goldenarch.wait_job(:'job', '0');
SELECT language, status, subject, tenant, attempts, request_id FROM goldenarch.sandbox_jobs;
SET ROLE box_bob;
SELECT count(*) FROM goldenarch.sandbox_jobs;
\set VERBOSITY sqlstate
SELECT goldenarch.wait_job(:'job', '0');
SELECT goldenarch.cancel_job(:'job');
SELECT goldenarch.submit_job('python', 'print(1)', '{a,""}', 'in', '{"a.txt": "text"}', request_id => 'r1');
SET ROLE box_out;
SELECT count(*) FROM goldenarch.sandbox_jobs;
SELECT goldenarch.wait_job(:'job', '0');
\set VERBOSITY default
SELECT goldenarch.submit_job('python', 'print(1)', '{a,""}', 'in', '{"a.txt": "text"}', request_id => 'r1') <> :'job' AS own_request_ids;

-- A job of the own open transaction cannot be waited for.
SET ROLE box_ann;
BEGIN;
SELECT goldenarch.submit_job('shell', 'true') AS open_job \gset
SELECT goldenarch.wait_job(:'open_job');
ROLLBACK;
SELECT count(*) FROM goldenarch.sandbox_jobs;

-- What an executor may not say.
RESET ROLE;
SELECT goldenarch.register_executor('', '1', 1, 1);
SELECT goldenarch.register_executor('one', NULL, 1, 1);
SELECT goldenarch.register_executor('one', '1', 0, 0);
SELECT goldenarch.register_executor('one', '1', 1, 1, 'asleep');
SELECT goldenarch.claim_jobs(NULL, 1);
SELECT goldenarch.claim_jobs('one', 0);
SELECT goldenarch.claim_jobs('one', 65);
SELECT goldenarch.heartbeat_jobs('one', NULL, '{}');
SELECT goldenarch.heartbeat_jobs('one', '{NULL}', '{1}');
SELECT goldenarch.heartbeat_jobs('one', '{}', '{1}');
SELECT goldenarch.release_jobs('one', '{}', NULL);
SELECT goldenarch.finish_job(:'job', 1, 'queued', 0, 0, '', '', false, 0, 0, 0, '');
SELECT goldenarch.finish_job(:'job', 1, 'running', 0, 0, '', '', false, 0, 0, 0, '');
SELECT goldenarch.finish_job(:'job', 1, NULL, 0, 0, '', '', false, 0, 0, 0, '');
SELECT goldenarch.finish_job(NULL, 1, 'failed', 0, 0, '', '', false, 0, 0, 0, '');
SELECT goldenarch.finish_job(:'job', 1, 'failed', 0, 0, repeat('x', 1048577)::bytea, '', false, 0, 0, 0, '');

-- Claim, heartbeat, and a result under the token alone; the second is refused.
SELECT goldenarch.register_executor('one', '1.0', 2, 2);
SELECT name, version, state, slots, ready FROM goldenarch.sandbox_executors;
DELETE FROM goldenarch.jobs WHERE tenant = 'other';
SELECT job_id = :'job' AS mine, token, language, argv, rootfs, code, args, stdin, files, timeout_ms, memory_mb, cpus, pids
FROM goldenarch.claim_jobs('one', 2);
SELECT count(*) FROM goldenarch.claim_jobs('two', 2);
SELECT token FROM goldenarch.jobs \gset
SELECT keep FROM goldenarch.heartbeat_jobs('one', ARRAY[:'job']::uuid[], ARRAY[:token]::bigint[], 1);
SELECT keep FROM goldenarch.heartbeat_jobs('one', ARRAY[:'job']::uuid[], ARRAY[:token - 1]::bigint[], 1);
SELECT goldenarch.finish_job(:'job', :token - 1, 'succeeded', 0, NULL, 'stale', '', false, 1, 1, 1, NULL) AS stale_token;
SELECT goldenarch.finish_job(:'job', :token, 'cancelled', NULL, NULL, '', '', false, 1, 1, 1, NULL) AS not_asked_for;
SELECT goldenarch.finish_job(:'job', :token, 'succeeded', 0, NULL, '\x6f6b20c3a920ff000a', 'err', true, 12, 5, 4096, NULL) AS taken;
SELECT goldenarch.finish_job(:'job', :token, 'failed', 1, NULL, 'again', '', false, 1, 1, 1, NULL) AS taken_twice;
SET ROLE box_ann;
SELECT status, exit_code, signal, stdout, stderr, truncated, wall_ms, cpu_ms, max_rss_kb, error, attempts FROM goldenarch.wait_job(:'job');
SELECT goldenarch.cancel_job(:'job') AS after_the_end;
SELECT goldenarch.submit_job('python', 'print(1)', '{a,""}', 'in', '{"a.txt": "text"}', request_id => 'r1') = :'job' AS replayed_after_the_end;

-- A lease that runs out gives the job to another, under a higher token; the old one counts no more.
SELECT goldenarch.submit_job('shell', 'true') AS job \gset
RESET ROLE;
SELECT token AS first FROM goldenarch.claim_jobs('one', 1) \gset
UPDATE goldenarch.jobs SET lease_until = now() - interval '1 s' WHERE state = 'running';
SELECT keep FROM goldenarch.heartbeat_jobs('one', ARRAY[:'job']::uuid[], ARRAY[:first]::bigint[]);
UPDATE goldenarch.jobs SET lease_until = now() - interval '1 s' WHERE state = 'running';
SELECT token AS second FROM goldenarch.claim_jobs('two', 1) \gset
SELECT :second > :first AS higher;
SELECT keep FROM goldenarch.heartbeat_jobs('one', ARRAY[:'job']::uuid[], ARRAY[:first]::bigint[]);
SELECT goldenarch.finish_job(:'job', :first, 'succeeded', 0, NULL, 'late', '', false, 1, 1, 1, NULL) AS late_result;
SELECT goldenarch.release_jobs('one', ARRAY[:'job']::uuid[], ARRAY[:first]::bigint[]) AS late_release;
SELECT goldenarch.release_jobs('two', ARRAY[:'job']::uuid[], ARRAY[:second]::bigint[]) AS released;
SELECT state, attempts, token FROM goldenarch.jobs WHERE id = :'job';
SELECT token AS third FROM goldenarch.claim_jobs('two', 1) \gset
SELECT goldenarch.finish_job(:'job', :third, 'lost', NULL, NULL, '', '', false, 1, 1, 1, 'no sandbox') AS lost_once;
SELECT state, attempts, error, not_before > now() AS later FROM goldenarch.jobs WHERE id = :'job';
UPDATE goldenarch.jobs SET not_before = now() WHERE id = :'job';
SELECT token AS fourth FROM goldenarch.claim_jobs('two', 1) \gset
SELECT goldenarch.finish_job(:'job', :fourth, 'lost', NULL, NULL, '', '', false, 1, 1, 1, 'no sandbox') AS lost_for_good;
SELECT state, attempts, error FROM goldenarch.jobs WHERE id = :'job';

-- A claim takes as many as were asked for, the oldest first, however large the queue is.
SET ROLE box_ann;
SELECT count(goldenarch.submit_job('shell', 'true', ARRAY[i::text])) FROM generate_series(1, 50) i;
RESET ROLE;
ANALYZE goldenarch.jobs_rows;
SELECT args FROM goldenarch.claim_jobs('one', 2) ORDER BY args;
SELECT count(*) FROM goldenarch.claim_jobs('two', 3);
SELECT state, count(*) FROM goldenarch.jobs WHERE language = 'shell' AND args <> '{}' GROUP BY state ORDER BY state;
DELETE FROM goldenarch.jobs WHERE args <> '{}' AND language = 'shell';

-- Cancelling: at once while queued, through the executor while running, by the lease when that is gone.
SET ROLE box_ann;
SELECT goldenarch.submit_job('shell', 'true') AS queued_job \gset
SELECT goldenarch.cancel_job(:'queued_job');
SELECT goldenarch.cancel_job(:'queued_job');
SELECT status FROM goldenarch.wait_job(:'queued_job');
SELECT goldenarch.submit_job('shell', 'true') AS job \gset
RESET ROLE;
SELECT token FROM goldenarch.claim_jobs('one', 1) \gset
SET ROLE box_ann;
SELECT goldenarch.cancel_job(:'job');
SELECT status FROM goldenarch.wait_job(:'job', '10 ms');
RESET ROLE;
SELECT keep FROM goldenarch.heartbeat_jobs('one', ARRAY[:'job']::uuid[], ARRAY[:token]::bigint[]);
SELECT goldenarch.finish_job(:'job', :token, 'cancelled', NULL, NULL, 'part', '', false, 1, 1, 1, NULL);
SET ROLE box_ann;
SELECT status, stdout FROM goldenarch.wait_job(:'job');
SELECT goldenarch.submit_job('shell', 'true') AS job \gset
RESET ROLE;
SELECT count(*) FROM goldenarch.claim_jobs('one', 1);
SET ROLE box_ann;
SELECT goldenarch.cancel_job(:'job');
RESET ROLE;
UPDATE goldenarch.jobs SET lease_until = now() - interval '1 s' WHERE state = 'running';
SELECT * FROM goldenarch.run_maintenance() WHERE job LIKE 'sandbox%';
SELECT state FROM goldenarch.jobs WHERE id = :'job';

-- What ended long ago goes.
UPDATE goldenarch.jobs SET finished_at = now() - interval '10 years' WHERE finished_at IS NOT NULL;
SELECT affected > 0 AS deleted FROM goldenarch.run_maintenance() WHERE job = 'sandbox_retention';
SELECT count(*) FROM goldenarch.jobs;
SELECT * FROM goldenarch.health() WHERE component = 'executor';

DROP OWNED BY box_ann, box_bob, box_out, box_non;
DROP ROLE box_ann, box_bob, box_out, box_non;
