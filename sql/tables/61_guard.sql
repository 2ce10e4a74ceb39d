-- SPDX-License-Identifier: PostgreSQL
-- Guards: what must hold before a task enters a state, what was reported, and what is done about a
-- failure. States and edges are fixed (core/fsm); these rows are for users to edit.
CREATE TABLE goldenarch.guards (
	guard text PRIMARY KEY CHECK (guard <> ''),
	target_state text NOT NULL CHECK (goldenarch.is_state('task', target_state)),
	permission text NOT NULL DEFAULT 'task.report_guard' CHECK (permission <> ''),
	security boolean NOT NULL DEFAULT false,
	remediation boolean NOT NULL DEFAULT false,
	shipped boolean NOT NULL DEFAULT false
);
INSERT INTO goldenarch.guards (guard, target_state, security, shipped) VALUES
	('code_quality', 'reviewing', false, true),
	('has_tests', 'deploying', false, true),
	('security_approved', 'deploying', true, true),
	('has_documentation', 'deploying', false, true),
	('performance_ok', 'completed', false, true);
CREATE TRIGGER seed_restore BEFORE INSERT ON goldenarch.guards
	FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.seed_restore();
SELECT pg_catalog.pg_extension_config_dump('goldenarch.guards', '');
COMMENT ON TABLE goldenarch.guards IS
'What must have been reported as passed before a task enters target_state. permission: what a reporter needs beside
task.report_guard. security: its failure is never fixed automatically. remediation: it holds for remediation tasks
too. Set by set_guard. Access: app.';

CREATE SEQUENCE goldenarch.autofix_rule_seq AS integer START 101;
COMMENT ON SEQUENCE goldenarch.autofix_rule_seq IS 'Numbers of rules that users add; shipped ones are below 100.';
SELECT pg_catalog.pg_extension_config_dump('goldenarch.autofix_rule_seq', '');
CREATE TABLE goldenarch.autofix_rules (
	id integer PRIMARY KEY,
	guard text NOT NULL CHECK (guard <> ''),
	target_state text NOT NULL DEFAULT '*' CHECK (target_state = '*' OR goldenarch.is_state('task', target_state)),
	action text NOT NULL CHECK (action <> ''),
	priority integer NOT NULL CHECK (priority BETWEEN 1 AND 100),
	agent_role text NOT NULL CHECK (agent_role <> ''),
	description text NOT NULL CHECK (description <> ''),
	shipped boolean NOT NULL DEFAULT false,
	UNIQUE (guard, target_state, action)
);
INSERT INTO goldenarch.autofix_rules (id, guard, target_state, action, priority, agent_role, description, shipped) VALUES
	(1, 'has_tests', 'deploying', 'test', 1, 'tester', 'Write the missing tests', true),
	(2, 'security_approved', 'deploying', 'review', 1, 'reviewer', 'Review the security of this work', true),
	(3, 'code_quality', 'reviewing', 'refactor', 2, 'developer', 'Bring the code to the required quality', true),
	(4, 'has_documentation', '*', 'document', 3, 'developer', 'Write the missing documentation', true),
	(5, 'performance_ok', '*', 'improve', 2, 'developer', 'Improve the performance', true),
	(6, '*', '*', 'fix', 1, 'developer', 'Mend what the guard found', true);
CREATE TRIGGER seed_restore BEFORE INSERT ON goldenarch.autofix_rules
	FOR EACH STATEMENT EXECUTE FUNCTION goldenarch.seed_restore();
SELECT pg_catalog.pg_extension_config_dump('goldenarch.autofix_rules', '');
COMMENT ON TABLE goldenarch.autofix_rules IS
'What handle_guard_failure does about a failed guard: every rule of that guard and target state makes one task;
where there is none, rules whose guard is * do. action review asks for a review and fixes nothing. priority: 1 is
the most urgent. Set by set_autofix_rule. Access: app.';

CREATE TABLE goldenarch.guard_results (
	tenant text COLLATE "C" NOT NULL DEFAULT '',
	task_id uuid NOT NULL,
	guard text NOT NULL,
	revision integer NOT NULL,
	passed boolean NOT NULL,
	details jsonb NOT NULL,
	reported_by text NOT NULL,
	reported_at timestamptz NOT NULL,
	handled jsonb,
	PRIMARY KEY (tenant, task_id, guard)
) PARTITION BY LIST (tenant);
CREATE TABLE goldenarch.guard_results_rows PARTITION OF goldenarch.guard_results
	(FOREIGN KEY (tenant, task_id) REFERENCES goldenarch.tasks_rows (tenant, id) ON DELETE CASCADE) DEFAULT;
ALTER TABLE goldenarch.guard_results ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.guard_results FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.guard_results
	USING (tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('task.view'))
	   AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('task.view')));
SELECT pg_catalog.pg_extension_config_dump('goldenarch.guard_results_rows', '');
COMMENT ON TABLE goldenarch.guard_results IS
'The last report of each guard of each task of the caller''s tenant. It counts only while revision is the task''s.
handled: what was done about a failure, as handle_guard_failure answered. Written by report_guard. Permission to
read: task.view.';
COMMENT ON TABLE goldenarch.guard_results_rows IS
'The rows of goldenarch.guard_results; read that table.';
