-- SPDX-License-Identifier: PostgreSQL
-- The trail of configuration that a DBA changes by plain UPDATE. Before the tables: they name it.

CREATE OR REPLACE FUNCTION goldenarch.audit_configuration() RETURNS trigger
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_audit_configuration';
COMMENT ON FUNCTION goldenarch.audit_configuration() IS
	'Trigger (row or TRUNCATE) of configuration tables: one audit row configuration.change (resource: the table and the row''s key), with the row before and after, in the changing transaction. An UPDATE that changes nothing leaves none. For triggers only.';
