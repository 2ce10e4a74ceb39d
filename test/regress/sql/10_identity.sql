-- SPDX-License-Identifier: PostgreSQL
-- Who is calling: tokens, mappings, and every way to lose or borrow an identity. None raises rights.
\set SHOW_CONTEXT never
\set who 'SELECT subject, tenant, roles FROM goldenarch.whoami();'
CREATE ROLE ident_app;
CREATE ROLE ident_mapped;
CREATE ROLE ident_mallory;
SELECT goldenarch.grant_access('ident_app', 'app');
SELECT goldenarch.grant_access('ident_mapped', 'app');
SELECT goldenarch.map_role('ident_mapped', 'mapped-bob', '{developer}', 'acme');
SELECT goldenarch.add_jwt_key('k1', 'HS256', 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow', 'iss', 'aud', true);
SELECT goldenarch.issue_jwt('alice', 'developer', 'acme') AS alice \gset
SELECT goldenarch.issue_jwt('carol', 'observer') AS carol \gset


-- Without a token: superuser, mapped role, anybody else.
:who
SET ROLE ident_mapped;
:who
SET ROLE ident_app;
:who
SELECT goldenarch.has_permission('task.view');

-- A token counts to the end of its transaction, and is neither dropped nor replaced in it.
BEGIN;
SELECT subject, tenant, roles, token_id IS NOT NULL AS has_id, expires_at > now() AS later FROM goldenarch.authenticate(:'alice');
:who
SELECT goldenarch.has_permission('task.create'), goldenarch.has_permission('system.admin');
SELECT subject FROM goldenarch.authenticate(:'alice');
SAVEPOINT a;
SELECT subject FROM goldenarch.authenticate(:'carol');
ROLLBACK TO a;
SELECT goldenarch.logout();
ROLLBACK TO a;
SELECT subject FROM goldenarch.authenticate(:'alice', true);
ROLLBACK TO a;
SET ROLE ident_mapped;
:who
COMMIT;
RESET ROLE;
SET ROLE ident_app;
:who
SELECT a.subject, goldenarch.has_permission('task.view') FROM goldenarch.authenticate(:'carol') a;
SELECT goldenarch.has_permission('task.view');

-- Savepoints. What follows a token in its transaction is anonymous, never the mapped role.
RESET ROLE;
SET ROLE ident_mapped;
BEGIN;
SAVEPOINT a;
SELECT subject FROM goldenarch.authenticate(:'carol');
SAVEPOINT b;
RELEASE b;
ROLLBACK TO a;
:who
SELECT subject FROM goldenarch.authenticate(:'alice');
RELEASE a;
:who
COMMIT;
:who
BEGIN;
SAVEPOINT a;
SELECT subject FROM goldenarch.authenticate(:'carol');
RELEASE a;
SAVEPOINT c;
SELECT 1/0;
ROLLBACK TO c;
:who
ROLLBACK;
:who
DO $$
BEGIN
  BEGIN
    PERFORM goldenarch.authenticate('not.a.token');
  EXCEPTION WHEN invalid_authorization_specification THEN
    RAISE NOTICE 'refused, and still %', (SELECT subject FROM goldenarch.whoami());
  END;
END $$;
SELECT set_config('my.token', :'carol', false) = '' AS empty;
DO $$
BEGIN
  BEGIN
    PERFORM goldenarch.authenticate(current_setting('my.token'));
    RAISE NOTICE 'inside %', (SELECT subject FROM goldenarch.whoami());
    RAISE EXCEPTION 'away with it';
  EXCEPTION WHEN raise_exception THEN
    RAISE NOTICE 'afterwards %', (SELECT subject FROM goldenarch.whoami());
  END;
END $$;
:who

-- An identity for the session: only where it is allowed, outside of transactions dropped and replaced.
RESET ROLE;
SELECT subject FROM goldenarch.authenticate(:'alice', true);
SET goldenarch.allow_session_identity = on;
SELECT subject FROM goldenarch.authenticate(:'alice', true);
:who
BEGIN;
SELECT goldenarch.logout();
ROLLBACK;
BEGIN;
SELECT subject FROM goldenarch.authenticate(:'carol');
ROLLBACK;
:who
SELECT subject FROM goldenarch.authenticate(:'carol');
:who
BEGIN;
ROLLBACK;
SELECT subject FROM goldenarch.authenticate(:'carol', true);
:who
SET SESSION AUTHORIZATION ident_mapped;
:who
RESET SESSION AUTHORIZATION;
:who
SELECT goldenarch.logout();
:who
SELECT subject FROM goldenarch.authenticate(:'alice', true);
DISCARD ALL;
\set SHOW_CONTEXT never
:who
SET goldenarch.allow_session_identity = on;
BEGIN;
SELECT subject FROM goldenarch.authenticate(:'alice', true);
ROLLBACK;
:who
BEGIN;
SELECT subject FROM goldenarch.authenticate(:'alice', true);
COMMIT;
:who
SELECT goldenarch.logout();
SELECT goldenarch.logout();

-- Expiry ends an identity, also in the middle of a transaction, and leaves nobody: not the mapped role either.
SELECT goldenarch.issue_jwt('brief', 'observer', ttl => '60 seconds') AS brief \gset
SELECT subject FROM goldenarch.authenticate(:'brief', true);
:who
SET goldenarch.debug_clock_offset = '61 s';
:who
SELECT subject FROM goldenarch.authenticate(:'brief', true);
SELECT goldenarch.logout();
RESET goldenarch.debug_clock_offset;
RESET goldenarch.allow_session_identity;
CREATE FUNCTION public.later() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog
  AS $$ SELECT set_config('goldenarch.debug_clock_offset', '61', false) $$;
SET ROLE ident_mapped;
BEGIN;
SELECT subject FROM goldenarch.authenticate(:'brief');
SELECT goldenarch.has_permission('task.view'), goldenarch.has_permission('task.create');
SELECT public.later();
:who
SELECT goldenarch.has_permission('task.view'), goldenarch.has_permission('task.create');
SAVEPOINT a;
SELECT goldenarch.create_task('after the end');
ROLLBACK TO a;
SELECT goldenarch.logout();
:who
COMMIT;
:who
RESET ROLE;
RESET goldenarch.debug_clock_offset;
DROP FUNCTION public.later();

-- A cursor's rows are those of the identity of its first FETCH; rows WITH HOLD outlive it. Both are documented.
SET ROLE ident_mapped;
BEGIN;
DECLARE c CURSOR FOR SELECT subject FROM goldenarch.whoami(), generate_series(1, 2);
DECLARE h CURSOR WITH HOLD FOR SELECT subject FROM goldenarch.whoami();
FETCH c;
SELECT subject FROM goldenarch.authenticate(:'carol');
FETCH c;
COMMIT;
FETCH h;
CLOSE h;
:who
RESET ROLE;

-- Another's SECURITY DEFINER function counts as its owner, unless a token is shown.
CREATE FUNCTION public.as_owner() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT subject FROM goldenarch.whoami()';
SET ROLE ident_app;
SELECT public.as_owner();
BEGIN;
SELECT subject FROM goldenarch.authenticate(:'carol');
SELECT public.as_owner();
COMMIT;
RESET ROLE;
DROP FUNCTION public.as_owner();

-- Code of an index or a materialized view, run by another's ANALYZE, REINDEX or REFRESH.
GRANT CREATE ON SCHEMA public TO ident_mallory;
SET ROLE ident_mallory;
CREATE FUNCTION public.spy(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RAISE NOTICE 'spy: % %', (SELECT subject FROM goldenarch.whoami()), goldenarch.has_permission('system.admin');
  BEGIN
    PERFORM goldenarch.authenticate('a.b.c');
  EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'spy: % %', SQLSTATE, SQLERRM;
  END;
  RETURN x;
END $$;
SET client_min_messages = warning;
CREATE TABLE public.trap (x int);
CREATE INDEX trap_spy ON public.trap (public.spy(x));
INSERT INTO public.trap VALUES (1);
CREATE MATERIALIZED VIEW public.trap_view AS SELECT public.spy(7) AS x WITH NO DATA;
RESET ROLE;
SET client_min_messages = notice;
BEGIN;
SELECT subject FROM goldenarch.authenticate(:'alice');
ANALYZE public.trap;
REINDEX INDEX public.trap_spy;
REFRESH MATERIALIZED VIEW public.trap_view;
:who
COMMIT;
REINDEX INDEX public.trap_spy;
SET client_min_messages = warning;
DROP TABLE public.trap;
DROP MATERIALIZED VIEW public.trap_view;
DROP FUNCTION public.spy(int);
RESET client_min_messages;
REVOKE CREATE ON SCHEMA public FROM ident_mallory;

-- Nothing that SQL can set says who is calling.
SET ROLE ident_app;
SET goldenarch.subject = 'root';
SELECT set_config('goldenarch.tenant', 'acme', false);
SELECT set_config('request.jwt.claims', '{"sub":"root","role":"admin"}', true) IS NOT NULL AS taken;
SET goldenarch.allow_session_identity = on;
:who
SELECT * FROM goldenarch.jwt_keys;
SELECT * FROM goldenarch.role_grants;
INSERT INTO goldenarch.role_grants VALUES ('', 'anonymous', 'admin', 'me');
UPDATE goldenarch.roles SET permissions = '{system.admin}';
RESET ROLE;

-- A literal token is taken out of pg_stat_activity, and a secret key too.
SELECT subject FROM goldenarch.authenticate(:'carol') \; SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid();
SELECT goldenarch.add_jwt_key('k2', 'HS256', 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0', 'i2', 'a2') \; SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid();

-- pg_read_all_data reads no key.
GRANT pg_read_all_data TO ident_mallory;
SET ROLE ident_mallory;
SELECT count(*) FROM goldenarch.jwt_keys;
RESET ROLE;

-- Bad arguments.
SELECT goldenarch.authenticate(NULL);
SELECT goldenarch.authenticate('');
SELECT goldenarch.authenticate('a.b.c', NULL);
SELECT goldenarch.authenticate('a.b.c');

-- Failed authentications are recorded, without the token.
SELECT subject, action, resource_type, resource_id, outcome, details->>'sqlstate' AS sqlstate, details->>'message' AS why
FROM goldenarch.audit_log WHERE action = 'authenticate' ORDER BY id;

SELECT goldenarch.revoke_access('ident_app', 'app');
SELECT goldenarch.revoke_access('ident_mapped', 'app');
DROP ROLE ident_app;
DROP ROLE ident_mapped;
DROP ROLE ident_mallory;
