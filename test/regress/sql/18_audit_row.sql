-- SPDX-License-Identifier: PostgreSQL
-- An audit row goes into its table without a plan, as long as the table is as shipped. What its owner
-- adds (a check, a trigger, an index, a partition) is obeyed all the same.
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ': ' || sqlerrm;
END $$;

SELECT goldenarch.audit('plain', 'row', '1') > 0 AS written;
SELECT tableoid::regclass, tenant, action, resource_id, outcome, details, details_text, octet_length(salt), ordinal > 0 AS ordinal,
       leaf = sha256('\x00'::bytea || entry) AS leaf
FROM goldenarch.audit_entries WHERE action = 'app.plain';
-- Every index finds it, and the next command of the transaction sees it.
BEGIN;
SET LOCAL enable_seqscan = off;
SELECT goldenarch.audit('seen', 'row', '2') AS id \gset
SELECT count(*) FROM goldenarch.audit_entries WHERE id = :id;
SELECT count(*) FROM goldenarch.audit_entries WHERE tenant = '' AND id = :id;
SELECT count(*) FROM goldenarch.audit_entries WHERE at > now() - interval '1 minute' AND id = :id;
SELECT count(*) FROM goldenarch.audit_entries WHERE xid = pg_current_xact_id();
ROLLBACK;
SELECT count(*) FROM goldenarch.audit_entries WHERE action = 'app.seen';

ALTER TABLE goldenarch.audit_entries_rows ADD CONSTRAINT no CHECK (action <> 'app.no');
SELECT pg_temp.try($$SELECT goldenarch.audit('no', 'row', '3')$$);
ALTER TABLE goldenarch.audit_entries_rows DROP CONSTRAINT no;
-- Also in the place of the one that was shipped.
ALTER TABLE goldenarch.audit_entries DROP CONSTRAINT audit_entries_outcome_check, ADD CONSTRAINT no CHECK (action <> 'app.no');
SELECT pg_temp.try($$SELECT goldenarch.audit('no', 'row', '3')$$);
ALTER TABLE goldenarch.audit_entries DROP CONSTRAINT no,
    ADD CONSTRAINT audit_entries_outcome_check CHECK (outcome IN ('ok', 'denied', 'failed'));

CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'seen by a trigger'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON goldenarch.audit_entries_rows FOR EACH ROW EXECUTE FUNCTION pg_temp.refuse();
SELECT pg_temp.try($$SELECT goldenarch.audit('trigger', 'row', '4')$$);
DROP TRIGGER refuse ON goldenarch.audit_entries_rows;
CREATE TRIGGER refuse AFTER INSERT ON goldenarch.audit_entries FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.refuse();
SELECT pg_temp.try($$SELECT goldenarch.audit('trigger', 'row', '4')$$);
DROP TRIGGER refuse ON goldenarch.audit_entries;

CREATE UNIQUE INDEX once ON goldenarch.audit_entries_rows (lower(resource_id)) WHERE resource_type = 'once';
SELECT pg_temp.try($$SELECT goldenarch.audit('index', 'once', 'Five')$$);
SELECT pg_temp.try($$SELECT goldenarch.audit('index', 'once', 'five')$$);
DROP INDEX goldenarch.once;

ALTER TABLE goldenarch.audit_entries ADD COLUMN site text NOT NULL DEFAULT 'here';
SELECT goldenarch.audit('column', 'row', '6') > 0 AS written;
SELECT resource_id, site FROM goldenarch.audit_entries WHERE action = 'app.column';
ALTER TABLE goldenarch.audit_entries DROP COLUMN site;
SELECT goldenarch.audit('column', 'row', '6 again') > 0 AS written;

CREATE TABLE acme PARTITION OF goldenarch.audit_entries FOR VALUES IN ('acme');
CREATE ROLE acme_agent;
SELECT goldenarch.grant_access('acme_agent', 'app'), goldenarch.map_role('acme_agent', 'agent', '{developer}', 'acme');
SET ROLE acme_agent;
SELECT goldenarch.audit('partition', 'row', '7') > 0 AS written;
RESET ROLE;
SELECT tableoid::regclass, tenant FROM goldenarch.audit_entries WHERE action = 'app.partition';
SELECT goldenarch.unmap_role('acme_agent'), goldenarch.revoke_access('acme_agent', 'app');
DROP ROLE acme_agent;
DROP TABLE acme;

-- A sequence that was set back collides, and overwrites nothing.
SELECT setval('goldenarch.audit_id', min(id), false) IS NOT NULL AS back FROM goldenarch.audit_entries;
SELECT pg_temp.try($$SELECT goldenarch.audit('twice', 'row', '8')$$) ~ '^23505: duplicate key' AS collides;
SELECT setval('goldenarch.audit_id', max(id)) IS NOT NULL AS mended FROM goldenarch.audit_entries;
SELECT goldenarch.audit('plain', 'row', '9') > 0 AS written;
SELECT action, resource_id FROM goldenarch.audit_entries WHERE action LIKE 'app.%' ORDER BY id;
