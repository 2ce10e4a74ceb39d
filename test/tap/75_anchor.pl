# SPDX-License-Identifier: PostgreSQL
# Heads of the audit log in a JetStream stream that nobody can delete from: they arrive in order, a
# broker that is away, killed or set back costs time alone, rubbish and old heads do not mislead, and
# a tree that is not the one that was anchored (rewritten, cut, or grown in two places) stops.
use strict;
use warnings;
use Test::More;
use Digest::SHA qw(sha256);
use MIME::Base64 qw(decode_base64);
use Time::HiRes qw(sleep);
use JSON::PP ();
use GoldenArch::Head;
use GoldenArch::Nats;
use GoldenArch::Stack;

my $STREAM = 'GOLDENARCH_AUDIT';
my $key = "/tmp/goldenarch-anchor-$$.key";
END { unlink glob "$key*" }
my $s = GoldenArch::Stack->new(preload => 1, nats => 1, durable => 1, set => { 'goldenarch.audit_key_file' => $key });
my $n = GoldenArch::Nats->new($s->nats_url);

sub write_rows { my ($stack, $rows, %o) = @_; $stack->sql("SELECT goldenarch.audit('test', 'row', i::text) FROM generate_series(1, $rows) i", %o); return; }
sub tree { my ($stack, $column, %o) = @_; return $stack->sql("SELECT $column FROM goldenarch.audit_trees ORDER BY incarnation DESC LIMIT 1", %o); }
# What is sealed is anchored, the last row included.
my $ANCHORED = q{SELECT a.size = t.size AND NOT EXISTS (SELECT FROM goldenarch.audit_entries e
	WHERE NOT EXISTS (SELECT FROM goldenarch.audit_leaves l WHERE l.id = e.id)) FROM goldenarch.audit_trees t
	JOIN goldenarch.audit_anchors a USING (origin) ORDER BY incarnation DESC LIMIT 1};
sub anchored { my ($what, $stack, $seconds, %o) = @_; return ok($stack->poll($ANCHORED, 't', $seconds // 15, %o), $what); }
sub heads
{
	my ($subject) = @_;
	return map { my ($origin, $size, $root) = split /\n/, $_->{data}; +{ %$_, origin => $origin, size => $size, root => $root } }
		grep { $_->{subject} eq $subject && $_->{data} =~ /\A[^\n]+\n\d+\n[^\n]{44}\n\n/ } $n->messages($STREAM);
}
sub subject_of
{
	my ($origin) = @_;
	$origin =~ s/([^A-Za-z0-9_-])/sprintf '%%%02X', ord $1/ge;
	return "audit.heads.$origin";
}
# the key that the server signs with, as a thief has it
sub stolen { my ($origin) = @_; return GoldenArch::Head->new($origin, substr GoldenArch::Head::openssl('', qw(pkey -outform DER -in), $key), -32); }
sub increasing { my @sizes = map { $_->{size} } @_; return !grep { $sizes[$_] < $sizes[ $_ - 1 ] } 1 .. $#sizes; }
sub copy { GoldenArch::Stack::command('cp', '-a', @_); return; }

# ---- heads arrive ----
write_rows($s, 3);
anchored('what is sealed is anchored', $s);
my $origin = tree($s, 'origin');
my $subject = subject_of($origin);
for (1 .. 3) { write_rows($s, 200); anchored("and what follows ($_)", $s); }
my @heads = heads($subject);
cmp_ok(scalar @heads, '>=', 4, 'several heads are in the stream');
ok(increasing(@heads), 'in order');
is(join(',', map { $_->{headers}{'Nats-Expected-Last-Subject-Sequence'} } @heads), join(',', 0, map { $_->{seq} } @heads[ 0 .. $#heads - 1 ]),
	'each was stored on condition of the one before');
my $notes = join ', ', map { "convert_from('\\x" . unpack('H*', $_->{data}) . "', 'UTF8')" } @heads;
is($s->sql("SELECT count(*) FROM goldenarch.audit_heads WHERE note IN ($notes)"), scalar @heads, 'as signed notes that are rows of audit_heads');
is($s->sql("SELECT status FROM goldenarch.health() WHERE component = 'audit'"), 'ok', 'health() is content');

# ---- the broker keeps them ----
like($n->request("\$JS.API.STREAM.MSG.DELETE.$STREAM", '{"seq":1}')->{error}{description}, qr/not permit/, 'no message can be deleted');
like($n->request("\$JS.API.STREAM.PURGE.$STREAM")->{error}{description}, qr/not permit/, 'nor all of them');
my $config = $n->request("\$JS.API.STREAM.INFO.$STREAM")->{config};
for my $deny (qw(deny_delete deny_purge))
{
	my $update = $n->request("\$JS.API.STREAM.UPDATE.$STREAM", JSON::PP::encode_json({ %$config, $deny => JSON::PP::false }));
	ok($update->{error}, "$deny cannot be taken back");
}

# ---- others who may publish there ----
my $thief = stolen($origin);
my $stranger = GoldenArch::Head->new($origin);
$n->publish($subject, $_) for 'rubbish', $stranger->note($origin, 3, sha256('x')), $heads[0]{data};
write_rows($s, 1);
anchored('rubbish, heads of strangers and old heads mislead nobody', $s);
like($s->server_log, qr/2 messages on \Q$subject\E are not heads that this log signed/, 'the log tells of them');
is(tree($s, 'fork'), '', 'they are no fork');

# ---- the broker away, killed, set back ----
GoldenArch::Stack::command('cp', '-a', "$s->{dir}/jetstream", "$s->{dir}/jetstream.old");
write_rows($s, 1);
anchored('one more', $s);
$s->stop_service('nats');
write_rows($s, 300);
ok($s->poll("SELECT value FROM goldenarch.audit_status() WHERE item = 'unsealed_rows'", 0), 'without a broker sealing goes on');
$s->start_service('nats');
anchored('and with it heads are anchored again', $s, 30);
$n = GoldenArch::Nats->new($s->nats_url);
my $session = $s->session;
$session->send("DO \$\$ BEGIN FOR i IN 1 .. 60 LOOP PERFORM goldenarch.audit('load', 'row', i::text); COMMIT; PERFORM pg_sleep(0.1); END LOOP; END \$\$");
sleep 1;
$s->stop_service('nats', 'KILL');
sleep 1;
$s->start_service('nats');
$s->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'goldenarch relay'");
$session->await;
$session->close;
anchored('a killed broker and a terminated relay cost nothing', $s, 30);
$n = GoldenArch::Nats->new($s->nats_url);
@heads = grep { $_->{data} ne $heads[0]{data} } heads($subject);
my %seen;
ok(!(grep { $seen{ $_->{data} }++ } @heads), 'no head is there twice');
@heads = grep { $_->{seq} > 10 && $_->{data} !~ /\n\n$/ } @heads;
ok(increasing(@heads), 'and they are in order');
$s->stop_service('nats', 'KILL');
GoldenArch::Stack::command('rm', '-rf', "$s->{dir}/jetstream");
GoldenArch::Stack::command('mv', "$s->{dir}/jetstream.old", "$s->{dir}/jetstream");
$s->start_service('nats');
write_rows($s, 1);
anchored('a broker that lost its last heads has them anchored again', $s, 30);
like($s->server_log, qr/stream $STREAM has lost heads of "\Q$origin\E"/, 'and the log tells of it');
is(tree($s, 'fork'), '', 'it is no fork');
$n = GoldenArch::Nats->new($s->nats_url);

# ---- two servers with one origin: a copy of everything, key and last-head file included ----
$s->stop('fast');
my $twin_key = "$key.twin";
my $oid = (glob "$key.*.head")[0] =~ /\.(\d+)\.head$/ ? $1 : die 'no last-head file';
copy($key, $twin_key);
copy("$key.$oid.head", "$twin_key.$oid.head");
my $twin = GoldenArch::Stack->new(preload => 1, extension => 0, set => { 'goldenarch.audit_key_file' => $twin_key, 'goldenarch.nats_url' => $s->nats_url });
$twin->stop('fast');
GoldenArch::Stack::command('rm', '-rf', "$twin->{dir}/data");
copy("$s->{dir}/data", "$twin->{dir}/data");
copy("$s->{dir}/data", "$s->{dir}/backup");
$s->start;
$twin->start;
write_rows($s, 5);
write_rows($twin, 7);
my $forks = sub { return join ',', map { tree($_, 'fork IS NOT NULL') } $s, $twin };
for (1 .. 100) { last if $forks->() =~ /t/; sleep 0.2; }
sleep 3;
like($forks->(), qr/^(t,f|f,t)$/, 'of two servers with one origin exactly one stops');
my ($one, $other) = $forks->() eq 'f,t' ? ($s, $twin) : ($twin, $s);
write_rows($_, 1) for $one, $other;
anchored('the other one goes on', $one);
like(tree($other, 'fork'), qr/^(fork|truncated): message \d+ of stream $STREAM is a signed head of size \d+/, 'the one that stopped says why');
is($other->sql("SELECT status FROM goldenarch.health() WHERE component = 'audit'"), 'down', 'and so does its health()');
my $mine = $one->sql("SELECT string_agg(encode(root, 'base64'), ',') FROM goldenarch.audit_heads");
is((grep { index($mine, $_->{root}) < 0 } (heads($subject))[-1])[0], undef, 'what is anchored last is of the one that goes on');
$twin->destroy;
unlink glob "$twin_key*";

# ---- an old backup: its tree is smaller than what is anchored ----
$s->stop('fast');
my $anchored_size = (sort { $b <=> $a } map { $_->{size} } heads($subject))[0];
GoldenArch::Stack::command('rm', '-rf', "$s->{dir}/data");
GoldenArch::Stack::command('mv', "$s->{dir}/backup", "$s->{dir}/data");
# Who restored it puts an old head, which the backup extends, behind the last one.
$n->publish($subject, $heads[0]{data});
# Lost with the disk, say; the anchor alone must do.
unlink glob "$key.*.head";
my $before = scalar heads($subject);
$s->start;
ok($s->poll("SELECT fork LIKE 'truncated: %$anchored_size%' FROM goldenarch.audit_trees"), 'a restored old backup is found to be cut');
write_rows($s, 1000);
sleep 2;
is(scalar heads($subject), $before, 'and publishes nothing');
is($s->sql("SELECT count(*) FROM goldenarch.audit_heads WHERE signed_at > pg_postmaster_start_time()"), 0, 'it has not even signed anything');
$s->sql("SELECT * FROM goldenarch.audit_accept_fork('restored on purpose')");
anchored('an accepted fork is anchored under an origin of its own', $s, 30);
isnt(tree($s, 'origin'), $origin, 'which is another one');

# ---- a stolen key: a head of ours that we never signed ----
$origin = tree($s, 'origin');
$subject = subject_of($origin);
write_rows($s, 5);
anchored('anchored', $s);
$n->publish($subject, stolen($origin)->note($origin, 2, sha256('another past')));
write_rows($s, 5);
ok($s->poll("SELECT fork LIKE 'fork: message % of stream $STREAM is a signed head of size 2 %' FROM goldenarch.audit_trees ORDER BY incarnation DESC LIMIT 1"),
	'a head with another past, signed by the stolen key, is a fork');
$before = scalar heads($subject);
write_rows($s, 5);
sleep 2;
is(scalar heads($subject), $before, 'after which nothing more is published');

# ---- nobody can wait for what is not written: the log ends at a page, behind it is that page's header ----
my $relay = $s->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'goldenarch relay'");
kill 'STOP', $relay;
$s->sql(q{SELECT goldenarch.publish('prc.anchor.a', '{}')});
$s->sql('SELECT pg_switch_wal()');
kill 'CONT', $relay;
ok($s->poll('SELECT pending FROM goldenarch.bridge_status', 0), 'a message at the end of a log file is published');
unlike($s->server_log, qr/terminated by signal|PANIC|not satisfied|past end/, 'nothing crashed');
$s->destroy;

# ---- a stream that does not keep what it is given; heads that nobody signed; two databases ----
unlink glob "$key*";
$s = GoldenArch::Stack->new(preload => 1, nats => 1, extension => 0, set => { 'goldenarch.databases' => 'app,second' });
$n = GoldenArch::Nats->new($s->nats_url);
$s->sql('CREATE DATABASE second');
$s->sql('CREATE EXTENSION goldenarch', database => $_) for qw(app second);
write_rows($s, 3);
ok($s->poll("SELECT count(*) > 0 FROM goldenarch.audit_heads"), 'there is a head');
ok($s->poll("SELECT checked_at > pg_postmaster_start_time() FROM goldenarch.audit_anchors"), 'and the stream was looked at');
ok($n->request("\$JS.API.STREAM.INFO.$STREAM")->{error}, 'unsigned heads are not published');
my %forgetful = (name => $STREAM, subjects => ['audit.heads.>'], storage => 'file', deny_purge => JSON::PP::true);
$n->request("\$JS.API.STREAM.CREATE.$STREAM", JSON::PP::encode_json(\%forgetful));
$s->{set}{'goldenarch.audit_key_file'} = $key;
$s->restart;
write_rows($s, 3);
ok($s->poll("SELECT detail LIKE 'not signed: %stream $STREAM exists and allows messages to be deleted: make it anew with deny_delete'
	FROM goldenarch.health() WHERE component = 'audit' AND status = 'degraded'"), 'a stream without deny_delete is refused');
like($s->server_log, qr/WARNING: .*stream $STREAM exists and allows messages to be deleted/, 'loudly');
is(scalar $n->messages($STREAM), 0, 'and gets nothing');
$n->request("\$JS.API.STREAM.DELETE.$STREAM");
$s->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'goldenarch relay'");
anchored('without it the right one is made', $s, 30);
write_rows($s, 3, database => 'second');
anchored('a second database has its heads there, too', $s, 30, database => 'second');
isnt(tree($s, 'origin'), tree($s, 'origin', database => 'second'), 'under an origin of its own');
done_testing();
