# SPDX-License-Identifier: PostgreSQL
# What the tests of anchoring share: audit rows, the last tree, the stream's heads, a thief's key.
package GoldenArch::Anchor;
use strict;
use warnings;
use Carp qw(croak);
use Exporter qw(import);
use File::Temp ();
use IPC::Run ();
use Test::More;
use GoldenArch::Head;
use GoldenArch::Stack;
our @EXPORT = qw($STREAM write_rows tree anchored heads subject_of stolen increasing verdict);
our $STREAM = 'GOLDENARCH_AUDIT';

sub write_rows { my ($stack, $rows, %o) = @_; $stack->sql("SELECT goldenarch.audit('test', 'row', i::text) FROM generate_series(1, $rows) i", %o); return; }
# tree: a column of the last tree.
sub tree { my ($stack, $column, %o) = @_; return $stack->sql("SELECT $column FROM goldenarch.audit_trees ORDER BY incarnation DESC LIMIT 1", %o); }

# anchored: a test: all that is written is sealed, and what is sealed is anchored, within so many seconds.
my $ANCHORED = q{SELECT a.size = t.size AND NOT EXISTS (SELECT FROM goldenarch.audit_entries e
	WHERE NOT EXISTS (SELECT FROM goldenarch.audit_leaves l WHERE l.id = e.id)) FROM goldenarch.audit_trees t
	JOIN goldenarch.audit_anchors a USING (origin) ORDER BY incarnation DESC LIMIT 1};
sub anchored
{
	my ($what, $stack, $seconds, %o) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($stack->poll($ANCHORED, 't', $seconds // 15, %o), $what);
}

sub subject_of
{
	my ($origin) = @_;
	$origin =~ s/([^A-Za-z0-9_-])/sprintf '%%%02X', ord $1/ge;
	return "audit.heads.$origin";
}

# heads: of a subject, oldest first: {seq, data, headers, origin, size, root}.
sub heads
{
	my ($nats, $subject) = @_;
	return map { my ($origin, $size, $root) = split /\n/, $_->{data}; +{ %$_, origin => $origin, size => $size, root => $root } }
		grep { $_->{subject} eq $subject && $_->{data} =~ /\A[^\n]+\n\d+\n[^\n]{44}\n\n/ } $nats->messages($STREAM);
}
sub increasing { my @sizes = map { $_->{size} } @_; return !grep { $sizes[$_] < $sizes[ $_ - 1 ] } 1 .. $#sizes; }

# stolen: the key that a server signs with, as a thief has it.
sub stolen { my ($file, $origin) = @_; return GoldenArch::Head->new($origin, substr GoldenArch::Head::openssl('', qw(pkey -outform DER -in), $file), -32); }

# verdict: what goldenarch-verify says of an export with the heads that the broker holds: (exit status, text).
sub verdict
{
	my ($stack, $nats_url) = @_;
	my $dir = File::Temp->newdir('/tmp/goldenarch-anchor-XXXXXX');
	my $verify = "$GoldenArch::Stack::ROOT/$GoldenArch::Stack::BUILD/goldenarch-verify";
	my %files = (keys => $stack->sql('SELECT goldenarch.audit_public_key()') . "\n",
		heads => GoldenArch::Stack::command('tools/anchored-heads', $nats_url));
	for my $name (keys %files)
	{
		open my $file, '>:raw', "$dir/$name" or croak "$dir/$name: $!";
		print {$file} $files{$name};
		close $file;
	}
	GoldenArch::Stack::command($verify, 'export', $stack->dsn, "$dir/export");
	my $out = '';
	IPC::Run::run([ $verify, 'check', "$dir/export", '--key', "$dir/keys", '--anchor', "$dir/heads" ], '<', \undef, '>', \$out, '2>&1');
	return ($? >> 8, $out);
}

1;
