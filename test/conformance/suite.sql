-- SPDX-License-Identifier: PostgreSQL
-- One file of the public JSON Schema test suite into table verdicts. Variables: file (its name),
-- content (its text). got: true, false, refused (a schema we say we do not support), error: ...
SELECT pg_catalog.set_config('suite.file', :'file', false), pg_catalog.set_config('suite.content', :'content', false) \g /dev/null
DO $$
DECLARE
    -- jsonb cannot hold a NUL character: the tests that have one count as refused
    suite json := pg_catalog.replace(pg_catalog.current_setting('suite.content'), '\u0000', '\uE000')::json;
    schema_group json;
    one json;
    answer text;
    verdict text;
    schema_name text;
    n integer := 0;
BEGIN
    FOR schema_group IN SELECT * FROM pg_catalog.json_array_elements(suite) LOOP
        n := n + 1;
        schema_name := 'suite/' || pg_catalog.current_setting('suite.file') || '/' || n;
        answer := CASE WHEN (schema_group->'schema')::text LIKE '%\\uE000%' THEN 'refused' END;
        BEGIN
            PERFORM goldenarch.register_schema(schema_name, (schema_group->'schema')::jsonb);
        EXCEPTION
            WHEN feature_not_supported THEN answer := 'refused';
            WHEN others THEN
                GET STACKED DIAGNOSTICS answer = PG_EXCEPTION_DETAIL;
                answer := 'error: ' || answer;
        END;
        FOR one IN SELECT * FROM pg_catalog.json_array_elements(schema_group->'tests') LOOP
            verdict := CASE WHEN (one->'data')::text LIKE '%\\uE000%' THEN 'refused' ELSE answer END;
            IF verdict IS NULL THEN
                BEGIN
                    verdict := goldenarch.validate_json(schema_name, (one->'data')::jsonb)::text;
                EXCEPTION WHEN others THEN
                    verdict := 'error: ' || SQLERRM;
                END;
            END IF;
            INSERT INTO verdicts VALUES (pg_catalog.current_setting('suite.file'), schema_group->>'description',
                one->>'description', (one->>'valid')::boolean, verdict);
        END LOOP;
    END LOOP;
END
$$;
