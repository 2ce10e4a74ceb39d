-- SPDX-License-Identifier: PostgreSQL
-- Learning: limits, cooldowns, humans; prompts, their history and the way back.
\set SHOW_CONTEXT never
SET client_min_messages = notice;
-- What an error says, without its times.
CREATE FUNCTION attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text; code text; message text; details text; advice text;
BEGIN
	EXECUTE statement INTO answer;
	RETURN 'ok: ' || coalesce(answer, 'null');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, details = PG_EXCEPTION_DETAIL,
		advice = PG_EXCEPTION_HINT;
	RETURN regexp_replace(concat_ws(E'\n', code || ' ' || message, nullif(details, ''), nullif(advice, '')),
		'\d{4}-\d\d-\d\d [\d:.]+\+00', 'TIME', 'g');
END $$;
CREATE ROLE lrn_ann;
CREATE ROLE lrn_bob;
CREATE ROLE lrn_cat;
CREATE ROLE lrn_dan;
CREATE ROLE lrn_eve;
INSERT INTO goldenarch.roles (role, permissions) VALUES
	('trainer', '{learning.propose,learning.approve,learning.view,agent.view,approval.view}');
INSERT INTO goldenarch.role_mappings (tenant, pg_role, subject, roles) VALUES
	('', 'lrn_ann', 'ann', '{developer}'), ('', 'lrn_bob', 'bob', '{trainer}'), ('', 'lrn_cat', 'cat', '{trainer}'),
	('acme', 'lrn_eve', 'eve', '{trainer}');
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA goldenarch TO lrn_ann, lrn_bob, lrn_cat, lrn_dan, lrn_eve;
GRANT SELECT ON ALL TABLES IN SCHEMA goldenarch TO lrn_ann, lrn_bob, lrn_cat, lrn_dan, lrn_eve;
-- Time passes: what happened is moved into the past.
CREATE FUNCTION let_pass(span interval) RETURNS void LANGUAGE sql AS $$
	UPDATE goldenarch.prompt_history SET live = tstzrange(lower(live) - span, upper(live) - span);
	UPDATE goldenarch.learning_state SET last_change_at = last_change_at - span;
$$;

SELECT agent_role, max_updates_per_day, cooldown, require_human_approval FROM goldenarch.learning_governance ORDER BY agent_role;
SELECT agent_role, status, updates_in_window, pending_count, last_update_at, next_allowed_at FROM goldenarch.governance_status;
SELECT r, goldenarch.can_auto_update_prompt(r) FROM unnest('{security,architect,developer,reviewer,tester,stranger}'::text[]) r;

-- An automatic role: live at once, then the cooldown, then the limit of any 24 hours.
SET ROLE lrn_ann;
SELECT prompt_id, version, approval_status, approval_id, reason, retry_at FROM goldenarch.propose_prompt('developer', 'Be terse.', 'verbosity');
SELECT goldenarch.active_prompt('developer'), goldenarch.can_auto_update_prompt('developer');
SELECT prompt_id, version, approval_status, approval_id, split_part(reason, ':', 1) AS reason, retry_at - now() BETWEEN '119 minutes' AND '121 minutes' AS in_two_hours
FROM goldenarch.propose_prompt('developer', 'Be terser.', auto_learned => false);
SELECT allowed, split_part(reason, ':', 1) AS reason, used, allowance, retry_at > now() AS later FROM goldenarch.learning_decision('developer');
RESET ROLE;
UPDATE goldenarch.learning_governance SET cooldown = '0' WHERE agent_role = 'developer';
UPDATE goldenarch.learning_governance SET cooldown = '0' WHERE agent_role = 'developer';
SET ROLE lrn_ann;
SELECT version, approval_status FROM goldenarch.propose_prompt('developer', 'Version 2.');
SELECT version, approval_status FROM goldenarch.propose_prompt('developer', 'Version 3.');
SELECT version, approval_status FROM goldenarch.propose_prompt('developer', 'Version 4.', auto_learned => false);
SELECT version, approval_status FROM goldenarch.propose_prompt('developer', 'Version 5.');
SELECT version, approval_status, reason, retry_at - now() BETWEEN '1439 minutes' AND '1441 minutes' AS tomorrow
FROM goldenarch.propose_prompt('developer', 'The sixth of the day.');
SELECT goldenarch.active_prompt('developer');
-- The window rolls: a slot is free when the first of the five is 24 hours old, not at midnight.
RESET ROLE;
SELECT let_pass('23 hours 59 minutes');
SELECT approval_status FROM goldenarch.propose_prompt('developer', 'Still the sixth.');
SELECT let_pass('1 minute');
SELECT version, approval_status FROM goldenarch.propose_prompt('developer', 'Version 6.');
SELECT status, updates_in_window FROM goldenarch.governance_status WHERE agent_role = 'developer';
-- A clock that was set back opens nothing.
UPDATE goldenarch.learning_state SET last_change_at = now() + interval '1 hour';
UPDATE goldenarch.learning_governance SET cooldown = '1 second' WHERE agent_role = 'developer';
SELECT approval_status, split_part(reason, ':', 1) AS reason FROM goldenarch.propose_prompt('developer', 'In the past.');
-- None at all.
SELECT let_pass('30 days');
UPDATE goldenarch.learning_governance SET max_updates_per_day = 0, cooldown = '0' WHERE agent_role = 'tester';
SELECT approval_status, reason, retry_at FROM goldenarch.propose_prompt('tester', 'Test more.');

-- A role that needs a human: nobody approves his own, the digest is what was read.
SET ROLE lrn_bob;
SELECT prompt_id, version, approval_status, approval_id, reason FROM goldenarch.propose_prompt('security', 'Trust nobody.') \gset
SELECT :'approval_status' AS approval_status, :'reason' AS reason;
SELECT goldenarch.active_prompt('security') IS NULL AS not_live;
SELECT attempt(format($$SELECT goldenarch.approve_prompt_update(%s)$$, :prompt_id));
SET ROLE lrn_ann;
SELECT attempt(format($$SELECT goldenarch.approve_prompt_update(%s)$$, :prompt_id));
-- No agent stands in for a human.
RESET ROLE;
INSERT INTO goldenarch.agents (tenant, id, role, owner) VALUES ('', 'cat', 'reviewer', 'zoe');
SET ROLE lrn_cat;
SELECT attempt(format($$SELECT goldenarch.approve_prompt_update(%s)$$, :prompt_id));
RESET ROLE;
DELETE FROM goldenarch.agents;
SET ROLE lrn_cat;
SELECT * FROM goldenarch.get_pending_approvals_count();
SELECT kind, subject, requested_by, quorum, payload FROM goldenarch.pending_approvals;
SELECT attempt(format($$SELECT goldenarch.approve_prompt_update(%s, digest => %L)$$, :prompt_id, repeat('0', 64))) LIKE 'ZG007 %' AS stale_digest_is_refused;
SELECT goldenarch.approve_prompt_update(:prompt_id, 'sound', (SELECT digest FROM goldenarch.pending_approvals));
SELECT goldenarch.active_prompt('security');
SELECT agent_role, version, active, approval_status, approved_by FROM goldenarch.agent_prompts WHERE agent_role = 'security';
SELECT * FROM goldenarch.get_pending_approvals_count();
SELECT attempt(format($$SELECT goldenarch.approve_prompt_update(%s)$$, :prompt_id));
SELECT attempt(format($$SELECT goldenarch.reject_prompt_update(%s, 'late')$$, :prompt_id));
-- Limits hold for humans too: when they propose, and when they approve.
SELECT approval_status, split_part(reason, ':', 1) AS reason FROM goldenarch.propose_prompt('security', 'Trust some.', auto_learned => false);
SELECT approval_status, prompt_id FROM goldenarch.propose_prompt('architect', 'Draw first.') \gset
SELECT prompt_id AS second_id FROM goldenarch.propose_prompt('architect', 'Draw last.') \gset
SELECT prompt_id AS third_id FROM goldenarch.propose_prompt('architect', 'Draw never.') \gset
SET ROLE lrn_bob;
SELECT goldenarch.reject_prompt_update(:third_id, 'too lazy');
SELECT goldenarch.approve_prompt_update(:prompt_id);
SELECT version, active, approval_status, approved_by, rejection_reason FROM goldenarch.agent_prompts WHERE agent_role = 'architect' ORDER BY version;
SELECT attempt(format($$SELECT goldenarch.approve_prompt_update(%s)$$, :second_id));
RESET ROLE;
SELECT let_pass('12 hours');
SET ROLE lrn_cat;
SELECT prompt_id AS fourth_id FROM goldenarch.propose_prompt('architect', 'Draw twice.') \gset
RESET ROLE;
UPDATE goldenarch.learning_governance SET max_updates_per_day = 1 WHERE agent_role = 'architect';
SET ROLE lrn_bob;
SELECT attempt(format($$SELECT goldenarch.approve_prompt_update(%s)$$, :fourth_id));
SELECT count(*) AS still_waiting FROM goldenarch.pending_approvals WHERE approvals = 0;
-- Expiry is never consent.
RESET ROLE;
UPDATE goldenarch.approvals SET expires_at = clock_timestamp() WHERE state = 'pending';
UPDATE goldenarch.prompts SET review_until = clock_timestamp() WHERE approval_status = 'pending_review';
SELECT version, approval_status, rejection_reason FROM goldenarch.agent_prompts WHERE id = :fourth_id;
SELECT * FROM goldenarch.get_pending_approvals_count();
SELECT affected FROM goldenarch.run_maintenance() WHERE job = 'expire_approvals';
SELECT approval_status, rejection_reason FROM goldenarch.prompts WHERE id = :fourth_id;

-- The way back: free of the limit, starts the cooldown; what was left behind needs a human to return.
UPDATE goldenarch.learning_governance SET cooldown = '2 hours', max_updates_per_day = 5 WHERE agent_role = 'developer';
SET ROLE lrn_bob;
SELECT version AS was_live FROM goldenarch.agent_prompts WHERE agent_role = 'developer' AND active;
SELECT goldenarch.rollback_prompt('developer', 2);
SELECT goldenarch.active_prompt('developer');
SELECT version, counted, upper_inf(live) AS live FROM goldenarch.prompt_history WHERE agent_role = 'developer' ORDER BY lower(live) DESC LIMIT 2;
SELECT used, split_part(reason, ':', 1) AS reason FROM goldenarch.learning_decision('developer');
RESET ROLE;
SELECT let_pass('2 hours');
SET ROLE lrn_ann;
SELECT approval_status, reason FROM goldenarch.propose_prompt('developer', 'Version 6.');
SELECT approval_status, version FROM goldenarch.propose_prompt('developer', 'Version 7.');
SELECT attempt($$SELECT goldenarch.rollback_prompt('developer', 2)$$);
SET ROLE lrn_bob;
SELECT attempt($$SELECT goldenarch.rollback_prompt('developer', 8)$$);
SELECT attempt($$SELECT goldenarch.rollback_prompt('architect', 3)$$);
SELECT attempt($$SELECT goldenarch.rollback_prompt('developer', 99)$$);
-- Two rollbacks in 24 hours: from now on a human decides on this role.
SELECT goldenarch.rollback_prompt('developer', 2);
SELECT status FROM goldenarch.governance_status WHERE agent_role = 'developer';
RESET ROLE;
SELECT let_pass('2 hours');
SELECT allowed, reason, used FROM goldenarch.learning_decision('developer');
SELECT approval_status, reason FROM goldenarch.propose_prompt('developer', 'Version 8.');
SELECT let_pass('22 hours');
SELECT allowed FROM goldenarch.learning_decision('developer');
SET ROLE lrn_bob;
-- History: at each moment exactly one was live.
SELECT count(*) AS ranges, bool_and(lower(live) = before) AS unbroken
FROM (SELECT live, lag(upper(live)) OVER (ORDER BY lower(live)) AS before FROM goldenarch.prompt_history
	WHERE agent_role = 'developer') h WHERE before IS NOT NULL;
RESET ROLE;
SELECT attempt($$INSERT INTO goldenarch.prompt_history SELECT tenant, agent_role, tstzrange(now(), NULL), prompt_id, version, true, 'x'
	FROM goldenarch.prompt_history WHERE agent_role = 'architect' LIMIT 1$$) LIKE '23505 %' AS one_live_prompt_a_role;
SELECT attempt($$UPDATE goldenarch.prompts SET prompt_text = 'other'$$) LIKE '23514 %' AS text_is_fixed;

-- Tenants have prompts, limits and humans of their own.
SET ROLE lrn_eve;
SELECT goldenarch.active_prompt('developer') IS NULL AS none_of_ours;
SELECT version, approval_status FROM goldenarch.propose_prompt('developer', 'Acme first.');
SELECT goldenarch.active_prompt('developer');
SELECT agent_role, version, active FROM goldenarch.agent_prompts;
SELECT attempt($$SELECT goldenarch.reject_prompt_update(1, 'x')$$);
SELECT attempt($$SELECT goldenarch.rollback_prompt('developer', 2)$$);
SELECT agent_role, updates_in_window FROM goldenarch.governance_status WHERE updates_in_window > 0;
SET ROLE lrn_bob;
SELECT goldenarch.active_prompt('developer');

-- Hints and prompts are read on a standby too; what would write is refused.
BEGIN READ ONLY;
SELECT goldenarch.active_prompt('developer'), goldenarch.can_auto_update_prompt('developer');
SELECT count(*) FROM goldenarch.governance_status;
SELECT attempt($$SELECT goldenarch.propose_prompt('developer', 'x')$$);
ROLLBACK;
-- Proposals do not pile up.
RESET ROLE;
SELECT approval_status, count(*) FROM generate_series(1, 22) i, goldenarch.propose_prompt('stranger', 'Hello ' || i) GROUP BY 1 ORDER BY 1;
SELECT reason FROM goldenarch.propose_prompt('stranger', 'Hello again');
SELECT agent_role, auto_learned_count > 0 AS learned, pending_count, approved_count, rejected_count, auto_learned_today > 0 AS today
FROM goldenarch.learning_stats ORDER BY agent_role;

-- Bad arguments; who holds no permission hears nothing else.
SELECT attempt($$SELECT goldenarch.can_auto_update_prompt(NULL)$$);
SELECT attempt($$SELECT goldenarch.learning_decision('')$$);
SELECT attempt($$SELECT goldenarch.propose_prompt(NULL, 'x')$$);
SELECT attempt($$SELECT goldenarch.propose_prompt(repeat('r', 101), 'x')$$);
SELECT attempt($$SELECT goldenarch.propose_prompt('tester', NULL)$$);
SELECT attempt($$SELECT goldenarch.propose_prompt('tester', '')$$);
SELECT attempt($$SELECT goldenarch.propose_prompt('tester', repeat('x', 262145))$$);
SELECT attempt($$SELECT goldenarch.propose_prompt('tester', 'x', '')$$);
SELECT attempt($$SELECT goldenarch.propose_prompt('tester', 'x', 'y', NULL)$$);
SELECT attempt($$SELECT goldenarch.approve_prompt_update(NULL)$$);
SELECT attempt($$SELECT goldenarch.approve_prompt_update(4711)$$);
SELECT attempt($$SELECT goldenarch.approve_prompt_update(1)$$);
SELECT attempt($$SELECT goldenarch.reject_prompt_update(NULL, 'x')$$);
SELECT attempt($$SELECT goldenarch.reject_prompt_update(1, NULL)$$);
SELECT attempt($$SELECT goldenarch.active_prompt(NULL)$$);
SELECT attempt($$SELECT goldenarch.rollback_prompt(NULL, 1)$$);
SELECT attempt($$SELECT goldenarch.rollback_prompt('developer', NULL)$$);
SELECT attempt($$SELECT goldenarch.rollback_prompt('developer', 0)$$);
SET ROLE lrn_dan;
SELECT attempt($$SELECT goldenarch.can_auto_update_prompt(NULL)$$);
SELECT attempt($$SELECT goldenarch.learning_decision(NULL)$$);
SELECT attempt($$SELECT goldenarch.propose_prompt(NULL, NULL)$$);
SELECT attempt($$SELECT goldenarch.approve_prompt_update(NULL)$$);
SELECT attempt($$SELECT goldenarch.reject_prompt_update(NULL, NULL)$$);
SELECT attempt($$SELECT goldenarch.active_prompt(NULL)$$);
SELECT attempt($$SELECT goldenarch.rollback_prompt(NULL, NULL)$$);
SELECT attempt($$SELECT goldenarch.get_pending_approvals_count()$$);
SELECT attempt($$SELECT count(*) FROM goldenarch.governance_status$$);
SELECT (SELECT count(*) FROM goldenarch.agent_prompts) AS prompts, (SELECT count(*) FROM goldenarch.prompt_history) AS history;
RESET ROLE;

-- The limits are a DBA's to change; each change is audited.
DELETE FROM goldenarch.learning_governance WHERE agent_role = 'reviewer';
INSERT INTO goldenarch.learning_governance VALUES ('reviewer', 1, '1 hour', true);
SELECT details->>'operation' AS operation, resource_id AS agent_role,
	details->'before'->>'cooldown' AS cooldown_before, details->'after'->>'cooldown' AS cooldown_after
FROM goldenarch.audit_log WHERE action = 'configuration.change' AND resource_type = 'learning_governance' ORDER BY id;
BEGIN;
TRUNCATE goldenarch.learning_governance;
SELECT details->>'operation' AS operation, resource_id FROM goldenarch.audit_log WHERE action = 'configuration.change' ORDER BY id DESC LIMIT 1;
SELECT goldenarch.can_auto_update_prompt('tester') AS without_limits_a_human_decides;
ROLLBACK;
SELECT attempt($$UPDATE goldenarch.learning_governance SET max_updates_per_day = -1$$) LIKE '23514 %' AS negative_limit_is_refused;
SELECT action, outcome, count(*) FROM goldenarch.audit_log WHERE action LIKE 'learning.%' AND resource_type = 'agent_role'
GROUP BY 1, 2 ORDER BY action COLLATE "C";

DROP OWNED BY lrn_ann, lrn_bob, lrn_cat, lrn_dan, lrn_eve;
DROP ROLE lrn_ann, lrn_bob, lrn_cat, lrn_dan, lrn_eve;
