-- SPDX-License-Identifier: PostgreSQL
-- Roles and permissions: the shipped matrix, denials, inheritance, tenants, object privileges.
\set SHOW_CONTEXT never
CREATE ROLE rbac_app;
CREATE ROLE rbac_tenant_admin;
CREATE ROLE rbac_monitor;
SELECT goldenarch.grant_access('rbac_app', 'app');
SELECT goldenarch.grant_access('rbac_tenant_admin', 'app');
SELECT goldenarch.grant_access('rbac_monitor', 'monitor');

-- The shipped matrix: what each role has in the end.
CREATE FUNCTION public.permissions_of(role text) RETURNS TABLE (permission text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM goldenarch.map_role('rbac_app', 'someone', ARRAY[role]);
  SET LOCAL ROLE rbac_app;
  RETURN QUERY SELECT p FROM unnest('{agent.configure,agent.view,approval.decide,approval.request,approval.view,
    audit.redact,audit.view,breaker.reset,budget.configure,budget.use,budget.view,dlq.read,dlq.resolve,
    escalation.create,escalation.resolve,escalation.view,learning.approve,learning.propose,learning.view,llm.parse,
    message.publish,metrics.view,sandbox.submit,sandbox.view,sql.run,system.admin,task.create,task.delete,
    task.report_guard,task.update,task.view,task.vote}'::text[]) p WHERE goldenarch.has_permission(p) ORDER BY p COLLATE "C";
  RESET ROLE;
END $$;
SELECT role, rate_limit, (SELECT string_agg(permission, ' ') FROM public.permissions_of(role)) AS permissions
FROM goldenarch.roles WHERE shipped ORDER BY role;
DROP FUNCTION public.permissions_of(text);
SELECT goldenarch.unmap_role('rbac_app');
SELECT goldenarch.unmap_role('rbac_app');

-- Roles of one's own; a denial wins over everything but a missing identity.
SELECT goldenarch.create_role('night_shift', '{dlq.read,-dlq.resolve,app.deploy}', '{operator}', '7/minute');
SELECT goldenarch.create_role('humble_admin', '{-sql.run}', '{admin}');
SELECT goldenarch.map_role('rbac_app', 'nina', '{night_shift}');
SET ROLE rbac_app;
SELECT p, goldenarch.has_permission(p) FROM unnest('{dlq.read,dlq.resolve,app.deploy,task.create,audit.view}'::text[]) p;
SELECT jsonb_pretty(goldenarch.explain_permission('dlq.resolve'));
SELECT goldenarch.require_permission('dlq.read', 'app.deploy');
SELECT goldenarch.require_permission('dlq.read', 'dlq.resolve');
RESET ROLE;
SELECT goldenarch.map_role('rbac_app', 'nina', '{humble_admin}');
SET ROLE rbac_app;
SELECT goldenarch.has_permission('audit.view'), goldenarch.has_permission('sql.run');
RESET ROLE;

-- Grants reach the subject in its tenant, at once, and nobody else.
SELECT goldenarch.map_role('rbac_app', 'nina', '{}', 'acme');
SET ROLE rbac_app;
SELECT goldenarch.has_permission('task.view');
RESET ROLE;
SELECT goldenarch.grant_role('nina', 'observer');
SET ROLE rbac_app;
SELECT goldenarch.has_permission('task.view');
RESET ROLE;
SELECT goldenarch.grant_role('nina', 'observer', 'acme');
SET ROLE rbac_app;
SELECT subject, tenant, roles, goldenarch.has_permission('task.view') FROM goldenarch.whoami();
RESET ROLE;
SELECT goldenarch.revoke_role('nina', 'observer', 'acme'), goldenarch.revoke_role('nina', 'observer', 'acme');
SET ROLE rbac_app;
SELECT goldenarch.has_permission('task.view');
RESET ROLE;
BEGIN;
SELECT goldenarch.grant_role('nina', 'observer', 'acme');
SET LOCAL ROLE rbac_app;
SELECT goldenarch.has_permission('task.view');
ROLLBACK;
SET ROLE rbac_app;
SELECT goldenarch.has_permission('task.view');
RESET ROLE;

-- Why: by a grant, by a token's role, by nothing; a role that does not exist; an administrator; nobody.
\set why 'SELECT w->>\'allowed\' AS allowed, w->>\'reason\' AS reason, w->\'because\' AS because, w->\'unknown_roles\' AS unknown, w->\'given_by\' AS given_by FROM goldenarch.explain_permission(:\'p\') w;'
\set p task.view
:why
SELECT goldenarch.map_role('rbac_app', 'nina', '{night_shift}', 'acme');
SELECT goldenarch.grant_role('nina', 'developer', 'acme');
SELECT goldenarch.grant_role('nina', 'admin', 'globex');
SET ROLE rbac_app;
:why
\set p dlq.resolve
:why
\set p audit.view
:why
\set p no.such
:why
RESET ROLE;
SELECT goldenarch.unmap_role('rbac_app');
SET ROLE rbac_app;
:why
RESET ROLE;
INSERT INTO goldenarch.role_mappings (tenant, pg_role, subject, roles) VALUES ('', 'rbac_app', 'x', '{gone,observer}');
SET ROLE rbac_app;
:why
SELECT goldenarch.explain_permission(NULL);
SELECT goldenarch.explain_permission('');
RESET ROLE;
SELECT goldenarch.unmap_role('rbac_app');
SELECT goldenarch.revoke_role('nina', 'developer', 'acme'), goldenarch.revoke_role('nina', 'admin', 'globex');

-- What was decided a moment ago counts for who asked, and only as long as nothing changed: also within one statement.
CREATE ROLE rbac_other;
SELECT goldenarch.grant_access('rbac_other', 'app');
SELECT goldenarch.map_role('rbac_app', 'nina', '{observer}'), goldenarch.map_role('rbac_other', 'otto', '{}');
CREATE FUNCTION public.as_owner(p text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
  AS 'SELECT goldenarch.has_permission(p)';
CREATE FUNCTION public.as_other(p text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
  AS 'SELECT goldenarch.has_permission(p)';
ALTER FUNCTION public.as_other(text) OWNER TO rbac_other;
SET ROLE rbac_app;
SELECT i, goldenarch.has_permission('task.view') AS own, public.as_other('task.view') AS other, goldenarch.has_permission('task.view') AS again,
  public.as_owner('audit.view') AS owner, goldenarch.has_permission('audit.view') AS not_mine FROM generate_series(1, 2) i;
SELECT bool_and(goldenarch.has_permission('task.view')) AS all_yes, bool_or(goldenarch.has_permission('task.create')) AS any_yes,
  count(*) FROM generate_series(1, 1000);
RESET ROLE;
SELECT goldenarch.has_permission('audit.view') AS me, set_config('role', 'rbac_app', false) AS role, goldenarch.has_permission('audit.view') AS then_app,
  set_config('role', 'rbac_other', false) AS role, goldenarch.has_permission('task.view') AS then_other;
RESET ROLE;
SELECT goldenarch.add_jwt_key('k11', 'HS256', 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow', 'i', 'a', true);
SELECT goldenarch.issue_jwt('tina', 'operator') AS tina \gset
SELECT goldenarch.issue_jwt('ugo', 'anonymous') AS ugo \gset
SET ROLE rbac_other;
SELECT goldenarch.has_permission('dlq.read') AS before, (goldenarch.authenticate(:'tina')).subject, goldenarch.has_permission('dlq.read') AS after;
BEGIN;
SAVEPOINT a;
SELECT subject FROM goldenarch.authenticate(:'tina');
SELECT goldenarch.has_permission('dlq.read') AS tina;
ROLLBACK TO a;
SELECT goldenarch.has_permission('dlq.read') AS nobody;
SELECT subject FROM goldenarch.authenticate(:'ugo');
SELECT goldenarch.has_permission('dlq.read') AS ugo;
COMMIT;
SELECT goldenarch.has_permission('dlq.read') AS otto;
RESET ROLE;
BEGIN;
SET LOCAL ROLE rbac_other;
SELECT goldenarch.has_permission('dlq.read') AS before;
RESET ROLE;
SELECT goldenarch.grant_role('otto', 'operator');
SET LOCAL ROLE rbac_other;
SELECT goldenarch.has_permission('dlq.read') AS granted;
ROLLBACK;
SET ROLE rbac_other;
SELECT goldenarch.has_permission('dlq.read') AS rolled_back;
SELECT goldenarch.has_permission(repeat('x', 100)), goldenarch.has_permission('dlq.rea'), goldenarch.has_permission('dlq.read ');
RESET ROLE;
BEGIN;
SELECT subject FROM goldenarch.authenticate(:'tina');
SELECT goldenarch.has_permission('audit.view') AS tina;
SAVEPOINT a;
INSERT INTO goldenarch.role_grants (tenant, subject, role, granted_by) VALUES ('', 'tina', 'admin', 'the owner');
SELECT goldenarch.has_permission('audit.view') AS granted;
ROLLBACK TO a;
SELECT goldenarch.has_permission('audit.view') AS rolled_back;
COMMIT;
SELECT goldenarch.retire_jwt_key('k11');
SELECT goldenarch.unmap_role('rbac_other'), goldenarch.unmap_role('rbac_app');
DROP FUNCTION public.as_owner(text), public.as_other(text);
SELECT goldenarch.revoke_access('rbac_other', 'app');
DROP ROLE rbac_other;
SELECT goldenarch.map_role('rbac_app', 'nina', '{}', 'acme');

-- An administrator of a tenant is one there: what concerns every tenant is refused.
SELECT goldenarch.map_role('rbac_tenant_admin', 'tanya', '{admin}', 'acme');
SET ROLE rbac_tenant_admin;
SELECT goldenarch.grant_role('otto', 'observer');
SELECT goldenarch.grant_role('otto', 'observer', 'acme');
SELECT goldenarch.grant_role('otto', 'observer', 'globex');
SELECT tenant, subject, role, granted_by FROM goldenarch.role_grants ORDER BY 1, 2, 3;
SELECT goldenarch.create_role('hole', '{system.admin}');
SELECT goldenarch.map_role('rbac_app', 'x', '{admin}');
SELECT goldenarch.unmap_role('rbac_app');
SELECT goldenarch.add_jwt_key('evil', 'HS256', 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow');
SELECT goldenarch.load_jwks('{"keys":[]}');
SELECT goldenarch.retire_jwt_key('evil');
SELECT goldenarch.revoke_token('x', 'infinity');
SELECT goldenarch.grant_access('rbac_app', 'executor');
SELECT goldenarch.revoke_access('rbac_app', 'app');
SELECT goldenarch.repair_grants();
SELECT goldenarch.set_rate_limit('r', '1/s');
SELECT goldenarch.set_approval_policy('deploy');
SELECT goldenarch.set_model_price('m', 1, 1);
SELECT goldenarch.set_runtime('python', '{true}');
SELECT goldenarch.unsubscribe('s');
SELECT * FROM goldenarch.run_maintenance();
SELECT * FROM goldenarch.start_workers();
RESET ROLE;

-- Object privileges only: no membership, no leaves, no sequences, nothing but SELECT and EXECUTE.
SELECT count(*) > 5 AS some, bool_and(a.privilege_type = 'SELECT') AS select_only, bool_or(c.relispartition) AS leaves,
       bool_or(c.relkind = 'S') AS sequences, bool_or(c.relname IN ('jwt_keys', 'revoked_tokens', 'access_grants')) AS secrets
FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'goldenarch'::regnamespace AND a.grantee = 'rbac_app'::regrole;
SELECT count(*) AS memberships FROM pg_auth_members WHERE member IN ('rbac_app'::regrole, 'rbac_monitor'::regrole);
SELECT has_function_privilege('rbac_monitor', 'goldenarch.health()', 'EXECUTE') AS health,
       has_table_privilege('rbac_monitor', 'goldenarch.metrics', 'SELECT') AS metrics,
       has_function_privilege('rbac_monitor', 'goldenarch.add_jwt_key(text,text,text,text,text,boolean)', 'EXECUTE') AS keys,
       has_table_privilege('rbac_monitor', 'goldenarch.role_grants', 'SELECT') AS grants;
-- Every view can be read by an application that holds the permission.
CREATE FUNCTION public.unreadable() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  view_name text;
BEGIN
  FOR view_name IN SELECT relname FROM pg_class WHERE relnamespace = 'goldenarch'::regnamespace AND relkind = 'v' ORDER BY 1 LOOP
    BEGIN
      EXECUTE format('SELECT count(*) FROM goldenarch.%I', view_name);
    EXCEPTION WHEN OTHERS THEN
      RETURN NEXT view_name || ': ' || SQLERRM;
    END;
  END LOOP;
END $$;
SELECT goldenarch.map_role('rbac_app', 'nina', '{admin}');
SET ROLE rbac_app;
SELECT public.unreadable();
RESET ROLE;
SELECT goldenarch.unmap_role('rbac_app');
DROP FUNCTION public.unreadable();
-- The executor's functions ask for no permission: only its access gives them, and gives nothing else.
CREATE ROLE rbac_executor;
SELECT goldenarch.grant_access('rbac_executor', 'executor');
SELECT r AS role, string_agg(p.proname, ' ' ORDER BY p.proname) AS functions
FROM pg_proc p, unnest('{rbac_app,rbac_executor,rbac_monitor}'::text[]) r
WHERE p.pronamespace = 'goldenarch'::regnamespace AND has_function_privilege(r, p.oid, 'EXECUTE')
  AND p.proname IN ('register_executor', 'claim_jobs', 'heartbeat_jobs', 'finish_job', 'release_jobs', 'submit_job')
GROUP BY r ORDER BY r;
SELECT goldenarch.revoke_access('rbac_executor', 'executor');
DROP ROLE rbac_executor;
REVOKE ALL ON FUNCTION goldenarch.create_role(text, text[], text[], text) FROM rbac_app;
SELECT goldenarch.repair_grants();
SELECT has_function_privilege('rbac_app', 'goldenarch.create_role(text,text[],text[],text)', 'EXECUTE') AS again;
SELECT goldenarch.revoke_access('rbac_app', 'app'), goldenarch.revoke_access('rbac_app', 'app');
SELECT has_function_privilege('rbac_app', 'goldenarch.create_role(text,text[],text[],text)', 'EXECUTE') AS gone;

-- Bad arguments.
SELECT goldenarch.has_permission(NULL);
SELECT goldenarch.has_permission('');
SELECT goldenarch.require_permission(VARIADIC NULL);
SELECT goldenarch.require_permission(VARIADIC '{}');
SELECT goldenarch.require_permission('task.view', NULL);
SELECT goldenarch.explain_permission(NULL);
SELECT goldenarch.create_role(NULL, '{}');
SELECT goldenarch.create_role('Loud', '{}');
SELECT goldenarch.create_role('x', NULL);
SELECT goldenarch.create_role('x', '{nodot}');
SELECT goldenarch.create_role('x', '{--a.b}');
SELECT goldenarch.create_role('x', '{a.b}', '{nobody}');
SELECT goldenarch.create_role('x', '{a.b}', '{x}');
SELECT goldenarch.create_role('x', '{a.b}', '{}', 'often');
SELECT goldenarch.create_role('admin', '{a.b}');
SELECT goldenarch.grant_role(NULL, 'observer');
SELECT goldenarch.grant_role('anonymous', 'observer');
SELECT goldenarch.grant_role('a', NULL);
SELECT goldenarch.grant_role('a', 'nobody');
SELECT goldenarch.grant_role('a', 'observer', '');
SELECT goldenarch.grant_role('a', 'observer', E'b\u00e4r');
SELECT goldenarch.grant_role(repeat('a', 300), 'observer');
SELECT goldenarch.revoke_role('a', NULL);
SELECT goldenarch.map_role(NULL, 'a', '{}');
SELECT goldenarch.map_role('nobody_here', 'a', '{}');
SELECT goldenarch.map_role('rbac_app', NULL, '{}');
SELECT goldenarch.map_role('rbac_app', 'a', NULL);
SELECT goldenarch.map_role('rbac_app', 'a', '{nobody}');
SELECT goldenarch.unmap_role(NULL);
SELECT goldenarch.grant_access(NULL, 'app');
SELECT goldenarch.grant_access('rbac_app', 'root');
SELECT goldenarch.grant_access('nobody_here', 'app');
SELECT goldenarch.revoke_access('rbac_app', NULL);

-- Who monitors sees every view of operations that the roles it is mapped to show.
SELECT goldenarch.map_role('rbac_monitor', 'watcher', '{observer}');
SET ROLE rbac_monitor;
SELECT (SELECT count(*) FROM goldenarch.health()) > 0 AS health, (SELECT count(*) FROM goldenarch.metrics) > 0 AS metrics,
       (SELECT count(*) FROM goldenarch.bridge_status) AS bridge, (SELECT count(*) FROM goldenarch.circuit_breakers) >= 0 AS circuits;
SELECT count(*) FROM goldenarch.sandbox_executors;
SELECT goldenarch.create_task('t');
RESET ROLE;
SELECT goldenarch.unmap_role('rbac_monitor');
-- The trail says what was given; refused tokens are counted.
SELECT goldenarch.create_role('traced', '{a.b,-c.d}', '{observer}', '7/minute');
SELECT action, resource_id, details FROM goldenarch.audit_log WHERE action IN ('create_role', 'map_role') ORDER BY id DESC LIMIT 2;
SELECT value AS before FROM goldenarch.metrics WHERE name = 'goldenarch_authentication_failures_total' \gset
SELECT goldenarch.authenticate('forged');
SELECT value - :before AS counted FROM goldenarch.metrics WHERE name = 'goldenarch_authentication_failures_total';
SELECT goldenarch.revoke_access('rbac_tenant_admin', 'app'), goldenarch.revoke_access('rbac_monitor', 'monitor');
DROP ROLE rbac_app;
DROP ROLE rbac_tenant_admin;
DROP ROLE rbac_monitor;
-- A mapping outlives its role, names nobody then, and health() says so.
SELECT goldenarch.unmap_role('rbac_tenant_admin');
CREATE ROLE rbac_gone;
SELECT goldenarch.map_role('rbac_gone', 'ghost', '{}');
DROP ROLE rbac_gone;
INSERT INTO goldenarch.access_grants VALUES ('rbac_gone', 'monitor');  -- as a restore elsewhere leaves it
SELECT component, status, detail FROM goldenarch.health() WHERE component = 'identity';
SELECT goldenarch.unmap_role('rbac_gone');
SELECT goldenarch.repair_grants();
SELECT goldenarch.revoke_access('rbac_gone', 'monitor');
SELECT goldenarch.revoke_access('rbac_gone', 'monitor');
SELECT component, status, detail FROM goldenarch.health() WHERE component = 'identity';
