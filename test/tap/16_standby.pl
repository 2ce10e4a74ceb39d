# SPDX-License-Identifier: PostgreSQL
# A hot standby answers what reads, refuses with 25006 what would write, before any effect, and with 42501 what is
# denied, saying that the denial could not be recorded. Promoted, it decides.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;

my $p = GoldenArch::Stack->new(preload => 'goldenarch', durable => 1);
$p->sql("CREATE ROLE joe; SELECT goldenarch.grant_access('joe', 'app');
	SELECT goldenarch.add_jwt_key('k', 'HS256', 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow', NULL, NULL, true);
	SELECT goldenarch.set_budget('acme', 100);
	SELECT goldenarch.register_schema('s', '{\"type\":\"object\"}');
	SELECT goldenarch.set_rate_limit('calls', '10/minute')");
my $token = $p->sql("SELECT goldenarch.issue_jwt('alice', 'developer', 'acme')");
my $task = $p->sql("SELECT goldenarch.create_task('a task')");
my $job = $p->sql("SELECT goldenarch.submit_job('python', 'print(1)')");
$p->sql("SELECT goldenarch.request_tokens('acme', 'held', 60)");
my $s = GoldenArch::Stack->new(preload => 'goldenarch', durable => 1, standby_of => $p);
my $done = $p->sql('SELECT pg_current_wal_lsn()');
ok($s->poll("SELECT pg_last_wal_replay_lsn() >= '$done'"), 'the standby follows');
is($s->sql('SELECT pg_is_in_recovery()'), 't', 'and is one');

# What reads answers.
is($s->sql("SELECT subject FROM goldenarch.whoami()"), 'postgres', 'who one is');
is($s->sql("BEGIN; SELECT subject, tenant FROM goldenarch.authenticate('$token'); COMMIT"), 'alice|acme', 'a token is verified');
is($s->sql("SELECT goldenarch.verify_jwt('$token')->>'sub'"), 'alice', 'as a document too');
is($s->sql("SELECT goldenarch.has_permission('task.create')"), 't', 'permissions are known');
for my $read (
	"goldenarch.parse_llm('s', '{\"a\": 1,}')", "goldenarch.validate_json('s', '{}')", "goldenarch.sanitize_llm_response('x')",
	"goldenarch.explain_consensus('{}')", "goldenarch.explain_permission('task.view')", "goldenarch.can_auto_update_prompt('developer')",
	"goldenarch.learning_decision('developer')", "goldenarch.active_prompt('developer')", "goldenarch.explain_budget('acme')",
	"goldenarch.prometheus_metrics()", "goldenarch.autoscale_backlog('sandbox')", "goldenarch.wait_job('$job', '0 s')")
{
	my ($status, undef, $err) = $s->run_psql("SELECT $read");
	is($err, '', "$read answers");
}
for my $rows (qw(health() budget_verify() get_pending_approvals_count() metrics budget_limits budget_transactions audit_log audit_status()
	governance_status learning_stats agent_prompts pending_approvals tasks escalations dlq_messages bridge_status sandbox_jobs
	sandbox_executors circuit_breakers))
{
	my ($status, undef, $err) = $s->run_psql("SELECT * FROM goldenarch.$rows");
	is($err, '', "$rows answers");
}

# What would write is refused as such.
for my $write (
	"create_task('x')", "advance_task('$task', 'developing')", "claim_task('developer')", "complete_task('$task')",
	"fail_task('$task', 'x')", "report_guard('$task', 'has_tests', true)", "heartbeat_task('$task', 1)",
	"handle_guard_failure('$task', '{\"guard_name\": \"has_tests\", \"reason\": \"none\"}')", "open_review('$task')",
	"create_escalation('$task', 'x')", "request_tokens('acme', 'new', 1)", "request_tokens('acme', 'held', 60)",
	"commit_usage('held', 1)", "release_reservation('held')", "charge_tokens('acme', 'c', 1)", "set_budget('acme', 5)",
	"set_model_price('m', 1, 1)", "publish('prc.a.b', '{}')", "publish_bytes('prc.a.b', '')", "unsubscribe('x')",
	"dlq_retry_all()", "audit('a', 'b', 'c')", "propose_prompt('developer', 'x')", "request_approval('k', 's', '{}')",
	"set_approval_policy('k')", "submit_job('python', 'x')", "cancel_job('$job')", "set_runtime('x', '{/bin/sh}')",
	"register_schema('t', '{}')", "create_role('r', '{a.b}')", "grant_role('a', 'observer')", "revoke_role('a', 'observer')",
	"map_role('joe', 'joe', '{}')", "issue_jwt('a', 'observer')", "retire_jwt_key('k')", "revoke_token('a', now())",
	"add_jwt_key('k2', 'HS256', 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow')",
	"grant_access('joe', 'executor')", "repair_grants()", "set_rate_limit('calls', '1/minute')", "set_breaker('b')",
	"run_maintenance()", "schedule_maintenance()", "start_workers()", "breaker_reset_all()", "revoke_access('joe', 'app')",
	"unmap_role('joe')", "audit_seal()", "audit_accept_fork('x')", "audit_prune(1, 'x')", "set_audit_hold('a', 'x')",
	"drop_audit_hold('a', 'x')")
{
	like($s->fails("SELECT goldenarch.$write"), qr/^25006: /, "$write would write");
}

# A denial is a denial.
my ($status, undef, $err) = $s->run_psql("SET ROLE joe; SELECT goldenarch.create_task('x')");
like($err, qr/ERROR:  42501: permission denied/, 'a denial is one here too');
like($err, qr/could not be recorded: this is a standby/, 'and says that it could not be recorded');
like($s->fails("SELECT goldenarch.authenticate('forged')"), qr/^28000/, 'a forged token is refused');
is($s->sql("SELECT allowed FROM goldenarch.rate_limit('calls', 'k')"), 't', 'rate limits live in memory');
unlike($s->server_log, qr/terminated by signal|PANIC|TRAP:/, 'nothing crashed');

$p->stop('immediate');
$s->sql('SELECT pg_promote()');
ok($s->poll('SELECT NOT pg_is_in_recovery()'), 'promoted');
is($s->sql("SELECT approved, replayed FROM goldenarch.request_tokens('acme', 'held', 60)"), 't|t', 'a held request is known');
is($s->sql("SELECT approved FROM goldenarch.request_tokens('acme', 'more', 41)"), 'f', 'what was held counts');
is($s->sql("SELECT approved FROM goldenarch.request_tokens('acme', 'rest', 40)"), 't', 'the rest may be had');
like($s->fails("SET ROLE joe; SELECT goldenarch.create_task('x')"), qr/^42501/, 'denied');
is($s->sql("SELECT count(*) > 0 FROM goldenarch.audit_log WHERE outcome = 'denied'"), 't', 'and recorded');
$s->destroy;
$p->destroy;
done_testing();
