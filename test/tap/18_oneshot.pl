# SPDX-License-Identifier: PostgreSQL
# Denials where nothing is preloaded: a one-shot worker writes each, two at a time, and no timeout of
# the caller's makes one unrecorded. A caller that holds the lock the insert needs is refused in time.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;
use Time::HiRes qw(sleep time);

my $s = GoldenArch::Stack->new;
$s->sql(<<'SQL');
CREATE ROLE joe LOGIN;
SELECT goldenarch.grant_access('joe', 'app');
SELECT goldenarch.add_jwt_key('k1', 'HS256', 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0', 'us', 'us', true);
SQL

sub deny { my ($name) = @_; return "SELECT goldenarch.require_permission('$name')"; }

sub recorded
{
	my ($name) = @_;
	return $s->sql("SELECT count(*) FROM goldenarch.audit_log WHERE outcome = 'denied' AND resource_id = '$name'");
}

my ($joe, $admin) = ($s->session(user => 'joe'), $s->session);
$joe->query('BEGIN');
$joe->query(deny('a.first'));
like($joe->error, qr/^42501: /, 'a denial');
$joe->query('ROLLBACK');
is(recorded('a.first'), 1, 'is on disk after the rollback');
$joe->query('SET statement_timeout = 1');
$joe->query(deny('a.timeout'));
like($joe->error, qr/^42501: /, 'a timeout cannot cut it short');
is(recorded('a.timeout'), 1, 'nor make it unrecorded');
my $ended = $s->session(user => 'joe');
$admin->query('BEGIN; LOCK TABLE goldenarch.audit_entries IN ACCESS EXCLUSIVE MODE');
$ended->send(deny('a.ended'));
ok($s->poll("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'goldenarch denial' AND wait_event_type = 'Lock'", 1),
	'a denial is being recorded');
$s->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%a.ended%' AND usename = 'joe'");
$admin->query('ROLLBACK');
ok($s->poll("SELECT count(*) FROM goldenarch.audit_log WHERE resource_id = 'a.ended'", 1), 'the end of its caller does not stop it');
$s->sql("BEGIN; SELECT goldenarch.issue_jwt('ghost', 'observer'); ROLLBACK");
is($s->sql("SELECT count(*) FROM goldenarch.audit_log WHERE action = 'issue_jwt'"), 1,
	'a token issued and rolled back is on record');

# Many at a time, all of which wait for somebody's lock.
$admin->query('BEGIN; LOCK TABLE goldenarch.audit_entries IN ACCESS EXCLUSIVE MODE');
my @many = map { $s->session(user => 'joe') } 1 .. 8;
$many[ $_ - 1 ]->send(deny("b.n$_")) for 1 .. 8;
my $workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'goldenarch denial'";
ok($s->poll("SELECT ($workers) > 1"), 'two workers write');
sleep 0.5;
is($s->sql($workers), 2, 'and no more at a time');
$admin->query('ROLLBACK');
$_->await for @many;
is(scalar(grep { $_->error =~ /^42501: / } @many), 8, 'all of many are denied');
is($s->sql("SELECT count(*) FROM goldenarch.audit_log WHERE resource_id LIKE 'b.n%'"), 8, 'and on record');

# The caller itself, and then another, holds the lock of the table.
$admin->query('SET goldenarch.audit_wait = 1000');
$admin->query('BEGIN; LOCK TABLE goldenarch.audit_entries IN ACCESS EXCLUSIVE MODE');
my $start = time;
$admin->query("SELECT goldenarch.authenticate('no token')");
like($admin->error, qr/^ZG009: token rejected/, 'a caller that holds the lock is refused');
cmp_ok(time - $start, '<', 3, 'in time');
$admin->query('ROLLBACK');
$s->sql("ALTER ROLE joe SET goldenarch.audit_wait = 700");
$admin->query('BEGIN; LOCK TABLE goldenarch.audit_entries IN ACCESS EXCLUSIVE MODE');
like($s->fails(deny('c.locked'), user => 'joe'), qr/^ZG009: permission denied/, 'so is another caller');
$admin->query('ROLLBACK');
like($s->fails(deny('c.after'), user => 'joe'), qr/^42501: /, 'afterwards all is as before');
is(recorded('c.after'), 1, 'and on record');
ok($s->poll($workers, 0), 'no worker stays');
done_testing();
