-- SPDX-License-Identifier: PostgreSQL
-- Model replies: what is extracted, what is repaired without loss, what is refused and why.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE FUNCTION pg_temp.refusal(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
    EXECUTE command;
    RETURN 'no error';
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ' ' || SQLERRM || CASE WHEN detail <> '' THEN ' | ' || detail ELSE '' END;
END
$$;

-- extract_json: the first complete value.
SELECT goldenarch.extract_json(r) FROM (VALUES
    ('{"a": 1}'), (E'Here you go:\n```json\n{"a": [1, 2,], // two\n "b": /* none */ null}\n```\nAnything else?'),
    (E'\uFEFF [1, 2] '), ('see [below] and {agent}: {"a": "}"} then {"b": 2}'), ('```
42
```'), ('"text"'), (E'{"s": "```json {} ```", "u": "http://x/y"}'), ('{"n": 1e400, "i": 12345678901234567890.5}')) AS t (r);
SELECT pg_temp.refusal(pg_catalog.format('SELECT goldenarch.extract_json(%L)', r)) FROM (VALUES
    (''), ('no json here'), ('{"a": 1'), ('{"a": [{"b": 1}, {"c":'), ('{"a": 1, "a": 2}'), ('{"outer": 1, "outer": {"inner": {"ok": true}}}'),
    ('{"a": "\ud800"}'), ('{"a": "\u0000"}'), ('{"a": NaN}'), ('{''a'': 1}'), ('{"a": tru}'), ('{"a": 1e999}'),
    ('{"a": "line' || E'\n' || 'break"}'), (pg_catalog.repeat('[', 70) || pg_catalog.repeat(']', 70))) AS t (r);
SELECT pg_temp.refusal('SELECT goldenarch.extract_json(NULL)');
SELECT pg_temp.refusal(pg_catalog.format('SELECT goldenarch.extract_json(%L)', pg_catalog.repeat(' ', 4 * 1024 * 1024) || '{}'));

-- parse_llm: strict, repaired without loss, held against the schema.
SELECT goldenarch.register_schema('decision', '{"type": "object", "required": ["decision"], "properties": {"decision": {"enum": ["approve", "reject"]}, "why": {"type": "array", "items": {"type": "string"}}}}');
SELECT ok, value, errors, repaired, edits FROM (VALUES
    (1, '{"decision": "approve"}'),
    (2, E'\uFEFF{"decision": "approve"}'),
    (3, E'Sure!\n\n```json\n{"decision": "approve", "why": ["a", "b",],}\n```\nHope it helps.'),
    (4, '{"decision": "reject" /* or {"decision": "approve"} */}'),
    (5, '{"decision": "reject", "decision": "approve"}'),
    (6, '{"decision": "reject", "\u0064ecision": "approve"}'),
    (7, 'First {"decision": "reject"}, on reflection {"decision": "approve"}'),
    (8, '{"decision": "approve", "why": ["cut o'),
    (9, '{"decision": "approve"} {"decision": '),
    (10, '{"decision": "maybe", "why": ["ok", 5]}'),
    (11, '[]'),
    (12, 'I will not answer.'),
    (13, '{"decision": "approve", "why": [,]}'),
    (14, '{"decision": "approve" "why": []}'),
    (16, 'As [1] and [2, 3] say: {"decision": "reject"} [4]'),
    (17, 'The list: [{"decision": "approve"}] as you asked'),
    (15, E'```json\n{"decision": "reject"}\n```\n```json\n{"decision": "approve"}\n```')) AS t (n, raw),
    goldenarch.try_parse_llm('decision', raw) ORDER BY n;
SELECT goldenarch.parse_llm('decision', E'```\n{"decision": "reject"}\n```');
SELECT pg_temp.refusal($$SELECT goldenarch.parse_llm('decision', '{"decision": "maybe"}')$$);
SELECT pg_temp.refusal($$SELECT goldenarch.parse_llm('nobody', '{}')$$);
SELECT pg_temp.refusal($$SELECT goldenarch.parse_llm(NULL, '{}')$$);
SELECT pg_temp.refusal($$SELECT goldenarch.parse_llm('decision', NULL)$$);
SELECT pg_temp.refusal($$SELECT goldenarch.try_parse_llm('nobody', '{}')$$);
SELECT pg_temp.refusal($$SELECT goldenarch.try_parse_llm('decision', NULL)$$);
-- The duplicate name decides nothing, and the error says where it is.
SELECT e->>'code' AS code, e->>'pointer' AS pointer, e->>'offset' AS byte_offset
FROM goldenarch.try_parse_llm('decision', '{"decision": "reject", "decision": "approve"}') r, pg_catalog.jsonb_array_elements(r.errors) e;

-- The shipped shapes as rows.
SELECT s.synthesis_reasoning, a.* FROM goldenarch.safe_parse_synthesis(
    '{"synthesis_reasoning": "Two faults, one cause.", "action_plan": [{"priority": 2, "type": "fix", "issue": "R&D cache", "agent": "dev"}, {"priority": 1.0, "type": "test", "issue": "costs $5 a run", "agent": "qa"}]}') s,
    pg_catalog.unnest(s.action_plan) a ORDER BY a.priority;
SELECT * FROM goldenarch.safe_parse_patterns('[{"pattern_type": "skill_gap", "root_cause": "c", "suggested_fix": "f"},
    {"pattern_type": "process_issue", "root_cause": "d", "suggested_fix": "g", "agents_involved": ["a", "b"], "confidence": 1}]');
SELECT * FROM goldenarch.safe_parse_patterns('[]');
SELECT * FROM goldenarch.safe_parse_consensus('{"decision": "conditional", "confidence": 0.75, "reasoning": "r", "concerns": ["x"]}');
SELECT pg_temp.refusal(pg_catalog.format('SELECT goldenarch.%s(%L)', f, r)) FROM (VALUES
    ('safe_parse_synthesis', '{"synthesis_reasoning": "Fine so far.", "action_plan": []}'),
    ('safe_parse_synthesis', '{"synthesis_reasoning": "Fine so far.", "action_plan": [{"priority": 101, "type": "fix", "issue": "x", "agent": "dev"}]}'),
    ('safe_parse_synthesis', '[]'), ('safe_parse_synthesis', NULL),
    ('safe_parse_patterns', '{}'), ('safe_parse_patterns', NULL), ('safe_parse_patterns', '[{"pattern_type": "other", "root_cause": "c", "suggested_fix": "f", "confidence": 2}]'),
    ('safe_parse_consensus', '{"decision": "approve", "confidence": 1.01, "reasoning": "r"}'), ('safe_parse_consensus', NULL)) AS t (f, r);
-- A newer version of a shape may allow more than the row type holds: rejected, not misread.
BEGIN;
SELECT goldenarch.register_schema('consensus', '{"type": "object"}');
SELECT pg_temp.refusal($$SELECT goldenarch.safe_parse_consensus('{"decision": ["approve"]}')$$);
SELECT * FROM goldenarch.safe_parse_consensus('{"reasoning": null}');
ROLLBACK;
CREATE ROLE parse_joe;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA goldenarch TO parse_joe;
SET ROLE parse_joe;
SELECT goldenarch.extract_json('{}');
\set VERBOSITY sqlstate
SELECT goldenarch.parse_llm('decision', '{}');
SELECT goldenarch.try_parse_llm(NULL, NULL);
SELECT goldenarch.safe_parse_synthesis('{}');
SELECT goldenarch.safe_parse_patterns('[]');
SELECT goldenarch.safe_parse_consensus('{}');
\set VERBOSITY default
RESET ROLE;
DROP OWNED BY parse_joe;
DROP ROLE parse_joe;
-- Hostile replies end quickly: many openings, none of which begins an object.
SELECT errors->0->>'code' FROM goldenarch.try_parse_llm('decision', pg_catalog.repeat('[/*', 300000));
SELECT errors->0->>'code' FROM goldenarch.try_parse_llm('decision', pg_catalog.repeat('["', 300000));
SELECT errors->0->>'code' FROM goldenarch.try_parse_llm('decision', pg_catalog.repeat('{', 300000));
SELECT errors->0->>'code' FROM goldenarch.try_parse_llm('decision', '{"a": [' || pg_catalog.repeat('0,', 600000) || '0]}');
