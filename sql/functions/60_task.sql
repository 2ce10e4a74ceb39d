-- SPDX-License-Identifier: PostgreSQL
CREATE OR REPLACE FUNCTION goldenarch.create_task(title text, payload jsonb DEFAULT '{}', agent_role text DEFAULT NULL,
	parent uuid DEFAULT NULL, max_attempts integer DEFAULT 3, tenant text DEFAULT NULL) RETURNS uuid
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_create_task';
COMMENT ON FUNCTION goldenarch.create_task(text, jsonb, text, uuid, integer, text) IS
'Creates a task in state created and returns its id. agent_role: who may claim it, null any. parent: the task it is
a part of, whose tenant it shares. max_attempts: 1 to 100. tenant: null is the caller''s own. Errors: 22023, 42501
(another tenant), 42704 (parent), 55000 (parent is finished).
Permission: task.create.';

CREATE OR REPLACE FUNCTION goldenarch.advance_task(task_id uuid, target_state text,
	OUT ok boolean, OUT state text, OUT failed_guards text[], OUT fixes jsonb) RETURNS record
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_advance_task';
COMMENT ON FUNCTION goldenarch.advance_task(uuid, text) IS
'Moves a task to target_state when every guard of that state was reported as passed; else ok is false, failed_guards
names the others and fixes is an array with what is done about each, as handle_guard_failure answers; a guard that
nobody reported yet is not fixed. A report is acted upon once, however often this is asked. To the state it is in:
ok. Call it in FROM. Errors: 22023, 42704, 55000 (no such edge, escalated, or the caller''s claim is stale).
Permission: task.update.';

CREATE OR REPLACE FUNCTION goldenarch.claim_task(agent_role text, lease interval DEFAULT '5 minutes')
RETURNS TABLE (task_id uuid, claim bigint, title text, payload jsonb, attempt integer)
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_claim_task';
COMMENT ON FUNCTION goldenarch.claim_task(text, interval) IS
'Gives the caller the most urgent task of that role, or of no role, and moves it to developing; no row where there
is none. claim is the number to name in heartbeat_task, complete_task and fail_task. lease: up to 24 hours; a task
whose lease ran out goes to the next caller, with a greater claim. Commit before you work. Call it in FROM. Errors:
22023, 42501 (agent paused or retired).
Permission: task.update.';

CREATE OR REPLACE FUNCTION goldenarch.heartbeat_task(task_id uuid, claim bigint, lease interval DEFAULT '5 minutes') RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_heartbeat_task';
COMMENT ON FUNCTION goldenarch.heartbeat_task(uuid, bigint, interval) IS
'Extends the lease of the caller''s claim to now + lease. False: the claim is stale or the task is over; stop.
Errors: 22023, 42704.
Permission: task.update.';

CREATE OR REPLACE FUNCTION goldenarch.complete_task(task_id uuid, result jsonb DEFAULT '{}', claim bigint DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_complete_task';
COMMENT ON FUNCTION goldenarch.complete_task(uuid, jsonb, bigint) IS
'Completes a task: the guards of every state up to completed must hold, else ZG006. False, and nothing is changed:
the claim is stale, or without a claim someone else''s is live. Completing with the claim that completed it is true
again. Errors: 22023, 42704, 55000 (finished or escalated), ZG006.
Permission: task.update.';

CREATE OR REPLACE FUNCTION goldenarch.fail_task(task_id uuid, error text, claim bigint DEFAULT NULL) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_fail_task';
COMMENT ON FUNCTION goldenarch.fail_task(uuid, text, bigint) IS
'Ends an attempt: the task is created again and may be claimed after a pause that grows with each attempt (10 s to 1
h, random); after max_attempts it is failed and a dead letter of source task. False: as for complete_task. Errors:
22023, 42704, 55000 (finished or escalated).
Permission: task.update.';

CREATE OR REPLACE FUNCTION goldenarch.set_agent(agent text, role text, owner text DEFAULT NULL,
	status text DEFAULT 'active', metadata jsonb DEFAULT '{}', tenant text DEFAULT NULL) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_set_agent';
COMMENT ON FUNCTION goldenarch.set_agent(text, text, text, text, jsonb, text) IS
'Registers an agent (the subject of its tokens) or changes it. role decides what its vote weighs. owner: the person
who has one vote in a review however many agents he owns, and none on the work of any of them; null: the agent
stands for itself. status: active, paused or retired. Errors: 22023, 42501.
Permission: agent.configure.';

CREATE OR REPLACE FUNCTION goldenarch.set_agent_role(role text, vote_weight numeric) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_set_agent_role';
COMMENT ON FUNCTION goldenarch.set_agent_role(text, numeric) IS
'What a vote of this role weighs in reviews opened from now on, from 0 to 1. explain_consensus without role_weights
keeps to the shipped weights. Errors: 22023.
Permission: agent.configure.';
