-- SPDX-License-Identifier: PostgreSQL
-- Peer review: the consensus as a pure function, the roster, one vote a person, settling.
\set SHOW_CONTEXT never
CREATE FUNCTION attempt(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
	EXECUTE query;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN regexp_replace(concat_ws(' | ', SQLSTATE, SQLERRM, nullif(detail, '')), '[0-9a-f]{8}-[0-9a-f-]{27}', 'UUID', 'g');
END $$;

-- explain_consensus
SELECT jsonb_pretty(goldenarch.explain_consensus('{"reviewer-1": "approve", "security-1": "conditional", "tester-2": "reject", "stranger": "approve"}'));
SELECT votes, quorum, r->'consensus_score' AS score, r->'passed' AS passed, r->'missing_for_quorum' AS missing
FROM (VALUES
	('{"reviewer-1": "approve", "reviewer-2": "approve", "reviewer-3": "approve"}'::jsonb, 0.75),
	('{"reviewer-1": "approve", "reviewer-2": "approve", "reviewer-3": "conditional"}', 0.75),
	('{"architect-1": "approve", "security-1": "approve", "reviewer-1": "approve", "tester-1": "approve", "developer-1": "approve"}', 1),
	('{"unknown-7": "approve"}', 0.05),
	('{"unknown-7": "approve"}', 0.06),
	('{"reviewer": "reject"}', 0.75),
	('{}', 0.75)) AS t(votes, quorum), LATERAL goldenarch.explain_consensus(votes, quorum) AS r;
SELECT goldenarch.explain_consensus('{"judge-1": "approve", "clerk-1": "approve"}', 0.5, '{"judge": 0.45}')->'contributions' AS contributions;
SELECT goldenarch.explain_consensus('{"reviewer-1": "approve"}')->>'summary' AS summary;
-- a role is the name without its number, and nothing cleverer
SELECT d->>'agent' AS agent, d->>'role' AS role, d->'weight' AS weight
FROM jsonb_array_elements(goldenarch.explain_consensus('{"security-1": "reject", "security-1a": "reject", "-1": "reject", "security-": "reject", "code-reviewer-12": "reject"}')->'details') AS d
ORDER BY d->>'agent' COLLATE "C";
-- the shipped weights stand in one table and in the pure function
SELECT role, vote_weight = (goldenarch.explain_consensus(jsonb_build_object(role || '-1', 'approve'))->>'consensus_score')::numeric AS same
FROM goldenarch.agent_roles ORDER BY role COLLATE "C";
SELECT q, attempt(format('SELECT goldenarch.explain_consensus(%s)', q)) FROM (VALUES
	('NULL'), ($$'[]'$$), ($$'{"a": 1}'$$), ($$'{"a": "maybe"}'$$), ($$'{"a": "APPROVE"}'$$), ($$'{"": "approve"}'$$),
	($$'{}', NULL$$), ($$'{}', 0$$), ($$'{}', 1.01$$), ($$'{}', 'NaN'$$), ($$'{}', 0.5, '[]'$$), ($$'{}', 0.5, '{"a": -1}'$$), ($$'{}', 0.5, '{"a": "1"}'$$)) AS bad(q);

-- people
CREATE ROLE review_author;
CREATE ROLE review_one;
CREATE ROLE review_two;
CREATE ROLE review_three;
CREATE ROLE review_nobody;
CREATE ROLE review_foreign;
INSERT INTO goldenarch.role_mappings (tenant, pg_role, subject, roles) VALUES
	('', 'review_author', 'developer-1', '{developer}'), ('', 'review_one', 'reviewer-1', '{developer}'),
	('', 'review_two', 'reviewer-2', '{developer}'), ('', 'review_three', 'security-1', '{developer}'),
	('other', 'review_foreign', 'reviewer-9', '{developer}');
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA goldenarch TO review_author, review_one, review_two, review_three, review_nobody, review_foreign;

SET ROLE review_author;
SELECT goldenarch.create_task('parse the feed') AS task \gset
SELECT goldenarch.open_review(:'task', 0.6, reviewers => '{reviewer-1,reviewer-2,security-1}') AS review \gset
SELECT attempt(format('SELECT goldenarch.open_review(%L)', :'task'));
SELECT attempt(format('SELECT goldenarch.cast_vote(%L, %L)', :'review', 'approve'));
SELECT goldenarch.claim_task('developer') IS NOT NULL AS claimed;
RESET ROLE;

-- one vote a person, from a seat, in time
SET ROLE review_one;
SELECT r->>'status' AS status, r->'consensus_score' AS score, r->'waiting_for' AS waiting_for FROM goldenarch.cast_vote(:'review', 'approve', 'reads well') AS r;
SELECT attempt(format('SELECT goldenarch.cast_vote(%L, %L)', :'review', 'approve'));
SELECT attempt(format('SELECT goldenarch.cast_vote(%L, %L)', :'review', 'reject'));
SELECT goldenarch.explain_vote_impact(:'review', 'security-1') - 'review_id' AS impact;
RESET ROLE;
SET ROLE review_nobody;
SELECT attempt(format('SELECT goldenarch.cast_vote(%L, %L)', :'review', 'approve'));
RESET ROLE;
SET ROLE review_foreign;
SELECT attempt(format('SELECT goldenarch.cast_vote(%L, %L)', :'review', 'approve'));
SELECT attempt(format('SELECT goldenarch.explain_review(%L)', :'review'));
SELECT attempt(format('SELECT goldenarch.explain_vote_impact(%L, %L)', :'review', 'reviewer-1'));
SELECT attempt(format('SELECT goldenarch.open_review(%L)', :'task'));
RESET ROLE;
SET ROLE review_two;
SELECT r->>'status' AS status, r->'passed' AS passed, r->'dissent' AS dissent FROM goldenarch.cast_vote(:'review', 'conditional', 'name the columns') AS r;
RESET ROLE;
SET ROLE review_three;
SELECT r->>'status' AS status, r->'passed' AS passed, r->>'summary' AS summary FROM goldenarch.cast_vote(:'review', 'approve') AS r;
SELECT attempt(format('SELECT goldenarch.cast_vote(%L, %L)', :'review', 'approve'));
RESET ROLE;
-- recomputable from the stored rows
SELECT s.status, s.score, goldenarch.explain_review(s.id)->'consensus_score' AS explained, s.votes
FROM goldenarch.peer_review_sessions AS s;
SELECT voter, role, weight, vote, reasoning FROM goldenarch.peer_votes ORDER BY voter COLLATE "C";

-- silence is no consent: past the deadline it failed, read or settled
SELECT goldenarch.open_review(:'task', 0.6, '1 hour', '{reviewer-1,reviewer-2,security-1}') AS review \gset
SET ROLE review_one;
SELECT r->>'status' AS status FROM goldenarch.cast_vote(:'review', 'approve') AS r;
RESET ROLE;
UPDATE goldenarch.peer_review_sessions SET deadline = now() - interval '1 s' WHERE id = :'review';
SELECT r->>'status' AS status, r->'passed' AS passed, r->'abstained' AS abstained FROM goldenarch.explain_review(:'review') AS r;
SELECT status AS stored FROM goldenarch.peer_review_sessions WHERE id = :'review';
SET ROLE review_two;
SELECT attempt(format('SELECT goldenarch.cast_vote(%L, %L)', :'review', 'approve'));
RESET ROLE;
SELECT affected FROM goldenarch.run_maintenance() WHERE job = 'due_reviews';
SELECT status AS stored, settled_at IS NOT NULL AS settled FROM goldenarch.peer_review_sessions WHERE id = :'review';

-- it fails as soon as it cannot pass any more
SELECT goldenarch.open_review(:'task', 0.75, reviewers => '{reviewer-1,reviewer-2,security-1}') AS review \gset
SET ROLE review_three;
SELECT r->>'status' AS status, r->'passed' AS passed, r->>'summary' AS summary FROM goldenarch.cast_vote(:'review', 'reject', 'leaks a key') AS r;
RESET ROLE;

-- work that changed is not what was reviewed
SELECT goldenarch.open_review(:'task') AS review \gset
SELECT ok, state FROM goldenarch.advance_task(:'task', 'created');
SET ROLE review_one;
SELECT attempt(format('SELECT goldenarch.cast_vote(%L, %L)', :'review', 'approve'));
RESET ROLE;

-- an open panel: weights are shares of one; agents of one owner are one person
SELECT goldenarch.set_agent('reviewer-1', 'reviewer', 'alice'), goldenarch.set_agent('reviewer-2', 'reviewer', 'alice');
SELECT goldenarch.open_review(:'task') AS review \gset
SET ROLE review_one;
SELECT r->>'status' AS status, r->'consensus_score' AS score FROM goldenarch.cast_vote(:'review', 'approve') AS r;
RESET ROLE;
SET ROLE review_two;
SELECT attempt(format('SELECT goldenarch.cast_vote(%L, %L)', :'review', 'approve'));
RESET ROLE;
SELECT goldenarch.set_agent('security-1', 'security', status => 'paused');
SET ROLE review_three;
SELECT attempt(format('SELECT goldenarch.cast_vote(%L, %L)', :'review', 'approve'));
RESET ROLE;
SELECT attempt(format('SELECT goldenarch.explain_vote_impact(%L, %L)', :'review', 'reviewer-2'));

-- bad input
SELECT q, attempt(replace(q, 'TASK', quote_literal(:'task'))) FROM (VALUES
	('SELECT goldenarch.open_review(NULL)'),
	($$SELECT goldenarch.open_review('00000000-0000-0000-0000-000000000000')$$),
	('SELECT goldenarch.open_review(TASK, 0)'), ('SELECT goldenarch.open_review(TASK, NULL)'),
	($$SELECT goldenarch.open_review(TASK, 0.5, '0 s')$$), ($$SELECT goldenarch.open_review(TASK, 0.5, '31 days')$$),
	($$SELECT goldenarch.open_review(TASK, 0.5, NULL)$$),
	($$SELECT goldenarch.open_review(TASK, reviewers => '{}')$$), ($$SELECT goldenarch.open_review(TASK, reviewers => '{NULL}')$$),
	($$SELECT goldenarch.open_review(TASK, reviewers => '{developer-1}')$$),
	($$SELECT goldenarch.open_review(TASK, reviewers => '{tester-1,tester-1}')$$),
	($$SELECT goldenarch.open_review(TASK, reviewers => '{reviewer-1,reviewer-2}')$$),
	('SELECT goldenarch.cast_vote(NULL, ''approve'')'), ('SELECT goldenarch.cast_vote(TASK, NULL)'),
	($$SELECT goldenarch.cast_vote(TASK, 'abstain')$$), ($$SELECT goldenarch.cast_vote(TASK, 'approve')$$),
	($$SELECT goldenarch.cast_vote(TASK, 'approve', '')$$),
	('SELECT goldenarch.explain_review(NULL)'), ('SELECT goldenarch.explain_review(TASK)'),
	('SELECT goldenarch.explain_vote_impact(NULL, ''a'')'), ('SELECT goldenarch.explain_vote_impact(TASK, NULL)'),
	($$SELECT goldenarch.set_agent(NULL, 'reviewer')$$), ($$SELECT goldenarch.set_agent('a', NULL)$$),
	($$SELECT goldenarch.set_agent('a', 'reviewer', status => 'asleep')$$), ($$SELECT goldenarch.set_agent('a', 'reviewer', metadata => '[]')$$),
	($$SELECT goldenarch.set_agent_role(NULL, 0.5)$$), ($$SELECT goldenarch.set_agent_role('judge', NULL)$$),
	($$SELECT goldenarch.set_agent_role('judge', 1.5)$$), ($$SELECT goldenarch.set_agent_role('judge', 'NaN')$$)) AS bad(q);
SET ROLE review_nobody;
SELECT q, attempt(q) FROM (VALUES ('SELECT goldenarch.open_review(NULL)'), ('SELECT goldenarch.cast_vote(NULL, NULL)'),
	('SELECT goldenarch.explain_review(NULL)'), ('SELECT goldenarch.explain_vote_impact(NULL, NULL)'),
	('SELECT goldenarch.set_agent(NULL, NULL)'), ('SELECT goldenarch.set_agent_role(NULL, NULL)')) AS bad(q);
SELECT goldenarch.explain_consensus('{"reviewer-1": "approve"}')->'consensus_score' AS anybody_may;
RESET ROLE;

-- what was decided is on record, what happened was announced
SELECT action, count(*) FROM goldenarch.audit_log WHERE action LIKE 'review.%' AND outcome = 'ok' GROUP BY action ORDER BY action COLLATE "C";
SELECT regexp_replace(subject, '[0-9a-f]{8}-[0-9a-f-]{27}', 'TASK') AS subject, count(*) FROM goldenarch.outbox WHERE subject LIKE 'prc.%' GROUP BY 1 ORDER BY 1;
