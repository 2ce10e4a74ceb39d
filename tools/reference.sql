-- SPDX-License-Identifier: PostgreSQL
-- docs/reference.md from the catalog of a database where the extension stands. Run by tools/docs.
\pset format unaligned
\pset tuples_only on
SET search_path = pg_catalog;
\qecho '# Reference'
\qecho
\qecho 'Generated from the catalog by `make docs`; every line is the COMMENT of the object, as `\\df+ goldenarch.*` shows it.'
\qecho
\qecho '## Functions'
\qecho
SELECT format(E'### %s\n\n```\ngoldenarch.%s(%s)\n    -> %s\n```\n%s, %s\n\n%s\n', proname, proname,
	pg_get_function_arguments(oid), pg_get_function_result(oid),
	CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
	CASE proparallel WHEN 's' THEN 'parallel safe' WHEN 'r' THEN 'parallel restricted' ELSE 'parallel unsafe' END,
	coalesce(obj_description(oid, 'pg_proc'), ''))
FROM pg_proc WHERE pronamespace = 'goldenarch'::regnamespace AND prorettype <> 'trigger'::regtype
ORDER BY proname COLLATE "C", pg_get_function_identity_arguments(oid) COLLATE "C";
\qecho '## Views'
\qecho
SELECT format(E'### %s\n\n%s\n\n%s\n', relname, coalesce(obj_description(c.oid, 'pg_class'), ''),
	(SELECT string_agg(format('`%s` %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
	 FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped))
FROM pg_class c WHERE relnamespace = 'goldenarch'::regnamespace AND relkind = 'v' ORDER BY relname COLLATE "C";
\qecho '## Tables'
\qecho
\qecho 'Applications read views and call functions; tables are listed for operators. A table with a `tenant` column is partitioned, with row security, and its rows live in the partition `<table>_rows`, which is dumped.'
\qecho
SELECT format(E'### %s\n\n%s\n\n%s\n', relname, coalesce(obj_description(c.oid, 'pg_class'), ''),
	(SELECT string_agg(format('`%s` %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
	 FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped))
FROM pg_class c WHERE relnamespace = 'goldenarch'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
ORDER BY relname COLLATE "C";
\qecho '## Types'
\qecho
SELECT format('- `%s`: %s. %s', typname,
	(SELECT string_agg(format('`%s` %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
	 FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
	coalesce(obj_description(t.oid, 'pg_type'), ''))
FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c'
WHERE typnamespace = 'goldenarch'::regnamespace ORDER BY typname COLLATE "C";
\qecho
\qecho '## Settings'
\qecho
\qecho '| setting | default | unit | who, when | what |'
\qecho '|---|---|---|---|---|'
SELECT format('| `%s` | `%s` | %s | %s | %s %s |', name, boot_val, coalesce(unit, ''), context, short_desc, extra_desc)
FROM pg_settings WHERE name LIKE 'goldenarch.%' ORDER BY name COLLATE "C";
