-- SPDX-License-Identifier: PostgreSQL
-- Roles and who has them. A permission is 'part.verb'; '-part.verb' denies, and a denial wins.

CREATE TABLE goldenarch.roles (
    role        text COLLATE "C" PRIMARY KEY CHECK (role ~ '^[a-z_][a-z0-9_-]{0,62}$'),
    permissions text[] NOT NULL,
    inherits    text[] NOT NULL DEFAULT '{}',
    rate_limit  text,
    shipped     boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE goldenarch.roles IS
'Roles: permissions of their own, the roles they inherit, and the rate of rate_limit() with a null name. Written by create_role().';
INSERT INTO goldenarch.roles (role, permissions, inherits, rate_limit, shipped) VALUES
    ('anonymous', '{}', '{}', '5/minute', true),
    ('observer', '{task.view,agent.view,metrics.view}', '{}', '20/minute', true),
    ('developer', '{task.create,task.update,task.vote,budget.use,sandbox.submit,sandbox.view,message.publish,learning.propose,approval.request,llm.parse}',
        '{observer}', '30/minute', true),
    ('operator', '{escalation.view,escalation.create,escalation.resolve,budget.view,dlq.read,dlq.resolve,learning.view,approval.view,breaker.reset,task.report_guard}',
        '{developer}', '50/minute', true),
    ('admin', '{system.admin}', '{operator}', '100/minute', true);
CREATE TRIGGER seed_restore BEFORE INSERT ON goldenarch.roles
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.seed_restore();
CREATE TRIGGER roles_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON goldenarch.roles
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.roles_changed();
ALTER TABLE goldenarch.roles ENABLE ALWAYS TRIGGER roles_changed;
SELECT pg_catalog.pg_extension_config_dump('goldenarch.roles', '');

CREATE TABLE goldenarch.role_grants (
    tenant     text COLLATE "C" NOT NULL,
    subject    text COLLATE "C" NOT NULL,
    role       text COLLATE "C" NOT NULL,
    granted_by text NOT NULL,
    granted_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (tenant, subject, role)
) PARTITION BY LIST (tenant);
COMMENT ON TABLE goldenarch.role_grants IS
'Roles granted to a subject, in one tenant ('''': subjects without a tenant). Written by grant_role() and revoke_role().';
CREATE TABLE goldenarch.role_grants_rows PARTITION OF goldenarch.role_grants DEFAULT;
ALTER TABLE goldenarch.role_grants ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.role_grants FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.role_grants
    USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('system.admin'))
       AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('system.admin')));
CREATE TRIGGER roles_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON goldenarch.role_grants
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.roles_changed();
ALTER TABLE goldenarch.role_grants ENABLE ALWAYS TRIGGER roles_changed;
CREATE TRIGGER roles_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON goldenarch.role_grants_rows
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.roles_changed();
ALTER TABLE goldenarch.role_grants_rows ENABLE ALWAYS TRIGGER roles_changed;
SELECT pg_catalog.pg_extension_config_dump('goldenarch.role_grants_rows', '');

CREATE TABLE goldenarch.role_mappings (
    tenant  text COLLATE "C" NOT NULL,
    pg_role text COLLATE "C" NOT NULL,
    subject text NOT NULL,
    roles   text[] NOT NULL,
    PRIMARY KEY (tenant, pg_role)
) PARTITION BY LIST (tenant);
COMMENT ON TABLE goldenarch.role_mappings IS
'Who a PostgreSQL role is without a token. By name, since oids do not survive a dump; exact match, no inheritance. Written by map_role().';
CREATE TABLE goldenarch.role_mappings_rows PARTITION OF goldenarch.role_mappings DEFAULT;
CREATE UNIQUE INDEX role_mappings_pg_role ON goldenarch.role_mappings_rows (pg_role);
ALTER TABLE goldenarch.role_mappings ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.role_mappings FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.role_mappings
    USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('system.admin'))
       AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('system.admin')));
CREATE TRIGGER roles_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON goldenarch.role_mappings
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.roles_changed();
ALTER TABLE goldenarch.role_mappings ENABLE ALWAYS TRIGGER roles_changed;
CREATE TRIGGER roles_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON goldenarch.role_mappings_rows
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.roles_changed();
ALTER TABLE goldenarch.role_mappings_rows ENABLE ALWAYS TRIGGER roles_changed;
SELECT pg_catalog.pg_extension_config_dump('goldenarch.role_mappings_rows', '');

CREATE TABLE goldenarch.access_grants (
    pg_role text COLLATE "C" NOT NULL,
    access  text COLLATE "C" NOT NULL CHECK (access IN ('app', 'executor', 'monitor')),
    PRIMARY KEY (pg_role, access)
);
COMMENT ON TABLE goldenarch.access_grants IS
'Object privileges given by grant_access(), by name, so that repair_grants() can give them again after a restore or an upgrade.';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.access_grants', '');

-- Secret: row security without a policy lets the owner's functions read, and not even pg_read_all_data.
CREATE TABLE goldenarch.jwt_keys (
    issuer     text COLLATE "C" NOT NULL,
    kid        text COLLATE "C" NOT NULL,
    alg        text COLLATE "C" NOT NULL,
    audience   text COLLATE "C",
    verify_key bytea NOT NULL,
    sign_key   bytea,
    can_sign   boolean NOT NULL,
    source     text COLLATE "C" NOT NULL CHECK (source IN ('added', 'jwks')),
    added_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    retired_at timestamptz,
    barred     bytea[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (issuer, kid)
);
COMMENT ON TABLE goldenarch.jwt_keys IS
'Keys that tokens are verified and signed with, each bound to its algorithm. issuer '''': not checked. verify_key: SubjectPublicKeyInfo or the HMAC secret; sign_key: PKCS#8. retired_at: when the key stops to count, which may be to come. barred: SHA-256 of what retire_jwt_key() retired under this id, which no set of the issuer brings back. Written by add_jwt_key(), load_jwks(), retire_jwt_key().';
ALTER TABLE goldenarch.jwt_keys ENABLE ROW LEVEL SECURITY;
CREATE TRIGGER roles_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON goldenarch.jwt_keys
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.roles_changed();
ALTER TABLE goldenarch.jwt_keys ENABLE ALWAYS TRIGGER roles_changed;
SELECT pg_catalog.pg_extension_config_dump('goldenarch.jwt_keys', '');

CREATE TABLE goldenarch.revoked_tokens (
    token_id   text COLLATE "C" PRIMARY KEY,
    until      timestamptz NOT NULL,
    revoked_by text NOT NULL,
    revoked_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE goldenarch.revoked_tokens IS
'Tokens (jti) refused until a time, after which run_maintenance() forgets them. Written by revoke_token().';
ALTER TABLE goldenarch.revoked_tokens ENABLE ROW LEVEL SECURITY;
CREATE TRIGGER roles_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON goldenarch.revoked_tokens
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.roles_changed();
ALTER TABLE goldenarch.revoked_tokens ENABLE ALWAYS TRIGGER roles_changed;
SELECT pg_catalog.pg_extension_config_dump('goldenarch.revoked_tokens', '');

CREATE TYPE goldenarch.principal AS (
    subject    text,
    tenant     text,
    roles      text[],
    token_id   text,
    expires_at timestamptz
);
COMMENT ON TYPE goldenarch.principal IS
'Who is calling. tenant, token_id and expires_at are null where there is none; roles: those the token or the mapping names and those granted to the subject.';
