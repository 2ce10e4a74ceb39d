-- SPDX-License-Identifier: PostgreSQL
-- The tree over the audit log (RFC 6962) in the tiles of C2SP. The sealer alone writes here, in one
-- transaction a batch: leaves, tiles that became full, the tree's edge, and a head. Tiles, leaves and
-- heads never change. A restore or an accepted fork opens a new incarnation: a new tree with an origin
-- of its own, whose first leaf names the tree before it.

CREATE TABLE goldenarch.audit_trees (
    incarnation       integer PRIMARY KEY CHECK (incarnation > 0),
    origin            text COLLATE "C" NOT NULL UNIQUE,
    opened_at         timestamptz NOT NULL,
    reason            text NOT NULL,
    link_id           bigint NOT NULL,
    parent_size       bigint,
    parent_root       bytea,
    system_identifier bigint NOT NULL,
    database          oid NOT NULL,
    timeline          integer NOT NULL,
    size              bigint NOT NULL DEFAULT 0 CHECK (size >= 0),
    root              bytea NOT NULL,
    edge              bytea NOT NULL,
    sealed            pg_snapshot NOT NULL,
    sealed_at         timestamptz NOT NULL,
    minimum_index     bigint NOT NULL DEFAULT 0 CHECK (minimum_index BETWEEN 0 AND size),
    fork              text,
    fork_head         text,
    stopped           text,
    unsigned          text
);
ALTER TABLE goldenarch.audit_trees ALTER COLUMN edge SET STORAGE EXTERNAL;
COMMENT ON TABLE goldenarch.audit_trees IS
'One row an incarnation of the audit tree; only the last grows. link_id: the audit entry that is its first leaf; edge: hashes of the tiles that are not full yet, level 0 first; sealed: the snapshot up to which every audit row is a leaf; minimum_index: entries below it were pruned; fork: why the sealer refuses to sign for good, and fork_head the head that says otherwise than the tree; stopped: why it no longer seals; unsigned: why no head is signed; each null when it is not so. A copy of the database, which has another system identifier or database oid, opens an incarnation of its own.';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.audit_trees', '');

CREATE TABLE goldenarch.audit_leaves (
    tenant      text COLLATE "C" NOT NULL,
    id          bigint NOT NULL,
    incarnation integer NOT NULL,
    leaf_index  bigint NOT NULL CHECK (leaf_index >= 0),
    PRIMARY KEY (tenant, id)
) PARTITION BY LIST (tenant);
COMMENT ON TABLE goldenarch.audit_leaves IS 'Which leaf of which incarnation an audit row became.';
CREATE TABLE goldenarch.audit_leaves_rows PARTITION OF goldenarch.audit_leaves DEFAULT;
CREATE UNIQUE INDEX audit_leaves_index ON goldenarch.audit_leaves_rows (incarnation, leaf_index);
ALTER TABLE goldenarch.audit_leaves ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.audit_leaves FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.audit_leaves
    USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('audit.view'))
       AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('audit.view')));
SELECT pg_catalog.pg_extension_config_dump('goldenarch.audit_leaves_rows', '');

CREATE TABLE goldenarch.audit_tiles (
    incarnation integer NOT NULL,
    level       smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    index       bigint NOT NULL CHECK (index >= 0),
    hashes      bytea NOT NULL CHECK (pg_catalog.octet_length(hashes) = 8192),
    PRIMARY KEY (incarnation, level, index)
);
ALTER TABLE goldenarch.audit_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;
COMMENT ON TABLE goldenarch.audit_tiles IS
'Full tiles of the audit tree: 256 hashes of 32 bytes. Tiles that are not full are audit_trees.edge.';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.audit_tiles', '');

CREATE TYPE goldenarch.audit_head AS (
    origin    text,
    tree_size bigint,
    root_hash bytea,
    signed_at timestamptz,
    note      text
);
COMMENT ON TYPE goldenarch.audit_head IS
'A head of the audit tree. note: the C2SP checkpoint as a signed note; without a key it has no signature line.';

CREATE SEQUENCE goldenarch.audit_head_id AS bigint;
COMMENT ON SEQUENCE goldenarch.audit_head_id IS 'Ids of heads.';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.audit_head_id', '');
CREATE TABLE goldenarch.audit_heads (
    id          bigint PRIMARY KEY,
    incarnation integer NOT NULL,
    size        bigint NOT NULL CHECK (size >= 0),
    root        bytea NOT NULL CHECK (pg_catalog.octet_length(root) = 32),
    signed_at   timestamptz NOT NULL,
    note        text NOT NULL
);
CREATE INDEX audit_heads_size ON goldenarch.audit_heads (incarnation, size);
COMMENT ON TABLE goldenarch.audit_heads IS
'Heads, one a second at most while the log grows and one each half minute while it does not: silence is evidence.';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.audit_heads', '');

CREATE TABLE goldenarch.audit_keys (
    incarnation integer NOT NULL,
    public_key  bytea NOT NULL CHECK (pg_catalog.octet_length(public_key) = 32),
    vkey        text NOT NULL,
    added_at    timestamptz NOT NULL,
    retired_at  timestamptz,
    PRIMARY KEY (incarnation, public_key)
);
COMMENT ON TABLE goldenarch.audit_keys IS
'Ed25519 public keys that signed heads, with the verifier key of the C2SP signed note. Keep a copy of them outside of the server. retired_at: when the key was no longer in the key file.';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.audit_keys', '');

CREATE TABLE goldenarch.audit_anchors (
    origin      text COLLATE "C" PRIMARY KEY,
    size        bigint NOT NULL,
    root        bytea NOT NULL,
    sequence    bigint NOT NULL,
    anchored_at timestamptz NOT NULL,
    checked_at  timestamptz NOT NULL
);
COMMENT ON TABLE goldenarch.audit_anchors IS
'The last head of each origin that the JetStream stream of heads holds, and when that was last looked at. A note for the sealer, not the anchor: that one is outside.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON goldenarch.audit_leaves
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.append_only();
ALTER TABLE goldenarch.audit_leaves ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON goldenarch.audit_leaves_rows
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.append_only();
ALTER TABLE goldenarch.audit_leaves_rows ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON goldenarch.audit_tiles
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.append_only();
ALTER TABLE goldenarch.audit_tiles ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON goldenarch.audit_heads
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.append_only();
ALTER TABLE goldenarch.audit_heads ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON goldenarch.audit_keys
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.append_only();
ALTER TABLE goldenarch.audit_keys ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON goldenarch.audit_leaves_rows
    FOR EACH ROW EXECUTE FUNCTION goldenarch.append_only();
ALTER TABLE goldenarch.audit_leaves_rows ENABLE ALWAYS TRIGGER append_only_row;

CREATE TABLE goldenarch.audit_holds (
    name    text COLLATE "C" PRIMARY KEY,
    reason  text NOT NULL,
    held_at timestamptz NOT NULL
);
COMMENT ON TABLE goldenarch.audit_holds IS 'Legal holds: while there is one, nothing of the audit log is pruned.';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.audit_holds', '');

-- The sealer reads by writing transaction; rows that a restore brought may share what is unique in one cluster.
CREATE INDEX audit_entries_xid ON goldenarch.audit_entries_rows (xid, ordinal, id);
