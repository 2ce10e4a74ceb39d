# SPDX-License-Identifier: PostgreSQL
# Sandbox jobs with the real runsc: what a job does and leaves, every attack of the battery, and what
# becomes of a job when it is cancelled, when its executor drains or is killed, when the server
# restarts. At the end nothing of ours is left on the host.
use strict;
use warnings;
use File::Temp ();
use IO::Socket::INET ();
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);
use GoldenArch::Stack;

my $build = "$GoldenArch::Stack::ROOT/$GoldenArch::Stack::BUILD";
die "runsc is not installed\n" unless grep { -x "$_/runsc" } split /:/, $ENV{PATH};

my $s = GoldenArch::Stack->new(preload => 1, set => { 'goldenarch.max_jobs_queued' => 60 });
$s->sql("CREATE ROLE executor_role LOGIN; SELECT goldenarch.grant_access('executor_role', 'executor')");

my (%executor, @pids);
my @dirs = ($s->{dir});
my $nobody = getpwnam 'nobody';

# start NAME, OPTIONS: an executor with a folder of its own; waits until it is ready.
sub start
{
	my ($name, @options) = @_;
	my $dir = "$s->{dir}/$name";
	mkdir $dir;
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		open(STDIN, '<', '/dev/null') && open(STDOUT, '>>', "$dir.log") && open(STDERR, '>&', \*STDOUT)
			&& ($name ne 'poor' || ($) = "$nobody $nobody") && POSIX::setgid($nobody) && POSIX::setuid($nobody))
			&& exec "$build/goldenarch-executor", '--dsn', $s->dsn(user => 'executor_role'), '--state-dir', $dir,
				'--name', $name, @options;
		print STDERR "$dir: $!\n";
		POSIX::_exit(127);
	}
	$executor{$name} = $pid;
	push @pids, $pid;
	ok($s->poll("SELECT state = 'ready' FROM goldenarch.sandbox_executors WHERE name = '$name'"),
		"$name is ready") or BAIL_OUT(GoldenArch::Stack::slurp("$dir.log"));
	return $pid;
}

# end NAME, SIGNAL: and wait; the exit status.
sub end
{
	my ($name, $signal) = @_;
	my $pid = delete $executor{$name};
	kill $signal, $pid;
	for (1 .. 400)
	{
		return $? if waitpid($pid, 1) == $pid;
		sleep 0.05;
	}
	kill 'KILL', $pid;
	waitpid $pid, 0;
	return -1;
}

END { kill 'KILL', values %executor; }

# The processes, leaves and mounts that belong to the executors of this test.
sub left_on_host
{
	my @left;
	for my $file (glob '/proc/[0-9]*/cmdline')
	{
		my $line = GoldenArch::Stack::slurp($file);
		push @left, $line =~ tr/\0/ /r if grep({ index($line, "$_/") >= 0 } @dirs) && $line =~ /runsc|sbx-init/;
	}
	push @left, grep { -d } map { glob "/sys/fs/cgroup/*/goldenarch*/*/ga-$_-* /sys/fs/cgroup/goldenarch/*/ga-$_-*" } @pids;
	push @left, grep { my $mount = $_; grep { index($mount, $_) >= 0 } @dirs } split /\n/, GoldenArch::Stack::slurp('/proc/mounts');
	return "@left";
}

sub gone_from_host
{
	my ($what) = @_;
	my $deadline = time + 5;
	sleep 0.1 while left_on_host() && time < $deadline;
	is(left_on_host(), '', $what);
	return;
}

sub submit
{
	my ($language, $code, $options) = @_;
	return $s->sql("SELECT goldenarch.submit_job('$language', \$code\$$code\$code\$" . ($options ? ", $options" : '') . ')');
}

sub result
{
	my ($job, $columns) = @_;
	return $s->sql("SELECT $columns FROM goldenarch.wait_job('$job', '90 s')");
}

my $row = "concat_ws('|', status, exit_code, signal, stdout, stderr, truncated, attempts)";

my $port = do { IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')->sockport };
start('one', '--slots', 2, '--metrics-port', $port);

# What a job does.
is(result(submit('python', "print(6 * 7)"), $row), "succeeded|0|42\n||f|1", 'python runs');
is(result(submit('shell', 'echo out; echo err >&2; exit 3'), $row), "failed|3|out\n|err\n|f|1", 'shell runs, its exit code comes back');
is(result(submit('shell', 'kill -9 $$'), $row), 'failed|9|||f|1', 'so does a signal');
is(result(submit('python', 'import sys; sys.stdout.buffer.write(b"a\xff\x00\xc3\xa9")'), 'stdout'), "a\\xff\\x00\xc3\xa9",
	'bytes that are not UTF-8 are shown');
is(result(submit('python', 'import sys, os, helper; print(sys.argv[1:], sys.stdin.read(), helper.x, open("d.txt").read(), os.getcwd())',
	q(args => '{a,"",b c}', stdin => 'in', files => '{"helper.py": "x = 5", "d.txt": "data"}')), 'stdout'),
	"['a', '', 'b c'] in 5 data /tmp/job\n", 'arguments, input and files go in');
is(result(submit('python', 'print("x" * 2000000)'), "concat_ws('|', status, length(stdout), truncated)"), 'succeeded|1048576|t',
	'long output is cut and says so');
is(result(submit('shell', 'true'), "wall_ms > 0 AND cpu_ms > 0 AND max_rss_kb > 1000 AND error IS NULL"), 't', 'usage is told');
$s->sql("SELECT goldenarch.set_runtime('nothing', '{/no/such/program}'), goldenarch.set_runtime('away', '{/bin/sh}', 'not-here')");
is(result(submit('nothing', 'x'), "concat_ws('|', status, exit_code, error)"),
	'failed|127|cannot execute /no/such/program: No such file or directory', 'a program that is not there');
my $away = submit('away', 'x');

# Another root file system: its own sandbox is started for the job.
my $other = "$s->{dir}/one/rootfs/other";
system 'mkdir', '-p', map { "$other/$_" } qw(proc dev tmp usr etc);
symlink "usr/$_", "$other/$_" for qw(bin lib lib64);
system "echo other >$other/etc/which";
$s->sql("SELECT goldenarch.set_runtime('other', '{/bin/sh}', 'other')");
is(result(submit('other', 'cat /etc/which; touch /etc/x 2>/dev/null || echo read-only'), $row), "succeeded|0|other\nread-only\n||f|1",
	'a runtime with a root file system of its own');
is(result(submit('shell', 'cat /etc/which 2>/dev/null || echo none'), 'stdout'), "none\n", 'which the next job does not see');

# Sees commits at any isolation level; never waits for what the own transaction holds back.
my $session = $s->session;
$session->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM goldenarch.jobs');
my $job = submit('shell', 'echo seen');
like($session->query("SELECT status, stdout FROM goldenarch.wait_job('$job')"), qr/succeeded\|seen/, 'wait_job sees commits under REPEATABLE READ');
$session->query('COMMIT');
like($s->fails("BEGIN; SELECT goldenarch.submit_job('shell', 'true') AS j \\gset\nSELECT goldenarch.wait_job(:'j')"), qr/^55000/,
	'not for a job of the own open transaction');
like($s->fails("SET statement_timeout = '300ms'; SELECT goldenarch.wait_job('" . submit('shell', 'sleep 2') . "')"), qr/^57014/,
	'a wait can be cancelled');

# Every attack of the battery, two at a time.
my @battery;
for my $line (split /^/, GoldenArch::Stack::slurp("$GoldenArch::Stack::ROOT/test/data/sandbox_battery.txt"))
{
	next if $line =~ /^#/ && !@battery;
	if ($line =~ /^== (.*)$/)
	{
		my @fields = map { s/^\s+|\s+$//gr } split / \|/, $1, 5;
		push @battery, { name => $fields[0], language => $fields[1], status => $fields[2], pattern => $fields[3] // '',
			options => $fields[4] // '', code => '' };
	}
	else { $battery[-1]{code} .= $line; }
}
cmp_ok(scalar @battery, '>', 25, 'the battery is read');
$_->{job} = submit($_->{language}, $_->{code}, $_->{options}) for @battery;
for my $attack (@battery)
{
	my $answer = result($attack->{job}, "status || '|' || left(coalesce(stdout, ''), 2000) || left(coalesce(stderr, ''), 2000)
		|| coalesce(error, '')");
	my ($status, $output) = split /\|/, $answer, 2;
	chomp $output;
	ok($status =~ /^$attack->{status}$/ && $output =~ /(?:$attack->{pattern})/m, "attack: $attack->{name}")
		or diag "wanted $attack->{status}, /$attack->{pattern}/; got $answer";
}
like(result($away, "concat_ws('|', status, attempts, error)"), qr/^lost\|3\|this executor has no rootfs "not-here"/,
	'a rootfs that no executor has ends as lost, with the reason');

# Its own page of metrics.
my $page = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => 5);
print $page "GET /metrics HTTP/1.0\r\n\r\n";
my $metrics = do { local $/; <$page> };
like($metrics, qr{^HTTP/1\.0 200 OK\r\n.*application/openmetrics-text.*\n# EOF\n\z}s, 'metrics are served');
like($metrics, qr/^goldenarch_executor_jobs_total\{outcome="$_"\} [1-9]/m, "outcomes $_ are counted")
	for qw(succeeded failed timed_out oom_killed output_limit lost);

# The queue is bounded.
end('one', 'TERM');
is($s->sql("SELECT state FROM goldenarch.sandbox_executors WHERE name = 'one'"), 'stopped', 'a drained executor says goodbye');
gone_from_host('nothing is left of a drained executor');
like($s->fails("SELECT goldenarch.submit_job('shell', 'true') FROM generate_series(1, 61)"), qr/^53400/, 'the queue is bounded');

# Cancelling a running job.
start('one', '--slots', 1, '--grace', 1);
$job = submit('shell', 'echo begun; sleep 300', "timeout => '10 min'");
ok($s->poll("SELECT status = 'running' FROM goldenarch.sandbox_jobs WHERE job_id = '$job'"), 'it runs');
sleep 1.5;
is($s->sql("SELECT goldenarch.cancel_job('$job')"), 't', 'a running job is cancelled');
is(result($job, "concat_ws('|', status, stdout)"), "cancelled|begun\n", 'and stopped');

# Draining gives a running job back, the attempt not counted; kill -9 costs one, and a higher token.
$job = submit('shell', 'sleep 3; echo finished', "timeout => '30 s'");
ok($s->poll("SELECT status = 'running' FROM goldenarch.sandbox_jobs WHERE job_id = '$job'"), 'it runs');
my $started = time;
is(end('one', 'TERM'), 0, 'an executor drains and exits 0');
cmp_ok(time - $started, '<', 10, 'soon after the grace period');
is($s->sql("SELECT status || attempts FROM goldenarch.sandbox_jobs WHERE job_id = '$job'"), 'queued0', 'its job is queued again');
start('one', '--slots', 1);
ok($s->poll("SELECT status = 'running' FROM goldenarch.sandbox_jobs WHERE job_id = '$job'"), 'it runs');
sleep 0.3;
end('one', 'KILL');
my $deadline = time + 5;
sleep 0.1 while grep({ /runsc/ } left_on_host()) && time < $deadline;
unlike(left_on_host(), qr/runsc/, 'kill -9 of the executor takes every process with it');
ok($s->poll("SELECT state = 'down' FROM goldenarch.sandbox_executors WHERE name = 'one'", 't', 8), 'it is seen to be down');
is($s->sql("SELECT status FROM goldenarch.health() WHERE component = 'executor'"), 'down', 'health() says so');
start('two', '--slots', 1);
$s->sql("UPDATE goldenarch.jobs SET lease_until = now() WHERE id = '$job'");
is(result($job, "concat_ws('|', status, stdout, attempts)"), "succeeded|finished\n|2", 'a second executor completes the job');

# One that starts again takes its own lost jobs up at once, and sweeps what it left.
$job = submit('shell', 'sleep 2; echo again', "timeout => '30 s'");
ok($s->poll("SELECT status = 'running' FROM goldenarch.sandbox_jobs WHERE job_id = '$job'"), 'it runs');
end('two', 'KILL');
start('two', '--slots', 1);
is(result($job, "concat_ws('|', status, stdout, attempts)"), "succeeded|again\n|2", 'its successor does not wait for the lease');

# Two deaths among twenty jobs lose none and record each once.
$s->sql("SELECT goldenarch.submit_job('shell', 'sleep 0.2; echo ' || i, request_id => 'chaos-' || i) FROM generate_series(1, 20) i");
for (1 .. 2)
{
	sleep 1 + rand;
	end('two', 'KILL');
	start('two', '--slots', 2);
}
my $jobs = "FROM goldenarch.jobs WHERE request_id LIKE 'chaos-%'";
ok($s->poll("SELECT bool_and(finished_at IS NOT NULL) $jobs", 't', 60), 'all end');
is($s->sql("SELECT count(*), count(*) FILTER (WHERE state = 'succeeded' AND stdout = convert_to(substr(request_id, 7) || chr(10), 'UTF8'))
	$jobs"), '20|20', 'each with its own result');
is($s->sql("SELECT max(attempts) > 1 $jobs"), 't', 'and some took more than one attempt');

# The server goes and comes back while a job runs.
$job = submit('shell', 'sleep 4; echo through', "timeout => '30 s'");
ok($s->poll("SELECT status = 'running' FROM goldenarch.sandbox_jobs WHERE job_id = '$job'"), 'it runs');
$s->restart;
is(result($job, "concat_ws('|', status, stdout, attempts)"), "succeeded|through\n|1", 'a restart of the server costs no attempt');

# An executor that was away past its lease: its late result is refused.
$job = submit('shell', 'sleep 2; echo late', "timeout => '30 s'");
ok($s->poll("SELECT status = 'running' FROM goldenarch.sandbox_jobs WHERE job_id = '$job'"), 'it runs');
kill 'STOP', $executor{two};
start('three', '--slots', 1);
$s->sql("UPDATE goldenarch.jobs SET lease_until = now() WHERE id = '$job'");
ok($s->poll("SELECT executor = 'three' FROM goldenarch.sandbox_jobs WHERE job_id = '$job'"), 'another has it now');
kill 'CONT', $executor{two};
is(result($job, "concat_ws('|', status, stdout, attempts)"), "succeeded|late\n|2", 'one result, by the later claim');
is(end('two', 'TERM'), 0, 'the earlier one drains');
is(end('three', 'INT'), 0, 'and so does the later');
like(left_on_host(), qr{goldenarch/.*/ga-}, 'a killed executor leaves its empty cgroups');
start('one');
is(end('one', 'TERM'), 0, 'which its next start sweeps');
gone_from_host('no process, cgroup or mount of any of them is left');

# Without root: a user who was given cgroups of his own. The same walls, by the attacks that try each.
SKIP: {
	my @mounts = grep { -d } map { "/sys/fs/cgroup/$_" } qw(memory pids cpu cpuacct);
	skip 'needs root and cgroups of version 1', 1 unless $> == 0 && @mounts == 4 && defined $nobody;
	my $parent = "goldenarch-tap-$$";
	# a folder that this user can reach, unlike the stack's own
	my $dir = File::Temp::tempdir(CLEANUP => 1);
	chmod 0755, $dir;
	system 'mkdir', '-p', map { "$_/$parent" } @mounts;
	system 'chown', 'nobody', $dir, map { "$_/$parent" } @mounts;
	system 'cp', "$build/goldenarch-executor", "$build/sbx-init", $dir;
	$build = $dir;
	start('poor', '--cgroup-parent', $parent, '--dsn', $s->dsn(user => 'executor_role') =~ s/host=\S+/host=127.0.0.1/r,
		'--state-dir', "$dir/state");
	push @dirs, $dir;
	for my $attack (grep { $_->{name} =~ /^(connect out|host files|privileged calls|fork bomb|memory bomb|busy loop|endless output)$/ }
		@battery)
	{
		my $answer = result(submit($attack->{language}, $attack->{code}, $attack->{options}),
			"status || '|' || left(coalesce(stdout, ''), 2000)");
		my ($ended, $output) = split /\|/, $answer, 2;
		ok($ended eq $attack->{status} && $output =~ /(?:$attack->{pattern})/m, "rootless: $attack->{name}")
			or diag $answer;
	}
	is(end('poor', 'TERM'), 0, 'the rootless executor drains');
	gone_from_host('and leaves nothing');
	$build = "$GoldenArch::Stack::ROOT/$GoldenArch::Stack::BUILD";
	rmdir "$_/$parent" for @mounts;
}

# No runsc, or one that is not: exit 78 with one line.
sub check
{
	my (@options) = @_;
	my $out = qx($build/goldenarch-executor --check --state-dir $s->{dir}/check @options 2>&1);
	return ($? >> 8, $out);
}
my ($status, $out) = check('--runsc', '/no/such/runsc');
is($status, 78, 'no runsc: exit 78');
like($out, qr{\Agoldenarch-executor: runsc is missing: /no/such/runsc: [^\n]*\n\z}, 'with one line that says so');
($status, $out) = check('--runsc', '/bin/true');
is($status, 78, 'another program under its name: exit 78');
($status, $out) = check('--platform', 'nonsense');
is($status, 78, 'a platform that does not work: exit 78');
($status, $out) = check('--cgroup-parent', '../../proc/none');
is($status, 78, 'a cgroup that cannot be made: exit 78');
mkdir "$s->{dir}/open";
chmod 0777, "$s->{dir}/open";
($status, $out) = check('--state-dir', "$s->{dir}/open");
is($status, 78, 'a state folder that others can write: exit 78');
($status, $out) = check();
is($status, 0, 'else the walls stand') or diag $out;
gone_from_host('nothing is left of the checks');

done_testing;
