-- SPDX-License-Identifier: PostgreSQL
-- Approvals: request, decide, use once. Votes are always the caller's own.

CREATE OR REPLACE FUNCTION goldenarch.set_approval_policy(kind text,
		permission text DEFAULT 'approval.decide', quorum integer DEFAULT 1,
	 expires interval DEFAULT '7 days', escalate_after interval DEFAULT NULL)
	RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_set_approval_policy';
COMMENT ON FUNCTION goldenarch.set_approval_policy(text, text, integer, interval, interval) IS
	'Say what an approval of this kind takes: the permission of its approvers, how many persons (quorum 1-100), how long a request lives (no months), when to escalate (less than expires; null: never). A change supersedes what is pending or approved of that kind; nobody decides his own, there is no option for it. 22023: bad argument. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.request_approval(kind text, subject text, payload jsonb,
		reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_request_approval';
COMMENT ON FUNCTION goldenarch.request_approval(text, text, jsonb, text) IS
	'Ask for an approval of exactly this payload for this subject; returns the approval id. A kind without a policy takes one approval.decide within 7 days. Has an effect: call it in FROM, once. 22023: bad argument, or kind prompt (use propose_prompt); 53400: 1000 requests of the caller are pending. Permission: approval.request.';

CREATE OR REPLACE FUNCTION goldenarch.approve(approval_id bigint, comment text DEFAULT NULL,
		digest text DEFAULT NULL)
	RETURNS text LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_approve';
COMMENT ON FUNCTION goldenarch.approve(bigint, text, text) IS
	'Take the caller''s seat for a request; returns pending, or approved once the quorum is reached. digest: hexadecimal, as pending_approvals shows it; another one is refused, so that nobody approves what he did not see. 42501: not permitted, or the caller''s own request; ZG007: expired, superseded or other content; 55000: decided already; 42704: no such request. The permission is the one that the policy of the request''s kind names. Permission: approval.decide.';

CREATE OR REPLACE FUNCTION goldenarch.reject(approval_id bigint, reason text)
	RETURNS text LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_reject';
COMMENT ON FUNCTION goldenarch.reject(bigint, text) IS
	'Reject a request that is pending, or approved and not used yet; one rejection is enough; returns rejected. Errors as approve(). The permission is the one that the policy of the request''s kind names. Permission: approval.decide.';

CREATE OR REPLACE FUNCTION goldenarch.cancel_approval(approval_id bigint)
	RETURNS text LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_cancel_approval';
COMMENT ON FUNCTION goldenarch.cancel_approval(bigint) IS
	'Withdraw the caller''s own request (system.admin: any) while it is pending, or approved and not used yet; returns cancelled. 42501: another''s request; 55000: decided already; ZG007: expired or superseded; 42704: no such request. Permission: approval.request.';

CREATE OR REPLACE FUNCTION goldenarch.consume_approval(kind text, subject text, payload jsonb)
	RETURNS bigint LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_consume_approval';
COMMENT ON FUNCTION goldenarch.consume_approval(text, text, jsonb) IS
	'Use an approval, once, in the transaction of what it allows; returns its id. Only an approved, unexpired request of the caller''s tenant for exactly this kind, subject and payload is used; else ZG007, recorded durably. Has an effect: call it in FROM, once. Permission: approval.request.';

CREATE OR REPLACE VIEW goldenarch.pending_approvals
	WITH (security_invoker = true, security_barrier = true) AS
	SELECT a.id AS approval_id, a.kind, a.subject, a.requested_by, a.requested_at, a.expires_at,
		a.approvals, a.quorum, pg_catalog.encode(a.digest, 'hex') AS digest, a.payload, a.reason,
		a.escalated_at, a.tenant
	FROM goldenarch.approvals a
	WHERE a.state OPERATOR(pg_catalog.=) 'pending'
		AND a.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()
		AND a.tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('approval.view'))
		AND a.tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('approval.view'));
COMMENT ON VIEW goldenarch.pending_approvals IS
	'Requests that wait for a decision and have not expired. digest: hand it to approve() to approve exactly what is shown. escalated_at: when it was reported as waiting too long. Permission: approval.view.';
