# SPDX-License-Identifier: PostgreSQL
# Identity where it touches the server: settings planted before the library is loaded, the server's
# log, other sessions' eyes, prepared transactions, parallel workers, a key that is retired.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;

my $s = GoldenArch::Stack->new(set => { max_prepared_transactions => 5, log_min_duration_statement => 0 });
my $secret = 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0';
$s->sql(<<"SQL");
CREATE ROLE joe LOGIN;
SELECT goldenarch.grant_access('joe', 'app');
SELECT goldenarch.map_role('joe', 'joe-mapped', '{developer}');
SELECT goldenarch.add_jwt_key('k1', 'HS256', '$secret', 'us', 'us', true);
SQL
my $token = $s->sql("SELECT goldenarch.issue_jwt('alice', 'observer', 'acme')");
my %joe = (user => 'joe');
my $who = 'SELECT subject FROM goldenarch.whoami()';

# Not preloaded: anybody may name the setting before it exists.
$s->run_psql('ALTER ROLE joe SET goldenarch.allow_session_identity = on', %joe);
my ($session, $other) = map { $s->session(%joe) } 1 .. 2;
$session->query('SET goldenarch.allow_session_identity = on');
$session->query("SELECT goldenarch.authenticate('$token', true)");
like($session->error, qr/^55000: /, 'a setting planted before the library was loaded does not count');
is($session->query($who), 'joe-mapped', 'the mapped role stays');
is($session->query('SHOW goldenarch.allow_session_identity'), 'off', 'the setting is off');

# While a statement with a token runs or has run, another session of the same role looks.
$session->query('BEGIN');
is($session->query("SELECT subject FROM goldenarch.authenticate('$token')"), 'alice', 'a token counts');
my $seen = $other->query("SELECT string_agg(query, '|') FROM pg_stat_activity WHERE usename = 'joe'");
unlike($seen, qr/\Q$token\E/, 'pg_stat_activity does not show the token');
is($other->query($who), 'joe-mapped', 'another session has its own identity');
$session->query('COMMIT');
my $forged = $token;
$forged =~ s/.{5}$/AAAAA/;
like($s->fails("SELECT goldenarch.authenticate('$forged')", %joe), qr/^28000: token rejected/, 'a forged token is refused');
$s->fails("SELECT goldenarch.verify_jwt('$forged')", %joe);
my $log = $s->server_log;
like($log, qr/authenticate\('\*{20}/, 'the log shows the statement');
unlike($log, qr/\Q$token\E|\Q$forged\E|\Q$secret\E/, 'but no token, forged token or key');

# A prepared transaction ends the identity like any other end.
$session->query('BEGIN');
$session->query("SELECT subject FROM goldenarch.authenticate('$token')");
$session->query("PREPARE TRANSACTION 'p1'");
is($session->error, '', 'PREPARE TRANSACTION');
is($session->query($who), 'joe-mapped', 'and the identity is gone');
$session->query("ROLLBACK PREPARED 'p1'");

# A parallel worker has no identity, and says so rather than have a wrong one.
$s->sql(<<'SQL');
CREATE FUNCTION public.sneaky() RETURNS text LANGUAGE plpgsql PARALLEL SAFE AS
	$$ BEGIN RETURN (SELECT subject FROM goldenarch.whoami()); END $$;
CREATE TABLE public.big AS SELECT g FROM generate_series(1, 50000) g;
ANALYZE public.big;
GRANT SELECT ON public.big TO joe;
SQL
my $force = (grep { /^(force_parallel_mode|debug_parallel_query)$/ }
	split /\n/, $s->sql('SELECT name FROM pg_settings'))[0];
$session->query("SET $force = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0");
$session->query('BEGIN');
$session->query("SELECT subject FROM goldenarch.authenticate('$token')");
$session->query("SELECT count(*) FROM public.big WHERE public.sneaky() = 'x'");
like($session->error, qr/not known in a parallel worker/, 'a worker raises an error');
$session->query('ROLLBACK');
$session->query('BEGIN');
$session->query("SELECT subject FROM goldenarch.authenticate('$token')");
is($session->query("SELECT count(*) FROM public.big WHERE g > 1 AND (SELECT goldenarch.has_permission('task.view'))"),
	49999, 'while a plan may stay parallel around our own functions');
$session->query('COMMIT');

# In the leader of a parallel plan, a permission that was not asked for before is looked up once, not for each row.
$s->sql('CREATE TABLE public.wide AS SELECT g FROM generate_series(1, 300000) g; ANALYZE public.wide; GRANT SELECT ON public.wide TO joe');
my $rows = "SELECT count(*) FROM (SELECT goldenarch.has_permission('agent.view') AS yes FROM public.wide OFFSET 0) x WHERE yes";
for my $subject ($token, '')
{
	my $other_session = $s->session(%joe);
	$other_session->query("SET $force = off; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0");
	$other_session->query("SET statement_timeout = '8s'");
	like($other_session->query("EXPLAIN $rows"), qr/Gather/, 'the plan is parallel');
	$other_session->query('BEGIN');
	$other_session->query("SELECT goldenarch.authenticate('$subject')") if $subject;
	is($other_session->query($rows), 300000, 'has_permission is as quick above a Gather') or diag($other_session->error);
	$other_session->query('COMMIT');
}

# A key retired in one session counts no more in another that has used it.
$session->query("RESET $force");
is($session->query("SELECT goldenarch.verify_jwt('$token')->>'sub'"), 'alice', 'the key is in use');
$s->sql("SELECT goldenarch.retire_jwt_key('k1')");
$session->query("SELECT goldenarch.verify_jwt('$token')");
like($session->error, qr/^28000: /, 'and not after it was retired');
done_testing();
