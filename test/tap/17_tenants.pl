# SPDX-License-Identifier: PostgreSQL
# One tenant against another: no relation that an application reads shows a foreign row, to nobody,
# a developer, an operator or an administrator of the other tenant, by query or by COPY, and none can
# be written or referred to. Every function that an application may call stands in the table %calls
# (a new one without a row there fails): given what is another tenant's it says, word for word, what
# it says of what does not exist, and changes no row of that tenant.
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
SELECT goldenarch.set_agent('marked', 'tester', 'marked'), goldenarch.audit('marked', 'x', 'y'), goldenarch.propose_prompt('marked', 'marked');
SELECT goldenarch.fail_task(goldenarch.create_task('marked again', max_attempts => 1), 'marked');
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

# Neither COPY shows more; nothing can be written, and no foreign key or trigger be put on anything.
for my $copy (map { ("COPY (TABLE $_) TO STDOUT", "COPY $_ TO STDOUT") } @relations)
{
	my (undef, $out, $err) = $s->run_psql(as('adam', $copy), %app);
	unlike("$out$err", qr/marked|bravo/, $copy);
}
is($s->sql(<<'SQL'), '', 'no privilege but to read, and on a leaf none at all');
SELECT c.oid::regclass, p FROM pg_class c, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) p
WHERE relnamespace = 'goldenarch'::regnamespace AND relkind IN ('r', 'p', 'v') AND (p <> 'SELECT' OR relispartition)
	AND (has_table_privilege('app', c.oid, p) OR p IN ('INSERT', 'UPDATE', 'REFERENCES') AND has_any_column_privilege('app', c.oid, p))
SQL

my %id = map { my ($name, $relation) = @$_; $name => $s->sql("SELECT min(id::text) FROM goldenarch.$relation") } (
	['task', 'tasks'], ['review', 'peer_review_sessions'], ['escalation', 'escalations'], ['job', 'jobs'],
	['approval', 'approvals'], ['prompt', 'prompts'], ['letter', 'dead_letters'], ['entry', 'audit_entries']);
is(join(' ', grep { !$id{$_} } sort keys %id), '', 'there is one of everything to look for');

# Capital words are replaced by what is the other tenant's, and then by what nobody has. [] : takes
# nothing that could be another's, and answers from the caller's own; the answer is looked at all the same.
my $pure = 'computes from its arguments alone';
my %calls = (
	advance_task => ["'TASK', 'developing'"], report_guard => ["'TASK', 'has_tests', true"],
	heartbeat_task => ["'TASK', 1"], handle_guard_failure => [q{'TASK', '{"guard_name": "has_tests"}'}],
	complete_task => ["'TASK'"], fail_task => ["'TASK', 'x'"], open_review => ["'TASK'"],
	create_escalation => ["'TASK', 'x'"], create_task => ["'x', parent => 'TASK'", "'x', tenant => 'BUDGET'"],
	claim_task => ["'AGENTROLE'"], cast_vote => ["'REVIEW', 'approve'"], explain_review => ["'REVIEW'"],
	explain_vote_impact => ["'REVIEW', 'marked'"], resolve_escalation => ["'ESCALATION', '{}'"],
	submit_job => ["'sh', 'true', request_id => 'JOBREQUEST'"], wait_job => ["'JOB', '0'"], cancel_job => ["'JOB'"],
	approve => ['APPROVAL', "APPROVAL, 'x', 'DIGEST'"], reject => ["APPROVAL, 'x'"], cancel_approval => ['APPROVAL'],
	request_approval => ["'KIND', 's', '{}'"], consume_approval => ["'KIND', 's', '{}'"],
	approve_prompt_update => ['PROMPT'], reject_prompt_update => ["PROMPT, 'x'"], active_prompt => ["'AGENTROLE'"],
	rollback_prompt => ["'AGENTROLE', 1"], propose_prompt => ["'AGENTROLE', 'x'"],
	can_auto_update_prompt => ["'AGENTROLE'"], learning_decision => ["'AGENTROLE'"],
	audit => ["'x', 'task', 'TASK'"], audit_entry => ['ENTRY'], audit_inclusion_proof => ['ENTRY'],
	redact_audit => ["ENTRY, 'x'"], audit_verify => ['ENTRY, ENTRY', ''],
	audit_export_entries => ['1, 0, 1000'], audit_export_heads => ['1, 0, 1000'], audit_consistency_proof => ['0, 1'],
	audit_tile => ['0, 0'],
	explain_budget => ["'BUDGET'"], set_budget => ["'BUDGET', 5"], request_tokens => ["'BUDGET', 'REQUEST', 10"],
	require_tokens => ["'BUDGET', 'n', 10"], request_tokens_batch => ["'BUDGET', '{REQUEST}', '{1}'"],
	charge_tokens => ["'BUDGET', 'REQUEST', 1"], commit_usage => ["'REQUEST', 5", "'REQUEST', 5, 'BUDGET'"],
	release_reservation => ["'REQUEST'", "'REQUEST', 'BUDGET'"],
	publish => [q{'prc.a.b', '{}', '{}', 'MESSAGE'}], publish_bytes => [q{'prc.a.b', 'x', '{}', 'MESSAGE'}],
	dlq_resolve => ["LETTER, 'x'"], dlq_retry => ['LETTER'], dlq_retry_all => [],
	grant_role => ["'x', 'developer', 'BUDGET'", "'SUBJECT', 'developer'"],
	revoke_role => ["'SUBJECT', 'developer', 'BUDGET'", "'SUBJECT', 'developer'"],
	issue_jwt => ["'x', 'admin', 'BUDGET'"], set_agent => ["'AGENT', 'tester'", "'x', 'tester', tenant => 'BUDGET'"],
	# what concerns every tenant, or PostgreSQL's own names: no administrator of a tenant
	add_jwt_key => ["'SUBJECT', 'HS256', 'x'"], load_jwks => ["'{}', 'BUDGET'"], retire_jwt_key => ["'SUBJECT'"],
	revoke_token => ["'SUBJECT', 'infinity'"], create_role => ["'SUBJECT', '{}'"],
	map_role => ["'app', 'SUBJECT', '{}', 'BUDGET'"], unmap_role => ["'app'"], grant_access => ["'app', 'executor'"],
	revoke_access => ["'app', 'app'"], repair_grants => [], attach_audit => ["'pg_class'"], detach_audit => ["'pg_class'"],
	audit_accept_fork => ["'x'"], audit_prune => ["1, 'x'"], set_audit_hold => ["'SUBJECT', 'x'"], drop_audit_hold => ["'SUBJECT', 'x'"],
	set_agent_role => ["'AGENTROLE', 1"], set_approval_policy => ["'KIND'"],
	set_autofix_rule => ["'has_tests', 'x', 'AGENTROLE', 'x'"], drop_autofix_rule => ['1'], set_guard => ["'GUARD', 'testing'"],
	drop_guard => ["'GUARD'"], set_model_price => ["'SUBJECT', 1, 1"], set_rate_limit => ["'SUBJECT', '1/s'"],
	set_runtime => ["'SUBJECT', '{true}'"], set_breaker => ["'SUBJECT'"], register_schema => ["'SUBJECT', '{}'"],
	subscribe => ["'SUBJECT', 'S', 's', 'now'"], unsubscribe => ["'SUBJECT'"], run_maintenance => [],
	schedule_maintenance => [], start_workers => [], install_finish => ['true'],
	# by names that all tenants share; a breaker and a limit are no tenant's
	breaker_allow => ["'SUBJECT'"], breaker_success => ["'SUBJECT'"], breaker_failure => ["'SUBJECT'"],
	breaker_reset => ["'SUBJECT'"], breaker_reset_all => [], require_breaker => ["'SUBJECT'"],
	with_breaker => ["'SUBJECT', 'SELECT 1'"], rate_limit => ["'SUBJECT', 'SUBJECT'"], require_rate => ["'SUBJECT', 'SUBJECT'"],
	autoscale_backlog => ["'SUBJECT'"], model_cost => ["'SUBJECT', 1, 1"], is_state => ["'SUBJECT', 's'"],
	validate_json => ["'SUBJECT', '{}'"], validation_errors => ["'SUBJECT', '{}'"], parse_llm => ["'SUBJECT', '{}'"],
	try_parse_llm => ["'SUBJECT', '{}'"],
	# about the caller, or about all that it may see
	authenticate => ["'SUBJECT'"], verify_jwt => ["'SUBJECT'"], logout => [], whoami => [], has_permission => ["'task.view'"],
	require_permission => ["'task.view'"], explain_permission => ["'task.view'"], tenant_floor => ["'task.view'"],
	tenant_ceiling => ["'task.view'"], audit_checkpoint => [], audit_incarnations => [], audit_public_key => [], audit_seal => [],
	audit_status => [], breaker_list => [], bridge_status_row => [], budget_verify => [], executor_rows => [],
	get_pending_approvals_count => [], health => [], learning_status => [], metric_rows => [], prometheus_metrics => [],
	state_edges => [], wall_clock => [],
	map { $_ => $pure } qw(explain_consensus extract_json json_matches_schema jsonb_matches_schema jsonschema_is_valid
		jsonschema_validation_errors jws_verify payload_json safe_parse_consensus safe_parse_patterns safe_parse_synthesis
		sanitize_findings sanitize_llm_response sanitize_metrics validate_agent_name validate_task_id),
);
my @functions = split /\n/, $s->sql(<<'SQL');
SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'goldenarch'::regnamespace AND has_function_privilege('app', oid, 'EXECUTE')
	AND prorettype <> 'trigger'::regtype ORDER BY 1
SQL
is(join(' ', grep { !$calls{$_} } @functions), '', 'each function that an application may call is in the table');
my %function = map { $_ => 1 } @functions;
is(join(' ', grep { !$function{$_} } sort keys %calls), '', 'and nothing else is');

my $nobody = '00000000-0000-4000-8000-000000000000';
my %absent = (BUDGET => 'nobody', REQUEST => 'no-such', JOBREQUEST => 'no-such', SUBJECT => 'unknown', AGENT => 'unknown', KIND => 'unknown',
	MESSAGE => 'no-such', AGENTROLE => 'unknown', GUARD => 'unknown', DIGEST => '00', APPROVAL => 987654, PROMPT => 987654, LETTER => 987654,
	ENTRY => 987654, map { $_ => $nobody } qw(TASK REVIEW ESCALATION JOB));
my %foreign = (BUDGET => 'bravo', REQUEST => 'marked-1', JOBREQUEST => 'marked', SUBJECT => 'marked', AGENT => 'marked', KIND => 'marked',
	MESSAGE => 'marked', AGENTROLE => 'marked', GUARD => 'marked', DIGEST => $s->sql("SELECT encode(digest, 'hex') FROM goldenarch.approvals LIMIT 1"),
	map { uc $_ => $id{$_} } keys %id);

# What is said: the answer, or the error in full. Errors end nothing but their own attempt.
$s->sql(<<'SQL');
CREATE FUNCTION public.said(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text; detail text; hint text;
BEGIN
	EXECUTE format('SELECT string_agg(x::text, E''\n'') FROM goldenarch.%s x', call) INTO answer;
	RETURN 'answered: ' || coalesce(answer, '-');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', SQLSTATE, SQLERRM, detail, hint);
END $$;
SQL
my $session = $s->session(%app);
my $watch = $s->session;
my @tables = split /\n/, $s->sql(<<'SQL');
SELECT c.oid::regclass FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attname = 'tenant'
WHERE relnamespace = 'goldenarch'::regnamespace AND relkind = 'p' ORDER BY 1
SQL
my $state = join ' UNION ALL ', map { "SELECT '$_', coalesce(md5(string_agg(x::text, '|' ORDER BY x::text)), '-') FROM $_ x
	WHERE tenant = 'bravo' AND '$_' NOT LIKE '%audit%'" } @tables;

# Functions that answer with the number of what they made.
my %makes = map { $_ => 1 } qw(audit propose_prompt publish publish_bytes request_approval);

# The answer of a call, what was asked for taken out of it.
sub answer
{
	my ($template, $ids) = @_;
	(my $call = $template) =~ s/\b([A-Z]+)\b/$ids->{$1} \/\/ $1/ge;
	$session->query('BEGIN');
	$session->query("SELECT goldenarch.authenticate('$token{adam}')");
	my $said = $session->query("SET LOCAL statement_timeout = '20s'; SELECT public.said(\$call\$$call\$call\$)");
	$session->query('COMMIT');
	# a number is an id in an error; in an answer it may be any
	my %taken = map { $ids->{$_} => 1 } grep { $template =~ /\b$_\b/ && ($said !~ /^answered/ || $ids->{$_} =~ /\D/) } keys %$ids;
	$said =~ s/(?<![\w-])\Q$_\E(?![\w-])/ID/g for sort { length $b <=> length $a } keys %taken;
	$said =~ s/[0-9a-f]{8}-[0-9a-f-]{27}/UUID/g;
	$said =~ s/\d+/N/g if $makes{$template =~ s/\(.*//sr};
	return $said;
}

my ($before, $count) = ($watch->query($state), 0);
for my $name (@functions)
{
	next if !ref $calls{$name};
	for my $arguments (@{ $calls{$name} } ? @{ $calls{$name} } : '')
	{
		my $call = "$name($arguments)";
		my ($foreign, $absent) = (answer($call, \%foreign), answer($call, \%absent));
		is($foreign, $absent, $call) if $arguments =~ /\b[A-Z]{4,}\b/;
		unlike($foreign, qr/marked|bravo|6d61726b6564|627261766f/, "$call tells nothing of the other");
		my $after = $watch->query($state);
		is($after, $before, "$call changes nothing of the other");
		$before = $after;
		$count++;
	}
}
cmp_ok($count, '>', 100, 'so many calls were made');
done_testing;
