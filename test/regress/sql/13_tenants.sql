-- SPDX-License-Identifier: PostgreSQL
-- Two tenants, one of everything in each: neither sees a row of the other, through any table or
-- view, as an application, as a superuser who shows a token, or by a leaky function.
\set SHOW_CONTEXT never
CREATE ROLE ten_acme;
CREATE ROLE ten_globex;
SELECT goldenarch.grant_access(r, 'app') FROM unnest('{ten_acme,ten_globex}'::name[]) r;
SELECT goldenarch.map_role('ten_acme', 'ann', '{admin}', 'acme');
SELECT goldenarch.map_role('ten_globex', 'gil', '{admin}', 'globex');
SELECT goldenarch.add_jwt_key('k1', 'HS256', 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow', 'iss', 'aud', true);
SELECT goldenarch.issue_jwt('ann', 'admin', 'acme') AS ann \gset

-- One of everything, made by each in its own name.
CREATE FUNCTION public.make_all(tenant text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  task uuid;
BEGIN
  PERFORM goldenarch.set_budget(tenant, 100);
  PERFORM * FROM goldenarch.request_tokens(tenant, 'r-' || tenant, 10);
  task := goldenarch.create_task('secret of ' || tenant);
  PERFORM goldenarch.create_escalation(task, 'help ' || tenant);
  PERFORM goldenarch.open_review(task);
  PERFORM goldenarch.request_approval('deploy', 'subject of ' || tenant, '{}');
  PERFORM * FROM goldenarch.propose_prompt('developer', 'prompt of ' || tenant);
  PERFORM goldenarch.publish('prc.x.' || tenant, '{}');
  PERFORM goldenarch.submit_job('python', 'print("' || tenant || '")');
  PERFORM goldenarch.grant_role('friend', 'observer');
  PERFORM goldenarch.audit('ship', 'order', tenant);
END $$;
SET ROLE ten_acme;
SELECT public.make_all('acme');
SET ROLE ten_globex;
SELECT public.make_all('globex');
RESET ROLE;

-- What a caller sees, in each relation that tells the tenant of a row.
CREATE FUNCTION public.seen() RETURNS TABLE (relation text, tenants text) LANGUAGE plpgsql AS $$
BEGIN
  FOR relation IN
    SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant' AND NOT a.attisdropped
    WHERE c.relnamespace = 'goldenarch'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
      AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1
  LOOP
    EXECUTE format('SELECT string_agg(DISTINCT x.tenant, '' '' ORDER BY x.tenant) FROM goldenarch.%I x', relation) INTO tenants;
    IF tenants IS NOT NULL THEN
      RETURN NEXT;
    END IF;
  END LOOP;
END $$;
-- made: relations that hold rows of both, as the superuser's bypass shows.
CREATE TABLE public.made AS SELECT relation FROM public.seen() WHERE tenants ~ 'acme.*globex';
SELECT relation FROM public.made ORDER BY relation COLLATE "C";
GRANT SELECT ON public.made TO PUBLIC;
SET ROLE ten_acme;
SELECT relation, tenants FROM public.seen() WHERE tenants <> 'acme';
SELECT count(*) > 10 AS much_of_its_own FROM public.seen();
SET ROLE ten_globex;
SELECT relation, tenants FROM public.seen() WHERE tenants <> 'globex';
RESET ROLE;
-- A superuser who shows a token bypasses the tables' policies, but not the views.
BEGIN;
SELECT subject, tenant FROM goldenarch.authenticate(:'ann');
SELECT s.relation, s.tenants FROM public.seen() s JOIN pg_class c ON c.relname = s.relation AND c.relnamespace = 'goldenarch'::regnamespace
WHERE c.relkind = 'v' AND s.tenants <> 'acme';
COMMIT;

-- A cheap function of the caller's own runs on no row of another tenant.
CREATE FUNCTION public.leak(t text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
  IF t ~ 'globex' THEN
    RAISE NOTICE 'leaked: %', t;
  END IF;
  RETURN true;
END $$;
SET ROLE ten_acme;
SELECT count(*) FROM goldenarch.tasks WHERE public.leak(title);
SELECT count(*) FROM goldenarch.agent_prompts WHERE public.leak(prompt_text);
SELECT count(*) FROM goldenarch.audit_log WHERE public.leak(resource_id) AND action = 'app.ship';
SELECT count(*) FROM goldenarch.tasks_rows;
RESET ROLE;

-- Each function, called by the administrator of acme with what is globex's: as if it did not exist.
CREATE TABLE public.theirs AS SELECT
  (SELECT id FROM goldenarch.tasks WHERE tenant = 'globex' LIMIT 1) AS task,
  (SELECT id FROM goldenarch.peer_review_sessions WHERE tenant = 'globex' LIMIT 1) AS review,
  (SELECT id FROM goldenarch.escalations WHERE tenant = 'globex' LIMIT 1) AS escalation,
  (SELECT id FROM goldenarch.jobs WHERE tenant = 'globex' LIMIT 1) AS job,
  (SELECT approval_id FROM goldenarch.pending_approvals WHERE tenant = 'globex' LIMIT 1) AS approval,
  (SELECT id FROM goldenarch.prompts WHERE tenant = 'globex' LIMIT 1) AS prompt,
  (SELECT id FROM goldenarch.audit_entries WHERE tenant = 'globex' LIMIT 1) AS entry;
GRANT SELECT ON public.theirs TO PUBLIC;
SELECT task IS NOT NULL AND review IS NOT NULL AND escalation IS NOT NULL AND job IS NOT NULL AND approval IS NOT NULL
  AND prompt IS NOT NULL AND entry IS NOT NULL AS all_there FROM public.theirs;
CREATE FUNCTION public.attempt(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  answer text;
BEGIN
  EXECUTE format('SELECT goldenarch.%s::text FROM public.theirs', call) INTO answer;
  RETURN COALESCE(answer, 'null');
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || regexp_replace(regexp_replace(SQLERRM, '[0-9a-f-]{36}', 'ID'), '[0-9]+', 'N', 'g');
END $$;
SET ROLE ten_acme;
SELECT call, public.attempt(call) FROM unnest(ARRAY[
  'advance_task(task, ''developing'')', 'report_guard(task, ''has_tests'', true)', 'complete_task(task)',
  'heartbeat_task(task, 1)', 'fail_task(task, ''x'')', 'create_escalation(task, ''x'')', 'open_review(task)',
  'create_task(''child'', parent => task)', 'cast_vote(review, ''approve'')', 'explain_review(review)',
  'explain_vote_impact(review, ''ann'')', 'resolve_escalation(escalation, ''{}'')',
  'approve(approval)', 'reject(approval, ''no'')', 'cancel_approval(approval)',
  'consume_approval(''deploy'', ''subject of globex'', ''{}'')', 'approve_prompt_update(prompt)',
  'reject_prompt_update(prompt, ''no'')', 'wait_job(job, ''10 ms'')', 'cancel_job(job)', 'audit_entry(entry)',
  'commit_usage(''r-globex'', 1)', 'release_reservation(''r-globex'')', 'request_tokens(''globex'', ''z'', 1)',
  'charge_tokens(''globex'', ''z'', 1)', 'set_budget(''globex'', 5)', 'explain_budget(''globex'')',
  'create_task(''t'', tenant => ''globex'')', 'grant_role(''a'', ''observer'', ''globex'')',
  'revoke_role(''friend'', ''observer'', ''globex'')', 'issue_jwt(''a'', ''admin'', ''globex'')']) call;
RESET ROLE;
DROP FUNCTION public.attempt(text);
DROP TABLE public.theirs;
DROP FUNCTION public.leak(text), public.seen(), public.make_all(text);
DROP TABLE public.made;
SELECT goldenarch.revoke_access(r, 'app') FROM unnest('{ten_acme,ten_globex}'::name[]) r;
DROP ROLE ten_acme;
DROP ROLE ten_globex;
