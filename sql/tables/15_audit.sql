-- SPDX-License-Identifier: PostgreSQL
-- The audit log: what is hashed is the entry's bytes; the other columns are derived from them.

CREATE SEQUENCE goldenarch.audit_id AS bigint;
COMMENT ON SEQUENCE goldenarch.audit_id IS 'Ids of audit entries; gaps are rollbacks.';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.audit_id', '');

CREATE TABLE goldenarch.audit_entries (
    tenant        text COLLATE "C" NOT NULL,
    id            bigint NOT NULL,
    at            timestamptz NOT NULL,
    subject       text NOT NULL,
    role          text NOT NULL,
    action        text NOT NULL,
    resource_type text NOT NULL,
    resource_id   text NOT NULL,
    outcome       text NOT NULL CHECK (outcome IN ('ok', 'denied', 'failed')),
    details       jsonb,
    details_text  text,
    salt          bytea,
    xid           xid8 NOT NULL,
    ordinal       bigint NOT NULL,
    entry         bytea NOT NULL,
    leaf          bytea NOT NULL,
    PRIMARY KEY (tenant, id)
) PARTITION BY LIST (tenant);
COMMENT ON TABLE goldenarch.audit_entries IS
'The audit log as stored. entry: the canonical bytes; leaf: SHA-256 of 0x00 and them; details_text and salt open the commitment inside the entry and may be erased.';
CREATE TABLE goldenarch.audit_entries_rows PARTITION OF goldenarch.audit_entries DEFAULT;
CREATE UNIQUE INDEX audit_entries_id ON goldenarch.audit_entries_rows (id);
CREATE INDEX audit_entries_at ON goldenarch.audit_entries_rows USING brin (at) WITH (pages_per_range = 32);
ALTER TABLE goldenarch.audit_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.audit_entries FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.audit_entries
    USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('audit.view'))
       AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('audit.view')));
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON goldenarch.audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.append_only();
ALTER TABLE goldenarch.audit_entries ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON goldenarch.audit_entries_rows
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.append_only();
ALTER TABLE goldenarch.audit_entries_rows ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON goldenarch.audit_entries_rows
    FOR EACH ROW EXECUTE FUNCTION goldenarch.append_only();
ALTER TABLE goldenarch.audit_entries_rows ENABLE ALWAYS TRIGGER append_only_row;
SELECT pg_catalog.pg_extension_config_dump('goldenarch.audit_entries_rows', '');
