# SPDX-License-Identifier: PostgreSQL
# Denials through the shared ring: on disk before the error, whatever becomes of the caller; equal
# ones share a place and are counted; no caller takes all the places. A writer that stops, ends or
# dies and a caller that is cancelled or ended lose none and write none twice.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;
use Time::HiRes qw(sleep time);

my $s = GoldenArch::Stack->new(preload => 1, set => { 'goldenarch.max_denials_waiting' => 64,
	'goldenarch.audit_wait' => 20000 });
my $secret = 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0';
$s->sql(<<"SQL");
CREATE ROLE joe LOGIN;
CREATE ROLE jim LOGIN;
CREATE ROLE pool LOGIN;
SELECT goldenarch.grant_access(r, 'app') FROM unnest('{joe,jim,pool}'::name[]) r;
SELECT goldenarch.add_jwt_key('k1', 'HS256', '$secret', 'us', 'us', true);
SQL

sub deny { my ($name) = @_; return "SELECT goldenarch.require_permission('$name')"; }

# How often a denial of this permission is recorded, and in how many rows.
sub recorded
{
	my ($name) = @_;
	return $s->sql("SELECT coalesce(sum(coalesce((details->>'count')::int, 1)), 0) || ' in ' || count(*)
		FROM goldenarch.audit_log WHERE outcome = 'denied' AND resource_id = '$name'");
}

sub writer
{
	my $query = "SELECT max(pid) FROM pg_stat_activity WHERE backend_type = 'goldenarch audit writer'";
	$s->poll("SELECT ($query) IS NOT NULL AND (SELECT detail LIKE '%by worker%' OR detail LIKE '%in time%'
		FROM goldenarch.health() WHERE component = 'audit')") or die 'no audit writer';
	return $s->sql($query);
}

# The writer's debug point; its sleep or wait is what makes others meet.
sub point
{
	my ($point) = @_;
	$s->sql("ALTER SYSTEM SET goldenarch.debug_point = '$point'");
	$s->sql('SELECT pg_reload_conf()');
	sleep 0.3;
	return;
}

# A denial, its rollback, its row.
my $pid = writer();
like($s->fails('BEGIN; ' . deny('a.first'), user => 'joe'), qr/^42501: /, 'a denial');
is(recorded('a.first'), '1 in 1', 'is on disk after the rollback');
is($s->sql("SELECT subject, role, details->>'pg_role', details->>'sqlstate' FROM goldenarch.audit_log
	WHERE resource_id = 'a.first'"), 'anonymous|anonymous|joe|42501', 'it says whose it was');
like($s->sql("SELECT detail FROM goldenarch.health() WHERE component = 'audit'"), qr/denials by worker $pid;/,
	'health() names the writer');

# A token that leaves is on record, also when its transaction is rolled back.
$s->sql("BEGIN; SELECT goldenarch.issue_jwt('ghost', 'observer'); ROLLBACK");
is($s->sql("SELECT count(*), min(details->>'subject') FROM goldenarch.audit_log WHERE action = 'issue_jwt'"), '1|ghost',
	'a token issued and rolled back is on record');

# Equal denials that arrive while one waits share a place; each caller is told after the commit.
my @joe = map { $s->session(user => 'joe') } 1 .. 8;
my $jim = $s->session(user => 'jim');
point('denials-before-rows=sleep:1500');
$joe[0]->send(deny('b.block'));
sleep 0.3;
$joe[1]->send(deny('b.block'));
$_->send(deny('b.same')) for @joe[ 2 .. 7 ];
$jim->send(deny('b.same'));
ok($s->poll("SELECT count(*) FROM pg_stat_activity WHERE usename IN ('joe', 'jim') AND state = 'active'", 9),
	'nobody is told before the commit');
is(recorded('b.same'), '0 in 0', 'nothing is written yet');
$_->await for @joe, $jim;
is(scalar(grep { $_->error =~ /^42501: / } @joe, $jim), 9, 'then all are');
is(recorded('b.same'), '7 in 2', 'equal denials share a row, those of another do not');
is(recorded('b.block'), '2 in 2', 'what is being written is not counted up any more');
is($s->sql("SELECT (details->>'last_at')::timestamptz >= (details->>'first_at')::timestamptz FROM goldenarch.audit_log
	WHERE resource_id = 'b.same' AND details ? 'count'"), 't', 'it has the first and the last time');

point('');

# The writer stands still: what its callers put stays, and no caller takes every place.
kill 'STOP', $pid;
$s->sql("ALTER SYSTEM SET goldenarch.audit_wait = '100ms'");
$s->sql('SELECT pg_reload_conf()');
sleep 0.3;
my $refused = join ' ', map { $joe[0]->query(deny("c.joe$_")); $joe[0]->error =~ /^(\w+)/ } 1 .. 5;
is($refused, join(' ', ('ZG009') x 5), 'without a writer that writes all are refused with ZG009');
like($s->fails(deny('c.jim'), user => 'jim'), qr/^ZG009: /, 'another role is, too');
kill 'CONT', $pid;
ok($s->poll("SELECT count(*) FROM goldenarch.audit_log WHERE resource_id LIKE 'c.joe%'", 4),
	'what was put is written all the same, up to the share of one caller');
ok($s->poll("SELECT count(*) FROM goldenarch.audit_log WHERE resource_id = 'c.jim'", 1), 'the other one had a place');

# Two tenants through one pool: one floods with many subjects, the other is heard.
my %token = map { $_ => $s->sql("SELECT goldenarch.issue_jwt('$_', 'observer', '" . substr($_, 0, 1) . "')") }
	(map { "a$_" } 1 .. 6), (map { $_ . '1' } 'b' .. 'f');
my $pool = $s->session(user => 'pool');
my $as = sub {
	my ($who, $name) = @_;
	$pool->query("BEGIN; SELECT goldenarch.authenticate('$token{$who}')");
	$pool->query(deny($name));
	my $error = $pool->error;
	$pool->query('ROLLBACK');
	return $error;
};
kill 'STOP', $pid;
for my $subject (1 .. 6)
{
	$as->("a$subject", "d.a$subject.$_") for 1 .. 4;
}
$as->('b1', "d.b.$_") for 1 .. 2;
kill 'CONT', $pid;
ok($s->poll("SELECT count(*) FROM goldenarch.audit_log WHERE resource_id LIKE 'd.b%'", 2), 'the other tenant has places');
is($s->sql("SELECT count(*), count(DISTINCT subject) FROM goldenarch.audit_log WHERE resource_id LIKE 'd.a%'"), '16|4',
	'a tenant has a quarter of them, a subject of it a sixteenth');
is($s->sql("SELECT DISTINCT tenant FROM goldenarch.audit_log WHERE resource_id LIKE 'd.b%'"), 'b', 'under its tenant');
$s->sql('ALTER SYSTEM RESET goldenarch.audit_wait');
$s->sql('SELECT pg_reload_conf()');
sleep 0.3;

# One floods without pause, the other is answered in time.
my $flood = File::Temp->new;
print $flood map { deny("flood.n$_") . ";\n" } 1 .. 50000;
close $flood;
my @flood = map { IPC::Run::start([ "$GoldenArch::Stack::BIN/psql", '-X', '-q', '-d', $s->dsn(user => 'joe') ],
	'<', $flood->filename, '>', '/dev/null', '2>', '/dev/null') } 1 .. 6;
sleep 0.5;
my @slow;
for (1 .. 20)
{
	my $asked = time;
	$jim->query(deny("heard.n$_"));
	push @slow, $jim->error if $jim->error !~ /^42501: / || time - $asked > 5;
}
is("@slow", '', 'while one floods, another is denied in time');
$_->kill_kill for @flood;
$s->poll("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%flood.n%' AND usename = 'joe'", 0);
is($s->sql("SELECT count(*) FROM goldenarch.audit_log WHERE resource_id LIKE 'heard.n%'"), 20, 'and on record');

# A caller that is cancelled, times out or is ended while it waits: its record stays.
kill 'STOP', $pid;
$joe[0]->query("SET statement_timeout = 300");
$joe[0]->query(deny('e.timeout'));
like($joe[0]->error, qr/^57014: /, 'a timeout ends the wait');
$joe[1]->send(deny('e.cancel'));
$joe[2]->send(deny('e.end'));
ok($s->poll("SELECT count(*) FROM pg_stat_activity WHERE usename = 'joe' AND state = 'active'", 2), 'two wait');
$s->sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%e.cancel%' AND usename = 'joe'");
$joe[1]->await;
like($joe[1]->error, qr/^57014: /, 'a cancel ends the wait');
$s->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%e.end%' AND usename = 'joe'");
ok($s->poll("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%e.end%' AND usename = 'joe'", 0), 'so does an end');
kill 'CONT', $pid;
ok($s->poll("SELECT count(*) FROM goldenarch.audit_log WHERE resource_id LIKE 'e.%'", 3), 'all three are on record');
is(recorded("e.$_"), '1 in 1', "$_: once") for qw(timeout cancel end);
$joe[1]->query(deny('e.after'));
like($joe[1]->error, qr/^42501: /, 'the ring works on');

# The writer is ended in the middle of its transaction: the next one writes what waited, once.
point('denials-before-rows=sleep:700');
my $start = time;
$joe[3]->send(deny('f.ended'));
sleep 0.2;
$s->sql("SELECT pg_terminate_backend($pid)");
$joe[3]->await;
like($joe[3]->error, qr/^42501: /, 'a denial outlives its writer');
is(recorded('f.ended'), '1 in 1', 'and is written once');
cmp_ok(time - $start, '<', 20, 'in time');
cmp_ok(writer(), '!=', $pid, 'by another');
point('');

# While no writer is there, a one-shot worker writes.
my $gone = writer();
kill 'STOP', $gone;
$s->sql("SELECT pg_terminate_backend($gone)");
kill 'CONT', $gone;
for (1 .. 100)
{
	last if !kill(0, $gone);
	sleep 0.01;
}
like($s->fails(deny('g.between'), user => 'joe'), qr/^42501: /, 'a denial between two writers');
is(recorded('g.between'), '1 in 1', 'is on record');

# It is killed: the server starts again, and denies again.
$pid = writer();
kill 'KILL', $pid;
ok($s->poll('SELECT true', 't', 30), 'the server is back');
$pid = writer();
like($s->fails(deny('h.back'), user => 'joe'), qr/^42501: /, 'a denial after a crash');
is(recorded('h.back'), '1 in 1', 'is on record');
is(recorded('a.first'), '1 in 1', 'what was is still there');
done_testing();
