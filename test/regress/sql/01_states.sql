-- SPDX-License-Identifier: PostgreSQL
-- The state machines, as workers and executor are compiled with them.
SELECT * FROM goldenarch.state_edges() ORDER BY machine COLLATE "C", from_state COLLATE "C", to_state COLLATE "C";
SELECT goldenarch.is_state('job', 'queued'), goldenarch.is_state('job', 'dancing'), goldenarch.is_state('job', NULL);
SELECT goldenarch.is_state('planet', 'queued');
