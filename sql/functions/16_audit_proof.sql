-- SPDX-License-Identifier: PostgreSQL
-- The reading side of the audit tree: tiles, proofs, the verdict, what an export reads; and erasure.

CREATE OR REPLACE FUNCTION goldenarch.redact_audit(id bigint, reason text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_redact_audit';
COMMENT ON FUNCTION goldenarch.redact_audit(bigint, text) IS
'Erases the details of an audit row and the salt that opens their commitment; entry, leaf and every proof stay valid. Leaves an audit row audit.redact with the reason. Old row versions, WAL, replicas and backups hold the bytes until VACUUM, recycling and expiry take them. Errors: 42704 (no such row), 55000 (redacted already), 22023. Permission: audit.redact.';

CREATE OR REPLACE FUNCTION goldenarch.audit_tile(level integer, index bigint, incarnation integer DEFAULT NULL)
RETURNS bytea
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_audit_tile';
COMMENT ON FUNCTION goldenarch.audit_tile(integer, bigint, integer) IS
'A tile of the audit tree (C2SP tlog-tiles): up to 256 hashes of 32 bytes; level 0 holds leaf hashes. The last tile of a level is as long as the tree is now; null where there is no tile. incarnation null: the last. A caller with a tenant is denied. Errors: 22023, XX001 (a tile is missing). Permission: audit.view.';

CREATE OR REPLACE FUNCTION goldenarch.audit_inclusion_proof(id bigint) RETURNS jsonb
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_audit_inclusion_proof';
COMMENT ON FUNCTION goldenarch.audit_inclusion_proof(bigint) IS
'RFC 6962 proof that an audit row is a leaf of a signed head: {origin, id, incarnation, leaf_index, tree_size, leaf_hash, root_hash, proof, checkpoint}; hashes in base64, checkpoint: the signed note of that size. Compare leaf_hash with SHA-256 of 0x00 and audit_entry(). Errors: 42704 (no such row), 55000 (not sealed yet), XX001 (the tree is broken). Permission: audit.view.';

CREATE OR REPLACE FUNCTION goldenarch.audit_consistency_proof(old_size bigint, new_size bigint,
    incarnation integer DEFAULT NULL) RETURNS jsonb
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_audit_consistency_proof';
COMMENT ON FUNCTION goldenarch.audit_consistency_proof(bigint, bigint, integer) IS
'RFC 6962 proof that the tree of new_size leaves only added to that of old_size: {origin, old_size, new_size, old_root_hash, new_root_hash, proof}; hashes in base64. Compare the roots with two signed heads. incarnation null: the last. Errors: 22023 (sizes), 42704 (incarnation), 55000 (nothing sealed yet, or pruned), XX001 (the tree is broken). Permission: audit.view.';

CREATE OR REPLACE FUNCTION goldenarch.audit_incarnations(OUT incarnation integer, OUT origin text,
    OUT opened_at timestamptz, OUT reason text, OUT size bigint, OUT minimum_index bigint, OUT parent_size bigint,
    OUT parent_root bytea, OUT vkeys text[])
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_audit_incarnations';
COMMENT ON FUNCTION goldenarch.audit_incarnations() IS
'Every incarnation of the audit tree: the first, and one for each restore or accepted fork, which names the size and root of the tree before it. minimum_index: entries below it were pruned; vkeys: the C2SP verifier keys of its heads, oldest first. A caller with a tenant is denied. Permission: audit.view.';

CREATE OR REPLACE FUNCTION goldenarch.audit_export_entries(incarnation integer, from_index bigint, count integer,
    OUT leaf_index bigint, OUT id bigint, OUT entry bytea, OUT salt bytea, OUT details_text text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_audit_export_entries';
COMMENT ON FUNCTION goldenarch.audit_export_entries(integer, bigint, integer) IS
'The leaves of count (10000 at most) indexes, from an index on, with the entry''s bytes and what opens its commitment: salt and details_text are null where they were redacted, entry where the row is gone. Of every tenant: needs system.admin besides. Errors: 22023. Permission: audit.view.';

CREATE OR REPLACE FUNCTION goldenarch.audit_export_heads(incarnation integer, after_id bigint, count integer,
    OUT head_id bigint, OUT tree_size bigint, OUT root_hash bytea, OUT signed_at timestamptz, OUT note text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_audit_export_heads';
COMMENT ON FUNCTION goldenarch.audit_export_heads(integer, bigint, integer) IS
'Up to count (10000 at most) heads of an incarnation in the order of their ids, from behind after_id (0: from the first) on. A caller with a tenant is denied. Errors: 22023. Permission: audit.view.';

CREATE OR REPLACE FUNCTION goldenarch.audit_verify(from_id bigint DEFAULT NULL, to_id bigint DEFAULT NULL,
    OUT check_name text, OUT ok boolean, OUT first_bad_id bigint, OUT detail text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_audit_verify';
COMMENT ON FUNCTION goldenarch.audit_verify(bigint, bigint) IS
'The verdict on the audit log, one row a check, each time all of them: integrity.* (stored bytes, columns, details, leaves, tiles, root, heads, signatures, incarnations, anchors, guards of the tables), completeness.* (rows not sealed, leaves without rows, state that the log does not tell of), freshness.* (age of the last head and anchor; two minutes). ok null: not checked, since it concerns every tenant: a caller that sees one tenant has its own rows checked against the tree. first_bad_id: the audit row where it begins, null where none can be named. from_id, to_id: these rows alone, and the tiles above them. Reads under one snapshot; can be cancelled; a NOTICE every ten seconds. There is no function that repairs. Errors: 22023. Permission: audit.view.';
