-- SPDX-License-Identifier: PostgreSQL
-- Row changes of a user's table in the audit log.

CREATE OR REPLACE FUNCTION goldenarch.audit_row() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_audit_row';
COMMENT ON FUNCTION goldenarch.audit_row() IS
'Trigger of attach_audit(): one audit row a changed row, in the changing transaction, on behalf of whoever changes it. Its arguments name the columns whose values are withheld. For triggers only.';

CREATE OR REPLACE FUNCTION goldenarch.attach_audit(target regclass, except_columns name[] DEFAULT '{}') RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_attach_audit';
COMMENT ON FUNCTION goldenarch.attach_audit(regclass, name[]) IS
'Records every row change of a table from now on, as audit rows row.insert, row.update, row.delete and row.truncate, by triggers that fire whatever session_replication_role is. Attaching twice changes nothing, but gives new partitions their TRUNCATE trigger; other except_columns replace those before.
resource_type: the table, schema-qualified; of a partition, the table that was attached. resource_id: the primary key (else the replica identity): of one column its text, of several the jsonb object, "-" without one, * for TRUNCATE; above 1000 bytes its SHA-256. It is part of the hashed entry and can never be erased: keep personal data out of keys. details, which redact_audit() erases: key, old and new (an UPDATE: the changed columns alone; one that changes nothing leaves no row), partition. A value above 16 kB stands in old_digests or new_digests as bytes and SHA-256 of its text (of bytea as it is). except_columns: columns of which only the change is told, under withheld; a generated column made of one is to be named too.
The caller must own the table. Without a primary key the table needs a REPLICA IDENTITY; with FULL each change is recorded with the whole row. Tables that inherit are attached one by one. DDL is not recorded, and the table''s owner can disable or drop its triggers. DROP EXTENSION needs CASCADE while a table is attached, and drops the triggers. Errors: 22023, 42P01, 42703, 42809 (not a plain or partitioned table), 42710 (a trigger of that name), 55000 (no key). Permission: audit.configure.';

CREATE OR REPLACE FUNCTION goldenarch.detach_audit(target regclass) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_detach_audit';
COMMENT ON FUNCTION goldenarch.detach_audit(regclass) IS
'Ends what attach_audit() began: drops its triggers; what was recorded stays. The caller must own the table. A table that was not attached is left as it is, with a NOTICE. Errors: 22023, 42P01, 42809, 55000 (attached as a partition). Permission: audit.configure.';

CREATE OR REPLACE VIEW goldenarch.audited_tables WITH (security_invoker = true, security_barrier = true) AS
SELECT r.tgrelid::pg_catalog.regclass AS target,
       COALESCE((SELECT pg_catalog.array_agg(c.name ORDER BY c.n)
                 FROM pg_catalog.unnest(pg_catalog.string_to_array(pg_catalog.encode(r.tgargs, 'escape'), '\000'))
                      WITH ORDINALITY AS c(name, n)
                 WHERE c.n OPERATOR(pg_catalog.<=) r.tgnargs), '{}') AS except_columns,
       CASE WHEN m.rows_missed THEN 'changes unrecorded' WHEN m.truncate_missed THEN 'truncate unrecorded' ELSE 'recording' END AS state
FROM pg_catalog.pg_trigger r
CROSS JOIN LATERAL (
    SELECT pg_catalog.bool_or(NOT EXISTS (
               SELECT 1 FROM pg_catalog.pg_trigger x
               WHERE x.tgrelid OPERATOR(pg_catalog.=) p.oid AND x.tgfoid OPERATOR(pg_catalog.=) r.tgfoid
                 AND x.tgname OPERATOR(pg_catalog.=) 'goldenarch_audit'::pg_catalog.name
                 AND x.tgenabled OPERATOR(pg_catalog.=) 'A'::pg_catalog."char")) AS rows_missed,
           pg_catalog.bool_or(NOT EXISTS (
               SELECT 1 FROM pg_catalog.pg_trigger x
               WHERE x.tgrelid OPERATOR(pg_catalog.=) p.oid AND x.tgfoid OPERATOR(pg_catalog.=) r.tgfoid
                 AND x.tgname OPERATOR(pg_catalog.=) 'goldenarch_audit_truncate'::pg_catalog.name
                 AND x.tgenabled OPERATOR(pg_catalog.=) 'A'::pg_catalog."char")
               AND c.relkind OPERATOR(pg_catalog.<>) 'f'::pg_catalog."char") AS truncate_missed
    FROM (SELECT r.tgrelid AS oid UNION
          SELECT t.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree(r.tgrelid) t) p
    JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) p.oid) m
WHERE r.tgfoid OPERATOR(pg_catalog.=) 'goldenarch.audit_row()'::pg_catalog.regprocedure::pg_catalog.oid
  AND r.tgname OPERATOR(pg_catalog.=) 'goldenarch_audit'::pg_catalog.name
  AND r.tgparentid OPERATOR(pg_catalog.=) 0::pg_catalog.oid
  AND (SELECT goldenarch.tenant_floor('audit.view')) IS NOT NULL;
COMMENT ON VIEW goldenarch.audited_tables IS
'Tables that attach_audit() was called for. Needs audit.view. state: recording; truncate unrecorded (a partition made later: attach again); changes unrecorded (the owner disabled a trigger: attach again).';
