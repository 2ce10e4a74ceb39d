-- SPDX-License-Identifier: PostgreSQL
DROP FUNCTION goldenarch.upgrade_step(text);
SELECT goldenarch.install_finish(false);
