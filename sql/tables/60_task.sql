-- SPDX-License-Identifier: PostgreSQL
-- Tasks, and the agents that work on them. A task's row is the lock of everything that is decided
-- about it; limits of auto-fix stand on the root task's row. Lock order: a task, then its root.
CREATE SEQUENCE goldenarch.task_claim_seq AS bigint;
COMMENT ON SEQUENCE goldenarch.task_claim_seq IS
'Fencing numbers of claims: a later claim of any task has a greater number.';

CREATE TABLE goldenarch.tasks (
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	id uuid NOT NULL,
	title text NOT NULL CHECK (title <> ''),
	payload jsonb NOT NULL DEFAULT '{}',
	state text NOT NULL DEFAULT 'created' CHECK (goldenarch.is_state('task', state)),
	kind text NOT NULL DEFAULT 'task' CHECK (kind <> ''),
	agent_role text CHECK (agent_role <> ''),
	priority integer NOT NULL DEFAULT 5,
	parent uuid,
	root uuid NOT NULL,
	revision integer NOT NULL DEFAULT 1,
	attempt integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
	max_attempts integer NOT NULL DEFAULT 3 CHECK (max_attempts BETWEEN 1 AND 100),
	not_before timestamptz NOT NULL DEFAULT '-infinity',
	claim bigint,
	claimed_by text,
	claimants text[] NOT NULL DEFAULT '{}',
	barred text[] NOT NULL DEFAULT '{}',
	lease_until timestamptz,
	fix_depth integer NOT NULL DEFAULT 0 CHECK (fix_depth BETWEEN 0 AND 2),
	fix_count integer NOT NULL DEFAULT 0 CHECK (fix_count BETWEEN 0 AND 5),
	fix_round integer NOT NULL DEFAULT 0,
	fingerprint text,
	fingerprint_round integer,
	fingerprint_attempt integer CHECK (fingerprint_attempt BETWEEN 1 AND 2),
	fix_rule integer,
	artifact text,
	last_error text,
	result jsonb,
	created_by text NOT NULL,
	created_at timestamptz NOT NULL,
	updated_at timestamptz NOT NULL,
	finished_at timestamptz,
	PRIMARY KEY (tenant, id),
	CHECK ((claim IS NULL) = (lease_until IS NULL))
) PARTITION BY LIST (tenant);
CREATE TABLE goldenarch.tasks_rows PARTITION OF goldenarch.tasks (UNIQUE (id)) DEFAULT;
ALTER TABLE goldenarch.tasks ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.tasks FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.tasks
	USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('task.view'))
	   AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('task.view')));
-- what claim_task looks through, in its order, until the first that it may have
CREATE INDEX tasks_rows_claimable ON goldenarch.tasks_rows (priority, created_at, id)
	WHERE state IN ('created', 'developing');
CREATE INDEX tasks_rows_finished ON goldenarch.tasks_rows (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX tasks_rows_root ON goldenarch.tasks_rows (root);
-- an attempt at a failure is made once, whoever reports it and however often
CREATE UNIQUE INDEX tasks_rows_fix ON goldenarch.tasks_rows
	(root, fingerprint_round, fingerprint, fingerprint_attempt, fix_rule) WHERE fingerprint IS NOT NULL;
SELECT pg_catalog.pg_extension_config_dump('goldenarch.tasks_rows', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.task_claim_seq', '');
COMMENT ON TABLE goldenarch.tasks IS
'Tasks of agents, of the caller''s tenant. state: created, developing, reviewing, deploying, completed, failed,
escalated, cancelled. parent and root: the tree of subtasks and remediation tasks. revision: which state of the
work guards were reported on; it grows when the task goes back to developing. attempt: attempts begun, of
max_attempts. claim, lease_until: the live or last claim. claimants: everyone who ever held it, none of whom may
report its guards or vote on it. kind: task, or what a remediation task is to do. fix_count of a root: remediation
attempts since the last resolved escalation, at most 5. Changed by create_task, advance_task, claim_task and the
like alone. Permission to read: task.view.';
COMMENT ON TABLE goldenarch.tasks_rows IS
'The rows of goldenarch.tasks; read that table.';

CREATE TABLE goldenarch.agents (
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	id text NOT NULL CHECK (id <> ''),
	role text NOT NULL CHECK (role <> ''),
	owner text CHECK (owner <> ''),
	status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'retired')),
	metadata jsonb NOT NULL DEFAULT '{}',
	PRIMARY KEY (tenant, id)
) PARTITION BY LIST (tenant);
CREATE TABLE goldenarch.agents_rows PARTITION OF goldenarch.agents DEFAULT;
ALTER TABLE goldenarch.agents ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.agents FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.agents
	USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('agent.view'))
	   AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('agent.view')));
SELECT pg_catalog.pg_extension_config_dump('goldenarch.agents_rows', '');
COMMENT ON TABLE goldenarch.agents IS
'Known agents of the caller''s tenant: id is the subject of the agent''s tokens, role decides its vote''s weight,
owner is the person who counts for one vote however many agents he owns. status: active, paused (may neither claim
nor vote), retired. Set by set_agent. Permission to read: agent.view.';
COMMENT ON TABLE goldenarch.agents_rows IS
'The rows of goldenarch.agents; read that table.';

CREATE TABLE goldenarch.agent_roles (
	role text PRIMARY KEY CHECK (role <> ''),
	vote_weight numeric(7, 6) NOT NULL CHECK (vote_weight >= 0 AND vote_weight <= 1),
	shipped boolean NOT NULL DEFAULT false
);
-- explain_consensus knows the same weights (extension/consensus.c); test/regress/sql/62_review.sql compares the two
INSERT INTO goldenarch.agent_roles (role, vote_weight, shipped) VALUES
	('architect', 0.25, true),
	('developer', 0.10, true),
	('reviewer', 0.25, true),
	('security', 0.25, true),
	('tester', 0.15, true);
CREATE TRIGGER seed_restore BEFORE INSERT ON goldenarch.agent_roles
	FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.seed_restore();
SELECT pg_catalog.pg_extension_config_dump('goldenarch.agent_roles', '');
COMMENT ON TABLE goldenarch.agent_roles IS
'What a vote of each role weighs in a peer review, as a share of 1; a role that is not here weighs 0.05. Set by
set_agent_role. Access: app.';
