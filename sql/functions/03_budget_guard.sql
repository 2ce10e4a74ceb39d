-- SPDX-License-Identifier: PostgreSQL
-- What sql/tables/30_budget.sql needs before its tables exist.

CREATE OR REPLACE FUNCTION goldenarch.budget_append_only() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'ga_budget_append_only';
COMMENT ON FUNCTION goldenarch.budget_append_only() IS
'Trigger that refuses UPDATE, DELETE and TRUNCATE of the budget ledger with 55000; retention alone may delete. For triggers only.';

CREATE OR REPLACE FUNCTION goldenarch.wall_clock() RETURNS timestamptz
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_wall_clock';
COMMENT ON FUNCTION goldenarch.wall_clock() IS
'The time that goldenarch decides by: the wall clock at the call, not the start of the transaction. Permission: none.';
