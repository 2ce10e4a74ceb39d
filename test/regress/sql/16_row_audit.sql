-- SPDX-License-Identifier: PostgreSQL
-- Row changes of a user's table in the audit log: what is recorded, of which rows, for whom, and what is refused.
\set SHOW_CONTEXT never
\pset null NULL
CREATE SCHEMA row_audit;
CREATE TABLE row_audit.mark AS SELECT max(id) AS at FROM goldenarch.audit_entries;
CREATE VIEW row_audit.entries AS SELECT * FROM goldenarch.audit_entries WHERE id > (SELECT coalesce(max(at), 0) FROM row_audit.mark);
CREATE VIEW row_audit.trail AS SELECT tenant, subject, action, resource_type, resource_id, details, id FROM row_audit.entries;
\set trail 'SELECT action, resource_type, resource_id, details FROM row_audit.trail ORDER BY id;'
\set mark 'UPDATE row_audit.mark SET at = (SELECT max(id) FROM goldenarch.audit_entries);'
SET search_path = row_audit;

-- Every kind of change; only changed columns; what changes nothing leaves nothing.
CREATE TABLE account (id int PRIMARY KEY, owner text, balance numeric(12,2), twice numeric GENERATED ALWAYS AS (balance * 2) STORED,
  dropped int, open boolean, pin text);
ALTER TABLE account DROP COLUMN dropped;
SELECT goldenarch.attach_audit('account', '{pin}');
SELECT goldenarch.attach_audit('account', '{pin}');
INSERT INTO account VALUES (1, 'Ada', 10.50, DEFAULT, true, '1234'), (2, NULL, NULL, DEFAULT, NULL, NULL);
UPDATE account SET balance = 11 WHERE id = 1;
UPDATE account SET owner = owner, balance = balance;
UPDATE account SET pin = '4321' WHERE id = 1;
UPDATE account SET id = 3 WHERE id = 2;
DELETE FROM account WHERE id = 3;
TRUNCATE account;
:trail
:mark

-- It commits with the change or not at all; a savepoint takes back what is behind it.
BEGIN;
INSERT INTO account (id) VALUES (1);
SAVEPOINT s;
INSERT INTO account (id) VALUES (2);
ROLLBACK TO s;
INSERT INTO account (id) VALUES (3);
COMMIT;
BEGIN; DELETE FROM account; ROLLBACK;
:trail
SELECT xid = lag(xid) OVER (ORDER BY id) AS one_transaction, ordinal - lag(ordinal) OVER (ORDER BY id) > 0 AS in_order
  FROM row_audit.entries ORDER BY id OFFSET 1;
:mark

-- COPY, ON CONFLICT, MERGE, and a session that says it replicates.
COPY account (id, owner) FROM STDIN;
10	copied
\.
INSERT INTO account (id, owner) VALUES (10, 'a') ON CONFLICT (id) DO UPDATE SET owner = 'upserted';
INSERT INTO account (id, owner) VALUES (10, 'b') ON CONFLICT DO NOTHING;
MERGE INTO account a USING (VALUES (10, 'merged'), (11, 'new')) s(id, owner) ON a.id = s.id
  WHEN MATCHED THEN UPDATE SET owner = s.owner WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (s.id, s.owner);
SET session_replication_role = replica;
DELETE FROM account WHERE id = 11;
RESET session_replication_role;
:trail
:mark

-- Foreign keys' cascades.
CREATE TABLE booking (id int PRIMARY KEY, account int REFERENCES account ON UPDATE CASCADE ON DELETE CASCADE);
SELECT goldenarch.attach_audit('booking');
INSERT INTO booking VALUES (1, 10);
UPDATE account SET id = 20 WHERE id = 10;
DELETE FROM account WHERE id = 20;
:trail
:mark
DROP TABLE booking, account;

-- Types: what JSON has is itself, the rest is text, whatever the session's settings.
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100);
CREATE TABLE zoo (i2 smallint, i8 bigint, f float8, n numeric, t text, v varchar(9), c char(4), b bytea, j jsonb, js json, d date,
  tz timestamptz, iv interval, u uuid, m mood, p pair, pc percent, arr int[], txt text[], r int4range, PRIMARY KEY (i8, t));
SELECT goldenarch.attach_audit('zoo');
SET datestyle = 'German'; SET intervalstyle = 'iso_8601'; SET bytea_output = 'escape'; SET extra_float_digits = 0;
INSERT INTO zoo VALUES (-1, 9007199254740993, 0.1::float8 + 0.2, 'NaN', E'q"\\\n', 'v', 'c', '\x00ff', '{"k": [1, null]}', '{"k":1}',
  '2026-01-02', '2026-01-02 03:04:05+00', '1 day 2 hours', '00000000-0000-0000-0000-000000000001', 'glad', '(1,x)', 50, '{1,NULL}',
  '{a,"b c"}', '[1,5)');
UPDATE zoo SET f = 'Infinity', j = '7', n = 12345678901234567890.123, txt = NULL;
RESET datestyle; RESET intervalstyle; RESET bytea_output; RESET extra_float_digits;
SELECT jsonb_pretty(details) AS details, resource_id FROM row_audit.trail WHERE action LIKE 'row.%' ORDER BY id;
:mark
DROP TABLE zoo;

-- Dates and times as to_jsonb() writes them.
CREATE DOMAIN moment AS timestamptz;
CREATE TABLE times (id int PRIMARY KEY, d date, t timestamp, z timestamptz, m moment, h time);
SELECT goldenarch.attach_audit('times');
SET datestyle = 'German'; SET timezone = 'Asia/Kathmandu';
INSERT INTO times VALUES (1, 'infinity', '2026-01-02 03:04:05.678', '2026-01-02 03:04:05+00', '0044-03-15 12:00:00+00 BC', '01:02'),
  (2, '0044-03-15 BC', '-infinity', 'infinity', NULL, NULL);
SELECT resource_id, details->'new' AS new, (SELECT to_jsonb(x) FROM times x WHERE x.id::text = resource_id) = details->'new' AS same
  FROM row_audit.trail WHERE action LIKE 'row.%' ORDER BY id;
RESET datestyle; RESET timezone;
:mark
DROP TABLE times;

-- Long values are told by their digest, and compared without it; a long key cannot stop the change.
CREATE TABLE doc (id text PRIMARY KEY, body text, raw bytea, n int);
ALTER TABLE doc ALTER body SET STORAGE EXTERNAL;
SELECT goldenarch.attach_audit('doc');
INSERT INTO doc VALUES ('k', repeat('x', 20000), repeat('y', 20000)::bytea, 1);
UPDATE doc SET n = 2;
UPDATE doc SET body = repeat('z', 20000);
SELECT action, details #- '{new,body}' = details AS not_shown, details FROM row_audit.trail ORDER BY id;
SELECT bool_and(details #>> '{old_digests,body,sha256}' = encode(sha256(repeat('x', 20000)::bytea), 'hex')) AS old_digest,
       bool_and(details #>> '{new_digests,body,sha256}' = encode(sha256(repeat('z', 20000)::bytea), 'hex')) AS new_digest
  FROM row_audit.trail WHERE details ? 'old_digests';
:mark
INSERT INTO doc VALUES (repeat('k', 2000));
SELECT action, resource_id = 'sha256:' || encode(sha256(repeat('k', 2000)::bytea), 'hex') AS key_digest,
       length(details #>> '{key,id}') AS key_in_details FROM row_audit.trail ORDER BY id;
:mark
DROP TABLE doc;

-- No value stands in what is hashed; the commitment opens with salt and text.
CREATE TABLE person (id int PRIMARY KEY, name text);
SELECT goldenarch.attach_audit('person');
INSERT INTO person VALUES (1, 'Lovelace');
SELECT position('Lovelace'::bytea IN entry) = 0 AS stays_out, position('row_audit.person'::bytea IN entry) > 0 AS table_is_in,
       position(sha256('goldenarch.commit/1
'::bytea || salt || convert_to(details_text, 'UTF8')) IN entry) > 0 AS commitment_is_in, details_text::jsonb = details AS text_is_details
  FROM row_audit.entries WHERE action = 'row.insert';

-- After attach the table may change.
ALTER TABLE person ADD COLUMN born date DEFAULT '1815-12-10';
ALTER TABLE person RENAME name TO "full Name";
ALTER TABLE person RENAME TO "Person";
UPDATE "Person" SET "full Name" = 'Ada' WHERE id = 1;
ALTER TABLE "Person" DROP CONSTRAINT person_pkey;
UPDATE "Person" SET "full Name" = 'A' WHERE id = 1;
:trail
:mark
DROP TABLE "Person";

-- Partitions answer for the table that was attached, those made later too; moving a row is a delete and an insert.
CREATE TABLE part (id int, region text, v int, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE part_n PARTITION OF part FOR VALUES IN ('n');
SELECT goldenarch.attach_audit('part');
CREATE TABLE part_s (v int, region text NOT NULL, id int NOT NULL);
ALTER TABLE part ATTACH PARTITION part_s FOR VALUES IN ('s');
INSERT INTO part VALUES (1, 'n', 1), (2, 's', 2);
UPDATE part SET region = 's' WHERE id = 1;
UPDATE part_s SET v = 9 WHERE id = 2;
SELECT target, except_columns, state FROM goldenarch.audited_tables ORDER BY target::text;
SELECT goldenarch.attach_audit('part');
SELECT target, state FROM goldenarch.audited_tables ORDER BY target::text;
TRUNCATE part_s;
TRUNCATE part;
:trail
SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE tgname LIKE 'goldenarch%' ORDER BY 1, 2;
SELECT goldenarch.attach_audit('part_n');
SELECT goldenarch.attach_audit('part_n', '{v}');
SELECT goldenarch.detach_audit('part_n');
:mark
SELECT goldenarch.detach_audit('part');
SELECT goldenarch.detach_audit('part');
INSERT INTO part VALUES (1, 'n', 1);
TRUNCATE part;
:trail
:mark
DROP TABLE part;

-- Inheritance: one by one. Without a key: by the replica identity, or the whole row.
CREATE TABLE parent (id int PRIMARY KEY, v int);
CREATE TABLE child () INHERITS (parent);
SELECT goldenarch.attach_audit('parent');
DROP TABLE parent, child;
CREATE TABLE bare (a int, b int NOT NULL, c int);
SELECT goldenarch.attach_audit('bare');
CREATE UNIQUE INDEX bare_b ON bare (b);
ALTER TABLE bare REPLICA IDENTITY USING INDEX bare_b;
SELECT goldenarch.attach_audit('bare');
INSERT INTO bare VALUES (1, 2, 3);
UPDATE bare SET a = 5;
ALTER TABLE bare REPLICA IDENTITY FULL;
UPDATE bare SET a = 6;
:trail
:mark

-- Refused.
SELECT goldenarch.attach_audit(NULL);
SELECT goldenarch.attach_audit('bare', NULL);
SELECT goldenarch.attach_audit('bare', '{a,NULL}');
SELECT goldenarch.attach_audit('bare', '{nowhere}');
SELECT goldenarch.attach_audit('bare', '{ctid}');
SELECT goldenarch.attach_audit(0);
SELECT goldenarch.attach_audit('row_audit.trail');
SELECT goldenarch.attach_audit('goldenarch.audit_entries');
SELECT goldenarch.attach_audit('pg_class');
SELECT goldenarch.detach_audit(NULL);
CREATE TEMP TABLE fleeting (id int PRIMARY KEY);
\set VERBOSITY sqlstate
SELECT goldenarch.attach_audit('fleeting');
\set VERBOSITY default
DROP TABLE fleeting;
ALTER TABLE bare ADD PRIMARY KEY (a);
SELECT goldenarch.attach_audit('bare', '{a}');
SELECT goldenarch.attach_audit('bare', '{b,c}');
ALTER TABLE bare DISABLE TRIGGER goldenarch_audit;
SELECT target, except_columns, state FROM goldenarch.audited_tables ORDER BY target::text;
SELECT goldenarch.attach_audit('bare', '{b,c}');
SELECT target, except_columns, state FROM goldenarch.audited_tables ORDER BY target::text;
SELECT goldenarch.detach_audit('bare');
SELECT count(*) FROM goldenarch.audited_tables WHERE target = 'bare'::regclass;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER goldenarch_audit AFTER INSERT ON bare FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT goldenarch.attach_audit('bare');
DROP TRIGGER goldenarch_audit ON bare;
CREATE TRIGGER by_hand BEFORE INSERT ON bare FOR EACH ROW EXECUTE FUNCTION goldenarch.audit_row();
INSERT INTO bare VALUES (1, 1, 1);
DROP TRIGGER by_hand ON bare;

-- Who may: audit.configure and the table's owner. Whoever changes the row is who is recorded, and needs no right of ours.
SELECT goldenarch.create_role('auditor', '{audit.configure}');
CREATE ROLE row_owner;
CREATE ROLE row_writer;
SELECT goldenarch.map_role('row_owner', 'olga', '{auditor}');
SELECT goldenarch.map_role('row_writer', 'walter', '{}', 'acme');
GRANT EXECUTE ON FUNCTION goldenarch.attach_audit(regclass, name[]), goldenarch.detach_audit(regclass) TO row_owner, row_writer;
GRANT USAGE, CREATE ON SCHEMA row_audit TO row_owner, row_writer;
SET ROLE row_owner;
CREATE TABLE ledger (id int PRIMARY KEY, v int);
CREATE TRIGGER by_hand AFTER INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION goldenarch.audit_row();
SELECT goldenarch.attach_audit('ledger');
CREATE TRIGGER by_hand AFTER INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION goldenarch.audit_row();
SELECT goldenarch.attach_audit('bare');
GRANT SELECT, INSERT, UPDATE, TRIGGER ON ledger TO row_writer;
SET ROLE row_writer;
INSERT INTO ledger VALUES (1, 1);
SELECT goldenarch.attach_audit('ledger');
SELECT goldenarch.detach_audit('ledger');
RESET ROLE;
SELECT tenant, subject, role, action, resource_type, resource_id, outcome FROM row_audit.entries
  WHERE action <> 'map_role' AND action <> 'create_role' ORDER BY id;
SELECT has_function_privilege('row_owner', 'goldenarch.audit_row()', 'EXECUTE') AS still_lent;
:mark

-- A type's own cast to json runs as whoever changes the row, never as the extension's owner.
CREATE TYPE sly AS ENUM ('x');
CREATE FUNCTION sly_json(sly) RETURNS json LANGUAGE sql AS $$SELECT json_build_object('as', current_user)$$;
CREATE CAST (sly AS json) WITH FUNCTION sly_json(sly);
CREATE TABLE trap (id int PRIMARY KEY, s sly);
GRANT ALL ON trap TO row_writer;
SELECT goldenarch.attach_audit('trap');
SET ROLE row_writer;
INSERT INTO trap VALUES (1, 'x');
RESET ROLE;
:trail

SELECT count(*) FROM pg_depend d JOIN pg_trigger t ON t.oid = d.objid AND d.classid = 'pg_trigger'::regclass
  WHERE d.refobjid = 'goldenarch.audit_row()'::regprocedure AND t.tgrelid = 'trap'::regclass;
SET client_min_messages = warning;
REVOKE ALL ON FUNCTION goldenarch.attach_audit(regclass, name[]), goldenarch.detach_audit(regclass) FROM row_owner, row_writer;
DELETE FROM goldenarch.role_mappings WHERE pg_role IN ('row_owner', 'row_writer');
DELETE FROM goldenarch.roles WHERE role = 'auditor';
DROP SCHEMA row_audit CASCADE;
DROP ROLE row_owner, row_writer;
