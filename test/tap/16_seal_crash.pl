# SPDX-License-Identifier: PostgreSQL
# Stops at the worst moments: between sealing and signing, between the last-head file and the head's row, kill -9 of the
# sealer and of the server under load. Each time the sealer goes on by itself, without a fork and without a leaf too many.
use strict;
use warnings;
use Test::More;
use File::Temp qw(tempdir);
use IPC::Run ();
use GoldenArch::Stack;

my $folder = tempdir(CLEANUP => 1);
chown +(getpwnam 'postgres')[2, 3], $folder if $> == 0;
my $s = GoldenArch::Stack->new(preload => 'goldenarch', durable => 1,
	set => { 'goldenarch.audit_key_file' => "$folder/audit.key", max_prepared_transactions => 10 });
sub status { return $s->sql("SELECT value FROM goldenarch.audit_status() WHERE item = '$_[0]'"); }

sub whole
{
	my ($when) = @_;
	$s->sql('SELECT goldenarch.audit_seal()');
	my $rows = $s->sql('SELECT count(*) FROM goldenarch.audit_entries');
	is($s->sql('SELECT count(*), count(DISTINCT id), max(leaf_index) + 1 FROM goldenarch.audit_leaves'), "$rows|$rows|$rows",
		"$when: each row is one leaf");
	is(status('signed') . status('fork') . status('stopped'), 'yes', "$when: signed, no fork");
	return;
}

$s->sql("SELECT goldenarch.audit('ship', 'order', 'first')");
whole('at first');
for my $point (qw(seal-before-commit seal-after-commit seal-after-head-file))
{
	# The sealer ends the server as often as it is started, until the point is gone.
	$s->sql("SELECT count(goldenarch.audit('ship', 'order', '$point')) FROM generate_series(1, 300)");
	$s->sql("ALTER SYSTEM SET goldenarch.debug_point = '$point=crash'");
	my $ends = () = $s->server_log =~ /exited with exit code 2/g;
	$s->run_psql('SELECT pg_reload_conf(); SELECT pg_sleep(10)');
	$s->stop('immediate');
	cmp_ok(() = $s->server_log =~ /exited with exit code 2/g, '>', $ends, "$point was reached");
	IPC::Run::run([ 'sed', '-i', '/debug_point/d', "$s->{dir}/data/postgresql.auto.conf" ]) or die 'sed';
	$s->start;
	whole($point);
}

# kill -9 of the sealer takes the server through recovery; of the server, too.
my ($said, $err) = ('', '');
open my $out, '>', "$folder/load" or die $!;
print $out "\\set r random(1, 5)\nBEGIN;\nSELECT count(goldenarch.audit('load', 'order', 'x')) FROM generate_series(1, 20);\n"
	. "\\if :r = 1\nROLLBACK;\n\\else\nCOMMIT;\n\\endif\n";
close $out;
for my $round (1 .. 4)
{
	my $load = IPC::Run::start([ "$GoldenArch::Stack::BIN/pgbench", '-n', '-T', 5, '-c', 4, '-f', "$folder/load",
		'-h', $s->{host}, '-p', $s->{port}, '-U', $s->{user}, $s->{database} ], '<', '/dev/null', '>', \$said, '2>', \$err);
	select undef, undef, undef, 0.7 + rand 0.6;
	if ($round % 2)
	{
		my ($pid) = status('sealer') =~ /(\d+)/;
		kill 'KILL', $pid;
	}
	else
	{
		$s->stop('immediate');
		$s->start;
	}
	IPC::Run::finish($load);
	ok($s->poll('SELECT true', 't', 30), 'the server is back');
	whole("round $round");
}
$s->destroy;
done_testing();
