-- SPDX-License-Identifier: PostgreSQL
-- What the suites came to; the last statement fails when a verdict was wrong.
SELECT pg_catalog.format('%-40s %4s of %4s%s', file, count(*) FILTER (WHERE got = expected::text), count(*),
           CASE WHEN count(*) FILTER (WHERE got = 'refused') > 0
                THEN pg_catalog.format(', %s refused as not supported', count(*) FILTER (WHERE got = 'refused')) ELSE '' END)
FROM verdicts GROUP BY file ORDER BY file COLLATE "C";
SELECT pg_catalog.format('WRONG %s / %s / %s: expected %s, got %s', file, grp, test, expected, got)
FROM verdicts WHERE got <> expected::text AND got <> 'refused' ORDER BY file COLLATE "C", grp, test;
SELECT pg_catalog.format('%s: %s of %s right, %s refused, %s wrong', suite, count(*) FILTER (WHERE got = expected::text), count(*),
           count(*) FILTER (WHERE got = 'refused'), count(*) FILTER (WHERE got <> expected::text AND got <> 'refused'))
FROM (SELECT CASE WHEN file ~ '^own/' THEN 'own cases' WHEN file ~ '^format/' THEN 'optional tests of formats' ELSE 'mandatory tests' END AS suite, * FROM verdicts) v
GROUP BY suite ORDER BY suite;
SELECT CASE WHEN EXISTS (SELECT FROM verdicts WHERE got <> expected::text AND got <> 'refused')
            THEN pg_catalog.set_config('a wrong verdict', 'fails', false) ELSE 'conformance: no wrong verdict' END;
