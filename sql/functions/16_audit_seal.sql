-- SPDX-License-Identifier: PostgreSQL

CREATE OR REPLACE FUNCTION goldenarch.audit_seal() RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_audit_seal';
COMMENT ON FUNCTION goldenarch.audit_seal() IS
'Seals the audit log now and signs a head; returns the number of leaves of the tree. Every row that was committed before the call is a leaf then; a row of the caller''s own transaction is not. Waits at most goldenarch.audit_wait. Errors: ZG009 (no free worker slot, the time is over, or the log is damaged: audit_status() says which), 25006 (standby). Call it in FROM. Permission: audit.view.';

CREATE OR REPLACE FUNCTION goldenarch.audit_checkpoint() RETURNS goldenarch.audit_head
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_audit_checkpoint';
COMMENT ON FUNCTION goldenarch.audit_checkpoint() IS
'The last head of the audit tree. note: a C2SP checkpoint (origin, size, root) as a signed note: an Ed25519 signature of each key of the key file, and a cosignature that names the time; no signature lines without a key. Null before the first head. Permission: audit.view.';

CREATE OR REPLACE FUNCTION goldenarch.audit_public_key() RETURNS text
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_audit_public_key';
COMMENT ON FUNCTION goldenarch.audit_public_key() IS
'The verifier keys (C2SP signed note) of the running incarnation, one a line, those that signed the last head first, then earlier ones. Keep a copy outside of the server: a key that comes from it proves nothing. Null without a key. Permission: audit.view.';

CREATE OR REPLACE FUNCTION goldenarch.audit_status() RETURNS TABLE (item text, value text)
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_audit_status';
COMMENT ON FUNCTION goldenarch.audit_status() IS
'How the audit log stands: mode, sealer, origin, incarnation, size, minimum_index, unsealed_rows, seal_lag_seconds, head_size, head_age_seconds, signed, keys, anchor, fork, stopped, spool (denials that wait there), holds. value is null where there is nothing to say. Permission: audit.view.';

CREATE OR REPLACE FUNCTION goldenarch.audit_accept_fork(reason text) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_audit_accept_fork';
COMMENT ON FUNCTION goldenarch.audit_accept_fork(text) IS
'Opens a new incarnation after a tree that the sealer refuses to sign (a restored backup, a rewound server): its first leaf, the audit row audit.incarnation, names the origin, size and root of that tree. Returns the new origin. reason: 1 to 1000 bytes. Errors: 22023, 55000 (the tree is not forked), 25006 (standby). Call it in FROM. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.audit_prune(before_index bigint, reason text) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_audit_prune';
COMMENT ON FUNCTION goldenarch.audit_prune(bigint, text) IS
'Removes the entries of the running incarnation whose leaves lie below before_index, by whole bundles of 256 as the C2SP layout has them, and those of all incarnations before it; returns how many. Proofs of what is left, and the tree itself, stay good. The links between incarnations stay, too. It leaves the audit row audit.prune with the root at that index. reason: 1 to 1000 bytes. Errors: 22023, 55000 (above the last head that is anchored, or signed where goldenarch.nats_url is not set; a forked tree), 55006 (a hold), 25006 (standby). Call it in FROM. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.set_audit_hold(name text, reason text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_set_audit_hold';
COMMENT ON FUNCTION goldenarch.set_audit_hold(text, text) IS
'A legal hold: while there is one, nothing of the audit log is pruned. A name that is held already gets the new reason. name: 1 to 128 bytes, reason: 1 to 1000. Errors: 22023, 25006. Call it in FROM. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.drop_audit_hold(name text, reason text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_drop_audit_hold';
COMMENT ON FUNCTION goldenarch.drop_audit_hold(text, text) IS
'Ends a legal hold; the reason is in the audit row. Errors: 22023, 42704 (no such hold), 25006. Call it in FROM. Permission: system.admin.';
