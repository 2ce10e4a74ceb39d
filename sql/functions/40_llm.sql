-- SPDX-License-Identifier: PostgreSQL
-- Answers of models: schemas, parsing, sanitising.

CREATE OR REPLACE FUNCTION goldenarch.register_schema(name text, schema jsonb) RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_register_schema';
COMMENT ON FUNCTION goldenarch.register_schema(text, jsonb) IS
'Adds a version of a JSON schema (2020-12, 2019-09 or draft 7, as its $schema says; 2020-12 without one; urn:goldenarch:2020-12-formats is 2020-12 with formats asserted, which otherwise annotate) and returns its number; where the current version is the same, that one''s. Versions never change; a $ref finds what the schema itself holds and registered names and $ids, in the version current now. name: at most 255 bytes, may be an absolute URI; schema: at most 256 kB. Errors: 22023 (not a schema), 0A000 (a keyword or dialect this version does not check: a schema is checked whole or refused). Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.jsonschema_is_valid(schema json) RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ga_jsonschema_is_valid';
COMMENT ON FUNCTION goldenarch.jsonschema_is_valid(json) IS
'Whether this is a JSON schema (2020-12, 2019-09 or draft 7) that can be checked here, whole; a NOTICE tells why not. Duplicate member names make it wrong. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.json_matches_schema(schema json, instance json) RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ga_json_matches_schema';
COMMENT ON FUNCTION goldenarch.json_matches_schema(json, json) IS
'Whether the instance is valid against the schema. An instance with a duplicate member name, more than 64 levels or a number of more than 308 digits is not. Errors: 22023 (null, or not a schema), 0A000 (not supported). Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.jsonb_matches_schema(schema json, instance jsonb) RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ga_jsonb_matches_schema';
COMMENT ON FUNCTION goldenarch.jsonb_matches_schema(json, jsonb) IS
'Whether the instance is valid against the schema; the fastest of the four, for CHECK constraints. Errors: 22023 (null, or not a schema), 0A000 (not supported). Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.jsonschema_validation_errors(schema json, instance json) RETURNS text[]
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ga_jsonschema_validation_errors';
COMMENT ON FUNCTION goldenarch.jsonschema_validation_errors(json, json) IS
'Why the instance is not valid, one text an error, at most 100; empty when it is valid. Errors: 22023 (null, or not a schema), 0A000 (not supported). Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.validate_json(schema_name text, instance jsonb) RETURNS boolean
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_validate_json';
COMMENT ON FUNCTION goldenarch.validate_json(text, jsonb) IS
'Whether the instance is valid against the current version of a registered schema. For triggers, and for CHECK constraints that are NOT VALID: it is STABLE, since a new version of the schema changes the answer, so rows stored before are not promised to pass, and a restore must not depend on it. Errors: 22023, 42704 (not registered). Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.validation_errors(schema_name text, instance jsonb,
    OUT instance_path text, OUT schema_path text, OUT keyword text, OUT message text) RETURNS SETOF record
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_validation_errors';
COMMENT ON FUNCTION goldenarch.validation_errors(text, jsonb) IS
'Why the instance is not valid against the current version of a registered schema: a row an error, at most 100; paths are JSON Pointers, messages hold no values. Errors: 22023, 42704 (not registered). Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.extract_json(raw text) RETURNS jsonb
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ga_extract_json';
COMMENT ON FUNCTION goldenarch.extract_json(text) IS
'The first complete JSON value of a reply, without the code fence, prose, comments and trailing commas around and in it. Read strictly: duplicate names, lone surrogates and cut-off values are ZG005, never repaired. Errors: 22023 (null), ZG005 (DETAIL: a JSON array of reasons). Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.parse_llm(schema_name text, raw text) RETURNS jsonb
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_parse_llm';
COMMENT ON FUNCTION goldenarch.parse_llm(text, text) IS
'The reply as JSON that is valid against the registered schema. Left out are a byte order mark, one code fence, prose around, comments, trailing commas; nothing is guessed or closed. Errors: 22023, 42704 (not registered), ZG005 (DETAIL: a JSON array of {pointer, code, message, offset}; offsets are bytes of raw). Permission: llm.parse.';

CREATE OR REPLACE FUNCTION goldenarch.try_parse_llm(schema_name text, raw text) RETURNS goldenarch.llm_result
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_try_parse_llm';
COMMENT ON FUNCTION goldenarch.try_parse_llm(text, text) IS
'As parse_llm(), but a rejected reply is a row with ok = false and its errors; edits lists what was left out ({kind, offset, length}). Errors: 22023, 42704. Permission: llm.parse.';

CREATE OR REPLACE FUNCTION goldenarch.safe_parse_synthesis(raw text) RETURNS goldenarch.synthesis
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_safe_parse_synthesis';
COMMENT ON FUNCTION goldenarch.safe_parse_synthesis(text) IS
'parse_llm(''synthesis'', raw) as a typed row. Errors: 22023, ZG005. Permission: llm.parse.';

CREATE OR REPLACE FUNCTION goldenarch.safe_parse_patterns(raw text) RETURNS SETOF goldenarch.pattern
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_safe_parse_patterns';
COMMENT ON FUNCTION goldenarch.safe_parse_patterns(text) IS
'parse_llm(''patterns'', raw) as typed rows; confidence is 0.5 where the reply has none. Errors: 22023, ZG005. Permission: llm.parse.';

CREATE OR REPLACE FUNCTION goldenarch.safe_parse_consensus(raw text) RETURNS goldenarch.consensus
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_safe_parse_consensus';
COMMENT ON FUNCTION goldenarch.safe_parse_consensus(text) IS
'parse_llm(''consensus'', raw) as a typed row. Errors: 22023, ZG005. Permission: llm.parse.';

CREATE OR REPLACE FUNCTION goldenarch.sanitize_llm_response(raw text) RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ga_sanitize_llm_response';
COMMENT ON FUNCTION goldenarch.sanitize_llm_response(text) IS
'The text with every hazardous character (controls, bidi controls, zero width, tags, fillers, noncharacters) shown by name, as [U+202E]; joiners of emoji and joining scripts, balanced isolates and flags pass. Deletes nothing, so it can build nothing; the result is not safe for any context by itself. Idempotent. Errors: 22023 (null). Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.sanitize_findings(raw text,
    OUT code text, OUT byte_offset integer, OUT length integer, OUT shown text) RETURNS SETOF record
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ga_sanitize_findings';
COMMENT ON FUNCTION goldenarch.sanitize_findings(text) IS
'What sanitize_llm_response() would show: a row a character, in order. code: control, escape, bidi, zero_width, bom, line_separator, tag, variation, filler, annotation or noncharacter; byte_offset and length in bytes of raw. Errors: 22023 (null). Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.validate_agent_name(name text) RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ga_validate_agent_name';
COMMENT ON FUNCTION goldenarch.validate_agent_name(text) IS
'Whether the name matches ^[a-z_][a-z0-9_-]{1,50}$ in any case, ASCII only; false for null. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.validate_task_id(id text) RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ga_validate_task_id';
COMMENT ON FUNCTION goldenarch.validate_task_id(text) IS
'Whether the text is a UUID in canonical form: 8-4-4-4-12 lower-case hexadecimal digits; false for null. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.sanitize_metrics(metrics jsonb) RETURNS jsonb
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ga_sanitize_metrics';
COMMENT ON FUNCTION goldenarch.sanitize_metrics(jsonb) IS
'A flat object of metrics: names to [a-z0-9_], numbers clamped to +-1e9, strings shown as sanitize_llm_response() does and cut at 500 characters, booleans kept, everything else dropped. Of names that become equal the last in jsonb order counts. Errors: 22023 (null, not an object). Permission: none.';
