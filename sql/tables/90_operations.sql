-- SPDX-License-Identifier: PostgreSQL
-- What gauges count is what is still open: partial indexes, so that a scrape does not read history.
CREATE INDEX tasks_open ON goldenarch.tasks_rows (state) WHERE finished_at IS NULL;
CREATE INDEX escalations_open ON goldenarch.escalations_rows (created_at) WHERE status = 'open';
CREATE INDEX dead_letters_open ON goldenarch.dead_letters_rows (source) WHERE resolved_at IS NULL;
