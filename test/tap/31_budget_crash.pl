# SPDX-License-Identifier: PostgreSQL
# Eight clients fight for two budgets below one parent, with twins, rollbacks, settlements and the
# server's commits asynchronous; then the server dies of kill -9. What a client saw approved is in
# the ledger, no limit is exceeded, nothing drifted, and each id answers as it did before.
use strict;
use warnings;
use Test::More;
use File::Temp ();
use IPC::Run ();
use GoldenArch::Stack;

my $s = GoldenArch::Stack->new(preload => 1, durable => 1,
	set => { synchronous_commit => 'off', wal_writer_delay => '10s', wal_writer_flush_after => '1GB',
		wal_buffers => '64MB', bgwriter_lru_maxpages => 0 });
$s->sql("SELECT goldenarch.set_budget('acme', 1000000, 'none'), goldenarch.set_budget('acme/a', 1000000, 'none'),
	goldenarch.set_budget('acme/b', 1000000, 'none', on_expiry => 'refund')");

# An id is always asked for with the same arguments, so that clients are each other's twins.
sub script
{
	my ($seed, $steps) = @_;
	srand $seed;
	my $script = '';
	for my $step (1 .. $steps)
	{
		my $n = int rand 9000;
		my ($budget, $tokens) = ($n % 2 ? 'acme/a' : 'acme/b', 5 + $n % 40);
		my $ask = "goldenarch.request_tokens('$budget', 'r$n', $tokens) WHERE approved;\n";
		$script .= "SELECT 'granted', request_id, allocated_tokens FROM $ask";
		$script .= "BEGIN; SELECT 'tried' FROM goldenarch.request_tokens('$budget', 'x$seed-$step', 50)
			WHERE approved; ROLLBACK;\n" if $step % 5 == 0;
		$script .= "SELECT 'settled', request_id FROM goldenarch.commit_usage('r$n', " . ($tokens - 3) . ");\n"
			if $step % 7 == 0;
		$script .= "SELECT 'released', request_id FROM goldenarch.release_reservation('r$n');\n"
			if $step % 11 == 0;
	}
	return $script;
}

# Files, not pipes: a client must not wait until somebody reads.
my $dir = File::Temp->newdir;
sub start_clients
{
	my ($clients, $steps) = @_;
	my @clients;
	for my $n (1 .. $clients)
	{
		my $file = "$dir/$steps-$n";
		open my $out, '>', "$file.sql" or die "$file: $!";
		print $out script($n, $steps);
		close $out or die "$file: $!";
		push @clients, { file => $file, run => IPC::Run::start(["$GoldenArch::Stack::BIN/psql", '-X', '-q', '-A', '-t',
			'-v', 'VERBOSITY=verbose', '-d', $s->dsn, '-f', "$file.sql"],
			'<', '/dev/null', '>', "$file.out", '2>', "$file.err", IPC::Run::timeout(120)) };
	}
	return @clients;
}

# finish: wait for the clients; what they printed, and what they were told of errors.
sub finish
{
	my (@clients) = @_;
	my ($out, $err) = ('', '');
	for my $client (@clients)
	{
		eval { $client->{run}->finish };
		$out .= GoldenArch::Stack::slurp("$client->{file}.out");
		$err .= GoldenArch::Stack::slurp("$client->{file}.err");
	}
	return ($out, $err);
}

my @clients = start_clients(8, 3000);
ok($s->poll("SELECT count(*) > 250 FROM goldenarch.budget_transactions WHERE type = 'reserve'", 't', 60),
	'clients are at work');
$s->crash;
my ($out, $err) = finish(@clients);
my %granted;
$granted{$1} = $2 while $out =~ /^granted\|(r\d+)\|(\d+)$/mg;
cmp_ok(scalar keys %granted, '>', 100, 'clients saw ' . keys(%granted) . ' ids approved');
unlike($err, qr/40P01|XX\d\d\d/, 'no deadlock, no internal error');

$s->start;
my %kept = map { split /\|/ } split /\n/,
	$s->sql("SELECT request_id, amount FROM goldenarch.budget_transactions WHERE type = 'reserve'");
is_deeply([ grep { ($kept{$_} // -1) != $granted{$_} } sort keys %granted ], [],
	'what a client saw approved is in the ledger, though commits are asynchronous');
my $verify = "SELECT bool_and(ok) FROM goldenarch.budget_verify()";
is($s->sql($verify), 't', 'no drift after the crash');

# One grant with nothing behind it whose commit would flush it along, and the server dies.
is($s->sql("SELECT count(*) FROM (SELECT (goldenarch.request_tokens('acme/a', 'y' || i, 1)).approved
	FROM generate_series(1, 20) i) d WHERE approved"), 20, 'twenty ids are approved in one transaction');
$s->crash;
$s->start;
is($s->sql("SELECT count(*) FROM goldenarch.budget_transactions WHERE request_id LIKE 'y%'"), 20,
	'and are in the ledger after the next crash');

# The rest of the fight, for the last few tokens; then the sums.
$s->sql("SELECT goldenarch.set_budget(budget, current_usage + reserved + CASE budget WHEN 'acme' THEN 3000 ELSE 1800 END,
	'none') FROM goldenarch.budget_limits");
($out, $err) = finish(start_clients(8, 400));
unlike($err, qr/40P01|XX\d\d\d/, 'no deadlock, no internal error after the crash');
is($s->sql($verify), 't', 'no drift at the end');
is($s->sql("SELECT string_agg(budget, ',') FROM goldenarch.budget_limits WHERE available < 0"), '',
	'no limit is exceeded');
cmp_ok($s->sql("SELECT available FROM goldenarch.budget_limits WHERE budget = 'acme'"), '<', 100, 'and they were reached');
is($s->sql("SELECT count(*) FROM goldenarch.budget_transactions WHERE request_id LIKE 'x%'"), '0',
	'what was rolled back is not there');
is($s->sql("SELECT count(*) FROM (SELECT request_id FROM goldenarch.budget_transactions WHERE type = 'reserve'
	GROUP BY request_id HAVING count(*) > 1) d"), '0', 'each id is charged once');
my ($id) = sort keys %granted;
my ($n) = $id =~ /(\d+)/;
my $again = sprintf "SELECT replayed FROM goldenarch.request_tokens('%s', '%s', %d)",
	$n % 2 ? 'acme/a' : 'acme/b', $id, 5 + $n % 40;
is($s->sql($again), 't', 'and answers as it did before the crash');
done_testing();
