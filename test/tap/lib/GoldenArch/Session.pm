# SPDX-License-Identifier: PostgreSQL
# One psql that stays connected, driven statement by statement; every wait has a limit.
package GoldenArch::Session;
use strict;
use warnings;
use Carp qw(croak);
use IPC::Run ();
use Scalar::Util qw(weaken);

my $SECONDS = 60;
my %open;

sub new
{
	my ($class, $psql, $dsn) = @_;
	my $self = bless { in => '', out => '', err => '', count => 0 }, $class;
	$self->{timer} = IPC::Run::timer($SECONDS);
	$self->{run} = IPC::Run::start([ $psql, '-X', '-q', '-A', '-t', '-v', 'VERBOSITY=verbose', '-d', $dsn ],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err}, $self->{timer});
	$open{$self} = $self;
	weaken($open{$self});
	$self->query('SELECT 1');
	return $self;
}

# send: without waiting for the answer; await collects it.
sub send
{
	my ($self, $sql) = @_;
	my $mark = 'end-' . ++$self->{count};
	$self->{in} .= "$sql\n;\n\\echo $mark\n\\warn $mark\n";
	$self->{run}->pump_nb;
	return $self;
}

sub await
{
	my ($self) = @_;
	my $mark = "end-$self->{count}";
	$self->{timer}->start($SECONDS);
	until ($self->{out} =~ /^\Q$mark\E$/m && $self->{err} =~ /^\Q$mark\E$/m)
	{
		croak "the session ended: $self->{err}" unless $self->{run}->pumpable;
		$self->{run}->pump;
		croak "no answer within $SECONDS s" if $self->{timer}->is_expired;
	}
	$self->{timer}->reset;
	my ($out, $err) = @$self{qw(out err)};
	s/^end-\d+\n//mg for $out, $err;
	@$self{qw(out err)} = ('', '');
	chomp $out;
	$self->{error} = $err =~ /(?:ERROR|FATAL):\s+(\w{5}: [^\n]*)/ ? $1 : '';
	return $out;
}

# query: the answer; what failed is in error() as "SQLSTATE: message".
sub query { my ($self, $sql) = @_; return $self->send($sql)->await; }
sub error { my ($self) = @_; return $self->{error}; }

sub close
{
	my ($self) = @_;
	my $run = delete $self->{run} or return;
	delete $open{$self};
	local $SIG{PIPE} = 'IGNORE'; # psql ended with its connection
	eval { $self->{in} .= "\\q\n"; $run->pump_nb; $run->finish; 1 } or $run->kill_kill;
	return;
}

sub DESTROY { my ($self) = @_; local ($?, $@); return $self->close; }

# What a test leaves open ends before Perl takes IPC::Run apart.
END
{
	local $?;
	$_->close for grep { defined } values %open;
}

1;
