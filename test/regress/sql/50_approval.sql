-- SPDX-License-Identifier: PostgreSQL
-- Approvals: who may decide, what exactly is approved, for how long, how often it can be used.
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
CREATE ROLE apv_ann;
CREATE ROLE apv_bob;
CREATE ROLE apv_cat;
CREATE ROLE apv_dan;
CREATE ROLE apv_eve;
INSERT INTO goldenarch.roles (role, permissions) VALUES
	('approver', '{approval.decide,approval.view,approval.request}'), ('lawyer', '{legal.sign,approval.view}');
INSERT INTO goldenarch.role_mappings (tenant, pg_role, subject, roles) VALUES
	('', 'apv_ann', 'ann', '{developer}'), ('', 'apv_bob', 'bob', '{approver}'), ('', 'apv_cat', 'cat', '{approver,lawyer}'),
	('acme', 'apv_eve', 'eve', '{approver}');
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA goldenarch TO apv_ann, apv_bob, apv_cat, apv_dan, apv_eve;
GRANT SELECT ON goldenarch.approvals, goldenarch.pending_approvals TO apv_ann, apv_bob, apv_cat, apv_dan, apv_eve;

-- A policy is an administrator's; a kind without one takes one approver.
SELECT goldenarch.set_approval_policy('deploy', quorum => 2, escalate_after => '1 day');
SELECT goldenarch.set_approval_policy('contract', 'legal.sign');
SET ROLE apv_ann;
SELECT attempt($$SELECT goldenarch.set_approval_policy('deploy', quorum => 1)$$);
SELECT goldenarch.request_approval('deploy', 'prod', '{"version": 7, "image": "a"}', 'release 7') AS deploy \gset
SELECT attempt(format($$SELECT goldenarch.approve(%s)$$, :deploy));
SELECT attempt($$SELECT goldenarch.consume_approval('deploy', 'prod', '{"version": 7, "image": "a"}')$$);
SELECT count(*) AS seen_without_approval_view FROM goldenarch.pending_approvals;

-- Nobody decides his own, whatever he may otherwise; one seat a person; the quorum is of persons.
RESET ROLE;
UPDATE goldenarch.role_mappings SET roles = '{developer,approver}' WHERE pg_role = 'apv_ann';
SET ROLE apv_ann;
SELECT attempt(format($$SELECT goldenarch.approve(%s)$$, :deploy));
SELECT attempt(format($$SELECT goldenarch.reject(%s, 'no')$$, :deploy));
SET ROLE apv_bob;
SELECT approval_id, kind, subject, requested_by, approvals, quorum, length(digest), payload, reason
FROM goldenarch.pending_approvals;
SELECT digest FROM goldenarch.pending_approvals \gset
SELECT attempt(format($$SELECT goldenarch.approve(%s, digest => 'abcd')$$, :deploy)) LIKE 'ZG007 approval request 1 has another content than the one named%' AS stale_digest_is_refused;
SELECT goldenarch.approve(:deploy, 'looks good', :'digest');
SELECT goldenarch.approve(:deploy);
SELECT attempt($$SELECT goldenarch.consume_approval('deploy', 'prod', '{"version": 7, "image": "a"}')$$);
SET ROLE apv_cat;
SELECT goldenarch.approve(:deploy);
SELECT goldenarch.approve(:deploy);

-- Used once, for exactly this, in the transaction of the effect.
SET ROLE apv_ann;
SELECT attempt($$SELECT goldenarch.consume_approval('deploy', 'prod', '{"version": 8, "image": "a"}')$$);
SELECT attempt($$SELECT goldenarch.consume_approval('deploy', 'test', '{"version": 7, "image": "a"}')$$);
BEGIN;
SELECT goldenarch.consume_approval('deploy', 'prod', '{"image": "a", "version": 7}');
ROLLBACK;
SELECT goldenarch.consume_approval('deploy', 'prod', '{"image": "a", "version": 7}');
SELECT attempt($$SELECT goldenarch.consume_approval('deploy', 'prod', '{"image": "a", "version": 7}')$$);
SET ROLE apv_bob;
SELECT attempt(format($$SELECT goldenarch.approve(%s)$$, :deploy));
SELECT attempt(format($$SELECT goldenarch.reject(%s, 'too late')$$, :deploy));
SET ROLE apv_ann;
SELECT attempt(format($$SELECT goldenarch.cancel_approval(%s)$$, :deploy));

-- A kind with a permission of its own.
SELECT goldenarch.request_approval('contract', 'supplier 4', '{"sum": 82000}') AS contract \gset
SET ROLE apv_bob;
SELECT attempt(format($$SELECT goldenarch.approve(%s)$$, :contract));
SET ROLE apv_cat;
SELECT goldenarch.approve(:contract);
-- Content that changes after the approval is not what was approved: not even for its owner.
RESET ROLE;
UPDATE goldenarch.approvals SET payload = '{"sum": 820000}' WHERE id = :contract;
SET ROLE apv_ann;
SELECT attempt($$SELECT goldenarch.consume_approval('contract', 'supplier 4', '{"sum": 820000}')$$);
SELECT attempt($$SELECT goldenarch.consume_approval('contract', 'supplier 4', '{"sum": 82000}')$$);

-- A kind that nobody configured needs one approver; its first policy supersedes what was asked before.
SELECT goldenarch.request_approval('moonshot', 'x', '{}') AS moonshot \gset
SELECT attempt($$SELECT goldenarch.consume_approval('moonshot', 'x', '{}')$$);
SET ROLE apv_bob;
SELECT quorum, expires_at - requested_at AS life FROM goldenarch.pending_approvals;
SELECT goldenarch.approve(:moonshot);
RESET ROLE;
SELECT goldenarch.set_approval_policy('moonshot', quorum => 2);
SET ROLE apv_ann;
SELECT attempt($$SELECT goldenarch.consume_approval('moonshot', 'x', '{}')$$);

-- A changed policy supersedes what was asked for under the old one; an identical one does not.
SELECT goldenarch.request_approval('deploy', 'prod', '{"version": 9}') AS stale \gset
RESET ROLE;
SELECT goldenarch.set_approval_policy('deploy', quorum => 2, escalate_after => '1 day');
SELECT state FROM goldenarch.approvals WHERE id = :stale;
SELECT goldenarch.set_approval_policy('deploy', quorum => 1);
SELECT state, decision_reason FROM goldenarch.approvals WHERE id = :stale;
SET ROLE apv_bob;
SELECT attempt(format($$SELECT goldenarch.approve(%s)$$, :stale));

-- Expiry is judged when read and is never consent.
SET ROLE apv_ann;
SELECT goldenarch.request_approval('deploy', 'prod', '{"version": 10}') AS late \gset
SELECT goldenarch.request_approval('deploy', 'prod', '{"version": 11}') AS used_late \gset
SET ROLE apv_bob;
SELECT goldenarch.approve(:used_late);
RESET ROLE;
UPDATE goldenarch.approvals SET expires_at = clock_timestamp() WHERE id IN (:late, :used_late);
SET ROLE apv_bob;
SELECT count(*) FROM goldenarch.pending_approvals WHERE approval_id = :late;
SELECT attempt(format($$SELECT goldenarch.approve(%s)$$, :late));
SELECT attempt($$SELECT goldenarch.consume_approval('deploy', 'prod', '{"version": 11}')$$);
RESET ROLE;
SELECT affected FROM goldenarch.run_maintenance() WHERE job = 'expire_approvals';
SELECT id, state, decision_reason FROM goldenarch.approvals WHERE id IN (:late, :used_late) ORDER BY id;

-- Rejection and withdrawal count until the approval is used; a vote may turn into a veto.
SET ROLE apv_ann;
SELECT goldenarch.request_approval('deploy', 'prod', '{"version": 12}') AS vetoed \gset
SELECT goldenarch.request_approval('deploy', 'prod', '{"version": 13}') AS withdrawn \gset
SET ROLE apv_bob;
SELECT goldenarch.approve(:vetoed);
SELECT goldenarch.reject(:vetoed, 'on second thought');
SELECT attempt(format($$SELECT goldenarch.cancel_approval(%s)$$, :withdrawn));
SET ROLE apv_ann;
SELECT attempt($$SELECT goldenarch.consume_approval('deploy', 'prod', '{"version": 12}')$$);
SELECT goldenarch.cancel_approval(:withdrawn);
SET ROLE apv_bob;
SELECT attempt(format($$SELECT goldenarch.approve(%s)$$, :withdrawn));

-- Escalation tells; it does not decide.
RESET ROLE;
SELECT goldenarch.set_approval_policy('deploy', escalate_after => '1 day');
SET ROLE apv_ann;
SELECT goldenarch.request_approval('deploy', 'prod', '{"version": 14}') AS slow \gset
RESET ROLE;
UPDATE goldenarch.approvals SET escalate_at = clock_timestamp() WHERE id = :slow;
SELECT affected FROM goldenarch.run_maintenance() WHERE job = 'escalate_approvals';
SELECT affected FROM goldenarch.run_maintenance() WHERE job = 'escalate_approvals';
SELECT state, escalated_at IS NOT NULL AS escalated FROM goldenarch.approvals WHERE id = :slow;

-- An agent's seat is its owner's: not a second one, and none for what the owner asked; not even when
-- the owner is named after the vote.
RESET ROLE;
SELECT goldenarch.set_approval_policy('deploy', quorum => 2);
INSERT INTO goldenarch.agents (tenant, id, role, owner) VALUES ('', 'cat', 'reviewer', 'bob');
SET ROLE apv_ann;
SELECT goldenarch.request_approval('deploy', 'prod', '{"version": 16}') AS shared \gset
SET ROLE apv_bob;
SELECT goldenarch.approve(:shared);
SET ROLE apv_cat;
SELECT goldenarch.approve(:shared);
RESET ROLE;
UPDATE goldenarch.agents SET owner = 'ann' WHERE id = 'cat';
SET ROLE apv_cat;
SELECT attempt(format($$SELECT goldenarch.approve(%s)$$, :shared));
RESET ROLE;
UPDATE goldenarch.agents SET owner = NULL WHERE id = 'cat';
SET ROLE apv_cat;
SELECT goldenarch.approve(:shared);
RESET ROLE;
UPDATE goldenarch.agents SET owner = 'bob' WHERE id = 'cat';
SET ROLE apv_ann;
SELECT attempt($$SELECT goldenarch.consume_approval('deploy', 'prod', '{"version": 16}')$$);
RESET ROLE;
DELETE FROM goldenarch.agents;

-- Another tenant's request does not exist; one's own is used by one's own tenant alone.
SET ROLE apv_eve;
SELECT attempt(format($$SELECT goldenarch.approve(%s)$$, :slow));
SELECT attempt(format($$SELECT goldenarch.reject(%s, 'x')$$, :slow));
SELECT attempt(format($$SELECT goldenarch.cancel_approval(%s)$$, :slow));
SELECT count(*) FROM goldenarch.pending_approvals;
RESET ROLE;
SELECT goldenarch.set_approval_policy('deploy');
SET ROLE apv_eve;
SELECT goldenarch.request_approval('deploy', 'prod', '{"version": 15}') AS foreign_one \gset
SELECT attempt(format($$SELECT goldenarch.approve(%s)$$, :foreign_one));
SET ROLE apv_bob;
SELECT attempt(format($$SELECT goldenarch.approve(%s)$$, :foreign_one));
RESET ROLE;
SELECT goldenarch.approve(:foreign_one);
SET ROLE apv_ann;
SELECT attempt($$SELECT goldenarch.consume_approval('deploy', 'prod', '{"version": 15}')$$);
SET ROLE apv_eve;
SELECT goldenarch.consume_approval('deploy', 'prod', '{"version": 15}') = :foreign_one AS consumed;

-- Bad arguments; who holds no permission hears nothing else.
RESET ROLE;
SELECT attempt($$SELECT goldenarch.set_approval_policy(NULL)$$);
SELECT attempt($$SELECT goldenarch.set_approval_policy('')$$);
SELECT attempt($$SELECT goldenarch.set_approval_policy(repeat('k', 101))$$);
SELECT attempt($$SELECT goldenarch.set_approval_policy('k', permission => NULL)$$);
SELECT attempt($$SELECT goldenarch.set_approval_policy('k', permission => 'nodot')$$);
SELECT attempt($$SELECT goldenarch.set_approval_policy('k', quorum => 0)$$);
SELECT attempt($$SELECT goldenarch.set_approval_policy('k', quorum => 101)$$);
SELECT attempt($$SELECT goldenarch.set_approval_policy('k', quorum => NULL)$$);
SELECT attempt($$SELECT goldenarch.set_approval_policy('k', expires => '0')$$);
SELECT attempt($$SELECT goldenarch.set_approval_policy('k', expires => '1 month')$$);
SELECT attempt($$SELECT goldenarch.set_approval_policy('k', expires => NULL)$$);
SELECT attempt($$SELECT goldenarch.set_approval_policy('k', expires => '1 day', escalate_after => '1 day')$$);
SELECT attempt($$SELECT goldenarch.request_approval(NULL, 's', '{}')$$);
SELECT attempt($$SELECT goldenarch.request_approval('deploy', NULL, '{}')$$);
SELECT attempt($$SELECT goldenarch.request_approval('deploy', repeat('s', 501), '{}')$$);
SELECT attempt($$SELECT goldenarch.request_approval('deploy', 's', NULL)$$);
SELECT attempt($$SELECT goldenarch.request_approval('deploy', 's', to_jsonb(repeat('p', 1048576)))$$);
SELECT attempt($$SELECT goldenarch.request_approval('deploy', 's', '{}', '')$$);
SELECT attempt($$SELECT goldenarch.request_approval('prompt', 's', '{}')$$);
SELECT attempt($$SELECT goldenarch.approve(NULL)$$);
SELECT attempt($$SELECT goldenarch.approve(4711)$$);
SELECT attempt($$SELECT goldenarch.approve(1, digest => '')$$);
SELECT attempt($$SELECT goldenarch.reject(NULL, 'x')$$);
SELECT attempt($$SELECT goldenarch.reject(1, NULL)$$);
SELECT attempt($$SELECT goldenarch.reject(4711, 'x')$$);
SELECT attempt($$SELECT goldenarch.cancel_approval(NULL)$$);
SELECT attempt($$SELECT goldenarch.cancel_approval(4711)$$);
SELECT attempt($$SELECT goldenarch.consume_approval(NULL, 's', '{}')$$);
SELECT attempt($$SELECT goldenarch.consume_approval('deploy', '', '{}')$$);
SELECT attempt($$SELECT goldenarch.consume_approval('deploy', 's', NULL)$$);
SELECT attempt($$SELECT goldenarch.consume_approval('moonshot', 's', '{}')$$);
SET ROLE apv_dan;
SELECT attempt($$SELECT goldenarch.request_approval(NULL, NULL, NULL)$$);
SELECT attempt($$SELECT goldenarch.approve(NULL)$$);
SELECT attempt($$SELECT goldenarch.reject(NULL, NULL)$$);
SELECT attempt($$SELECT goldenarch.cancel_approval(NULL)$$);
SELECT attempt($$SELECT goldenarch.consume_approval(NULL, NULL, NULL)$$);
RESET ROLE;

-- Too many of one person wait.
INSERT INTO goldenarch.approvals (tenant, id, kind, subject, payload, requested_by, requested_at, expires_at, policy_version, quorum, digest, state)
SELECT '', 100000 + i, 'deploy', 'x', '{}', 'ann', now(), now() + interval '1 day', 1, 1, sha256('x'), 'pending' FROM generate_series(1, 1000) i;
SET ROLE apv_ann;
SELECT attempt($$SELECT goldenarch.request_approval('deploy', 's', '{}')$$);
RESET ROLE;
DELETE FROM goldenarch.approvals WHERE id > 100000;

-- The tables hold their own invariants.
SELECT attempt($$UPDATE goldenarch.approvals SET state = 'dancing' WHERE id = 1$$) LIKE '23514 %' AS unknown_state_is_refused;
SELECT attempt($$UPDATE goldenarch.approvals SET state = 'consumed' WHERE id = 5$$) LIKE '23514 %' AS consumed_needs_a_time;

-- What an owner may do to his tables makes an error, not a crash.
BEGIN;
SELECT goldenarch.request_approval('odd', 'x', '{}') AS odd \gset
ALTER TABLE goldenarch.approvals ALTER requested_by DROP NOT NULL, ALTER payload DROP NOT NULL;
ALTER TABLE goldenarch.approvals DROP CONSTRAINT approvals_digest_check;
UPDATE goldenarch.approvals SET requested_by = NULL WHERE id = :odd;
SELECT attempt(format('SELECT goldenarch.approve(%s)', :odd));
UPDATE goldenarch.approvals SET requested_by = 'ann', digest = 'x' WHERE id = :odd;
SELECT attempt(format('SELECT goldenarch.approve(%s)', :odd));
UPDATE goldenarch.approvals SET payload = NULL WHERE id = :odd;
SELECT attempt(format('SELECT goldenarch.reject(%s, $$x$$)', :odd));
ROLLBACK;
-- What is left behind: a row a decision, an event a transition, the denials.
SELECT action, outcome, count(*) FROM goldenarch.audit_log WHERE action LIKE 'approval.%' AND outcome = 'ok'
GROUP BY 1, 2 ORDER BY action COLLATE "C";
SELECT subject, action, resource_id, details->>'sqlstate' AS sqlstate FROM goldenarch.audit_log
WHERE outcome = 'denied' AND resource_type = 'approval' ORDER BY id LIMIT 6;
SELECT subject, count(*) FROM goldenarch.outbox GROUP BY 1 ORDER BY subject COLLATE "C";
SELECT details->>'operation' AS operation, details->'after'->>'kind' AS kind, details->'after'->>'version' AS version
FROM goldenarch.audit_log WHERE action = 'configuration.change' AND resource_type = 'approval_policies' ORDER BY id;

DROP OWNED BY apv_ann, apv_bob, apv_cat, apv_dan, apv_eve;
DROP ROLE apv_ann, apv_bob, apv_cat, apv_dan, apv_eve;
