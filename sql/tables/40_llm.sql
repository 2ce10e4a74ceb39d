-- SPDX-License-Identifier: PostgreSQL
-- Registered JSON schemas. A version never changes: register_schema() only adds.

CREATE SEQUENCE goldenarch.schemas_id_seq;
CREATE TABLE goldenarch.schemas (
    id            bigint NOT NULL UNIQUE,
    name          text COLLATE "C" NOT NULL CHECK (pg_catalog.octet_length(name) OPERATOR(pg_catalog.<=) 255),
    version       integer NOT NULL CHECK (version OPERATOR(pg_catalog.>) 0),
    uri           text COLLATE "C",
    schema        jsonb NOT NULL,
    pins          jsonb NOT NULL DEFAULT '{}',
    registered_by text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    shipped       boolean NOT NULL DEFAULT false,
    PRIMARY KEY (name, version)
);
CREATE INDEX schemas_uri ON goldenarch.schemas (uri) WHERE uri IS NOT NULL;
COMMENT ON TABLE goldenarch.schemas IS
'JSON schemas by name and version; the highest version of a name is current. pins: the version (id) that each reference found when this one was registered. Written by register_schema().';
CREATE TRIGGER seed_restore BEFORE INSERT ON goldenarch.schemas
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.seed_restore();
CREATE TRIGGER schemas_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON goldenarch.schemas
    FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.schemas_changed();
ALTER TABLE goldenarch.schemas ENABLE ALWAYS TRIGGER schemas_changed;

INSERT INTO goldenarch.schemas (id, name, version, schema, registered_by, shipped) VALUES
    (pg_catalog.nextval('goldenarch.schemas_id_seq'), 'synthesis', 1, '{
        "type": "object",
        "required": ["synthesis_reasoning", "action_plan"],
        "properties": {
            "synthesis_reasoning": {"type": "string", "minLength": 10, "maxLength": 2000},
            "action_plan": {"type": "array", "minItems": 1, "maxItems": 50, "items": {
                "type": "object",
                "required": ["priority", "type", "issue", "agent"],
                "properties": {
                    "priority": {"type": "integer", "minimum": 1, "maximum": 100},
                    "type": {"type": "string", "enum": ["fix", "improve", "refactor", "test"]},
                    "issue": {"type": "string", "minLength": 5, "maxLength": 1000},
                    "agent": {"type": "string", "minLength": 2, "maxLength": 100}}}}}}', 'goldenarch', true),
    (pg_catalog.nextval('goldenarch.schemas_id_seq'), 'patterns', 1, '{
        "type": "array",
        "maxItems": 20,
        "items": {
            "type": "object",
            "required": ["pattern_type", "root_cause", "suggested_fix"],
            "properties": {
                "pattern_type": {"type": "string", "enum": ["skill_gap", "agent_conflict", "process_issue"]},
                "root_cause": {"type": "string", "maxLength": 500},
                "suggested_fix": {"type": "string", "maxLength": 1000},
                "agents_involved": {"type": "array", "maxItems": 10, "items": {"type": "string"}},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5}}}}', 'goldenarch', true),
    (pg_catalog.nextval('goldenarch.schemas_id_seq'), 'consensus', 1, '{
        "type": "object",
        "required": ["decision", "confidence", "reasoning"],
        "properties": {
            "decision": {"type": "string", "enum": ["approve", "reject", "conditional"]},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "reasoning": {"type": "string", "maxLength": 2000},
            "concerns": {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 500}}}}', 'goldenarch', true);
SELECT pg_catalog.pg_extension_config_dump('goldenarch.schemas', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.schemas_id_seq', '');

CREATE TYPE goldenarch.llm_result AS (ok boolean, value jsonb, errors jsonb, repaired boolean, edits jsonb);
COMMENT ON TYPE goldenarch.llm_result IS
'What try_parse_llm() says: the value, or why there is none; repaired: something was left out, listed in edits.';
CREATE TYPE goldenarch.action AS (priority integer, type text, issue text, agent text);
COMMENT ON TYPE goldenarch.action IS 'One step of a synthesis: priority 1-100, type fix, improve, refactor or test.';
CREATE TYPE goldenarch.synthesis AS (synthesis_reasoning text, action_plan goldenarch.action[]);
COMMENT ON TYPE goldenarch.synthesis IS 'A reply of the shipped shape synthesis.';
CREATE TYPE goldenarch.pattern AS (
    pattern_type text, root_cause text, suggested_fix text, agents_involved text[], confidence double precision);
COMMENT ON TYPE goldenarch.pattern IS 'One element of a reply of the shipped shape patterns; confidence 0-1.';
CREATE TYPE goldenarch.consensus AS (decision text, confidence double precision, reasoning text, concerns text[]);
COMMENT ON TYPE goldenarch.consensus IS 'A reply of the shipped shape consensus: approve, reject or conditional; confidence 0-1.';
