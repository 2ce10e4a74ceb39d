-- SPDX-License-Identifier: PostgreSQL
-- Sanitising shows what people cannot see and deletes nothing: a sanitiser that deletes words builds attacks and damages honest text.
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

-- Deleting '../' from '....//' leaves '../'; deleting <script> from a nested one leaves <script>. Here nothing is deleted.
SELECT goldenarch.sanitize_llm_response(t) = t AS untouched, t FROM (VALUES
    ('....//....//etc/passwd'), ('<scr<script>ipt>alert(1)</scr</script>ipt>'), ('R&D costs $5; "quotes" and ''quotes'''),
    ('SELECT * FROM orders; -- drop table'), ('{{ template }} ${HOME} %s `date`'), ('naïve café 東京 עברית مرحبا'), ('👨‍👩‍👧 ❤️ 1️⃣'),
    ('می‌روم'), (E'tab\tand\r\nlines\n'), ('')) AS v (t);
SELECT goldenarch.sanitize_llm_response(t) FROM (VALUES
    (E'if access == "user\u202E \u2066// admin\u2069 \u2066"'), (E'zero\u200Bwidth'), (E'\uFEFFbom'), (E'\x1b[2J\x1b]0;title\x07'),
    (E'over\rwrite'), (E'tag\U000E0041\U000E0042'), (E'null\uFFFEchar'), (E'fill\u3164er'), (E'c1\u009B31m'), (E'line\u2028break'), (E'soft\u00ADhyphen')) AS v (t);
SELECT * FROM goldenarch.sanitize_findings(E'é\u202E\x1b\U000E0041x\uFEFF');
SELECT count(*) FROM goldenarch.sanitize_findings('plain');
-- Showing twice is showing once, over every code point.
SELECT count(*) FROM (SELECT goldenarch.sanitize_llm_response('a' || pg_catalog.chr(n) || 'b') AS s
    FROM pg_catalog.generate_series(1, 1114111) n WHERE n NOT BETWEEN 55296 AND 57343 AND n % 7 = 0) q
WHERE goldenarch.sanitize_llm_response(s) <> s;
SELECT pg_temp.refusal('SELECT goldenarch.sanitize_llm_response(NULL)');
SELECT pg_temp.refusal('SELECT * FROM goldenarch.sanitize_findings(NULL)');

SELECT n, goldenarch.validate_agent_name(n) FROM (VALUES
    ('dev-1'), ('_x'), ('Security_Officer'), ('a'), (''), ('1abc'), ('-abc'), ('dev one'), ('dévéloper'), ('dev;drop'), (E'dev\n'),
    (pg_catalog.repeat('a', 51)), (pg_catalog.repeat('a', 52)), (NULL)) AS v (n);
SELECT n, goldenarch.validate_task_id(n) FROM (VALUES
    ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'), ('{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'),
    ('a0eebc999c0b4ef8bb6d6bb9bd380a11'), ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1'), ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g'), (''), (NULL)) AS v (n);
SELECT goldenarch.sanitize_metrics('{"Latency (ms)": 12.5, "big": 1e30, "small": -1e30, "ok": true, "list": [1], "none": null, "deep": {"a": 1}, "note": "a\u202Eb", "é": 1}');
SELECT pg_catalog.length(goldenarch.sanitize_metrics(pg_catalog.jsonb_build_object('s', pg_catalog.repeat('é', 600)))->>'s');
SELECT goldenarch.sanitize_metrics('{}');
SELECT pg_temp.refusal('SELECT goldenarch.sanitize_metrics(NULL)');
SELECT pg_temp.refusal('SELECT goldenarch.sanitize_metrics(''[1]'')');
