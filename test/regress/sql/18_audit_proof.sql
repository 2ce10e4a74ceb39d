-- SPDX-License-Identifier: PostgreSQL
-- The reading side of the audit log: erasure that keeps every proof, the verdict, exports, bad input, tenants.
\set SHOW_CONTEXT never
-- audit_verify() tells of its progress every ten seconds, which a busy machine may reach.
SET client_min_messages = warning;
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

-- Sealed: proofs by the algorithms of RFC 9162 section 2.1.3 and 2.1.4, tiles from the leaves themselves.
CREATE FUNCTION public.node(a bytea, b bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT sha256('\x01'::bytea || a || b) $$;
CREATE FUNCTION public.mth(h bytea[]) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
  n int := cardinality(h);
  k int := 1;
BEGIN
  IF n < 2 THEN RETURN coalesce(h[1], sha256('')); END IF;
  WHILE k * 2 < n LOOP k := k * 2; END LOOP;
  RETURN public.node(public.mth(h[1:k]), public.mth(h[k + 1:n]));
END $$;
CREATE FUNCTION public.included(proof jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  fn bigint := proof->>'leaf_index';
  sn bigint := (proof->>'tree_size')::bigint - 1;
  r bytea := decode(proof->>'leaf_hash', 'base64');
  p bytea;
BEGIN
  FOR p IN SELECT decode(x, 'base64') FROM jsonb_array_elements_text(proof->'proof') WITH ORDINALITY u(x, n) ORDER BY n LOOP
    IF sn = 0 THEN RETURN false; END IF;
    IF fn % 2 = 1 OR fn = sn THEN
      r := public.node(p, r);
      WHILE fn % 2 = 0 AND fn <> 0 LOOP fn := fn / 2; sn := sn / 2; END LOOP;
    ELSE
      r := public.node(r, p);
    END IF;
    fn := fn / 2; sn := sn / 2;
  END LOOP;
  RETURN sn = 0 AND r = decode(proof->>'root_hash', 'base64');
END $$;
CREATE FUNCTION public.consistent(proof jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  first bigint := proof->>'old_size';
  fn bigint := first - 1;
  sn bigint := (proof->>'new_size')::bigint - 1;
  path bytea[] := ARRAY(SELECT decode(x, 'base64') FROM jsonb_array_elements_text(proof->'proof') WITH ORDINALITY u(x, n) ORDER BY n);
  fr bytea;
  sr bytea;
  c bytea;
BEGIN
  IF first = sn + 1 THEN RETURN cardinality(path) = 0 AND proof->'old_root_hash' = proof->'new_root_hash'; END IF;
  IF first & (first - 1) = 0 THEN path := decode(proof->>'old_root_hash', 'base64') || path; END IF;
  WHILE fn % 2 = 1 LOOP fn := fn / 2; sn := sn / 2; END LOOP;
  fr := path[1];
  sr := path[1];
  FOREACH c IN ARRAY path[2:] LOOP
    IF sn = 0 THEN RETURN false; END IF;
    IF fn % 2 = 1 OR fn = sn THEN
      fr := public.node(c, fr);
      sr := public.node(c, sr);
      WHILE fn % 2 = 0 AND fn <> 0 LOOP fn := fn / 2; sn := sn / 2; END LOOP;
    ELSE
      sr := public.node(sr, c);
    END IF;
    fn := fn / 2; sn := sn / 2;
  END LOOP;
  RETURN sn = 0 AND fr = decode(proof->>'old_root_hash', 'base64') AND sr = decode(proof->>'new_root_hash', 'base64');
END $$;
SELECT count(goldenarch.audit('ship', 'order', i::text)) FROM generate_series(1, 600) i;
SELECT goldenarch.audit_seal() AS size \gset
SELECT array_agg(e.leaf ORDER BY l.leaf_index) AS leaves FROM goldenarch.audit_leaves l JOIN goldenarch.audit_entries e USING (tenant, id) \gset
SELECT * FROM public.verdict();
SELECT bool_and(sealed) AS all_sealed FROM goldenarch.audit_log;
SELECT count(*) = :size AS every_row, bool_and(public.included(p)) AS holds, bool_and(decode(p->>'leaf_hash', 'base64') = e.leaf) AS of_that_row,
       bool_and(split_part(p->>'checkpoint', E'\n', 1) = p->>'origin' AND split_part(p->>'checkpoint', E'\n', 2) = p->>'tree_size'
                AND split_part(p->>'checkpoint', E'\n', 3) = p->>'root_hash') AS of_that_head
FROM goldenarch.audit_entries e, goldenarch.audit_inclusion_proof(e.id) p;
SELECT bool_and(public.consistent(p)) AS holds,
       bool_and(decode(p->>'old_root_hash', 'base64') = public.mth((:'leaves'::bytea[])[1:o])
                AND decode(p->>'new_root_hash', 'base64') = public.mth((:'leaves'::bytea[])[1:n])) AS roots
FROM unnest('{1,2,3,255,256,257,300,511,512,600}'::int[]) o, unnest(ARRAY[1, 2, 255, 256, 257, 512, 513, :size]) n,
     goldenarch.audit_consistency_proof(o, n) p WHERE o <= n;
SELECT p->'proof' AS from_nothing FROM goldenarch.audit_consistency_proof(0, 5) p;
SELECT goldenarch.audit_consistency_proof(6, 5);
SELECT regexp_replace(public.said(format('SELECT goldenarch.audit_consistency_proof(1, %s)', :size + 1)), '\d{3,}', 'N');
SELECT goldenarch.audit_tile(0, i) = (SELECT string_agg(x, '' ORDER BY n)
  FROM unnest((:'leaves'::bytea[])[i * 256 + 1:i * 256 + 256]) WITH ORDINALITY u(x, n)) AS tile FROM generate_series(0, 2) i;
SELECT goldenarch.audit_tile(1, 0) = public.mth((:'leaves'::bytea[])[1:256]) || public.mth((:'leaves'::bytea[])[257:512]) AS tile_above,
       goldenarch.audit_tile(1, 1) IS NULL AND goldenarch.audit_tile(2, 0) IS NULL AND goldenarch.audit_tile(0, 0, 2) IS NULL AS no_others;
-- An export is all of it, in pages.
SELECT incarnation, reason, size = :size AS size, minimum_index, parent_size, parent_root, vkeys FROM goldenarch.audit_incarnations();
SELECT count(*) = :size AS every_leaf, bool_and(sha256('\x00'::bytea || x.entry) = (:'leaves'::bytea[])[x.leaf_index + 1]) AS in_order,
       bool_and(position(sha256(convert_to(E'goldenarch.commit/1\n', 'UTF8') || x.salt || convert_to(x.details_text, 'UTF8'))
                IN x.entry) > 0) AS commitments,
       count(*) FILTER (WHERE x.salt IS NULL) AS redacted
FROM generate_series(0, 10) p, goldenarch.audit_export_entries(1, p * 100, 100) x;
SELECT tree_size = :size AS size, root_hash = public.mth(:'leaves'::bytea[]) AS root, split_part(note, E'\n', 2) = :'size' AS note
FROM goldenarch.audit_export_heads(1, 0, 10);
SELECT count(*) FROM goldenarch.audit_export_heads(1, (SELECT max(head_id) FROM goldenarch.audit_export_heads(1, 0, 10)), 10);
-- A part of the log, and one tenant's.
SELECT count(*), bool_and(ok) FROM goldenarch.audit_verify(300, 310);
SET ROLE proof_acme;
SELECT public.included(goldenarch.audit_inclusion_proof(:acme)) AS of_ones_own;
SELECT replace(public.said(format('SELECT goldenarch.audit_inclusion_proof(%s)', :bravo)), :'bravo', 'ID') AS foreign_row;
SELECT public.consistent(goldenarch.audit_consistency_proof(1, 2)) AS between_heads;
SELECT check_name, ok, first_bad_id FROM goldenarch.audit_verify() WHERE ok;
RESET ROLE;
BEGIN;
ALTER TABLE goldenarch.audit_entries_rows DISABLE TRIGGER ALL;
ALTER TABLE goldenarch.audit_entries DISABLE TRIGGER ALL;
ALTER TABLE goldenarch.audit_tiles DISABLE TRIGGER ALL;
-- Somebody else's row is bad: not this tenant's business. Its own tile: it is.
UPDATE goldenarch.audit_entries SET subject = 'x', entry = '\x00' WHERE id = :bravo;
SET ROLE proof_acme;
SELECT count(*) FROM goldenarch.audit_verify() WHERE NOT ok;
RESET ROLE;
UPDATE goldenarch.audit_tiles SET hashes = set_byte(hashes, 8191, get_byte(hashes, 8191) # 1) WHERE index = 0;
SET ROLE proof_acme;
SELECT check_name, detail ~ '^Tile 0/0 ' AS tile FROM goldenarch.audit_verify() WHERE NOT ok;
SELECT left(public.said(format('SELECT goldenarch.audit_inclusion_proof(%s)', :acme)), 7) AS refused;
RESET ROLE;
SELECT public.said(format('SELECT goldenarch.audit_inclusion_proof(%s)', :bravo)) ~ '^XX001' AS refused;
DELETE FROM goldenarch.audit_tiles WHERE index = 1;
SELECT left(public.said('SELECT goldenarch.audit_tile(0, 1)'), 5) AS missing_tile;
ROLLBACK;
DROP FUNCTION public.included(jsonb), public.consistent(jsonb), public.mth(bytea[]), public.node(bytea, bytea);

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
