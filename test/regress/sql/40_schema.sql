-- SPDX-License-Identifier: PostgreSQL
-- JSON Schema: verdicts, errors, what is refused at registration, versions, references, limits.
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

-- Verdicts: numbers by value, lengths in characters, objects without order.
SELECT goldenarch.jsonb_matches_schema(s::json, i::jsonb) = v, s, i FROM (VALUES
    ('{"type": "integer"}', '1.0', true), ('{"type": "integer"}', '1.5', false),
    ('{"const": {"a": 1, "b": [2]}}', '{"b": [2.0], "a": 1.00}', true),
    ('{"enum": ["a", 1, null]}', '1.0', true), ('{"enum": ["a", 1, null]}', '"b"', false),
    ('{"multipleOf": 0.0001}', '0.0075', true), ('{"multipleOf": 0.1}', '1e100', true), ('{"multipleOf": 0.1}', '0.35', false),
    ('{"minLength": 2, "maxLength": 2}', '"éé"', true), ('{"maxLength": 1}', '"💩"', true), ('{"minLength": 3}', '"éé"', false),
    ('{"pattern": "^\\d+$"}', '"123"', true), ('{"pattern": "^\\d+$"}', '"१२३"', false), ('{"pattern": "^a$"}', '"a\n"', false),
    ('{"pattern": "^\\p{Letter}+$"}', '"héé"', true), ('{"pattern": "[^\\S]"}', '" "', true), ('{"pattern": "^[\\s\\S]$"}', '"x"', true),
    ('{"uniqueItems": true}', '[1, "1", 1.0]', false), ('{"uniqueItems": true}', '[{"a": 1, "b": 2}, {"b": 2, "a": 1}]', false),
    ('{"properties": {"a": {}}, "patternProperties": {"^x": {"type": "null"}}, "additionalProperties": false}', '{"a": 1, "x1": null}', true),
    ('{"properties": {"a": {}}, "additionalProperties": false}', '{"b": 1}', false),
    ('{"prefixItems": [{"type": "null"}], "items": false}', '[null]', true), ('{"prefixItems": [{"type": "null"}], "items": false}', '[null, 1]', false),
    ('{"contains": {"const": 1}, "minContains": 2, "maxContains": 2}', '[1, 2, 1]', true), ('{"contains": {"const": 1}, "maxContains": 1}', '[1, 1]', false),
    ('{"oneOf": [{"minimum": 1}, {"maximum": 5}]}', '3', false), ('{"not": {"type": "string"}}', '1', true),
    ('{"if": {"const": 1}, "then": false, "else": {"type": "null"}}', 'null', true), ('{"if": {"const": 1}, "then": false}', '1', false),
    ('{"allOf": [{"properties": {"a": true}}], "unevaluatedProperties": false}', '{"a": 1}', true),
    ('{"allOf": [{"properties": {"a": true}}], "unevaluatedProperties": false}', '{"b": 1}', false),
    ('{"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"n": {"$ref": "#/$defs/a"}, "v": {"type": "number"}}}}}', '{"n": {"n": {"v": "x"}}}', false),
    ('{"dependentRequired": {"card": ["address"]}}', '{"card": 1}', false), ('{"propertyNames": {"maxLength": 2}}', '{"abc": 1}', false),
    ('false', '1', false), ('true', '1', true), ('{}', 'null', true)) AS t (s, i, v)
WHERE goldenarch.jsonb_matches_schema(s::json, i::jsonb) IS DISTINCT FROM v;
SELECT goldenarch.json_matches_schema('{"type": "object"}', '{"a": 1}'), goldenarch.json_matches_schema('{"type": "array"}', '{"a": 1}');
-- A duplicate member name: which value counts depends on the reader, so it is never valid.
SELECT goldenarch.json_matches_schema('{"properties": {"role": {"const": "user"}}}', '{"role": "admin", "role": "user"}');
SELECT goldenarch.jsonschema_validation_errors('{}', '{"role": "admin", "role": "user"}');
SELECT goldenarch.jsonschema_validation_errors('{"type": "object"}', '{}');
SELECT pg_catalog.unnest(goldenarch.jsonschema_validation_errors(
    '{"type": "object", "required": ["a", "b"], "properties": {"a": {"type": "integer"}, "c": {"enum": [1]}}, "additionalProperties": false}',
    '{"a": "secret value", "c": 2, "d/e": [1]}'));

-- What is not a schema, or not one we check whole.
SELECT goldenarch.jsonschema_is_valid(s::json) AS valid, s FROM (VALUES
    ('{"type": "object"}'), ('true'), ('{"type": "strong"}'), ('[]'), ('{"minLength": -1}'), ('{"minLength": 2.0}'), ('{"pattern": "("}'),
    ('{"pattern": "(?R)"}'), ('{"required": "a"}'), ('{"allOf": []}'), ('{"$ref": "#/$defs/nowhere"}'), ('{"$ref": "https://example.com/x"}'),
    ('{"items": [{}]}'), ('{"multipleOf": 0}'), ('{"$defs": {"a": {"type": 1}}}'), ('{"a": 1, "a": 2}'),
    ('{"$schema": "http://json-schema.org/draft-07/schema#", "items": [{}]}'), ('{"$schema": "http://json-schema.org/draft-04/schema#"}'), ('{"$recursiveRef": "#"}'), ('{"x-goldenarch-context": "path"}')) AS t (s);
SELECT pg_temp.refusal($$SELECT goldenarch.jsonb_matches_schema('{"type": "strong"}', '1')$$);
SELECT pg_temp.refusal($$SELECT goldenarch.jsonb_matches_schema('{"properties": {"a": {"$recursiveRef": "#"}}}', '1')$$);
SELECT pg_temp.refusal($$SELECT goldenarch.jsonb_matches_schema(NULL, '1')$$);
SELECT pg_temp.refusal($$SELECT goldenarch.jsonb_matches_schema('{}', NULL)$$);
SELECT pg_temp.refusal($$SELECT goldenarch.json_matches_schema('{}', NULL)$$);
SELECT pg_temp.refusal($$SELECT goldenarch.jsonschema_is_valid(NULL)$$);
SELECT pg_temp.refusal($$SELECT goldenarch.jsonschema_validation_errors('{}', NULL)$$);

-- Formats annotate, unless the dialect asserts them.
SELECT goldenarch.jsonb_matches_schema('{"format": "date"}', '"2026-02-30"') AS annotates,
       goldenarch.jsonb_matches_schema('{"$schema": "urn:goldenarch:2020-12-formats", "format": "date"}', '"2026-02-30"') AS asserts,
       goldenarch.jsonb_matches_schema('{"$schema": "urn:goldenarch:2020-12-formats", "format": "regex"}', '"^(a|b"') AS regex;
SELECT pg_temp.refusal($$SELECT goldenarch.jsonb_matches_schema('{"$schema": "urn:goldenarch:2020-12-formats", "format": "hostname"}', '1')$$);

-- The registry: versions, the same again, what a reference found then.
SELECT goldenarch.register_schema('city', '{"type": "string"}');
SELECT goldenarch.register_schema('city', '{"type": "string"}');
SELECT goldenarch.register_schema('https://example.com/person', '{"$id": "https://example.com/person", "properties": {"city": {"$ref": "city"}}}');
SELECT goldenarch.validate_json('https://example.com/person', '{"city": "Ulm"}'), goldenarch.validate_json('city', '5');
SELECT goldenarch.register_schema('city', '{"type": "integer"}');
SELECT goldenarch.validate_json('https://example.com/person', '{"city": "Ulm"}') AS still_version_1, goldenarch.validate_json('city', '5') AS version_2;
BEGIN;
SELECT goldenarch.register_schema('city', '{"type": "null"}');
SELECT goldenarch.validate_json('city', 'null') AS own_version;
ROLLBACK;
SELECT goldenarch.validate_json('city', '5') AS after_rollback;
SELECT name, version, uri, shipped FROM goldenarch.schemas WHERE name !~ '^https?://json-schema' ORDER BY name, version;
SELECT * FROM goldenarch.validation_errors('synthesis', '{"synthesis_reasoning": "short", "action_plan": [{"priority": 0, "type": "drop", "issue": "12345"}]}') ORDER BY 1, 2, 4;
SELECT count(*) FROM goldenarch.validation_errors('consensus', '{"decision": "approve", "confidence": 1, "reasoning": "fine"}');
SELECT goldenarch.register_schema('meta', '{"$ref": "https://json-schema.org/draft/2020-12/schema"}');
SELECT goldenarch.validate_json('meta', '{"properties": {"a": {"minLength": 1}}}'), goldenarch.validate_json('meta', '{"properties": {"a": {"minLength": -1}}}');
SELECT pg_temp.refusal($$SELECT goldenarch.register_schema('bad', '{"properties": {"a/b": {"type": "strong"}}}')$$);
SELECT pg_temp.refusal($$SELECT goldenarch.register_schema('bad', '{"$schema": "http://json-schema.org/draft-04/schema#"}')$$);
SELECT pg_temp.refusal($$SELECT goldenarch.register_schema('bad', '{"$ref": "nobody"}')$$);
SELECT pg_temp.refusal($$SELECT goldenarch.register_schema(NULL, '{}')$$);
SELECT pg_temp.refusal($$SELECT goldenarch.register_schema('', '{}')$$);
SELECT pg_temp.refusal($$SELECT goldenarch.register_schema('bad', NULL)$$);
SELECT pg_temp.refusal($$SELECT goldenarch.register_schema(pg_catalog.repeat('x', 256), '{}')$$);
SELECT pg_temp.refusal($$SELECT goldenarch.register_schema('bad', pg_catalog.jsonb_build_object('x', pg_catalog.repeat('x', 300000)))$$);
SELECT pg_temp.refusal($$SELECT goldenarch.validate_json('nobody', '{}')$$);
SELECT pg_temp.refusal($$SELECT goldenarch.validate_json(NULL, '{}')$$);
SELECT pg_temp.refusal($$SELECT goldenarch.validate_json('city', NULL)$$);
SELECT pg_temp.refusal($$SELECT * FROM goldenarch.validation_errors('nobody', '{}')$$);
SELECT pg_temp.refusal($$SELECT * FROM goldenarch.validation_errors('city', NULL)$$);
CREATE ROLE schema_joe;
GRANT EXECUTE ON FUNCTION goldenarch.register_schema(text, jsonb) TO schema_joe;
SET ROLE schema_joe;
\set VERBOSITY sqlstate
SELECT goldenarch.register_schema('joes', '{}');
\set VERBOSITY default
SELECT goldenarch.validate_json('city', '5');
RESET ROLE;

-- In constraints and triggers.
CREATE TABLE notes (body jsonb CHECK (goldenarch.jsonb_matches_schema('{"type": "object", "required": ["a"]}', body)));
INSERT INTO notes VALUES ('{"a": 1}');
\set VERBOSITY sqlstate
INSERT INTO notes VALUES ('{"b": 1}');
\set VERBOSITY default
DROP TABLE notes;

-- Hostile schemas and values end, and what a limit stops is not valid, whatever stands around it.
SELECT goldenarch.jsonb_matches_schema('{"pattern": "^(a+)+$"}', pg_catalog.to_jsonb(pg_catalog.repeat('a', 40) || 'b')) AS backtracks,
       goldenarch.jsonb_matches_schema('{"not": {"pattern": "^(a+)+$"}}', pg_catalog.to_jsonb(pg_catalog.repeat('a', 40) || 'b')) AS negated;
SELECT goldenarch.jsonb_matches_schema('{"$ref": "#"}', '1') AS turns_in_a_circle, goldenarch.jsonb_matches_schema('{"not": {"$ref": "#"}}', '1') AS negated;
SELECT goldenarch.jsonb_matches_schema('{"items": {"$ref": "#"}}', (pg_catalog.repeat('[', 3000) || pg_catalog.repeat(']', 3000))::jsonb) AS deep;
SELECT pg_temp.refusal(pg_catalog.format('SELECT goldenarch.register_schema(''deep'', %L)', pg_catalog.repeat('{"not":', 5000) || '{}' || pg_catalog.repeat('}', 5000))) ~ '^(54001|no error|22023)' AS deep_schema;
WITH s AS (SELECT ('{"$ref": "#/$defs/d30", "$defs": {"d0": {"type": "null"}, ' || pg_catalog.string_agg(pg_catalog.format('"d%s": {"anyOf": [{"$ref": "#/$defs/d%s"}, {"$ref": "#/$defs/d%s"}]}', n, n - 1, n - 1), ', ') || '}}')::json AS schema
           FROM pg_catalog.generate_series(1, 30) n)
SELECT goldenarch.jsonb_matches_schema(schema, '1') AS doubling FROM s;
SELECT goldenarch.jsonb_matches_schema('{"uniqueItems": true}', (SELECT pg_catalog.jsonb_agg(n) FROM pg_catalog.generate_series(1, 20000) n)) AS many;
SELECT goldenarch.jsonb_matches_schema('{"multipleOf": 0.01}', '1e100000') AS large, goldenarch.jsonb_matches_schema('{"type": "integer"}', '1e100000') AS whole;
-- Every keyword with every shape of value, alone and beside another, in every dialect: an answer, never a crash; and both
-- evaluators agree.
CREATE TABLE shapes AS SELECT v::json AS shape FROM (VALUES
    ('null'), ('true'), ('false'), ('0'), ('1'), ('-1'), ('1.5'), ('1e300'), ('""'), ('"#"'), ('"#/a"'), ('"a"'), ('"^a"'), ('"("'), ('"integer"'),
    ('[]'), ('[1]'), ('[1, 1]'), ('[{}]'), ('[true, false]'), ('["a"]'), ('["a", "a"]'), ('[[]]'), ('{}'), ('{"a": 1}'), ('{"a": {}}'),
    ('{"a": false}'), ('{"a": ["b"]}'), ('{"a": [1]}'), ('{"": {"not": {}}}'), ('{"type": "integer"}'), ('{"$ref": "#"}'), ('{"items": [{}]}')) AS t (v);
CREATE TABLE words AS SELECT word FROM pg_catalog.unnest('{$id,$ref,$anchor,$dynamicRef,$dynamicAnchor,$recursiveRef,$recursiveAnchor,$defs,$comment,
    $vocabulary,definitions,type,const,enum,minimum,maximum,exclusiveMinimum,exclusiveMaximum,multipleOf,minLength,maxLength,pattern,format,
    minItems,maxItems,uniqueItems,minProperties,maxProperties,required,dependentRequired,dependentSchemas,dependencies,properties,patternProperties,
    additionalProperties,propertyNames,items,prefixItems,additionalItems,contains,minContains,maxContains,allOf,anyOf,oneOf,not,if,then,else,
    unevaluatedItems,unevaluatedProperties,x-goldenarch-context,title}'::text[]) word;
CREATE TABLE made AS
SELECT schema FROM (
    SELECT pg_catalog.format('{%s%s: %s%s}', dialect, pg_catalog.to_json(w.word), s.shape, beside)::json AS schema
    FROM words w, shapes s, (VALUES (''), ('"$schema": "https://json-schema.org/draft/2019-09/schema", '), ('"$schema": "http://json-schema.org/draft-07/schema#", ')) d (dialect),
        (VALUES (''), (', "unevaluatedProperties": false, "unevaluatedItems": {"type": "integer"}, "additionalItems": false'), (', "allOf": [{"$ref": "#/definitions/x"}], "definitions": {"x": {"if": {"minimum": 1}}}')) b (beside)) q;
SET client_min_messages = warning;
CREATE TABLE right_ones AS SELECT schema FROM made WHERE goldenarch.jsonschema_is_valid(schema);
RESET client_min_messages;
SELECT count(*) AS made, (SELECT count(*) FROM right_ones) AS schemas FROM made;
SELECT count(*) AS runs, count(*) FILTER (WHERE goldenarch.jsonb_matches_schema(schema, shape::jsonb)
    IS DISTINCT FROM (goldenarch.jsonschema_validation_errors(schema, shape) = '{}')) AS disagreements FROM right_ones, shapes;
DROP TABLE shapes, words, made, right_ones;
DROP OWNED BY schema_joe;
DROP ROLE schema_joe;
