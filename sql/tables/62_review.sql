-- SPDX-License-Identifier: PostgreSQL
-- Peer reviews. The session's row is locked by every vote, so votes are counted one after another.
CREATE TABLE goldenarch.peer_review_sessions (
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	id uuid NOT NULL,
	task_id uuid NOT NULL,
	revision integer NOT NULL,
	quorum numeric NOT NULL CHECK (quorum > 0 AND quorum <= 1),
	roster jsonb,
	total_weight numeric NOT NULL CHECK (total_weight > 0 AND total_weight <= 100),
	status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'passed', 'failed')),
	votes integer NOT NULL DEFAULT 0,
	score numeric NOT NULL DEFAULT 0,
	opened_by text NOT NULL,
	opened_at timestamptz NOT NULL,
	deadline timestamptz NOT NULL,
	settled_at timestamptz,
	PRIMARY KEY (tenant, id),
	CHECK ((status = 'open') = (settled_at IS NULL))
) PARTITION BY LIST (tenant);
CREATE TABLE goldenarch.peer_review_sessions_rows PARTITION OF goldenarch.peer_review_sessions
	(UNIQUE (id),
	 FOREIGN KEY (tenant, task_id) REFERENCES goldenarch.tasks_rows (tenant, id) ON DELETE CASCADE) DEFAULT;
ALTER TABLE goldenarch.peer_review_sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.peer_review_sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.peer_review_sessions
	USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('task.view'))
	   AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('task.view')));
CREATE UNIQUE INDEX peer_review_sessions_rows_open ON goldenarch.peer_review_sessions_rows (task_id) WHERE status = 'open';
CREATE INDEX peer_review_sessions_rows_task ON goldenarch.peer_review_sessions_rows (tenant, task_id);
CREATE INDEX peer_review_sessions_rows_due ON goldenarch.peer_review_sessions_rows (deadline) WHERE status = 'open';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.peer_review_sessions_rows', '');
COMMENT ON TABLE goldenarch.peer_review_sessions IS
'Peer reviews of the caller''s tenant. roster: an object of reviewer to {role, weight} fixed when the review was
opened, or null for a panel open to all who may vote. score: the weight of the approvals (conditional: half) over
total_weight, passed at quorum. A review past its deadline counts as settled on the votes it has, before the
maintenance job writes so. Changed by open_review and cast_vote alone. Permission to read: task.view.';
COMMENT ON TABLE goldenarch.peer_review_sessions_rows IS
'The rows of goldenarch.peer_review_sessions; read that table.';

CREATE TABLE goldenarch.peer_votes (
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	review_id uuid NOT NULL,
	person text NOT NULL,
	voter text NOT NULL,
	role text NOT NULL,
	weight numeric NOT NULL CHECK (weight BETWEEN 0 AND 1),
	vote text NOT NULL CHECK (vote IN ('approve', 'conditional', 'reject')),
	reasoning text,
	voted_at timestamptz NOT NULL,
	PRIMARY KEY (tenant, review_id, person)
) PARTITION BY LIST (tenant);
CREATE TABLE goldenarch.peer_votes_rows PARTITION OF goldenarch.peer_votes
	(FOREIGN KEY (tenant, review_id) REFERENCES goldenarch.peer_review_sessions_rows (tenant, id) ON DELETE CASCADE) DEFAULT;
ALTER TABLE goldenarch.peer_votes ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.peer_votes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.peer_votes
	USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('task.view'))
	   AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('task.view')));
SELECT pg_catalog.pg_extension_config_dump('goldenarch.peer_votes_rows', '');
COMMENT ON TABLE goldenarch.peer_votes IS
'Votes of peer reviews of the caller''s tenant, one a person: person is the owner of the agent that voted, or the
voter. role and weight as they were at the vote. Written by cast_vote alone. Permission to read: task.view.';
COMMENT ON TABLE goldenarch.peer_votes_rows IS
'The rows of goldenarch.peer_votes; read that table.';
