# SPDX-License-Identifier: PostgreSQL
# A private stack for one TAP test, under .run/tap-NAME, on free ports; stopped by pid when the
# object goes, also when the test dies. Nothing here waits without a limit.
#   my $s = GoldenArch::Stack->new(preload => 1, nats => 1, redis => 1, executor => 1, set => {...});
#   $s->sql("SELECT 1")                    the answer, unaligned; dies with the server's message
#   $s->fails("SELECT ...")                the SQLSTATE and message of what must fail
#   $s->poll("SELECT ...", "t", 20)        until the answer is that, for so many seconds
#   $s->session(user => ...)->query(...)   a connection that stays open
#   $s->crash; $s->restart; $s->stop_service('nats'); $s->start_service('nats')
package GoldenArch::Stack;
use strict;
use warnings;
use Carp qw(croak);
use Cwd qw(abs_path);
use File::Basename qw(basename dirname);
use File::Temp ();
use IPC::Run ();
use Time::HiRes qw(sleep time);
use GoldenArch::Session;

our $ROOT = abs_path(dirname(__FILE__) . '/../../../..');
my $PG_CONFIG = $ENV{PG_CONFIG} // '/usr/lib/postgresql/15/bin/pg_config';
our $BIN = dirname($PG_CONFIG);
our $BUILD = $ENV{BUILD} // 'build/debug';
my %open;
my $count = 0;

# Run a command of ours from the tree's root; die with its output if it fails.
sub command
{
	my (@command) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run(\@command, '<', \undef, '>', \$out, '2>', \$err, init => sub { chdir $ROOT })
		or croak "@command: $out$err";
	return $out;
}

# new: options preload (1 or a list of libraries), nats, redis, executor, workers, set, database,
# extension (0: do not create it), durable, standby_of (another stack, which it follows).
sub new
{
	my ($class, %options) = @_;
	my $name = 'tap-' . substr(basename($0, '.pl'), 0, 2) . ++$count;
	my $self = bless { name => $name, database => 'app', extension => 1, %options }, $class;
	$self->{libraries} = ref $self->{preload} ? join ',', @{ $self->{preload} }
		: $self->{preload} ? 'goldenarch,pg_cron' : '';
	$open{$name} = 1;
	if (my $primary = delete $self->{standby_of})
	{
		command('tools/cluster', 'start', $name, '--standby-of', $primary->{name}, '--preload', $self->{libraries});
		$self->read_env;
		return $self;
	}
	command('tools/cluster', 'start', $name);
	$self->read_env;
	$self->sql("CREATE DATABASE $self->{database}", database => 'postgres');
	$self->start_service($_) for grep { $self->{$_} } qw(nats redis);
	if ($self->{preload} || $self->{set})
	{
		command('tools/cluster', 'stop', $name);
		$self->start;
	}
	$self->sql('CREATE EXTENSION goldenarch') if $self->{extension};
	if ($self->{executor})
	{
		$self->sql("CREATE ROLE goldenarch_executor LOGIN");
		$self->sql("SELECT goldenarch.grant_access('goldenarch_executor', 'executor')");
		$self->start_service('executor');
	}
	return $self;
}

sub read_env
{
	my ($self) = @_;
	my $run = abs_path("$ROOT/.run");
	$self->{dir} = "$run/$self->{name}";
	open my $in, '<', "$self->{dir}/env" or croak "env: $!";
	while (<$in>)
	{
		$self->{lc $1} = $2 if /^export PG(HOST|PORT|USER)='(.*)'/;
	}
	close $in;
	return;
}

# start: the server with this stack's libraries and settings, data kept, on the port it had.
sub start
{
	my ($self) = @_;
	my %set = %{ $self->{set} // {} };
	if ($self->{preload})
	{
		$set{'goldenarch.databases'} //= $self->{database} if $self->{workers} // 1;
		$set{'cron.database_name'} //= $self->{database} if $self->{libraries} =~ /pg_cron/;
		$set{'goldenarch.nats_url'} //= $self->nats_url if $self->{nats};
		$set{'goldenarch.redis_url'} //= $self->redis_url if $self->{redis};
	}
	command('tools/cluster', 'start', $self->{name}, '--keep', '--preload', $self->{libraries},
		$self->{durable} ? '--durable' : (), map { ('--set', "$_=$set{$_}") } sort keys %set);
	$self->read_env;
	return;
}

sub stop
{
	my ($self, $mode) = @_;
	command('tools/cluster', 'stop', $self->{name}, $mode // 'fast');
	return;
}

sub restart
{
	my ($self) = @_;
	$self->stop;
	$self->start;
	return;
}

sub postmaster_pid
{
	my ($self) = @_;
	open my $in, '<', "$self->{dir}/data/postmaster.pid" or return;
	my $pid = <$in>;
	close $in;
	return $pid + 0;
}

# crash: kill -9 of the postmaster and all its children, as a power cut would.
sub crash
{
	my ($self) = @_;
	my $pid = $self->postmaster_pid or croak 'no server';
	my @children = map { $_ + 0 } split ' ', `ps -o pid= --ppid $pid`;
	kill 'KILL', $pid, @children;
	for my $child ($pid, @children)
	{
		for (1 .. 100)
		{
			last if !kill(0, $child);
			sleep 0.05;
		}
	}
	return;
}

sub port_of
{
	my ($self, $service) = @_;
	open my $in, '<', "$self->{dir}/$service.port" or croak "$service: $!";
	my $port = <$in>;
	close $in;
	chomp $port;
	return $port;
}

sub nats_url { my ($self) = @_; return 'nats://127.0.0.1:' . $self->port_of('nats'); }
sub redis_url { my ($self) = @_; return 'redis://127.0.0.1:' . $self->port_of('redis'); }

sub dsn
{
	my ($self, %options) = @_;
	return "host=$self->{host} port=$self->{port} dbname="
		. ($options{database} // $self->{database}) . ' user=' . ($options{user} // $self->{user});
}

# redis('GET', KEY): one command, the reply as redis-cli prints it.
sub redis
{
	my ($self, @command) = @_;
	my $out = command('redis-cli', '-p', $self->port_of('redis'), @command);
	chomp $out;
	return $out;
}

sub start_service
{
	my ($self, $service, @options) = @_;
	local $ENV{BUILD} = $BUILD;
	# Output to files: a daemon that kept our pipe open would keep us waiting.
	my $log = "$self->{dir}/$service.start";
	my @command = ('tools/service', 'start', $service, $self->{dir},
		$service eq 'executor' ? $self->dsn(user => 'goldenarch_executor') : (), @options);
	IPC::Run::run(\@command, '<', '/dev/null', '>', $log, '2>&1', init => sub { chdir $ROOT })
		or croak "@command: " . slurp($log);
	return;
}

sub stop_service
{
	my ($self, $service, $signal) = @_;
	command('tools/service', 'stop', $service, $self->{dir}, $signal // 'TERM');
	return;
}

sub slurp
{
	my ($file) = @_;
	open my $in, '<', $file or return '';
	local $/;
	my $text = <$in>;
	close $in;
	return $text // '';
}

sub server_log { my ($self) = @_; return slurp("$self->{dir}/log"); }

# run_psql: (exit status, output, errors) of a script; options user, database.
sub run_psql
{
	my ($self, $sql, %options) = @_;
	my ($out, $err) = ('', '');
	my @command = ("$BIN/psql", '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose',
		'-d', $self->dsn(%options), '-f', '-');
	local $ENV{PGCLIENTENCODING} = 'UTF8';
	# From a file: a psql that finds no server reads nothing, and a pipe would break.
	my $script = File::Temp->new;
	binmode $script, utf8::is_utf8($sql) ? ':utf8' : ':raw';
	print $script $sql;
	close $script;
	IPC::Run::run(\@command, '<', $script->filename, '>', \$out, '2>', \$err,
		IPC::Run::timeout($options{timeout} // 120));
	my $status = $?;
	chomp $out;
	return ($status, $out, $err);
}

sub sql
{
	my ($self, $sql, %options) = @_;
	my ($status, $out, $err) = $self->run_psql($sql, %options);
	croak "$sql\n$err" if $status;
	return $out;
}

# fails: "SQLSTATE: message" of a script that must fail, '' if it did not.
sub fails
{
	my ($self, $sql, %options) = @_;
	my ($status, undef, $err) = $self->run_psql($sql, %options);
	return '' unless $status;
	return $err =~ /(?:ERROR|FATAL):\s+(\w{5}: [^\n]*)/ ? $1 : $err;
}

# poll: ask until the answer is what is expected (t), for so many seconds (20); true if it came.
sub poll
{
	my ($self, $sql, $expected, $seconds, %options) = @_;
	$expected //= 't';
	my $deadline = time + ($seconds // 20);
	my ($status, $out, $err);
	while (time < $deadline)
	{
		($status, $out, $err) = $self->run_psql($sql, %options);
		return 1 if !$status && $out eq $expected;
		sleep 0.1;
	}
	print STDERR "# waited in vain for '$expected': $sql\n# last answer: $out $err\n";
	return 0;
}

sub session
{
	my ($self, %options) = @_;
	return GoldenArch::Session->new("$BIN/psql", $self->dsn(%options));
}

sub destroy
{
	my ($self) = @_;
	return unless delete $open{ $self->{name} };
	local ($?, $@);
	for my $service (qw(executor redis nats))
	{
		next unless $self->{dir} && -e "$self->{dir}/$service.pid";
		eval { $self->stop_service($service); 1 } or warn $@;
	}
	my $keep = $ENV{GA_KEEP} ? 'stop' : 'remove';
	eval { command('tools/cluster', $keep, $self->{name}); 1 } or warn $@;
	return;
}

sub DESTROY
{
	my ($self) = @_;
	return ${^GLOBAL_PHASE} eq 'DESTRUCT' ? undef : $self->destroy;
}

# What a test left behind goes by name, before Perl takes its objects and IPC::Run apart.
END
{
	local $?;
	for my $name (keys %open)
	{
		my $dir = abs_path("$ROOT/.run") . "/$name";
		for my $service (qw(executor redis nats))
		{
			eval { command('tools/service', 'stop', $service, $dir) } if -e "$dir/$service.pid";
		}
		eval { command('tools/cluster', $ENV{GA_KEEP} ? 'stop' : 'remove', $name) };
	}
}

1;
