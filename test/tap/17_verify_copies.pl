# SPDX-License-Identifier: PostgreSQL
# The audit log's export follows the log: heads that a stream holds prove it, and a database that was restored from a
# dump goes on in a new incarnation, which one folder holds behind the first.
use strict;
use warnings;
use Test::More;
use File::Temp qw(tempdir);
use IPC::Run;
use JSON::PP;
use GoldenArch::Nats;
use GoldenArch::Stack;

my $dir = tempdir('/tmp/goldenarch-verify-XXXXXX', CLEANUP => 1);
my $key = "/tmp/goldenarch-verify-$$.key";
END { unlink glob "$key*" }
my $s = GoldenArch::Stack->new(preload => 1, nats => 1, set => { 'goldenarch.audit_key_file' => $key });
my $verify = "$GoldenArch::Stack::ROOT/$GoldenArch::Stack::BUILD/goldenarch-verify";
my $foreign = "$GoldenArch::Stack::ROOT/test/c2sp_verify.py";

sub run
{
	my (@command) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run(\@command, '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(120));
	return ($? >> 8, $out, $err);
}

sub write_file
{
	my ($path, $text) = @_;
	open my $file, '>:raw', $path or die "$path: $!";
	print $file $text;
	close $file;
	return;
}

sub export
{
	my ($what, @options) = @_;
	my ($status, $out, $err) = run($verify, 'export', $s->dsn(@options), "$dir/log");
	is($status, 0, $what) or diag $out, $err;
	return;
}

# check: the findings by check and incarnation, and the verdict.
sub check
{
	my (@options) = @_;
	my ($status, $out, $err) = run($verify, 'check', "$dir/log", '--key', "$dir/trusted", '--json', @options);
	my $answer = eval { decode_json($out) } // { findings => [], verdict => "none: $out$err" };
	my %found = map { ($_->{check} . '/' . ($_->{incarnation} // 0) => $_) } @{ $answer->{findings} };
	return ($answer->{verdict}, \%found);
}

sub keys_of { return $s->sql('SELECT goldenarch.audit_public_key()', @_) . "\n"; }

# ---- heads that the stream holds ----
$s->sql("SELECT goldenarch.audit('ship', 'order', n::text) FROM generate_series(1, 300) n");
my $size = $s->sql('SELECT goldenarch.audit_seal()');
ok($s->poll("SELECT size >= $size FROM goldenarch.audit_anchors"), 'the head is anchored');
my $nats = GoldenArch::Nats->new($s->nats_url);
my $anchors = sub { join "\n", map { $_->{data} } $nats->messages('GOLDENARCH_AUDIT') };
write_file("$dir/anchors", $anchors->());
my $first = keys_of();
write_file("$dir/trusted", $first);
export('export');
my ($verdict, $found) = check('--anchor', "$dir/anchors");
is($verdict, 'ok', 'the export holds against the anchored heads') or diag explain $found;
like($found->{'anchors/1'}{detail}, qr/^[1-9]\d* anchored heads agree/, 'and there are some');
ok($found->{'anchor lag/1'}, 'their age is judged');

# ---- restored from a dump: another database, another incarnation ----
my ($status, undef, $err) = run("$GoldenArch::Stack::BIN/pg_dump", '-Fc', '-f', "$dir/dump", $s->dsn);
is($status, 0, 'dumped') or diag $err;
$s->sql('CREATE DATABASE copy', database => 'postgres');
my @copy = (database => 'copy');
($status, undef, $err) = run("$GoldenArch::Stack::BIN/pg_restore", '-d', $s->dsn(@copy), "$dir/dump");
is($status, 0, 'restored') or diag $err;
$s->sql("SELECT goldenarch.audit('ship', 'order', n::text) FROM generate_series(1, 300) n", @copy);
$s->sql('SELECT goldenarch.audit_seal()', @copy);
is($s->sql('SELECT count(*) FROM goldenarch.audit_incarnations()', @copy), 2, 'the copy has a tree of its own');
export('the copy, into the same folder', @copy);
ok(-f "$dir/log/incarnation/1/checkpoint", 'the first incarnation went below');
($verdict, $found) = check();
is($verdict, 'bad', 'who was not told of the new incarnation');
like($found->{'signature/2'}{detail}, qr/^key unknown/, 'does not know its key');
write_file("$dir/trusted", keys_of(@copy));
($verdict, $found) = check('--anchor', "$dir/anchors");
is($found->{"$_/2"}{verdict}, 'ok', "$_ of the second, with its key") for qw(signature root heads link);
is($found->{"$_/1"}{verdict}, 'ok', "$_ of the first, under the same key") for qw(signature root heads anchors link);
isnt($verdict, 'bad', 'nothing is bad') or diag explain $found;
for my $tree (['log', keys_of(@copy)], ['log/incarnation/1', $first])
{
	write_file("$dir/one", $tree->[1]);
	($status, undef, $err) = run('python3', $foreign, "$dir/$tree->[0]", "$dir/one");
	is($status, 0, "the foreign verifier reads $tree->[0]") or diag $err;
}

# ---- the first database went on: its export is not the copy's ----
$s->sql("SELECT goldenarch.audit('ship', 'order', 'later')");
$s->sql('SELECT goldenarch.audit_seal()');
my ($refused, undef, $why) = run($verify, 'export', $s->dsn, "$dir/log");
is($refused, 2, 'one folder does not take the older log again');
like($why, qr/truncated/, 'and says why');
ok($s->poll('SELECT a.size = t.size FROM goldenarch.audit_anchors a JOIN goldenarch.audit_trees t USING (origin)'), 'anchored');
write_file("$dir/anchors", $anchors->());
($verdict, $found) = check('--anchor', "$dir/anchors");
like($found->{'anchors/1'}{detail}, qr/^truncated/, 'anchored heads show that the copy lacks what the first log did since');
$s->destroy;
done_testing();
