-- SPDX-License-Identifier: PostgreSQL
-- Learning: what a role may change about itself, and the prompts it lives by.

CREATE OR REPLACE FUNCTION goldenarch.can_auto_update_prompt(agent_role text)
	RETURNS boolean LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_can_auto_update_prompt';
COMMENT ON FUNCTION goldenarch.can_auto_update_prompt(text) IS
	'A hint: would a prompt of this role go live now without a human? Only propose_prompt() decides. An unknown role: false. learning.view will do as well. Permission: learning.propose.';

CREATE OR REPLACE FUNCTION goldenarch.learning_decision(agent_role text,
		OUT allowed boolean, OUT reason text, OUT used integer, OUT allowance integer,
		OUT retry_at timestamptz)
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_learning_decision';
COMMENT ON FUNCTION goldenarch.learning_decision(text) IS
	'What propose_prompt() would say now, as a hint. reason: can_auto_update, or requires_approval | daily_limit_reached | cooldown_active, a colon and the details; used: prompts that went live in the last 24 hours; allowance: how many may (null for an unknown role); retry_at: when limit and cooldown allow the next (null: now, or never). learning.view will do as well. Permission: learning.propose.';

CREATE OR REPLACE FUNCTION goldenarch.propose_prompt(agent_role text, prompt_text text,
		learned_from_pattern text DEFAULT NULL, auto_learned boolean DEFAULT true,
		OUT prompt_id bigint, OUT version integer, OUT approval_status text, OUT approval_id bigint,
		OUT reason text,
		OUT retry_at timestamptz)
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_propose_prompt';
COMMENT ON FUNCTION goldenarch.propose_prompt(text, text, text, boolean) IS
	'Propose the next prompt of a role. approval_status: auto_approved (it is live), pending_review (approval_id waits for a human) or refused (over the limit of any 24 hours, inside the cooldown, or 20 proposals wait: nothing is stored but the audit row; reason and retry_at say why and until when). Limits hold whatever auto_learned says. A text that was rolled back before needs a human. Has an effect: call it in FROM, once. 22023: bad argument, or a text over 256 KiB. Permission: learning.propose.';

CREATE OR REPLACE FUNCTION goldenarch.approve_prompt_update(prompt_id bigint,
		notes text DEFAULT NULL,
		digest text DEFAULT NULL)
	RETURNS text LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_approve_prompt_update';
COMMENT ON FUNCTION goldenarch.approve_prompt_update(bigint, text, text) IS
	'approve() of the prompt''s request: returns pending, or approved once the quorum is reached, and then the prompt is live. Limits hold here too: ZG001 while the role is over its limit or in its cooldown (DETAIL: the wait). Other errors as approve(); 42704: no such prompt; 55000: the prompt waits for nobody. Permission: learning.approve.';

CREATE OR REPLACE FUNCTION goldenarch.reject_prompt_update(prompt_id bigint, reason text)
	RETURNS text LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_reject_prompt_update';
COMMENT ON FUNCTION goldenarch.reject_prompt_update(bigint, text) IS
	'reject() of the prompt''s request; returns rejected. Errors as approve_prompt_update(). Permission: learning.approve.';

CREATE OR REPLACE FUNCTION goldenarch.active_prompt(agent_role text)
	RETURNS text LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_active_prompt';
COMMENT ON FUNCTION goldenarch.active_prompt(text) IS
	'The text of the role''s live prompt in the caller''s tenant; null when there is none. Permission: agent.view.';

CREATE OR REPLACE FUNCTION goldenarch.rollback_prompt(agent_role text, version integer)
	RETURNS bigint LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_rollback_prompt';
COMMENT ON FUNCTION goldenarch.rollback_prompt(text, integer) IS
	'Make an earlier version live again; returns its prompt id. Only what was approved before may return (55000 otherwise, and when it is live already); 42704: no such version. Uses up no slot of the 24 hours, starts the cooldown; the text left behind needs a human to come back, and after two rollbacks in 24 hours every prompt of the role does. Permission: learning.approve.';

CREATE OR REPLACE FUNCTION goldenarch.get_pending_approvals_count(
		OUT agent_role text, OUT pending_count bigint)
	RETURNS SETOF record LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_get_pending_approvals_count';
COMMENT ON FUNCTION goldenarch.get_pending_approvals_count() IS
	'Prompts that wait for a human, a row a role that has any. Permission: learning.view.';

CREATE OR REPLACE FUNCTION goldenarch.learning_status(OUT agent_role text,
		OUT max_updates_per_day integer,
		OUT cooldown interval, OUT require_human_approval boolean,
		OUT last_update_at timestamptz, OUT updates_in_window integer, OUT pending_count bigint,
		OUT status text, OUT next_allowed_at timestamptz)
	RETURNS SETOF record LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_learning_status';
COMMENT ON FUNCTION goldenarch.learning_status() IS
	'The rows of governance_status, of the caller''s tenant. Permission: learning.view.';

CREATE OR REPLACE VIEW goldenarch.governance_status
	WITH (security_invoker = true, security_barrier = true) AS
	SELECT s.agent_role, s.max_updates_per_day, s.cooldown, s.require_human_approval,
		s.last_update_at,
		s.updates_in_window, s.pending_count, s.status, s.next_allowed_at
	FROM goldenarch.learning_status() s;
COMMENT ON VIEW goldenarch.governance_status IS
	'A row a role of learning_governance, for the caller''s tenant. status: requires_approval | daily_limit_reached | cooldown_active | can_auto_update, the first that applies; updates_in_window: of the last 24 hours; next_allowed_at: null when limit and cooldown allow one now, or never. Permission: learning.view.';

CREATE OR REPLACE VIEW goldenarch.agent_prompts
	WITH (security_invoker = true, security_barrier = true) AS
	SELECT p.id, p.agent_role, p.version, p.prompt_text, h.prompt_id IS NOT NULL AS active,
		p.auto_learned, p.learned_from_pattern,
		CASE WHEN p.approval_status OPERATOR(pg_catalog.=) 'pending_review'
				AND p.review_until OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp()
			THEN 'rejected' ELSE p.approval_status END AS approval_status,
		p.approved_by, p.approved_at,
		CASE WHEN p.approval_status OPERATOR(pg_catalog.=) 'pending_review'
				AND p.review_until OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp()
			THEN 'expired' ELSE p.rejection_reason END AS rejection_reason,
		p.created_at, p.approval_id, p.proposed_by, p.tenant
	FROM goldenarch.prompts p
	LEFT JOIN goldenarch.prompt_history h ON h.tenant OPERATOR(pg_catalog.=) p.tenant
		AND h.agent_role OPERATOR(pg_catalog.=) p.agent_role AND pg_catalog.upper_inf(h.live)
		AND h.prompt_id OPERATOR(pg_catalog.=) p.id
	WHERE p.tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('learning.view'))
		AND p.tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('learning.view'));
COMMENT ON VIEW goldenarch.agent_prompts IS
	'Every version of every role''s prompt. active: live now, at most one a tenant and role; a proposal that no human decided in time is shown as rejected (expired). Permission: learning.view.';

CREATE OR REPLACE VIEW goldenarch.learning_stats
	WITH (security_invoker = true, security_barrier = true) AS
	SELECT r.agent_role,
		pg_catalog.count(*) FILTER (WHERE p.auto_learned) AS auto_learned_count,
		pg_catalog.count(*) FILTER (WHERE p.approval_status OPERATOR(pg_catalog.=) 'pending_review')
			AS pending_count,
		pg_catalog.count(*) FILTER (WHERE p.approval_status OPERATOR(pg_catalog.=) 'auto_approved'
			OR p.approval_status OPERATOR(pg_catalog.=) 'human_approved') AS approved_count,
		pg_catalog.count(*) FILTER (WHERE p.approval_status OPERATOR(pg_catalog.=) 'rejected')
			AS rejected_count,
		pg_catalog.max(p.created_at) FILTER (WHERE p.auto_learned) AS last_auto_learn,
		pg_catalog.count(*) FILTER (WHERE p.auto_learned AND p.created_at OPERATOR(pg_catalog.>=)
			pg_catalog.date_trunc('day', pg_catalog.clock_timestamp())) AS auto_learned_today
	FROM (SELECT g.agent_role FROM goldenarch.learning_governance g
		UNION SELECT v.agent_role FROM goldenarch.agent_prompts v) r
	LEFT JOIN goldenarch.agent_prompts p ON p.agent_role OPERATOR(pg_catalog.=) r.agent_role
	GROUP BY r.agent_role;
COMMENT ON VIEW goldenarch.learning_stats IS
	'Proposals a role, of all time but auto_learned_today (since midnight in the session''s time zone). approved_count: went live by either way. Permission: learning.view.';
