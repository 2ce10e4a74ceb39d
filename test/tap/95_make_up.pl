# SPDX-License-Identifier: PostgreSQL
# make up and make down: every component answers, a second up changes nothing, what is killed is
# reported down within 5 s and up again after a start; down leaves no process, no socket, no file.
use strict;
use warnings;
use Test::More;
use Cwd qw(abs_path);
use IO::Socket::INET;
use GoldenArch::Stack;

my $root = $GoldenArch::Stack::ROOT;
chdir $root or die "chdir: $!";
die "a stack is in use: make down first\n" if -e '.run/stack';
$ENV{FLAVOUR} = $GoldenArch::Stack::BUILD =~ s{.*/}{}r;
my $log;

sub shell
{
	my ($command) = @_;
	$log = "$root/.run/out/95_shell.log";
	return system("bash -c '$command' >$log 2>&1 </dev/null") >> 8;
}

# As a user would: nothing but the lines of .run/env.
sub ask
{
	my ($sql) = @_;
	my $out = '';
	IPC::Run::run([ 'bash', '-c', '. .run/env && exec psql -X -A -t -q -f -' ], '<', \$sql, '>', \$out, '2>&1');
	chomp $out;
	return $out;
}

sub status_within
{
	my ($component, $status, $seconds) = @_;
	my $deadline = time + $seconds;
	my $answer;
	do
	{
		$answer = ask("SELECT status FROM goldenarch.health() WHERE component = '$component'");
		return 1 if $answer eq $status;
		select undef, undef, undef, 0.2;
	} while (time <= $deadline);
	diag("$component is '$answer'");
	return 0;
}

is(shell('tools/stack up'), 0, 'make up') or diag(GoldenArch::Stack::slurp($log));
END
{
	local $?;
	system('tools/stack down >/dev/null 2>&1') if -e "$root/.run/stack";
}
my $dir = abs_path('.run/stack');
my %env = GoldenArch::Stack::slurp('.run/env') =~ /^export (\w+)='(.*)'$/mg;
is_deeply([ sort keys %env ], [qw(NATS_URL PGDATABASE PGHOST PGPORT PGUSER REDIS_URL)], '.run/env exports what it must');
is(ask("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"), 't', 'PGUSER is a superuser');
ask('CREATE ROLE joe LOGIN');
is(`bash -c '. .run/env; psql -X -A -t -U joe -c "SELECT current_user"'`, "joe\n", 'the socket trusts any role');
is(ask("SELECT string_agg(component || ' ' || status || ': ' || detail, E'\\n') FROM goldenarch.health()
	WHERE status <> 'ok'"), '', 'every component is ok');
is(shell('tools/stack up'), 0, 'a second make up exits 0');
like(GoldenArch::Stack::slurp($log), qr/running already/, 'and says so');

for my $service (qw(nats redis executor))
{
	GoldenArch::Stack::command('tools/service', 'stop', $service, $dir, 'KILL');
	ok(status_within($service, 'down', 5), "$service killed is down within 5 s");
	next if $service eq 'executor';
	GoldenArch::Stack::command('tools/service', 'start', $service, $dir);
	ok(status_within($service, 'ok', 30), "$service started is ok again");
}

my @ports = map { /:(\d+)$/ } @env{qw(NATS_URL REDIS_URL)};
is(shell('tools/stack down'), 0, 'make down') or diag(GoldenArch::Stack::slurp($log));
ok(!-e '.run/env' && !-e '.run/stack', 'its files are gone');
is(`ps -eo args | grep -F '$dir' | grep -v grep`, '', 'no process of it is left');
for my $port (@ports, $env{PGPORT})
{
	ok(!IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 1), "nobody listens on $port");
}
done_testing();
