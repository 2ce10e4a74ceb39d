-- SPDX-License-Identifier: PostgreSQL

CREATE OR REPLACE FUNCTION goldenarch.audit(action text, resource_type text, resource_id text, details jsonb DEFAULT '{}')
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_audit';
COMMENT ON FUNCTION goldenarch.audit(text, text, text, jsonb) IS
'Writes an audit row in the caller''s transaction and returns its id; the action is stored as app.ACTION. details: a JSON object, kept outside the hashed entry. Errors: 22023, 54000 (entry too long). Any caller. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.audit_entry(id bigint) RETURNS bytea
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_sql_audit_entry';
COMMENT ON FUNCTION goldenarch.audit_entry(bigint) IS
'The canonical bytes of an audit row; null where the caller sees no such row. Permission: audit.view.';

CREATE OR REPLACE VIEW goldenarch.audit_log WITH (security_invoker = true, security_barrier = true) AS
SELECT a.id, a.at, a.tenant, a.subject, a.role, a.action, a.resource_type, a.resource_id, a.outcome, a.details,
       EXISTS (SELECT 1 FROM goldenarch.audit_leaves l
               WHERE l.tenant OPERATOR(pg_catalog.=) a.tenant AND l.id OPERATOR(pg_catalog.=) a.id) AS sealed
FROM goldenarch.audit_entries a
WHERE a.tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('audit.view'))
  AND a.tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('audit.view'));
COMMENT ON VIEW goldenarch.audit_log IS
'Who did what, with which outcome (ok, denied, failed). Needs audit.view. sealed: whether the row is a leaf of the audit tree, whose signed heads prove it.';
