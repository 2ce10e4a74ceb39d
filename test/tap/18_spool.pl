# SPDX-License-Identifier: PostgreSQL
# Denials while the audit table cannot be written: they are kept in a file, told, and brought into
# the table later, each once, through crashes at every step. A caller that itself holds the table's
# lock is neither hung nor deadlocked. Where the file cannot be written either, the call is refused.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;
use Time::HiRes qw(sleep time);

my $s = GoldenArch::Stack->new(preload => 1, durable => 1);
my $lock = 'LOCK TABLE goldenarch.audit_entries IN ACCESS EXCLUSIVE MODE';
$s->sql(<<'SQL');
CREATE ROLE joe LOGIN;
SELECT goldenarch.grant_access('joe', 'app');
SELECT goldenarch.add_jwt_key('k1', 'HS256', 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0', 'us', 'us', true);
SQL
my ($admin, $joe, $looker) = ($s->session, $s->session(user => 'joe'), $s->session);
my $oid = $s->sql("SELECT oid FROM pg_database WHERE datname = 'app'");
my $file = "$s->{dir}/data/goldenarch/denials.$oid";

sub deny { my ($name) = @_; return "SELECT goldenarch.require_permission('$name')"; }

sub recorded
{
	my ($name) = @_;
	return $s->sql("SELECT coalesce(sum(coalesce((details->>'count')::int, 1)), 0) || ' in ' || count(*)
		FROM goldenarch.audit_log WHERE outcome = 'denied' AND resource_id = '$name'");
}

# Locked table; returns how long the denial took.
sub denied_meanwhile
{
	my ($name, $test) = @_;
	my $start = time;
	$joe->query(deny($name));
	like($joe->error, qr/^42501: /, $test);
	return time - $start;
}

my $health = "SELECT status || ' ' || detail FROM goldenarch.health() WHERE component = 'audit'";
my $drained = "SELECT status FROM goldenarch.health() WHERE component = 'audit'";
# Until the writer serves, denials go by one-shot workers, which have no spool.
ok($s->poll("SELECT status || ' ' || (detail LIKE 'denials by worker %')::text FROM goldenarch.health() WHERE component = 'audit'",
	'ok true'), 'the audit is well, by its writer');

# The caller holds the lock that the insert needs.
$admin->query("BEGIN; $lock");
my $start = time;
$admin->query("SELECT goldenarch.authenticate('no token')");
like($admin->error, qr/^28000: /, 'a caller that holds the lock gets its denial');
cmp_ok(time - $start, '<', 4, 'in time');
$admin->query('ROLLBACK');
ok($s->poll($drained, 'ok'), 'it is brought into the table');
is($s->sql("SELECT count(*) FROM goldenarch.audit_log WHERE action = 'authenticate' AND outcome = 'denied'"), 1, 'once');
ok(!-e $file, 'and the file is gone');

# Somebody else holds it.
$admin->query("BEGIN; $lock");
cmp_ok(denied_meanwhile('a.first', 'a denial while the table is locked'), '<', 4, 'waits for the lock at first');
cmp_ok(denied_meanwhile("a.$_", 'and the next'), '<', 1, 'does not') for 1 .. 3;
like($s->sql($health), qr/^degraded 4 records in the spool/, 'health() tells');
ok(-s $file, 'the file is there');

# An immediate stop; a torn tail; more denials behind it.
$s->stop('immediate');
open my $out, '>>', $file or die;
print $out "\0\0\1\0torn";
close $out;
$s->start;
($admin, $joe) = ($s->session, $s->session(user => 'joe'));
ok($s->poll($drained, 'ok'), 'after a crash the file is brought into the table');
is(recorded("a.$_"), '1 in 1', "a.$_ once") for 'first', 1 .. 3;
ok(!-e $file, 'and is gone');

# A torn tail is cut off before anything is written behind it.
$admin->query("BEGIN; $lock");
denied_meanwhile('b.one', 'a denial');
open $out, '>>', $file or die;
print $out 'torn' x 100;
close $out;
denied_meanwhile('b.two', 'another behind a torn one');
$admin->query('ROLLBACK');
ok($s->poll($drained, 'ok'), 'both are brought into the table');
is(recorded("b.$_"), '1 in 1', "b.$_ once") for qw(one two);

# The server dies between the commit of the replay and the removal of the file.
$admin->query("BEGIN; $lock");
denied_meanwhile("c.$_", "c.$_") for 1 .. 2;
$s->sql("ALTER SYSTEM SET goldenarch.debug_point = 'spool-before-remove=crash'");
$s->sql('SELECT pg_reload_conf()');
$admin->query('ROLLBACK');
for (1 .. 200)
{
	last if $s->server_log =~ /exited with exit code 2/;
	sleep 0.1;
}
like($s->server_log, qr/exited with exit code 2/, 'the server dies between the commit and the removal');
$s->stop('immediate');
my $auto = "$s->{dir}/data/postgresql.auto.conf";
my $kept = join '', grep { !/debug_point/ } GoldenArch::Stack::slurp($auto) =~ /^.*\n/mg;
open $out, '>', $auto or die;
print $out $kept;
close $out;
ok(-s $file, 'the file is still there');
$s->start;
($admin, $joe) = ($s->session, $s->session(user => 'joe'));
ok($s->poll($drained, 'ok'), 'and is found to have been brought in');
is(recorded("c.$_"), '1 in 1', "c.$_ once") for 1 .. 2;
ok(!-e $file, 'the file is gone');

# The insert fails.
$s->sql(<<'SQL');
CREATE FUNCTION public.broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$;
CREATE TRIGGER broken BEFORE INSERT ON goldenarch.audit_entries_rows FOR EACH ROW EXECUTE FUNCTION public.broken();
SQL
denied_meanwhile('d.broken', 'a denial while the insert fails');
$s->sql("CREATE OR REPLACE FUNCTION public.broken() RETURNS trigger LANGUAGE plpgsql AS
	\$\$ BEGIN PERFORM pg_sleep(30); RETURN NEW; END \$\$");
ok($s->poll("SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'", 't', 10), 'the replay hangs');
cmp_ok(denied_meanwhile('d.hangs', 'a denial while the insert hangs'), '<', 4, 'in time');
$s->sql('DROP TRIGGER broken ON goldenarch.audit_entries_rows');
ok($s->poll($drained, 'ok'), 'both are brought into the table');
is(recorded("d.$_"), '1 in 1', "d.$_ once") for qw(broken hangs);

# Neither the table nor the file can be written: refused, in time; written when that ends.
$s->sql('ALTER SYSTEM SET goldenarch.audit_wait = 2500');
$s->sql('SELECT pg_reload_conf()');
for (1 .. 100)
{
	last if $joe->query('SHOW goldenarch.audit_wait') =~ /2500ms/;
	sleep 0.1;
}
rename "$s->{dir}/data/goldenarch", "$s->{dir}/data/goldenarch.aside" or die;
open $out, '>', "$s->{dir}/data/goldenarch" or die;
close $out;
$admin->query("BEGIN; $lock");
$start = time;
$joe->query(deny('e.neither'));
like($joe->error, qr/^ZG009: permission denied/, 'without any sink the call is refused');
cmp_ok(time - $start, '<', 4, 'in time');
my ($status, $token, $why) = $s->run_psql("SELECT goldenarch.issue_jwt('ghost', 'observer')");
is($token, '', 'no token leaves');
like($why, qr/ZG009: "issue_jwt" cannot be recorded beforehand/, 'and why');
unlink "$s->{dir}/data/goldenarch";
rename "$s->{dir}/data/goldenarch.aside", "$s->{dir}/data/goldenarch" or die;
$admin->query('ROLLBACK');
ok($s->poll("SELECT count(*) FROM goldenarch.audit_log WHERE resource_id = 'e.neither'", 1), 'it is on record when one is back');
is(recorded('e.neither'), '1 in 1', 'once');

# A file that is none of ours is never written over, and told.
$s->stop('immediate');
unlink $file;
my $foreign = 'this is no spool ' x 10;
open $out, '>', $file or die;
print $out $foreign;
close $out;
$s->start;
($admin, $joe) = ($s->session, $s->session(user => 'joe'));
ok($s->poll($health, 'degraded the spool file of denials cannot be read'), 'health() tells of a file that is no spool');
denied_meanwhile('g.table', 'denials go to the table');
is(recorded('g.table'), '1 in 1', 'as before');
$admin->query("BEGIN; $lock");
$joe->query(deny('g.neither'));
like($joe->error, qr/^ZG009: /, 'and nowhere when that is locked');
is(GoldenArch::Stack::slurp($file), $foreign, 'the file is as it was');
unlink $file;
denied_meanwhile('g.again', 'until it is taken away');
$admin->query('ROLLBACK');
ok($s->poll("SELECT count(*) FROM goldenarch.audit_log WHERE resource_id LIKE 'g.%'", 3), 'all are on record in the end');
ok($s->poll('SELECT NOT EXISTS (SELECT FROM goldenarch.health() WHERE detail LIKE \'%spool%\')'), 'and the file is gone');

# A file that was left behind is told where nothing is preloaded, and start_workers() has it brought in.
$admin->query("BEGIN; $lock");
denied_meanwhile('f.left', 'a denial before the server starts without our library');
$s->stop('immediate');
@$s{qw(preload libraries set)} = (0, '', {});
$s->start;
like($s->sql($health), qr/^degraded 1 records in the spool/, 'health() tells');
like($s->sql('SELECT * FROM goldenarch.start_workers()'), qr/audit writer: started/, 'a writer is started');
ok($s->poll('SELECT NOT EXISTS (SELECT FROM goldenarch.health() WHERE detail LIKE \'%spool%\')'), 'and brings it in');
is(recorded('f.left'), '1 in 1', 'once');
done_testing();
