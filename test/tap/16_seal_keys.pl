# SPDX-License-Identifier: PostgreSQL
# The sealer: rows are sealed and signed by themselves; silence has a heartbeat; the key file is made, believed only when
# nobody else may touch it, and rotated by overlap; two sealers at once do what one does.
use strict;
use warnings;
use Test::More;
use File::Temp qw(tempdir);
use GoldenArch::Stack;

my $folder = tempdir(CLEANUP => 1);
chown +(getpwnam 'postgres')[2, 3], $folder if $> == 0;
my $file = "$folder/audit.key";
my $s = GoldenArch::Stack->new(preload => 'goldenarch', set => { 'goldenarch.audit_key_file' => $file });
sub status { return $s->sql("SELECT value FROM goldenarch.audit_status() WHERE item = '$_[0]'"); }
sub head { return $s->sql('SELECT note FROM goldenarch.audit_checkpoint()'); }
sub health { return $s->sql("SELECT status || ': ' || detail FROM goldenarch.health() WHERE component = 'audit'"); }
my $sealed = 'SELECT FROM goldenarch.audit_leaves JOIN goldenarch.audit_entries USING (tenant, id) WHERE resource_id =';

sub spew
{
	my ($name, $text, $mode) = @_;
	open my $out, '>', $name or die "$name: $!";
	print $out $text;
	close $out;
	chmod $mode, $name;
	chown +(getpwnam 'postgres')[2, 3], $name if $> == 0;
	return;
}

# By itself.
$s->sql("SELECT goldenarch.audit('ship', 'order', 'one')");
ok($s->poll("SELECT EXISTS ($sealed 'one')"), 'a row is sealed by itself');
ok($s->poll("SELECT value = 'yes' FROM goldenarch.audit_status() WHERE item = 'signed'"), 'and signed');
like(status('sealer'), qr/^process \d+$/, 'a sealer runs');
is((stat $file)[2] & 07777, 0600, 'the key file was made, for the server alone');
is((stat glob "$file.*.head")[2] & 07777, 0600, 'and so was the last-head file');
my $first = $s->sql('SELECT goldenarch.audit_public_key()');
my $origin = status('origin');
like($first, qr/^\Q$origin\E\+[0-9a-f]{8}\+[A-Za-z0-9+\/=]+$/, 'one verifier key, named after the origin');
is($s->sql("SELECT string_agg(action, ' ' ORDER BY leaf_index) FROM goldenarch.audit_leaves JOIN goldenarch.audit_entries
	USING (tenant, id) WHERE action LIKE 'audit.%'"), 'audit.incarnation audit.key', 'the tree names its key');
is($s->sql("SELECT count(*) FROM goldenarch.audit_log WHERE action = 'audit.key' AND resource_id = '$first'"), '1', 'that one');
like(health(), qr/^ok: .* leaves, signed$/, 'health');

# Nothing happens: no new leaves, no new row of the tree, and a head each half minute of the clock.
ok($s->poll('SELECT max(h.size) = max(t.size) FROM goldenarch.audit_heads h, goldenarch.audit_trees t'), 'a head covers all');
my $tree = 'SELECT md5(t::text) FROM goldenarch.audit_trees t';
my ($before, $heads) = ($s->sql($tree), $s->sql('SELECT count(*) FROM goldenarch.audit_heads'));
sleep 2;
is($s->sql($tree), $before, 'an idle sealer writes nothing');
is($s->sql('SELECT count(*) FROM goldenarch.audit_heads'), $heads, 'no head either');
$s->sql('ALTER SYSTEM SET goldenarch.debug_clock_offset = 31');
$s->sql('SELECT pg_reload_conf()');
ok($s->poll("SELECT count(*) = $heads + 1 FROM goldenarch.audit_heads"), 'the heartbeat is a head of the same tree');
is($s->sql('SELECT count(DISTINCT (size, root)) FROM (SELECT * FROM goldenarch.audit_heads ORDER BY id DESC LIMIT 2) h'), '1',
	'with another time');
$s->sql('ALTER SYSTEM RESET goldenarch.debug_clock_offset');
$s->sql('SELECT pg_reload_conf()');

# A key that others may read, a link, no PEM, a key of another kind: sealing goes on, no head.
my $key = GoldenArch::Stack::slurp($file);
my $rsa = `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 2>/dev/null`;
my $other = `openssl genpkey -algorithm ED25519 2>/dev/null`;
my $locked = `openssl genpkey -algorithm ED25519 -aes256 -pass pass:x 2>/dev/null`;
spew("$folder/elsewhere", $key, 0600);
for my $bad ([ 'may be used by others', sub { chmod 0640, $file } ],
	[ 'Too many levels of symbolic links', sub { symlink "$folder/elsewhere", $file } ],
	[ 'is not a regular file', sub { mkdir $file, 0700; chown +(getpwnam 'postgres')[2, 3], $file } ],
	[ 'is not made of whole PEM', sub { spew($file, "no key\n", 0600) } ],
	[ 'is not made of whole PEM', sub { spew($file, $key . substr($key, 0, 60), 0600) } ],
	[ 'than unencrypted', sub { spew($file, $locked, 0600) } ],
	[ 'than unencrypted', sub { spew($file, $key . $locked, 0600) } ],
	[ 'that is not of Ed25519', sub { spew($file, $rsa, 0600) } ],
	[ 'more than eight', sub { spew($file, $key x 9, 0600) } ],
	[ 'put back the key', sub { } ])
{
	my ($why, $do) = @$bad;
	unlink $file unless $why =~ /others/;
	$do->();
	my $was = $s->sql('SELECT max(id) FROM goldenarch.audit_heads');
	my $size = $s->sql("SELECT goldenarch.audit('ship', 'order', 'more') > 0") && $s->sql('SELECT goldenarch.audit_seal()');
	cmp_ok($size, '>', 0, "$why: sealed");
	like(status('signed'), qr/^no: .*\Q$why\E/, 'but not signed');
	is($s->sql('SELECT max(id) FROM goldenarch.audit_heads'), $was, 'no head');
	like(health(), qr/^degraded: not signed: .*\Q$why\E/, 'health tells');
	-d $file ? rmdir $file : unlink $file;
	spew($file, $key, 0600);
}
$s->sql('SELECT goldenarch.audit_seal()');
is(status('signed'), 'yes', 'the key is back');
is($s->sql("SELECT count(*) FROM goldenarch.audit_log WHERE action LIKE 'audit.key%'"), '1', 'and was never gone for the tree');
unlike($s->server_log, qr/PRIVATE KEY/, 'no key in the log');

# Rotation: the new key in front, both sign; then the old one goes.
spew($file, $other . $key, 0600);
$s->sql('SELECT goldenarch.audit_seal()');
my @keys = split /\n/, $s->sql('SELECT goldenarch.audit_public_key()');
is($keys[1], $first, 'the old key is the second');
is(() = head() =~ /^\x{2014}|^\xe2\x80\x94/mg, 4, 'each signs and cosigns');
spew($file, $other, 0600);
$s->sql('SELECT goldenarch.audit_seal()');
is(() = head() =~ /^\x{2014}|^\xe2\x80\x94/mg, 2, 'one signs');
is($s->sql('SELECT goldenarch.audit_public_key()'), join("\n", @keys), 'both are keys of this tree');
is($s->sql("SELECT string_agg(action || CASE resource_id WHEN '$first' THEN ' old' ELSE ' new' END, ', ' ORDER BY id)
	FROM goldenarch.audit_log WHERE action LIKE 'audit.key%'"), 'audit.key old, audit.key new, audit.key_retired old',
	'its leaves tell');

# Everybody seals at once, and the sealer too.
my @sessions = map { $s->session } 1 .. 6;
for my $round (1 .. 3)
{
	$_->send("SELECT count(goldenarch.audit('all', 'order', 'x')) FROM generate_series(1, 50); SELECT goldenarch.audit_seal()")
		for @sessions;
	$_->await, is($_->error, '', 'sealed') for @sessions;
}
$_->close for @sessions;
$s->sql('SELECT goldenarch.audit_seal()');
is($s->sql('SELECT count(*), count(DISTINCT id), max(leaf_index) + 1 FROM goldenarch.audit_leaves'),
	join('|', ($s->sql('SELECT count(*) FROM goldenarch.audit_entries')) x 3), 'each row is one leaf');

# Pruning: below the last signed head, and proofs of what is left stand.
my $size = $s->sql('SELECT goldenarch.audit_seal()');
like($s->fails("SELECT goldenarch.audit_prune($size + 1, 'old')"), qr/^55000/, 'not above the last head');
$s->sql("SELECT count(goldenarch.audit('bulk', 'order', 'y')) FROM generate_series(1, 1000)");
$s->sql('SELECT goldenarch.audit_seal()');
is($s->sql("SELECT goldenarch.audit_prune(600, 'old')"), '511', 'all whole bundles below it but the link');
is($s->sql("SELECT goldenarch.audit_prune(600, 'old')"), '0', 'once');
is($s->sql('SELECT minimum_index FROM goldenarch.audit_trees'), '600', 'the tree says so');
is($s->sql('SELECT min(index) FROM goldenarch.audit_tiles WHERE level = 0'), '2', 'the tiles from there stay');
is($s->sql("SELECT leaf_index FROM goldenarch.audit_leaves ORDER BY 1 LIMIT 1 OFFSET 1"), '512', 'and the leaves');
my $told = $s->sql("SELECT resource_id FROM goldenarch.audit_log WHERE action = 'audit.prune'");
like($told, qr/^\Q$origin\E 600 [0-9a-f]{64}$/, 'the log tells of it, with the root there');
$s->restart;
$s->sql('SELECT goldenarch.audit_seal()');
is(status('signed'), 'yes', 'a pruned tree is signed after a restart');
is(status('fork'), '', 'it is no fork');

# No last-head file: where an anchor is configured it is asked first, and it cannot be; else there is nobody to ask.
$s->stop;
unlink glob "$file.*.head";
$s->{set}{'goldenarch.nats_url'} = 'nats://127.0.0.1:1';
$s->start;
$s->sql('SELECT goldenarch.audit_seal()');
like(status('signed'), qr/^no: there is no last-head file, and the anchor was not yet looked at/, 'nothing is signed unasked');
like(health(), qr/^degraded: not signed: there is no last-head file/, 'health tells');
is_deeply([ glob "$file.*.head" ], [], 'no file is written');
$s->stop;
delete $s->{set}{'goldenarch.nats_url'};
$s->start;
$s->sql('SELECT goldenarch.audit_seal()');
is(status('signed'), 'yes', 'without an anchor the tree itself is believed');
is(scalar(my @written = glob "$file.*.head"), 1, 'and the file is there again');
unlike($s->server_log, qr/terminated by signal|PANIC|TRAP:/, 'nothing crashed');
$s->destroy;
done_testing();
