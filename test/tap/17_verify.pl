# SPDX-License-Identifier: PostgreSQL
# An audit log leaves its server: exported, checked without it, read by a verifier that shares no code with ours
# (test/c2sp_verify.py); then files and rows are tampered with, and the check names the first bad leaf.
use strict;
use warnings;
use Test::More;
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IPC::Run;
use JSON::PP;
use GoldenArch::Stack;

my $dir = tempdir('/tmp/goldenarch-verify-XXXXXX', CLEANUP => 1);
my $key = "/tmp/goldenarch-verify-$$.key";
END { unlink glob "$key*" }
my $s = GoldenArch::Stack->new(preload => 'goldenarch', set => { 'goldenarch.audit_key_file' => $key });
my $verify = "$GoldenArch::Stack::ROOT/$GoldenArch::Stack::BUILD/goldenarch-verify";
my $foreign = "$GoldenArch::Stack::ROOT/test/c2sp_verify.py";
my $copies = 0;

sub run
{
	my (@command) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run(\@command, '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(120));
	return ($? >> 8, $out, $err);
}

sub export
{
	my ($to, @options) = @_;
	my ($status, $out, $err) = run($verify, 'export', $s->dsn, $to, @options);
	is($status, 0, "export into $to") or diag $out, $err;
	return;
}

# check: the findings that are bad, "check: detail", by their check, and the exit status.
sub check
{
	my ($of, @options) = @_;
	my ($status, $out, $err) = run($verify, 'check', $of, '--key', "$dir/trusted", '--json', @options);
	my $answer = eval { decode_json($out) } // { findings => [], verdict => "none: $out$err" };
	my %bad = map { ($_->{check} => $_) } grep { $_->{verdict} eq 'bad' } @{ $answer->{findings} };
	return ($status, \%bad, $answer);
}

sub write_file
{
	my ($path, $text) = @_;
	open my $file, '>:raw', $path or die "$path: $!";
	print $file $text;
	close $file;
	return;
}

# A copy of the export, changed by the code given.
sub tampered
{
	my ($change) = @_;
	my $copy = "$dir/copy" . ++$copies;
	is(system('cp', '-r', "$dir/log", $copy), 0, 'copied');
	$change->($copy);
	my @answer = check($copy);
	remove_tree($copy);
	return @answer;
}

sub flip
{
	my ($path, $at) = @_;
	open my $file, '+<:raw', $path or die "$path: $!";
	seek $file, $at, 0;
	read $file, my $byte, 1;
	seek $file, $at, 0;
	print $file chr(ord($byte) ^ 1);
	close $file;
	return;
}

$s->sql("SELECT goldenarch.audit('ship', 'order', n::text, jsonb_build_object('n', n)) FROM generate_series(1, 700) n");
my $size = $s->sql('SELECT goldenarch.audit_seal()');
cmp_ok($size, '>=', 700, 'the log is sealed');
write_file("$dir/trusted", $s->sql('SELECT goldenarch.audit_public_key()') . "\n");

export("$dir/log", '--details');
my ($status, $bad, $answer) = check("$dir/log");
is($status, 0, 'the export checks') or diag explain $bad;
is($answer->{verdict}, 'ok', 'nothing is even unknown') or diag explain $answer;
my ($other, $said, $complaint) = run('python3', $foreign, "$dir/log", "$dir/trusted");
is($other, 0, 'a verifier written from the specifications agrees') or diag $complaint;
like($said, qr/^\d+ [0-9a-f]{64} \d+/, 'and tells size, root and time');

# More rows: the same folder takes what is new, and tiles that were full stay untouched.
my $before = (stat "$dir/log/tile/0/000")[1];
$s->sql("SELECT goldenarch.audit('ship', 'order', n::text) FROM generate_series(701, 1500) n");
$s->sql('SELECT goldenarch.audit_seal()');
export("$dir/log", '--details');
is((stat "$dir/log/tile/0/000")[1], $before, 'a full tile is not written again');
($status, $bad, $answer) = check("$dir/log", '--anchor', "$dir/log/heads");
is($answer->{verdict}, 'ok', 'the grown export checks, its own heads as anchors') or diag explain $answer;
($other, $said, $complaint) = run('python3', $foreign, "$dir/log", "$dir/trusted");
is($other, 0, 'and the foreign verifier agrees') or diag $complaint;
($status) = run($verify, 'export', $s->dsn, "$dir/log");
is($status, 2, 'another choice of --details is refused');

# Files.
($status, $bad) = tampered(sub { flip("$_[0]/tile/entries/001", 5000) });
is($status, 1, 'an entry that was altered: exit 1');
ok($bad->{entries} && $bad->{entries}{first_bad_leaf} >= 256 && $bad->{entries}{first_bad_leaf} < 512, 'and its leaf');
ok($bad->{entries}{first_bad_id}, 'and its id');
($status, $bad) = tampered(sub { flip("$_[0]/tile/0/002", 32 * 7) });
is($bad->{tiles}{first_bad_leaf}, 519, 'a leaf that was altered');
($status, $bad) = tampered(sub { remove_tree("$_[0]/tile/entries/005.p") });
like($bad->{leaves}{detail}, qr/^truncated: .*1280/, 'a tail that was deleted');
($status, $bad) = tampered(sub { flip("$_[0]/openings", 200) });
ok($bad->{commitments}, 'details that were altered');
($status, $bad) = tampered(sub { flip("$_[0]/checkpoint", 20) });
is($status, 1, 'a checkpoint that was altered');
my ($newest) = tampered(sub { write_file("$_[0]/checkpoint", 'nothing') });
is($newest, 1, 'no checkpoint');
($status, $bad) = check("$dir/log", '--max-age', '0');
sleep 2;
($status, $bad) = check("$dir/log", '--max-age', '1');
like($bad->{age}{detail}, qr/^stale/, 'a head that is too old');
write_file("$dir/trusted.other", "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n");
($status, my $out) = run($verify, 'check', "$dir/log", '--key', "$dir/trusted.other");
is($status, 1, 'a key that signed nothing: exit 1');
like($out, qr/key unknown/, 'in these words');
is((run($verify, 'check', "$dir/log"))[0], 2, 'no key: exit 2');
is((run($verify, 'check', "$dir/nowhere", '--key', "$dir/trusted"))[0], 2, 'no folder: exit 2');

# Retention: what was pruned is told from what is missing, and a folder that had it keeps it.
$s->sql("SELECT goldenarch.audit_prune(600, 'old')");
$s->sql('SELECT goldenarch.audit_seal()');
export("$dir/pruned");
($status, $bad, $answer) = check("$dir/pruned");
is($status, 0, 'a pruned log checks') or diag explain $bad;
like(join("\n", map { $_->{detail} } grep { $_->{check} eq 'leaves' } @{ $answer->{findings} }), qr/below 600 were pruned/, 'and says so');
($status, $bad) = do { write_file("$dir/pruned/export.json", qq({"format":"goldenarch-export/1","minimum_index":[700]}\n)); check("$dir/pruned") };
like($bad->{leaves}{detail}, qr/^truncated/, 'what no entry says was pruned is missing');
export("$dir/log", '--details');
($status, $bad, $answer) = check("$dir/log");
is($answer->{verdict}, 'ok', 'the folder from before the pruning has it all') or diag explain $answer;

# Rows, by a superuser. The sealer is stopped, so that nothing is signed over them.
my $lift = "SET session_replication_role = 'replica'; ALTER TABLE goldenarch.audit_entries_rows DISABLE TRIGGER ALL; "
	. 'ALTER TABLE goldenarch.audit_leaves_rows DISABLE TRIGGER ALL; ';
my $leaf = sub { $s->sql("SELECT leaf_index FROM goldenarch.audit_leaves_rows JOIN goldenarch.audit_entries_rows "
	. "USING (tenant, id) WHERE resource_id = '$_[0]'") };
my ($edited, $deleted) = ($leaf->(877), $leaf->(900));
$s->sql("${lift}UPDATE goldenarch.audit_entries_rows SET entry = set_byte(entry, 40, get_byte(entry, 40) # 1) "
	. "WHERE resource_id = '877'; DELETE FROM goldenarch.audit_entries_rows WHERE resource_id = '900'");
my ($failed) = run($verify, 'export', $s->dsn, "$dir/broken");
is($failed, 0, 'a log that was tampered with is exported all the same');
($status, $bad) = check("$dir/broken");
is($status, 1, 'and does not check');
is($bad->{entries}{first_bad_leaf}, $edited, 'the edited row is named');
is($bad->{leaves}{first_bad_leaf}, $deleted, 'and the deleted one');
($status) = check("$dir/log");
is($status, 0, 'the export from before is still good');
$s->destroy;
done_testing();
