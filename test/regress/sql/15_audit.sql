-- SPDX-License-Identifier: PostgreSQL
-- Audit rows: in the caller's transaction, append-only; denials outlive the caller's rollback.
\set SHOW_CONTEXT never
CREATE ROLE audit_joe;
GRANT EXECUTE ON FUNCTION goldenarch.audit(text, text, text, jsonb), goldenarch.audit_entry(bigint) TO audit_joe;

SELECT goldenarch.audit('ship', 'order', '42', '{"to": "Berlin"}') > 0 AS written;
BEGIN;
SELECT goldenarch.audit('ship', 'order', '43') > 0 AS written;
ROLLBACK;
SELECT tenant, subject, role, action, resource_type, resource_id, outcome, details, sealed
FROM goldenarch.audit_log ORDER BY id;

-- What is hashed is the entry; the details are only committed to.
SELECT leaf = sha256('\x00'::bytea || entry) AS leaf_is_rfc6962,
       position('Berlin'::bytea in entry) = 0 AS details_stay_out,
       position(sha256('goldenarch.commit/1
'::bytea || salt || convert_to(details_text, 'UTF8')) in entry) > 0 AS commitment_is_in
FROM goldenarch.audit_entries ORDER BY id;

-- A denial is there after the rollback of what it happened in.
SET ROLE audit_joe;
BEGIN;
SELECT goldenarch.audit_entry(1);
ROLLBACK;
RESET ROLE;
SELECT subject, role, action, resource_id, outcome, details->>'sqlstate' AS sqlstate
FROM goldenarch.audit_log WHERE outcome = 'denied' ORDER BY id;

-- Append-only, whatever the session says of triggers.
UPDATE goldenarch.audit_entries SET subject = 'nobody';
DELETE FROM goldenarch.audit_entries_rows;
TRUNCATE goldenarch.audit_entries;
SET session_replication_role = replica;
DELETE FROM goldenarch.audit_entries_rows;
UPDATE goldenarch.audit_entries_rows SET subject = 'nobody';
RESET session_replication_role;

-- Bad arguments.
SELECT goldenarch.audit(NULL, 'order', '42');
SELECT goldenarch.audit('ship', '', '42');
SELECT goldenarch.audit('ship', 'order', NULL);
SELECT goldenarch.audit('ship', 'order', '42', '[1]');
SELECT goldenarch.audit('ship', 'order', repeat('x', 5000));
SELECT goldenarch.audit_entry(NULL);
SELECT goldenarch.audit_entry(0);
SELECT goldenarch.audit_entry(999999) IS NULL AS unknown_id;

REVOKE ALL ON FUNCTION goldenarch.audit(text, text, text, jsonb), goldenarch.audit_entry(bigint) FROM audit_joe;
DROP ROLE audit_joe;
