-- SPDX-License-Identifier: PostgreSQL
-- Tables whose shipped rows are still as the install script made them. Never dumped: a restore
-- starts from a fresh install, where all are pristine.
CREATE TABLE goldenarch.pristine_seeds (
    table_name text COLLATE "C" PRIMARY KEY
);
COMMENT ON TABLE goldenarch.pristine_seeds IS
'Tables whose shipped rows the first load of a dump replaces; kept by seed_restore().';
