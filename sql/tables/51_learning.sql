-- SPDX-License-Identifier: PostgreSQL
-- What agents may learn, and the prompts they live by. learning_governance is the DBA's (UPDATE it
-- in psql; each change is audited). learning_state holds one row a tenant and role: who changes a
-- prompt updates it first, so that no isolation level and no concurrency passes a limit. prompts
-- are immutable but for the decision on them; prompt_history says what was live when.

CREATE TABLE goldenarch.learning_governance (
	agent_role text COLLATE "C" PRIMARY KEY CHECK (agent_role <> ''),
	max_updates_per_day integer NOT NULL CHECK (max_updates_per_day >= 0),
	cooldown interval NOT NULL CHECK (cooldown >= '0'),
	require_human_approval boolean NOT NULL DEFAULT true,
	shipped boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE goldenarch.learning_governance IS
	'Learning limits a role: prompts that may go live in any 24 hours, the least time between two changes, whether a human approves each. A role without a row needs a human. Changes are audited. Access: app.';

CREATE TABLE goldenarch.learning_state (
	tenant text COLLATE "C" NOT NULL,
	agent_role text COLLATE "C" NOT NULL,
	last_change_at timestamptz,
	last_version integer NOT NULL DEFAULT 0,
	decisions bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (tenant, agent_role)
) PARTITION BY LIST (tenant);
CREATE TABLE goldenarch.learning_state_rows PARTITION OF goldenarch.learning_state DEFAULT;
COMMENT ON TABLE goldenarch.learning_state_rows IS 'The rows of learning_state.';
ALTER TABLE goldenarch.learning_state ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.learning_state FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.learning_state
	USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('learning.view'))
	   AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('learning.view')));
COMMENT ON TABLE goldenarch.learning_state IS
	'The row that each decision on a role''s prompt updates before it looks at the limits.';

CREATE SEQUENCE goldenarch.prompt_ids;
COMMENT ON SEQUENCE goldenarch.prompt_ids IS 'Ids of prompts; gaps are rollbacks.';

CREATE TABLE goldenarch.prompts (
	tenant text COLLATE "C" NOT NULL,
	id bigint NOT NULL,
	agent_role text COLLATE "C" NOT NULL,
	version integer NOT NULL CHECK (version > 0),
	base_version integer,
	prompt_text text NOT NULL,
	content bytea NOT NULL CHECK (content = sha256(convert_to(prompt_text, 'UTF8'))),
	auto_learned boolean NOT NULL,
	learned_from_pattern text,
	approval_status text NOT NULL CHECK (approval_status IN
		('auto_approved', 'pending_review', 'human_approved', 'rejected', 'superseded')),
	approval_id bigint,
	review_until timestamptz,
	proposed_by text NOT NULL,
	created_at timestamptz NOT NULL,
	approved_by text,
	approved_at timestamptz,
	rejection_reason text,
	rolled_back_at timestamptz,
	PRIMARY KEY (tenant, id),
	UNIQUE (tenant, agent_role, version),
	CHECK ((approval_status IN ('auto_approved', 'human_approved')) = (approved_at IS NOT NULL))
) PARTITION BY LIST (tenant);
CREATE TABLE goldenarch.prompts_rows PARTITION OF goldenarch.prompts DEFAULT;
COMMENT ON TABLE goldenarch.prompts_rows IS 'The rows of prompts.';
ALTER TABLE goldenarch.prompts_rows ADD UNIQUE (id);
CREATE INDEX prompts_pending ON goldenarch.prompts_rows (tenant, agent_role)
	WHERE approval_status = 'pending_review';
CREATE INDEX prompts_rolled_back ON goldenarch.prompts_rows (tenant, agent_role, content)
	WHERE rolled_back_at IS NOT NULL;
ALTER TABLE goldenarch.prompts ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.prompts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.prompts
	USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('learning.view'))
	   AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('learning.view')));
COMMENT ON TABLE goldenarch.prompts IS
	'Proposed prompts, a version each; text and author never change. pending_review past review_until counts as rejected.';

CREATE TABLE goldenarch.prompt_history (
	tenant text COLLATE "C" NOT NULL,
	agent_role text COLLATE "C" NOT NULL,
	live tstzrange NOT NULL CHECK (NOT isempty(live) AND NOT lower_inf(live)),
	prompt_id bigint NOT NULL,
	version integer NOT NULL,
	counted boolean NOT NULL,
	applied_by text NOT NULL
) PARTITION BY LIST (tenant);
CREATE TABLE goldenarch.prompt_history_rows PARTITION OF goldenarch.prompt_history DEFAULT;
COMMENT ON TABLE goldenarch.prompt_history_rows IS 'The rows of prompt_history.';
CREATE UNIQUE INDEX prompt_live ON goldenarch.prompt_history_rows (tenant, agent_role)
	WHERE upper_inf(live);
CREATE UNIQUE INDEX prompt_history_start ON goldenarch.prompt_history_rows
	(tenant, agent_role, lower(live));
ALTER TABLE goldenarch.prompt_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.prompt_history FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.prompt_history
	USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('learning.view'))
	   AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('learning.view')));
COMMENT ON TABLE goldenarch.prompt_history IS
	'Which prompt was live when; exactly one range a tenant and role is open. counted: it used up a slot of the 24 hours (a rollback does not).';

INSERT INTO goldenarch.learning_governance
	(agent_role, max_updates_per_day, cooldown, require_human_approval, shipped)
VALUES
	('security', 1, '24 hours', true, true),
	('architect', 2, '12 hours', true, true),
	('developer', 5, '2 hours', false, true),
	('reviewer', 3, '4 hours', false, true),
	('tester', 5, '2 hours', false, true);

CREATE TRIGGER seed_restore BEFORE INSERT ON goldenarch.learning_governance
	FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.seed_restore();
CREATE TRIGGER audit_configuration
	AFTER INSERT OR UPDATE OR DELETE ON goldenarch.learning_governance
	FOR EACH ROW EXECUTE FUNCTION goldenarch.audit_configuration();
CREATE TRIGGER audit_configuration_truncate AFTER TRUNCATE ON goldenarch.learning_governance
	FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.audit_configuration();

SELECT pg_catalog.pg_extension_config_dump('goldenarch.learning_governance', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.learning_state_rows', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.prompt_ids', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.prompts_rows', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.prompt_history_rows', '');
