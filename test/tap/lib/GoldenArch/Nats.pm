# SPDX-License-Identifier: PostgreSQL
# A NATS client of a few lines, independent of the bridge's: what the broker really holds, and
# messages of other producers. Every wait is limited.
#   my $n = GoldenArch::Nats->new($stack->nats_url);
#   $n->request('$JS.API.STREAM.INFO.PRC')          the reply, decoded
#   $n->publish('prc.a.b', 'payload', { 'Nats-Msg-Id' => 'x' })   acknowledged by the stream
#   $n->messages('PRC')                             every message: {subject, data, headers}
package GoldenArch::Nats;
use strict;
use warnings;
use Carp qw(croak);
use IO::Select;
use IO::Socket::INET;
use JSON::PP qw(decode_json encode_json);
use MIME::Base64 qw(decode_base64);
use Time::HiRes qw(time);

sub new
{
	my ($class, $url) = @_;
	my ($host, $port) = $url =~ m{//([^:/]+):(\d+)} or croak "url $url";
	my $socket = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 5)
		or croak "connect: $!";
	my $self = bless { socket => $socket, buffer => '', count => 0, inbox => "_INBOX.test$$" . int(rand 1e9) },
		$class;
	$self->line;
	$self->send('CONNECT {"verbose":false,"headers":true,"no_responders":true}');
	$self->send("SUB $self->{inbox}.* 1");
	return $self;
}

sub send { my ($self, $text) = @_; print { $self->{socket} } "$text\r\n" or croak "send: $!"; return; }

sub fill
{
	my ($self) = @_;
	IO::Select->new($self->{socket})->can_read(5) or croak 'NATS does not answer';
	sysread($self->{socket}, $self->{buffer}, 65536, length $self->{buffer}) or croak 'NATS closed';
	return;
}

sub line
{
	my ($self) = @_;
	$self->fill until $self->{buffer} =~ s/^(.*?)\r\n//;
	return $1;
}

sub bytes
{
	my ($self, $n) = @_;
	$self->fill while length $self->{buffer} < $n + 2;
	my $got = substr($self->{buffer}, 0, $n);
	substr($self->{buffer}, 0, $n + 2) = '';
	return $got;
}

sub reply
{
	my ($self, $to) = @_;
	my $deadline = time + 5;
	while (time < $deadline)
	{
		my $line = $self->line;
		if ($line =~ /^PING/) { $self->send('PONG'); next; }
		if ($line =~ /^MSG (\S+) \S+ +(?:\S+ +)?(\d+)$/)
		{
			my ($subject, $data) = ($1, $self->bytes($2));
			return $data if $subject eq $to;
		}
		elsif ($line =~ /^HMSG (\S+) \S+ +(?:\S+ +)?(\d+) +(\d+)$/)
		{
			my ($subject, $data) = ($1, $self->bytes($3));
			return '{"error":{"code":503}}' if $subject eq $to && $data =~ m{^NATS/1.0 503};
		}
	}
	croak 'no reply';
}

sub request
{
	my ($self, $subject, $payload, $headers) = @_;
	my $to = "$self->{inbox}." . ++$self->{count};
	$payload //= '';
	if ($headers)
	{
		my $head = "NATS/1.0\r\n" . join('', map { "$_: $headers->{$_}\r\n" } sort keys %$headers) . "\r\n";
		$self->send("HPUB $subject $to " . length($head) . ' ' . length("$head$payload") . "\r\n$head$payload");
	}
	else
	{
		$self->send("PUB $subject $to " . length($payload) . "\r\n$payload");
	}
	return decode_json($self->reply($to));
}

sub publish
{
	my ($self, $subject, $payload, $headers) = @_;
	my $answer = $self->request($subject, $payload, $headers);
	croak "publish: $answer->{error}{code} " . ($answer->{error}{description} // '') if $answer->{error};
	return $answer->{seq};
}

sub messages
{
	my ($self, $stream) = @_;
	my $info = $self->request("\$JS.API.STREAM.INFO.$stream");
	return () if $info->{error};
	my @messages;
	for my $seq ($info->{state}{first_seq} .. $info->{state}{last_seq})
	{
		my $got = $self->request("\$JS.API.STREAM.MSG.GET.$stream", encode_json({ seq => $seq }));
		next if $got->{error};
		my $m = $got->{message};
		my $head = decode_base64($m->{hdrs} // '');
		push @messages, { seq => $seq, subject => $m->{subject}, data => decode_base64($m->{data} // ''),
			headers => { $head =~ /^([\w-]+): ?(.*?)\r?$/mg } };
	}
	return @messages;
}

1;
