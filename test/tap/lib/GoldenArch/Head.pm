# SPDX-License-Identifier: PostgreSQL
# Heads of an audit tree as somebody else would make them: a signed note (C2SP) from origin, size and
# root, by openssl, and the tree hash of RFC 6962 in a few lines. Shares no code with the product.
#   my $key = GoldenArch::Head->new('name', $seed);   $seed: 32 bytes; without: a new one
#   $key->note($origin, $size, $root)                 the text of a signed head
#   $key->vkey                                        the verifier key of it
#   GoldenArch::Head::root(@leaf_hashes)
package GoldenArch::Head;
use strict;
use warnings;
use Carp qw(croak);
use Digest::SHA qw(sha256);
use File::Temp ();
use IPC::Run ();
use MIME::Base64 qw(encode_base64);

my $DER = pack 'H*', '302e020100300506032b657004220420';

sub openssl
{
	my ($input, @command) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'openssl', @command ], '<', \$input, '>', \$out, '2>', \$err) or croak "openssl @command: $err";
	return $out;
}

sub new
{
	my ($class, $name, $seed) = @_;
	my $self = bless { name => $name, seed => $seed // openssl('', 'rand', 32), dir => File::Temp->newdir }, $class;
	$self->{pem} = "$self->{dir}/key.pem";
	open my $out, '>', $self->{pem} or croak $!;
	print {$out} openssl($DER . $self->{seed}, qw(pkey -inform DER -outform PEM));
	close $out;
	$self->{public} = substr openssl('', qw(pkey -pubout -outform DER -in), $self->{pem}), -32;
	return $self;
}

sub key_id { my ($self) = @_; return substr sha256("$self->{name}\n\x01$self->{public}"), 0, 4; }

sub vkey
{
	my ($self) = @_;
	return join '+', $self->{name}, unpack('H*', $self->key_id), encode_base64("\x01$self->{public}", '');
}

# sign: the 64 bytes of Ed25519 over these.
sub sign
{
	my ($self, $bytes) = @_;
	my $file = "$self->{dir}/message";
	open my $out, '>', $file or croak $!;
	print {$out} $bytes;
	close $out;
	return openssl('', qw(pkeyutl -sign -rawin -inkey), $self->{pem}, '-in', $file);
}

sub note
{
	my ($self, $origin, $size, $root) = @_;
	my $body = "$origin\n$size\n" . encode_base64($root, '') . "\n";
	return "$body\n\xe2\x80\x94 $self->{name} " . encode_base64($self->key_id . $self->sign($body), '') . "\n";
}

sub root
{
	my (@hashes) = @_;
	return sha256('') unless @hashes;
	return $hashes[0] if @hashes == 1;
	my $split = 1;
	$split *= 2 while $split * 2 < @hashes;
	return sha256("\x01" . root(@hashes[ 0 .. $split - 1 ]) . root(@hashes[ $split .. $#hashes ]));
}

1;
