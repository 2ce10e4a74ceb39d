-- SPDX-License-Identifier: PostgreSQL
CREATE OR REPLACE FUNCTION goldenarch.open_review(task_id uuid, quorum numeric DEFAULT 0.75, deadline interval DEFAULT '15 minutes',
	reviewers text[] DEFAULT NULL)
RETURNS uuid
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_open_review';
COMMENT ON FUNCTION goldenarch.open_review(uuid, numeric, interval, text[]) IS
'Opens the peer review of a task and returns its id. reviewers: who votes, with the weights of their roles as of
now; a vote''s share is its weight over the roster''s, so silence never helps. Null: whoever may vote, and a weight
is a share of 1 as in explain_consensus. quorum: above 0 and up to 1. deadline: up to 30 days; who did not vote by
then abstained. One open review a task. Publishes prc.TASK.opened, .vote and .settled. Errors: 22023 (also a
reviewer who made or worked on the task), 42704, 55000 (finished, or being reviewed).
Permission: task.update.';

CREATE OR REPLACE FUNCTION goldenarch.cast_vote(review_id uuid, vote text, reasoning text DEFAULT NULL) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_cast_vote';
COMMENT ON FUNCTION goldenarch.cast_vote(uuid, text, text) IS
'The caller''s vote, approve, conditional or reject, once a person; answers what explain_review then does. The
review settles as soon as the votes still out can change nothing. Errors: 22023, 23505 (voted already), 42501 (own
work, no seat, agent paused), 42704, 55000 (over, or the work has changed).
Permission: task.vote.';

CREATE OR REPLACE FUNCTION goldenarch.explain_review(review_id uuid) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_explain_review';
COMMENT ON FUNCTION goldenarch.explain_review(uuid) IS
'Why a review stands as it does: status (open, passed, failed), the members of explain_consensus, who is waited for
or abstained, and every vote against with its reasoning. Past its deadline a review reads as settled. Errors:
22023, 42704.
Permission: task.view.';

CREATE OR REPLACE FUNCTION goldenarch.explain_vote_impact(review_id uuid, agent text) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_sql_explain_vote_impact';
COMMENT ON FUNCTION goldenarch.explain_vote_impact(uuid, text) IS
'What a review would come to, had this agent not voted or voted otherwise: {agent, role, vote, consensus_score,
passed, without, if_approve, if_conditional, if_reject, decisive}. Errors: 22023, 42704.
Permission: task.view.';

CREATE OR REPLACE FUNCTION goldenarch.explain_consensus(votes jsonb, quorum numeric DEFAULT 0.75,
	role_weights jsonb DEFAULT NULL)
RETURNS jsonb
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ga_sql_explain_consensus';
COMMENT ON FUNCTION goldenarch.explain_consensus(jsonb, numeric, jsonb) IS
'What votes come to and why, from the arguments alone. votes: {"reviewer-1": "approve", ...}, the role being the
name without its number; approve counts the role''s weight, conditional half of it, reject nothing; an unknown role
weighs 0.05. role_weights: null is the shipped weights. quorum: above 0 and up to 1. Answers {consensus_score,
quorum_threshold, passed, missing_for_quorum, contributions, vote_counts, details[], summary}. Errors: 22023.
Permission: none.';
