-- SPDX-License-Identifier: PostgreSQL
\echo Use "ALTER EXTENSION goldenarch UPDATE" to load this file. \quit

-- An update runs as superuser over tables that the owner controls. Whatever touches a table, its
-- rows or its definition, is a statement given to this function, which acts as the owner.
CREATE FUNCTION goldenarch.upgrade_step(statement text) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'ga_upgrade_step';

