-- SPDX-License-Identifier: PostgreSQL
-- Complain if the script is fed to psql instead of CREATE EXTENSION.
\echo Use "CREATE EXTENSION goldenarch" to load this file. \quit

-- Fails when somebody planted a schema of that name, which the server would otherwise adopt.
CREATE SCHEMA goldenarch;
COMMENT ON SCHEMA goldenarch IS 'Control plane for AI agents. \df+ goldenarch.* is the manual.';
