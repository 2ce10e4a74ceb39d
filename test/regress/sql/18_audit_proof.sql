-- SPDX-License-Identifier: PostgreSQL
-- The reading side of the audit log: erasure that keeps every proof, the verdict, exports, bad input, tenants.
\set SHOW_CONTEXT never
CREATE ROLE proof_acme;
CREATE ROLE proof_bravo;
CREATE ROLE proof_nobody;
SELECT goldenarch.grant_access(r, 'app') FROM unnest('{proof_acme,proof_bravo,proof_nobody}'::name[]) r;
SELECT goldenarch.create_role('auditor', '{audit.view,audit.redact}');
SELECT goldenarch.map_role('proof_acme', 'ann', '{auditor}', 'acme');
SELECT goldenarch.map_role('proof_bravo', 'bob', '{auditor}', 'bravo');
CREATE FUNCTION public.verdict(OUT bad text) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT check_name || ' ' || coalesce(first_bad_id::text, '-') || ': ' || detail FROM goldenarch.audit_verify() WHERE NOT ok $$;
CREATE FUNCTION public.said(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE statement;
  RETURN 'answered';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ': ' || SQLERRM;
END $$;

SET ROLE proof_acme;
SELECT goldenarch.audit('ship', 'order', 'a', '{"to": "Berlin"}') AS acme \gset
SET ROLE proof_bravo;
SELECT goldenarch.audit('ship', 'order', 'b', '{"to": "Bonn"}') AS bravo \gset
RESET ROLE;

-- All checks are listed, whatever they say; a fresh log has nothing against it.
SELECT check_name, ok FROM goldenarch.audit_verify();
SELECT * FROM public.verdict();

-- Erasure: details, text and salt go; entry and leaf stay; the act and its reason are a row.
SELECT entry AS entry, leaf AS leaf FROM goldenarch.audit_entries WHERE id = :acme \gset before_
SET ROLE proof_acme;
SELECT goldenarch.redact_audit(:acme, 'asked for by the customer');
SELECT resource_id = :'acme' AS of_this_row, subject, tenant, action, details FROM goldenarch.audit_log
 WHERE action = 'audit.redact';
SELECT public.said(format('SELECT goldenarch.redact_audit(%s, ''again'')', :acme)) ~ '^55000: audit row \d+ is redacted already$' AS twice;
-- A row of another tenant is answered as one that does not exist.
SELECT replace(public.said(format('SELECT goldenarch.redact_audit(%s, ''x'')', :bravo)), :'bravo', 'ID') AS foreign_row,
       public.said('SELECT goldenarch.redact_audit(987654, ''x'')') AS absent_row;
RESET ROLE;
SELECT details IS NULL AND details_text IS NULL AND salt IS NULL AS erased,
       entry = :'before_entry'::bytea AND leaf = :'before_leaf'::bytea AS untouched
FROM goldenarch.audit_entries WHERE id = :acme;
SELECT details FROM goldenarch.audit_entries WHERE id = :bravo;
SELECT * FROM public.verdict();
-- The trigger is back: nobody else changes a row, in the same transaction neither.
BEGIN;
SELECT goldenarch.redact_audit(:bravo, 'x');
UPDATE goldenarch.audit_entries SET details = '{}' WHERE id = :acme;
ROLLBACK;
-- Bad arguments.
SELECT goldenarch.redact_audit(NULL, 'x');
SELECT goldenarch.redact_audit(0, 'x');
SELECT goldenarch.redact_audit(:acme, NULL);
SELECT goldenarch.redact_audit(:acme, '');
SELECT goldenarch.redact_audit(:acme, repeat('x', 2001));
SELECT goldenarch.audit_verify(-1);
SELECT goldenarch.audit_verify(5, 4);
SELECT goldenarch.audit_tile(NULL, 0);
SELECT goldenarch.audit_tile(0, NULL);
SELECT goldenarch.audit_tile(-1, 0);
SELECT goldenarch.audit_tile(8, 0);
SELECT goldenarch.audit_tile(0, -1);
SELECT goldenarch.audit_tile(0, 0, 0);
SELECT goldenarch.audit_inclusion_proof(NULL);
SELECT goldenarch.audit_inclusion_proof(0);
SELECT goldenarch.audit_inclusion_proof(987654);
SELECT goldenarch.audit_consistency_proof(NULL, 1);
SELECT goldenarch.audit_consistency_proof(1, NULL);
SELECT goldenarch.audit_consistency_proof(-1, 1);
SELECT goldenarch.audit_consistency_proof(0, 0, 77);
SELECT * FROM goldenarch.audit_export_entries(NULL, 0, 1);
SELECT * FROM goldenarch.audit_export_entries(1, -1, 1);
SELECT * FROM goldenarch.audit_export_entries(1, 0, 0);
SELECT * FROM goldenarch.audit_export_entries(1, 0, 10001);
SELECT * FROM goldenarch.audit_export_heads(0, 0, 1);
SELECT * FROM goldenarch.audit_export_heads(1, NULL, 1);
SELECT * FROM goldenarch.audit_export_heads(1, 0, NULL);

-- Before anything is sealed.
SELECT goldenarch.audit_tile(0, 0) IS NULL AS no_tile;
SELECT replace(public.said(format('SELECT goldenarch.audit_inclusion_proof(%s)', :bravo)), :'bravo', 'ID') AS not_sealed;
SELECT goldenarch.audit_consistency_proof(0, 0);
SELECT count(*) FROM goldenarch.audit_incarnations();
SELECT count(*) FROM goldenarch.audit_export_entries(1, 0, 10) x, goldenarch.audit_export_heads(1, 0, 10);

-- One tenant: its own rows; what concerns every tenant is not said, or denied.
SET ROLE proof_acme;
SELECT check_name, ok FROM goldenarch.audit_verify() WHERE ok IS NULL;
SELECT count(*) FROM goldenarch.audit_verify() WHERE ok;
SELECT public.said('SELECT goldenarch.audit_tile(0, 0)');
SELECT public.said('SELECT goldenarch.audit_incarnations()');
SELECT public.said('SELECT goldenarch.audit_export_entries(1, 0, 1)');
SELECT public.said('SELECT goldenarch.audit_export_heads(1, 0, 1)');
SET ROLE proof_nobody;
SELECT public.said('SELECT goldenarch.redact_audit(NULL, NULL)');
SELECT public.said('SELECT goldenarch.audit_verify(-1)');
SELECT public.said('SELECT goldenarch.audit_inclusion_proof(NULL)');
SELECT public.said('SELECT goldenarch.audit_consistency_proof(NULL, NULL)');
RESET ROLE;
-- Without a tenant and without system.admin: heads and tiles, but not everybody's entries.
SELECT goldenarch.map_role('proof_nobody', 'eve', '{auditor}');
SET ROLE proof_nobody;
SELECT public.said('SELECT goldenarch.audit_export_heads(1, 0, 1)');
SELECT public.said('SELECT goldenarch.audit_export_entries(1, 0, 1)');
RESET ROLE;

-- State that changed with nothing in the log is found, whoever changed it.
BEGIN;
ALTER TABLE goldenarch.learning_governance DISABLE TRIGGER USER;
UPDATE goldenarch.learning_governance SET max_updates_per_day = 99 WHERE agent_role = 'security';
SELECT * FROM public.verdict();
ROLLBACK;
UPDATE goldenarch.learning_governance SET max_updates_per_day = 7, cooldown = '26 hours' WHERE agent_role = 'tester';
INSERT INTO goldenarch.learning_governance VALUES ('writer', 1, '1 hour', false);
DELETE FROM goldenarch.learning_governance WHERE agent_role = 'writer';
SELECT goldenarch.grant_role('joe', 'observer'), goldenarch.grant_role('jim', 'observer'), goldenarch.revoke_role('jim', 'observer');
SET intervalstyle = 'iso_8601';
SET timezone = 'Asia/Tokyo';
SELECT * FROM public.verdict();
RESET intervalstyle;
RESET timezone;
BEGIN;
DELETE FROM goldenarch.role_grants WHERE subject = 'joe';
INSERT INTO goldenarch.role_grants (tenant, subject, role, granted_by) VALUES ('', 'jim', 'observer', 'x'), ('', 'evil', 'admin', 'x');
SELECT regexp_replace(bad, '\d+', 'ID') FROM public.verdict() x(bad);
ROLLBACK;
BEGIN;
UPDATE goldenarch.roles SET permissions = '{system.admin}' WHERE role IN ('observer', 'auditor');
SELECT regexp_replace(bad, '\d+', 'ID') FROM public.verdict() x(bad);
ROLLBACK;
-- What cannot be read as JSON any more is a finding, not an error.
BEGIN;
ALTER TABLE goldenarch.audit_entries_rows DISABLE TRIGGER ALL;
UPDATE goldenarch.audit_entries_rows SET details_text = 'no json' WHERE action = 'configuration.change';
SELECT regexp_replace(bad, '\d+', 'ID') FROM public.verdict() x(bad) ORDER BY 1;
ROLLBACK;

DROP FUNCTION public.verdict(), public.said(text);
SELECT goldenarch.revoke_access(r, 'app') FROM unnest('{proof_acme,proof_bravo,proof_nobody}'::name[]) r;
DROP ROLE proof_acme, proof_bravo, proof_nobody;
