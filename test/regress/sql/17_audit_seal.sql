-- SPDX-License-Identifier: PostgreSQL
-- Sealing without a worker: audit_seal() grows the tree in a process of its own. No key file: heads have no signature.
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE ROLE seal_joe;
GRANT USAGE ON SCHEMA goldenarch TO seal_joe;
GRANT EXECUTE ON FUNCTION goldenarch.audit_seal(), goldenarch.audit_accept_fork(text) TO seal_joe;

SELECT goldenarch.audit_checkpoint() IS NULL AS no_head, goldenarch.audit_public_key() IS NULL AS no_key;
SELECT item FROM goldenarch.audit_status() WITH ORDINALITY s(item, value, n) ORDER BY n;

-- The link and two rows.
SELECT goldenarch.audit('ship', 'order', '1') > 0 AS written, goldenarch.audit('ship', 'order', '2') > 0 AS written;
SELECT size FROM goldenarch.audit_seal() size;
SELECT l.leaf_index, e.action, e.resource_type, e.resource_id, e.subject
FROM goldenarch.audit_leaves l JOIN goldenarch.audit_entries e USING (tenant, id) ORDER BY l.leaf_index;
SELECT incarnation, origin ~ '^goldenarch/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' AS origin, reason, size, fork, stopped, unsigned
FROM goldenarch.audit_trees;
SELECT c.tree_size, c.note = format(E'%s\n%s\n%s\n\n', c.origin, c.tree_size, encode(c.root_hash, 'base64')) AS checkpoint
FROM goldenarch.audit_checkpoint() c;
SELECT tree_size, t.root = c.root_hash AS same_root FROM goldenarch.audit_checkpoint() c, goldenarch.audit_trees t;

-- The root is that of RFC 6962.
CREATE FUNCTION pg_temp.node(a bytea, b bytea) RETURNS bytea LANGUAGE sql AS $$SELECT sha256('\x01'::bytea || a || b)$$;
SELECT t.root = pg_temp.node(pg_temp.node(h[1], h[2]), h[3]) AS rfc6962
FROM goldenarch.audit_trees t, (SELECT array_agg(e.leaf ORDER BY l.leaf_index) h FROM goldenarch.audit_leaves l
                                JOIN goldenarch.audit_entries e USING (tenant, id)) x;

-- A row of one's own open transaction is no leaf yet, and not one after the rollback.
BEGIN;
SELECT goldenarch.audit('ship', 'order', '3') > 0 AS written;
SELECT size FROM goldenarch.audit_seal() size;
ROLLBACK;
BEGIN;
SAVEPOINT a;
SELECT goldenarch.audit('ship', 'order', '4') > 0 AS written;
ROLLBACK TO a;
SELECT goldenarch.audit('ship', 'order', '5') > 0 AS written;
COMMIT;
SELECT size FROM goldenarch.audit_seal() size;
SELECT size FROM goldenarch.audit_seal() size;
SELECT string_agg(resource_id, ' ' ORDER BY leaf_index) FROM goldenarch.audit_leaves
JOIN goldenarch.audit_entries USING (tenant, id) WHERE resource_type = 'order';

-- Tiles: each full one is a row, the rest is the edge.
SELECT count(goldenarch.audit('many', 'order', i::text)) FROM generate_series(1, 1000) i;
SELECT size FROM goldenarch.audit_seal() size;
SELECT level, index, octet_length(hashes) FROM goldenarch.audit_tiles ORDER BY 1, 2;
SELECT size, octet_length(edge) = 32 * (size % 256 + size / 256) AS edge FROM goldenarch.audit_trees;
SELECT count(*) = count(DISTINCT leaf_index) AND min(leaf_index) = 0 AND max(leaf_index) = count(*) - 1 AS dense
FROM goldenarch.audit_leaves;
SELECT item, value FROM goldenarch.audit_status() WHERE item IN ('incarnation', 'size', 'unsealed_rows', 'signed', 'fork') ORDER BY 1;

-- Records stay.
UPDATE goldenarch.audit_leaves SET leaf_index = 0;
DELETE FROM goldenarch.audit_tiles;
TRUNCATE goldenarch.audit_heads;
DELETE FROM goldenarch.audit_keys;

-- An entry that is not what was written is not sealed, and neither is what follows it.
SELECT goldenarch.audit('ship', 'order', '6') > 0 AS written;
ALTER TABLE goldenarch.audit_entries DISABLE TRIGGER append_only;
ALTER TABLE goldenarch.audit_entries_rows DISABLE TRIGGER append_only;
ALTER TABLE goldenarch.audit_entries_rows DISABLE TRIGGER append_only_row;
UPDATE goldenarch.audit_entries SET entry = set_byte(entry, 60, get_byte(entry, 60) # 1) WHERE resource_id = '6';
SELECT goldenarch.audit_seal();
SELECT regexp_replace(stopped, '\d+', 'N') AS stopped, size FROM goldenarch.audit_trees;
SELECT component, status, regexp_replace(detail, '\d+', 'N') FROM goldenarch.health() WHERE component = 'audit';
UPDATE goldenarch.audit_entries SET entry = set_byte(entry, 60, get_byte(entry, 60) # 1) WHERE resource_id = '6';
ALTER TABLE goldenarch.audit_entries ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE goldenarch.audit_entries_rows ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE goldenarch.audit_entries_rows ENABLE ALWAYS TRIGGER append_only_row;
SELECT size FROM goldenarch.audit_seal() size;
SELECT stopped FROM goldenarch.audit_trees;

-- Forks.
SELECT goldenarch.audit_accept_fork('why not');
SELECT goldenarch.audit_accept_fork(NULL);
SELECT goldenarch.audit_accept_fork('');
SELECT goldenarch.audit_accept_fork(repeat('x', 1001));
UPDATE goldenarch.audit_trees SET fork = 'a test says so';
SELECT goldenarch.audit('ship', 'order', '7') > 0 AS written;
SELECT goldenarch.audit_seal() = 1006 AS grows, (SELECT max(size) FROM goldenarch.audit_heads) AS head;
SELECT component, status, detail FROM goldenarch.health() WHERE component = 'audit';
SELECT origin ~ '^goldenarch/' AS opened FROM goldenarch.audit_accept_fork('it was a test') origin;
SELECT size FROM goldenarch.audit_seal() size;
SELECT e.resource_id = format('%s %s %s', p.origin, p.size, encode(p.root, 'hex')) AS link, e.details->>'reason' AS reason,
       t.parent_size = p.size AND t.parent_root = p.root AS parent
FROM goldenarch.audit_trees t, goldenarch.audit_trees p, goldenarch.audit_entries e, goldenarch.audit_leaves l
WHERE t.incarnation = 2 AND p.incarnation = 1 AND e.id = t.link_id AND l.id = e.id AND l.incarnation = 2 AND l.leaf_index = 0;
SELECT tree_size FROM goldenarch.audit_checkpoint();

-- Pruning: never above a signed head, and here is none; what a hold does; what is told of it.
SELECT goldenarch.audit_prune(1, 'old');
UPDATE goldenarch.audit_trees SET fork = 'again' WHERE incarnation = 2;
SELECT goldenarch.audit_prune(1, 'old');
UPDATE goldenarch.audit_trees SET fork = NULL WHERE incarnation = 2;
SELECT goldenarch.audit_prune(NULL, 'old');
SELECT goldenarch.audit_prune(0, 'old');
SELECT goldenarch.audit_prune(1, NULL);
SELECT goldenarch.set_audit_hold('', 'x'), 1;
SELECT goldenarch.set_audit_hold('case 7', NULL);
SELECT goldenarch.set_audit_hold(repeat('x', 129), 'x');
SELECT goldenarch.set_audit_hold('case 7', 'a letter came');
SELECT goldenarch.set_audit_hold('case 7', 'another letter came');
SELECT goldenarch.audit_prune(1, 'old');
SELECT name, reason FROM goldenarch.audit_holds;
SELECT value FROM goldenarch.audit_status() WHERE item = 'holds';
SELECT goldenarch.drop_audit_hold('case 8', 'no');
SELECT goldenarch.drop_audit_hold('case 7', NULL);
SELECT goldenarch.drop_audit_hold('case 7', 'closed');
SELECT action, resource_id, details FROM goldenarch.audit_log WHERE action LIKE 'audit.hold%' ORDER BY id;
SELECT name FROM goldenarch.metrics WHERE name LIKE 'goldenarch_audit_%' AND kind = 'gauge' ORDER BY name;

-- Who may.
SET ROLE seal_joe;
SELECT goldenarch.audit_seal();
SELECT goldenarch.audit_accept_fork('x');
RESET ROLE;
REVOKE ALL ON FUNCTION goldenarch.audit_seal(), goldenarch.audit_accept_fork(text) FROM seal_joe;
REVOKE ALL ON SCHEMA goldenarch FROM seal_joe;
DROP ROLE seal_joe;
