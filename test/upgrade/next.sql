-- SPDX-License-Identifier: PostgreSQL
-- The delta of a next version that exists only in the upgrade test: a table, a column, a row.
SELECT goldenarch.upgrade_step('CREATE TABLE goldenarch.next_things (id bigint PRIMARY KEY, name text NOT NULL)');
COMMENT ON TABLE goldenarch.next_things IS 'A table of the version that only the upgrade test knows.';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.next_things', '');
SELECT goldenarch.upgrade_step('ALTER TABLE goldenarch.roles ADD COLUMN note text NOT NULL DEFAULT ''''');
SELECT goldenarch.upgrade_step('UPDATE goldenarch.roles SET note = ''next'' WHERE shipped');
