-- SPDX-License-Identifier: PostgreSQL
-- What tables need before they exist: tenant bounds, state machines, trigger functions.

CREATE OR REPLACE FUNCTION goldenarch.tenant_floor(permission text) RETURNS text
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_sql_tenant_floor';
COMMENT ON FUNCTION goldenarch.tenant_floor(text) IS
'Lowest tenant whose rows the caller sees with this permission; null: none. For row policies and views. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.tenant_ceiling(permission text) RETURNS text
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'ga_sql_tenant_ceiling';
COMMENT ON FUNCTION goldenarch.tenant_ceiling(text) IS
'Highest tenant whose rows the caller sees with this permission; null: none. For row policies and views. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.is_state(machine text, state text) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ga_is_state';
COMMENT ON FUNCTION goldenarch.is_state(text, text) IS
'Whether the machine (job, approval, task, breaker, message) has this state; null for a null. For CHECK constraints. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.state_edges(OUT machine text, OUT from_state text, OUT to_state text)
RETURNS SETOF record
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ga_state_edges';
COMMENT ON FUNCTION goldenarch.state_edges() IS
'Every edge of every state machine, from the tables that workers and executor are compiled with. Permission: none.';

CREATE OR REPLACE FUNCTION goldenarch.append_only() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'ga_append_only';
COMMENT ON FUNCTION goldenarch.append_only() IS
'Trigger that refuses UPDATE, DELETE and TRUNCATE with 55000. For triggers only.';

CREATE OR REPLACE FUNCTION goldenarch.seed_restore() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'ga_seed_restore';
COMMENT ON FUNCTION goldenarch.seed_restore() IS
'Trigger by which the first load of a dump replaces shipped rows. For triggers only.';

CREATE OR REPLACE FUNCTION goldenarch.roles_changed() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'ga_roles_changed';
COMMENT ON FUNCTION goldenarch.roles_changed() IS
'Trigger by which every backend forgets cached roles and permissions. For triggers only.';

CREATE OR REPLACE FUNCTION goldenarch.install_finish(fresh boolean) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'ga_install_finish';
COMMENT ON FUNCTION goldenarch.install_finish(boolean) IS
'Owners and privileges, at the end of the install script (fresh) and of update scripts. For the extensions scripts only. Permission: none.';
