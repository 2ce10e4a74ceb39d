# SPDX-License-Identifier: PostgreSQL
# Dump and restore, by a superuser and by a plain database owner: every row that the extension marks
# as the user's comes back, shipped rows that were edited or deleted stay so, and rights stand.
use strict;
use warnings;
use Test::More;
use IPC::Run ();
use GoldenArch::Stack;

my $s = GoldenArch::Stack->new(extension => 0);
$s->sql('CREATE ROLE dbowner LOGIN; CREATE ROLE joe LOGIN');

# fingerprint: one line a dumped table or sequence, with the count and the digest of its rows.
sub fingerprint
{
	my (%where) = @_;
	return $s->sql(<<'SQL', %where);
SELECT pg_catalog.format(CASE c.relkind WHEN 'S' THEN 'SELECT %1$L, last_value, is_called FROM %1$s'
	ELSE 'SELECT %1$L, count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM %1$s t' END, c.oid::regclass)
FROM pg_catalog.pg_extension e, pg_catalog.unnest(e.extconfig) AS o(oid) JOIN pg_catalog.pg_class c ON c.oid = o.oid
WHERE extname = 'goldenarch' ORDER BY c.oid::regclass::text COLLATE "C" \gexec
SQL
}

sub rights
{
	my (%where) = @_;
	return $s->sql(<<'SQL', %where);
SELECT relname, relowner::regrole, (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(relacl) a)
FROM pg_catalog.pg_class WHERE relnamespace = 'goldenarch'::regnamespace AND relkind IN ('r', 'p', 'S', 'v')
ORDER BY relname COLLATE "C";
SELECT oid::regprocedure, (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(proacl) a)
FROM pg_catalog.pg_proc WHERE pronamespace = 'goldenarch'::regnamespace ORDER BY oid::regprocedure::text COLLATE "C";
SELECT tablename, policyname, qual FROM pg_catalog.pg_policies WHERE schemaname = 'goldenarch' ORDER BY 1, 2;
SQL
}

# fill: rows through the functions of each part that the extension has.
sub fill
{
	my (%where) = @_;
	$s->sql("SELECT goldenarch.audit('ship', 'order', '42', '{\"to\": \"Berlin\"}')", %where);
	$s->sql("UPDATE goldenarch.roles SET permissions = '{task.view}' WHERE role = 'observer'", %where);
	for my $call (
		[ create_role => "'auditor', '{audit.view}'" ], [ grant_role => "'ann', 'auditor'" ],
		[ map_role => "'joe', 'joe', '{developer}'" ], [ grant_access => "'joe', 'app'" ],
		[ set_budget => "'acme', 1000" ], [ request_tokens => "'acme', 'req-1', 100" ],
		[ set_rate_limit => "'api', '30/minute'" ], [ set_breaker => "'model'" ],
		[ register_schema => "'thing', '{\"type\": \"object\"}'" ],
		[ propose_prompt => "'developer', 'Write small functions.'" ],
		[ request_approval => "'deploy', 'web', '{\"version\": 2}'" ],
		[ create_task => "'write the page'" ], [ set_agent => "'ann', 'reviewer', 'alice'" ],
		[ report_guard => "(SELECT id FROM goldenarch.tasks), 'has_tests', false" ],
		[ open_review => '(SELECT id FROM goldenarch.tasks)' ], [ set_agent_role => "'reviewer', 0.5" ],
		[ create_escalation => "(SELECT id FROM goldenarch.tasks), 'nobody knows'" ],
		[ set_guard => "'has_tests', 'reviewing'" ], [ drop_autofix_rule => '6' ],
		[ set_autofix_rule => "'*', 'ask', 'lawyer', 'Ask'" ], [ publish => "'prc.task.done', '{\"ok\": true}'" ],
		[ submit_job => "'python', 'print(1)'" ])
	{
		my ($name, $arguments) = @$call;
		next unless $s->sql("SELECT count(*) FROM pg_proc WHERE pronamespace = 'goldenarch'::regnamespace
			AND proname = '$name'", %where);
		ok($s->run_psql("SELECT * FROM goldenarch.$name($arguments)", %where) == 0, "$name leaves a row");
	}
	return;
}

# run: a client program; its exit status and what it complained of.
sub run
{
	my (@command) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ "$GoldenArch::Stack::BIN/$command[0]", @command[1 .. $#command] ], '>', \$out, '2>', \$err);
	return ($? >> 8, $err);
}

for my $user (qw(postgres dbowner))
{
	my %from = (user => $user, database => "from_$user");
	my %to = (user => $user, database => "to_$user");
	$s->sql("CREATE DATABASE $_ OWNER $user", database => 'postgres') for $from{database}, $to{database};
	$s->sql('CREATE EXTENSION goldenarch', %from);
	fill(%from);
	my ($before, $granted) = (fingerprint(%from), rights(%from));
	my $file = "$s->{dir}/$user.dump";
	my ($status, $err) = run('pg_dump', '-Fc', '-d', $s->dsn(%from), '-f', $file);
	is($status, 0, "$user dumps") or diag($err);
	($status, $err) = run('pg_restore', '-d', $s->dsn(%to), $file);
	# A plain owner may not speak for the bootstrap superuser; the grants land all the same.
	my @complaints = grep { /^pg_restore: error/ && !/permission denied to set session authorization/ } split /\n/, $err;
	is_deeply(\@complaints, [], "$user restores");
	is(fingerprint(%to), $before, "$user: every row came back");
	is(rights(%to), $granted, "$user: owners, grants and policies stand");
	is($s->sql("SELECT permissions FROM goldenarch.roles WHERE role = 'observer'", %to), '{task.view}',
		"$user: a shipped row that was edited stays edited");
	is($s->sql("SELECT goldenarch.audit('ship', 'order', '43') > (SELECT max(id) FROM goldenarch.audit_log
		WHERE resource_id = '42')", %to), 't', "$user: numbers go on where they were");
}
unlike($s->server_log, qr/terminated by signal|PANIC/, 'the server did not crash');
done_testing();
