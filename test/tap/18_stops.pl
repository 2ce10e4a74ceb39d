# SPDX-License-Identifier: PostgreSQL
# Five immediate stops while callers are denied without pause, now with the table writable and now
# not: every denial whose error a caller saw is in the table afterwards, once. `make chaos-audit`
# does the same a hundred times.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;
use Time::HiRes qw(sleep);

my $callers = 6;
my $s = GoldenArch::Stack->new(preload => 1, durable => 1);
$s->sql("CREATE ROLE joe$_ LOGIN; SELECT goldenarch.grant_access('joe$_', 'app')") for 1 .. $callers;
my (%told, @lines);
for my $round (1 .. 5)
{
	my @run;
	for my $caller (1 .. $callers)
	{
		my $names = "r$round.c$caller";
		my $script = join '', map { "SELECT goldenarch.require_permission('$names.n$_');\n" } 1 .. 20000;
		my ($in, $out, $err) = ($script, '', '');
		my $file = File::Temp->new;
		print $file $script;
		close $file;
		push @run, { file => $file, err => \$err, run => IPC::Run::start(
			[ "$GoldenArch::Stack::BIN/psql", '-X', '-q', '-d', $s->dsn(user => "joe$caller") ],
			'<', $file->filename, '>', '/dev/null', '2>', \$err) };
	}
	# In two of the rounds the table is locked when the server is stopped: what was told is in the spool.
	my $admin = $round % 2 ? undef : $s->session;
	sleep 1;
	$admin->query('BEGIN; LOCK TABLE goldenarch.audit_entries IN ACCESS EXCLUSIVE MODE') if $admin;
	sleep($admin ? 2 : 0.5);
	$s->stop('immediate');
	for my $one (@run)
	{
		$one->{run}->finish;
		$told{$1}++ while ${ $one->{err} } =~ /permission denied: "([^"]+)" is required/g;
	}
	$s->start;
}
ok($s->poll("SELECT status FROM goldenarch.health() WHERE component = 'audit'", 'ok'), 'what was spooled is brought in');
cmp_ok(scalar(keys %told), '>', 500, 'denials were told: ' . keys %told);
my %rows = map { split /\|/ } split /\n/, $s->sql("SELECT resource_id, sum(coalesce((details->>'count')::int, 1))
	FROM goldenarch.audit_log WHERE outcome = 'denied' GROUP BY 1");
is(join(' ', grep { !$rows{$_} } sort keys %told), '', 'every one that was told is on record');
is(join(' ', grep { $rows{$_} > 1 } sort keys %rows), '', 'none is there twice');
cmp_ok(keys(%rows) - keys(%told), '<=', 5 * $callers, 'what is there beyond was on its way: ' . (keys(%rows) - keys(%told)));
done_testing();
