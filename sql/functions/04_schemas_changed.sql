-- SPDX-License-Identifier: PostgreSQL

CREATE OR REPLACE FUNCTION goldenarch.schemas_changed() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'ga_schemas_changed';
COMMENT ON FUNCTION goldenarch.schemas_changed() IS
'Trigger by which every backend forgets which version of a JSON schema is current, and its compiled form. For triggers only.';
