-- SPDX-License-Identifier: PostgreSQL
-- Escalations: what the agents could not settle and a person must.
CREATE TABLE goldenarch.escalations (
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	id uuid NOT NULL,
	task_id uuid NOT NULL,
	reason text NOT NULL CHECK (reason <> ''),
	pattern_type text,
	suggested_fix text,
	context jsonb NOT NULL DEFAULT '{}',
	status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'resolved')),
	created_by text NOT NULL,
	created_at timestamptz NOT NULL,
	resolved_by text,
	resolved_at timestamptz,
	resolution jsonb,
	PRIMARY KEY (tenant, id),
	CHECK ((status = 'resolved') = (resolved_at IS NOT NULL))
) PARTITION BY LIST (tenant);
CREATE TABLE goldenarch.escalations_rows PARTITION OF goldenarch.escalations
	(UNIQUE (id),
	 FOREIGN KEY (tenant, task_id) REFERENCES goldenarch.tasks_rows (tenant, id) ON DELETE CASCADE) DEFAULT;
ALTER TABLE goldenarch.escalations ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.escalations FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.escalations
	USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('escalation.view'))
	   AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('escalation.view')));
CREATE INDEX escalations_rows_task ON goldenarch.escalations_rows (tenant, task_id);
SELECT pg_catalog.pg_extension_config_dump('goldenarch.escalations_rows', '');
COMMENT ON TABLE goldenarch.escalations IS
'Escalations of the caller''s tenant: status open or resolved; context: the failure and the attempts made before
giving up. Made by create_escalation, by handle_guard_failure when its limits are used up; closed by
resolve_escalation. Permission to read: escalation.view.';
COMMENT ON TABLE goldenarch.escalations_rows IS
'The rows of goldenarch.escalations; read that table.';
