-- SPDX-License-Identifier: PostgreSQL
-- Last: owners, privileges, the marks of the shipped rows.
SELECT goldenarch.install_finish(true);
