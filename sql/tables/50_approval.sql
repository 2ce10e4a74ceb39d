-- SPDX-License-Identifier: PostgreSQL
-- Approvals: what needs one (approval_policies, for all tenants), what is asked for (approvals) and
-- who said what (approval_votes). States and their names are core/fsm's. A request's content is
-- fixed by its digest; a vote is bound to a request and its revision, one seat a person.
-- History is kept: nothing here is deleted by maintenance.

CREATE TABLE goldenarch.approval_policies (
	kind text COLLATE "C" PRIMARY KEY CHECK (kind <> ''),
	permission text NOT NULL CHECK (permission <> ''),
	quorum integer NOT NULL CHECK (quorum BETWEEN 1 AND 100),
	expires interval NOT NULL CHECK (expires > '0'),
	escalate_after interval CHECK (escalate_after > '0' AND escalate_after < expires),
	version bigint NOT NULL DEFAULT 1,
	shipped boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE goldenarch.approval_policies IS
	'What an approval of each kind takes; written by set_approval_policy(). A change raises version and supersedes what is pending.';

CREATE SEQUENCE goldenarch.approval_ids;
COMMENT ON SEQUENCE goldenarch.approval_ids IS 'Ids of approval requests; gaps are rollbacks.';

CREATE TABLE goldenarch.approvals (
	tenant text COLLATE "C" NOT NULL,
	id bigint NOT NULL,
	kind text COLLATE "C" NOT NULL,
	subject text COLLATE "C" NOT NULL,
	payload jsonb NOT NULL,
	reason text,
	requested_by text NOT NULL,
	requested_at timestamptz NOT NULL,
	expires_at timestamptz NOT NULL,
	escalate_at timestamptz,
	escalated_at timestamptz,
	policy_version bigint NOT NULL,
	quorum integer NOT NULL,
	digest bytea NOT NULL CHECK (octet_length(digest) = 32),
	revision integer NOT NULL DEFAULT 1,
	approvals integer NOT NULL DEFAULT 0,
	state text NOT NULL CHECK (goldenarch.is_state('approval', state)),
	decided_at timestamptz,
	decided_by text,
	decision_reason text,
	consumed_at timestamptz,
	consumed_by text,
	CHECK ((state = 'consumed') = (consumed_at IS NOT NULL)),
	PRIMARY KEY (tenant, id)
) PARTITION BY LIST (tenant);
CREATE TABLE goldenarch.approvals_rows PARTITION OF goldenarch.approvals DEFAULT;
COMMENT ON TABLE goldenarch.approvals_rows IS 'The rows of approvals.';
ALTER TABLE goldenarch.approvals_rows ADD UNIQUE (id);
CREATE INDEX approvals_open ON goldenarch.approvals_rows (tenant, kind, subject, id)
	WHERE state IN ('pending', 'approved');
CREATE INDEX approvals_due ON goldenarch.approvals_rows (expires_at)
	WHERE state IN ('pending', 'approved');
CREATE INDEX approvals_to_escalate ON goldenarch.approvals_rows (escalate_at)
	WHERE state = 'pending' AND escalated_at IS NULL;
ALTER TABLE goldenarch.approvals ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.approvals FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.approvals
	USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('approval.view'))
	   AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('approval.view')));
COMMENT ON TABLE goldenarch.approvals IS
	'Requests for approval, open and decided. digest: SHA-256 of kind, subject, payload, policy version and expiry; state: see core/fsm, judged with expires_at when read.';

CREATE TABLE goldenarch.approval_votes (
	tenant text COLLATE "C" NOT NULL,
	approval_id bigint NOT NULL,
	revision integer NOT NULL,
	person text COLLATE "C" NOT NULL,
	subject text NOT NULL,
	vote text NOT NULL CHECK (vote IN ('approve', 'reject')),
	comment text,
	digest bytea NOT NULL,
	at timestamptz NOT NULL,
	PRIMARY KEY (tenant, approval_id, revision, person)
) PARTITION BY LIST (tenant);
CREATE TABLE goldenarch.approval_votes_rows PARTITION OF goldenarch.approval_votes DEFAULT;
COMMENT ON TABLE goldenarch.approval_votes_rows IS 'The rows of approval_votes.';
ALTER TABLE goldenarch.approval_votes ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.approval_votes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.approval_votes
	USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('approval.view'))
	   AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('approval.view')));
COMMENT ON TABLE goldenarch.approval_votes IS
	'Votes on approvals: one seat a person and revision, bound to the digest that was voted on.';

INSERT INTO goldenarch.approval_policies (kind, permission, quorum, expires, shipped)
VALUES ('prompt', 'learning.approve', 1, '7 days', true);

CREATE TRIGGER seed_restore BEFORE INSERT ON goldenarch.approval_policies
	FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.seed_restore();
CREATE TRIGGER audit_configuration AFTER INSERT OR UPDATE OR DELETE ON goldenarch.approval_policies
	FOR EACH ROW EXECUTE FUNCTION goldenarch.audit_configuration();
CREATE TRIGGER audit_configuration_truncate AFTER TRUNCATE ON goldenarch.approval_policies
	FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.audit_configuration();

SELECT pg_catalog.pg_extension_config_dump('goldenarch.approval_policies', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.approval_ids', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.approvals_rows', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.approval_votes_rows', '');
