-- SPDX-License-Identifier: PostgreSQL
-- How far the audit writer has replayed each spool file, in the transaction of the replay. Not
-- dumped: a file belongs to a data directory.
CREATE TABLE goldenarch.audit_replays (
    generation bytea PRIMARY KEY,
    replayed   bigint NOT NULL
);
COMMENT ON TABLE goldenarch.audit_replays IS
'Spool files of denials that were replayed into the audit log: the random generation of each, and up to which byte.';
