-- SPDX-License-Identifier: PostgreSQL
-- Identity, tokens, roles, permissions, object privileges.

CREATE OR REPLACE FUNCTION goldenarch.authenticate(token text, whole_session boolean DEFAULT false)
RETURNS goldenarch.principal
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_authenticate';
COMMENT ON FUNCTION goldenarch.authenticate(text, boolean) IS
'Verifies a token and acts as its subject to the end of the transaction, or of the session where goldenarch.allow_session_identity is on; never past its expiry. Within a transaction an identity can be neither dropped nor replaced (25001). What follows a token in its transaction is anonymous. Call it in FROM, with the token as a bound parameter. Errors: 28000 (recorded), 22023, 25001, 55000. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.logout() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_logout';
COMMENT ON FUNCTION goldenarch.logout() IS
'Ends a session identity, outside of a transaction block (25001 within). DISCARD ALL does the same. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.whoami() RETURNS goldenarch.principal
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_whoami';
COMMENT ON FUNCTION goldenarch.whoami() IS
'Who the caller is: the token''s subject, else what map_role() says of the PostgreSQL role, else an admin (superuser, or a role with the privileges of the extension''s owner), else anonymous. Call it in FROM. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.verify_jwt(token text) RETURNS jsonb
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_verify_jwt';
COMMENT ON FUNCTION goldenarch.verify_jwt(text) IS
'The claims of a token whose signature, issuer, audience, times and revocation are in order, else 28000, the same whatever is wrong: the reason is in the server''s log. Reads keys and revocations as they stand now; no side effect. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.jws_verify(token text, jwk jsonb, alg text) RETURNS bytea
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ga_jws_verify';
COMMENT ON FUNCTION goldenarch.jws_verify(text, jsonb, text) IS
'The payload (any bytes) of a compact JWS signed by the JWK with exactly this algorithm, else 28000, the same whatever is wrong. alg null: the key''s own, 22023 when it has none. HS, RS, PS, ES 256-512 and EdDSA (Ed25519, Ed448); a header with crit, b64, zip, or a key of its own (jwk, jku, x5c, x5u) is refused. Pure: claims are not looked at. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.issue_jwt(
    subject text, role text, tenant text DEFAULT NULL, ttl interval DEFAULT '24 hours',
    claims jsonb DEFAULT '{}')
RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_issue_jwt';
COMMENT ON FUNCTION goldenarch.issue_jwt(text, text, text, interval, jsonb) IS
'A token for a subject with a role, signed with the newest key that can sign (55000 without one). ttl: one second to 366 days. claims: further members; the registered ones and role, roles, tenant are refused. The token is shown once and never stored; that it was issued is on disk before it is shown, also when the transaction rolls back (ZG009 where it cannot be). Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.add_jwt_key(
    kid text, alg text, key text, issuer text DEFAULT NULL, audience text DEFAULT NULL,
    can_sign boolean DEFAULT false)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_add_jwt_key';
COMMENT ON FUNCTION goldenarch.add_jwt_key(text, text, text, text, text, boolean) IS
'Adds a key bound to one algorithm: PEM for RS, PS, ES 256-512 and EdDSA, a base64url secret for HS 256-512, at least as long as the hash (32, 48, 64 bytes) and at most 512. issuer or audience null: that claim is not checked for this key, with a NOTICE. The same key again changes nothing; another one under the same kid is 42710 until the first is retired. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.load_jwks(
    jwks jsonb, issuer text DEFAULT NULL, audience text DEFAULT NULL, overlap interval DEFAULT '0')
RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_load_jwks';
COMMENT ON FUNCTION goldenarch.load_jwks(jsonb, text, text, interval) IS
'Loads the signature keys of a JWK Set and retires, after the overlap (to 366 days), those that an earlier set of this issuer had and this one has not; returns how many were loaded. A key that is not understood, not usable, private, or retired by retire_jwt_key() is left out with a NOTICE; RSA keys without alg are bound to RS256. 22023, and nothing changes, where no key can be loaded, two have one kid, or secrets stand among public keys. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.retire_jwt_key(kid text, issuer text DEFAULT NULL) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_retire_jwt_key';
COMMENT ON FUNCTION goldenarch.retire_jwt_key(text, text) IS
'No token is accepted from this key any more, and no JWK Set of its issuer brings it back; false when there is no such live key. issuer null: the kid''s keys of every issuer. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.revoke_token(token_id text, until timestamptz) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_revoke_token';
COMMENT ON FUNCTION goldenarch.revoke_token(text, timestamptz) IS
'Refuses the token with this jti until a time, which should not be before its expiry. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.has_permission(permission text) RETURNS boolean
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_sql_has_permission';
COMMENT ON FUNCTION goldenarch.has_permission(text) IS
'Whether the caller has the permission: a denial wins, system.admin implies the rest. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.require_permission(VARIADIC permissions text[]) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_require_permission';
COMMENT ON FUNCTION goldenarch.require_permission(text[]) IS
'Raises 42501, recorded durably, unless the caller has all of the permissions. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.explain_permission(permission text) RETURNS jsonb
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_explain_permission';
COMMENT ON FUNCTION goldenarch.explain_permission(text) IS
'Why the caller has a permission or has it not: {permission, allowed, reason, subject, tenant, roles[], because[{role, source, granted_by, effect, permission}], unknown_roles[], given_by[]}. role: the chain of inheritance, from the role the caller has; source: token, map_role, grant, anonymous or PostgreSQL role; denials first. unknown_roles: names that are no roles. given_by, where it is not allowed: the roles that would give it; a denial still wins. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.create_role(
    role text, permissions text[], inherits text[] DEFAULT '{}', rate_limit text DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_create_role';
COMMENT ON FUNCTION goldenarch.create_role(text, text[], text[], text) IS
'Creates a role. permissions: part.verb, or -part.verb to deny; a denial wins. inherits: existing roles (42704). rate_limit: as set_rate_limit(). 42710 when it exists. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.grant_role(subject text, role text, tenant text DEFAULT NULL) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_grant_role';
COMMENT ON FUNCTION goldenarch.grant_role(text, text, text) IS
'Gives a role to a subject, in one tenant (null: the caller''s own, or none). Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.revoke_role(subject text, role text, tenant text DEFAULT NULL) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_revoke_role';
COMMENT ON FUNCTION goldenarch.revoke_role(text, text, text) IS
'Takes a granted role away; false when it was not granted. A role that a token names stays with the token. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.map_role(
    pg_role name, subject text, roles text[], tenant text DEFAULT NULL) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_map_role';
COMMENT ON FUNCTION goldenarch.map_role(name, text, text[], text) IS
'Says who a PostgreSQL role is when it shows no token; by exact name, without inheritance; replaces an earlier mapping. A mapping is the floor of any SQL run as that role: never map a role that a pool shares. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.unmap_role(pg_role name) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_unmap_role';
COMMENT ON FUNCTION goldenarch.unmap_role(name) IS
'Forgets a mapping; the role may be gone. False when there was none. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.grant_access(pg_role name, access text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_grant_access';
COMMENT ON FUNCTION goldenarch.grant_access(name, text) IS
'Object privileges for a PostgreSQL role: app (functions and views; each function still asks for its permission), executor (what goldenarch-executor calls), monitor (operations views). Call revoke_access() before DROP ROLE: DROP OWNED does not reach what the extension''s owner granted. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.revoke_access(pg_role name, access text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_revoke_access';
COMMENT ON FUNCTION goldenarch.revoke_access(name, text) IS
'Takes back what grant_access() gave. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.repair_grants() RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_repair_grants';
COMMENT ON FUNCTION goldenarch.repair_grants() IS
'Gives every remembered object privilege again, after a restore or an upgrade; returns how many. Roles that do not exist are left out with a NOTICE. Permission: system.admin.';
