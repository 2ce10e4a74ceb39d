# SPDX-License-Identifier: PostgreSQL
# Copies of a database: an old backup that is started again beside the key that went on signing is refused a signature until
# somebody answers for it; a dump, a template copy and a promoted standby go on as what they are.
use strict;
use warnings;
use Test::More;
use File::Temp qw(tempdir);
use IPC::Run ();
use GoldenArch::Stack;

my $folder = tempdir(CLEANUP => 1);
chown +(getpwnam 'postgres')[2, 3], $folder if $> == 0;
chmod 0755, $folder;
my $keys = "$folder/keys";
mkdir $keys, 0700;
chown +(getpwnam 'postgres')[2, 3], $keys if $> == 0;
my $s = GoldenArch::Stack->new(preload => ['goldenarch'], set => { 'goldenarch.audit_key_file' => "$keys/audit.key" });
sub status { my ($item, %where) = @_; return $s->sql("SELECT value FROM goldenarch.audit_status() WHERE item = '$item'", %where); }
sub seal { return $s->sql('SELECT goldenarch.audit_seal()', @_); }

sub copy
{
	my ($from, $to) = @_;
	IPC::Run::run([ 'cp', '-a', $from, $to ]) or die "cp $from $to";
	return;
}

sub work
{
	my ($n, $what) = @_;
	$s->sql("SELECT count(goldenarch.audit('$what', 'order', i::text)) FROM generate_series(1, $n) i");
	return seal();
}

# The backup, and what was signed after it.
work(300, 'before');
my $origin = status('origin');
$s->stop;
copy("$s->{dir}/data", "$folder/backup");
$s->start;
my $signed = work(200, 'after');
my $head = $s->sql('SELECT note FROM goldenarch.audit_checkpoint()');

# An old backup that went through pg_upgrade is another system, with an incarnation of its own; its parent is as short.
$s->stop;
IPC::Run::run([ 'rm', '-rf', "$s->{dir}/data" ]) or die 'rm';
copy("$folder/backup", "$s->{dir}/data");
$s->{workers} = 0;
$s->start;
$s->sql('UPDATE goldenarch.audit_trees SET system_identifier = 1');
seal();
is(status('incarnation'), '2', 'another system, another incarnation');
like(status('fork'), qr/the last head that was signed here has $signed leaves/, 'what its parent lost is missed');

# A longer tree of other leaves, and one that is still shorter than what was signed.
for my $case ([ 10, 'the last head that was signed here has' ], [ 400, 'has another root' ])
{
	my ($rows, $why) = @$case;
	$s->stop;
	IPC::Run::run([ 'rm', '-rf', "$s->{dir}/data" ]) or die 'rm';
	copy("$folder/backup", "$s->{dir}/data");
	$s->{workers} = $rows < 100;
	$s->start;
	ok($s->poll("SELECT status = 'down' FROM goldenarch.health() WHERE component = 'audit'"), 'the old backup is told apart')
		if $rows < 100;
	my $size = work($rows, 'again');
	like(status('fork'), qr/\Q$why\E/, 'and why');
	cmp_ok($size, $rows < 100 ? '<' : '>', $signed, 'shorter or longer than what was signed');
	cmp_ok($size, '>=', 310, 'rows are sealed');
	isnt($s->sql('SELECT note FROM goldenarch.audit_checkpoint()'), $head, 'its last head is an old one');
	like(status('signed'), qr/^no: forked/, 'nothing is signed');
	is($s->sql('SELECT max(size) < 310 FROM goldenarch.audit_heads'), 't', 'no new head');
}
like($s->server_log, qr/WARNING:  the audit tree is forked/, 'the log warns');
like($s->sql("SELECT status || detail FROM goldenarch.health() WHERE component = 'audit'"), qr/^downforked/, 'health is down');
$s->{workers} = 1;
$s->restart;
seal();
like(status('signed'), qr/^no: forked/, 'a restart changes nothing');
like($s->fails("SELECT goldenarch.audit_prune(1, 'x')"), qr/^55000/, 'nothing of a forked tree is pruned');

# Somebody answers for it.
my $accepted = $s->sql("SELECT goldenarch.audit_accept_fork('the disk died')");
isnt($accepted, $origin, 'a new incarnation');
seal();
is(status('signed'), 'yes', 'is signed');
is(status('incarnation'), '2', 'the second');
is(status('origin'), $accepted, 'with its own origin');
my $parent = $s->sql("SELECT origin || ' ' || size || ' ' || encode(root, 'hex') FROM goldenarch.audit_trees WHERE incarnation = 1");
is($s->sql("SELECT e.resource_id FROM goldenarch.audit_entries e JOIN goldenarch.audit_leaves l USING (tenant, id)
	WHERE l.incarnation = 2 AND leaf_index = 0"), $parent, 'whose first leaf names the tree before it');
is($s->sql("SELECT subject FROM goldenarch.audit_log WHERE action = 'audit.incarnation' ORDER BY id DESC LIMIT 1"), 'postgres',
	'and who answered');
is($s->sql('SELECT count(*) FROM goldenarch.audit_entries e WHERE (SELECT count(*) FROM goldenarch.audit_leaves l
	WHERE l.id = e.id) <> 1'), '0', 'each row is one leaf of one tree');
$s->restart;
work(10, 'later');
is(status('signed'), 'yes', 'it goes on');

# Dump and restore into a new database of the same server, with a sealer that waits for it: the same rows, another tree.
$s->{set}{'goldenarch.databases'} = 'app,restored';
$s->restart;
for my $command ([ 'createdb', '-h', $s->{host}, '-p', $s->{port}, '-U', 'postgres', 'restored' ],
	[ 'pg_dump', '-Fc', '-h', $s->{host}, '-p', $s->{port}, '-U', 'postgres', '-f', "$folder/dump", 'app' ],
	[ 'pg_restore', '-e', '-h', $s->{host}, '-p', $s->{port}, '-U', 'postgres', '-d', 'restored', "$folder/dump" ])
{
	my ($program, @arguments) = @$command;
	my $err = '';
	ok(IPC::Run::run([ "$GoldenArch::Stack::BIN/$program", @arguments ], '<', '/dev/null', '2>', \$err), $program) or diag $err;
}
my @restored = (database => 'restored');
ok($s->poll("SELECT max(incarnation) = 3 FROM goldenarch.audit_trees", 't', 20, @restored), 'its sealer kept out of the way');
$s->sql("SELECT goldenarch.audit('restored', 'order', '1')", @restored);
seal(@restored);
is(status('incarnation', @restored), '3', 'a restored dump is an incarnation of its own');
is(status('signed', @restored), 'yes', 'signed, too');
is($s->sql("SELECT e.resource_id FROM goldenarch.audit_entries e JOIN goldenarch.audit_leaves l USING (tenant, id)
	WHERE l.incarnation = 3 AND leaf_index = 0", @restored), $s->sql("SELECT origin || ' ' || size || ' ' || encode(root, 'hex')
	FROM goldenarch.audit_trees WHERE incarnation = 2"), 'that names its parent');
is($s->sql('SELECT count(*) FROM goldenarch.audit_entries e WHERE (SELECT count(*) FROM goldenarch.audit_leaves l
	WHERE l.id = e.id) <> 1', @restored), '0', 'what was sealed stays sealed, the rest is sealed now');

# A template copy has another database oid.
$s->stop;
$s->{set}{'goldenarch.databases'} = '';
$s->start;
$s->sql('CREATE DATABASE twin TEMPLATE app', database => 'postgres');
seal(database => 'twin');
is(status('incarnation', database => 'twin'), '3', 'so is a copy by template');
isnt(status('origin', database => 'twin'), $accepted, 'under another name');
# The owner of one database cannot have the server's key sign in another's name.
$s->sql("UPDATE goldenarch.audit_trees SET origin = '$accepted' || CASE incarnation WHEN 3 THEN '' ELSE incarnation::text END",
	database => 'twin');
seal(database => 'twin');
like(status('signed', database => 'twin'), qr/^no: "\Q$accepted\E" is signed by the database with oid/, 'no name of another');
seal();
is(status('incarnation'), '2', 'the original is what it was');
is(status('signed'), 'yes', 'and signs');
$s->{set}{'goldenarch.databases'} = 'app';
$s->restart;

# A standby refuses; promoted it goes on in the same incarnation, and the tree tells of it.
my $standby = GoldenArch::Stack->new(preload => ['goldenarch'], standby_of => $s);
IPC::Run::run([ 'sh', '-c', "cat $s->{dir}/data/postgresql.conf | grep goldenarch >> $standby->{dir}/data/postgresql.conf" ]);
$standby->sql('SELECT pg_reload_conf()');
like($standby->fails('SELECT goldenarch.audit_seal()'), qr/^25006/, 'a standby does not seal');
like($standby->fails("SELECT goldenarch.audit_accept_fork('x')"), qr/^25006/, 'nor accepts a fork');
is($standby->sql('SELECT tree_size FROM goldenarch.audit_checkpoint()'),
	$s->sql('SELECT tree_size FROM goldenarch.audit_checkpoint()'), 'it shows the head');
my $size = work(5, 'last');
my $lsn = $s->sql('SELECT pg_current_wal_lsn()');
ok($standby->poll("SELECT pg_last_wal_replay_lsn() >= '$lsn'"), 'it follows');
$s->stop;
$standby->sql('SELECT pg_promote()');
ok($standby->poll('SELECT NOT pg_is_in_recovery()'), 'promoted');
cmp_ok($standby->sql('SELECT goldenarch.audit_seal()'), '>', $size, 'it seals');
is($standby->sql("SELECT value FROM goldenarch.audit_status() WHERE item = 'signed'"), 'yes', 'and signs');
is($standby->sql("SELECT value FROM goldenarch.audit_status() WHERE item = 'incarnation'"), '2', 'in the same incarnation');
is($standby->sql("SELECT resource_id FROM goldenarch.audit_log WHERE action = 'audit.timeline'"), '1 -> 2', 'which tells of it');
$standby->destroy;

# The server that was left behind has fewer leaves than were signed.
$s->start;
seal();
like(status('fork'), qr/./, 'the old primary may sign no more');
$s->destroy;
done_testing();
