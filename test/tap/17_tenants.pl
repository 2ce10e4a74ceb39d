# SPDX-License-Identifier: PostgreSQL
# One tenant against another: no relation that an application reads shows a foreign row, to nobody,
# a developer, an operator or an administrator of the other tenant; and a function that is given the
# id of a foreign row says what it says of one that does not exist, word for word.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;

my $s = GoldenArch::Stack->new(preload => 1, workers => 0);
my %app = (user => 'app');
$s->sql(<<'SQL');
CREATE ROLE app LOGIN;
SELECT goldenarch.grant_access('app', 'app');
SELECT goldenarch.add_jwt_key('k', 'HS256', 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0', can_sign => true);
SELECT goldenarch.set_budget('bravo', 100), goldenarch.set_runtime('sh', '{/bin/sh}');
SQL
my %token = map { my ($subject, $role, $tenant) = @$_; $subject => $s->sql("SELECT goldenarch.issue_jwt('$subject', '$role', '$tenant')") }
	(['marked', 'admin', 'bravo'], ['alice', 'developer', 'acme'], ['olga', 'operator', 'acme'], ['adam', 'admin', 'acme']);

sub as { my ($subject, $sql) = @_; return ($subject ? "BEGIN; DO \$\$ BEGIN PERFORM goldenarch.authenticate('$token{$subject}'); END \$\$; " : '') . $sql; }

# What the other tenant has: each row tells its owner.
$s->sql(as('marked', <<'SQL'), %app);
SELECT goldenarch.request_tokens('bravo', 'marked-1', 10, 'marked'), goldenarch.request_approval('marked', 's', '{}');
SELECT goldenarch.create_task('marked'), goldenarch.propose_prompt('tester', 'marked'), goldenarch.publish('prc.a.b', '"marked"');
SELECT goldenarch.submit_job('sh', 'marked', request_id => 'marked'), goldenarch.grant_role('marked', 'developer');
SELECT goldenarch.open_review(id), goldenarch.create_escalation(id, 'marked'), goldenarch.report_guard(id, 'has_tests', false)
	FROM goldenarch.tasks;
SELECT goldenarch.set_agent('marked', 'tester', 'marked'), goldenarch.audit('marked', 'x', 'y');
COMMIT;
SQL

my @relations = split /\n/, $s->sql(<<'SQL');
SELECT oid::regclass FROM pg_class WHERE relnamespace = 'goldenarch'::regnamespace AND relkind IN ('r', 'p', 'v')
	AND has_table_privilege('app', oid, 'SELECT') ORDER BY 1
SQL

# Relations in which this subject sees a row of the other tenant.
sub seen
{
	my ($subject) = @_;
	my @seen;
	for my $relation (@relations)
	{
		my (undef, $out) = $s->run_psql(as($subject, "SELECT x::text FROM $relation x"), %app);
		push @seen, $relation if $out =~ /marked|bravo/;
	}
	return @seen;
}

cmp_ok(scalar(seen('marked')), '>', 15, 'the tenant itself sees its rows');
is(join(' ', seen($_)), '', ($_ || 'nobody') . ' of another sees none') for '', 'alice', 'olga', 'adam';

my %id = map { my ($name, $relation) = @$_; $name => $s->sql("SELECT min(id::text) FROM goldenarch.$relation") } (
	['task', 'tasks'], ['review', 'peer_review_sessions'], ['escalation', 'escalations'], ['job', 'jobs'],
	['approval', 'approvals'], ['prompt', 'prompts'], ['letter', 'audit_entries']);
my @calls = (
	"advance_task('TASK', 'developing')", "report_guard('TASK', 'has_tests', true)", "heartbeat_task('TASK', 1)",
	"handle_guard_failure('TASK', '{\"guard_name\": \"has_tests\"}')", "complete_task('TASK')", "fail_task('TASK', 'x')",
	"open_review('TASK')", "create_task('x', parent => 'TASK')", "create_escalation('TASK', 'x')", "cast_vote('REVIEW', 'approve')",
	"explain_review('REVIEW')", "explain_vote_impact('REVIEW', 'marked')", "resolve_escalation('ESCALATION', '{}')",
	"wait_job('JOB', '0')", "cancel_job('JOB')", 'approve(APPROVAL)', "reject(APPROVAL, 'x')", 'cancel_approval(APPROVAL)',
	'approve_prompt_update(PROMPT)', "reject_prompt_update(PROMPT, 'x')", 'audit_entry(LETTER)',
	"explain_budget('BUDGET')", "request_tokens('BUDGET', 'REQUEST', 10)", "charge_tokens('BUDGET', 'n', 1)", "set_budget('BUDGET', 5)",
	"commit_usage('REQUEST', 5)", "release_reservation('REQUEST')", "release_reservation('REQUEST', 'BUDGET')",
	"create_task('x', tenant => 'BUDGET')", "grant_role('x', 'developer', 'BUDGET')", "issue_jwt('x', 'admin', 'BUDGET')",
);
my %absent = (BUDGET => 'nobody', REQUEST => 'never', APPROVAL => 987654, PROMPT => 987654, LETTER => 987654,
	map { $_ => '00000000-0000-4000-8000-000000000000' } qw(TASK REVIEW ESCALATION JOB));
my %foreign = (BUDGET => 'bravo', REQUEST => 'marked-1', map { uc $_ => $id{$_} } keys %id);

# The answer, the ids in it taken out.
sub answer
{
	my ($call, $ids) = @_;
	$call =~ s/\b([A-Z]+)\b/$ids->{$1} \/\/ $1/ge;
	my ($status, $out, $err) = $s->run_psql(as('adam', "SELECT goldenarch.$call"), %app);
	my $said = $status ? ($err =~ /ERROR:\s+(.*)/)[0] : "answered: $out";
	$said =~ s/(?<![\w-])\Q$_\E(?![\w-])/ID/g for values %$ids;
	return $said;
}

is(answer($_, \%foreign), answer($_, \%absent), $_) for @calls;
done_testing;
