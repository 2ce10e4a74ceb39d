# SPDX-License-Identifier: PostgreSQL
# A tree that is not the one that was anchored stops, and says why: of two servers with one origin one
# goes on, an old backup signs nothing, a head that a stolen key signed is found.
use strict;
use warnings;
use Test::More;
use Digest::SHA qw(sha256);
use Time::HiRes qw(sleep);
use GoldenArch::Anchor;
use GoldenArch::Head;
use GoldenArch::Nats;
use GoldenArch::Stack;

my $key = "/tmp/goldenarch-anchor-$$.key";
END { unlink glob "$key*" }
my $s = GoldenArch::Stack->new(preload => 1, nats => 1, durable => 1, set => { 'goldenarch.audit_key_file' => $key });
my $n = GoldenArch::Nats->new($s->nats_url);
sub copy { GoldenArch::Stack::command('cp', '-a', @_); return; }

write_rows($s, 300);
anchored('what is sealed is anchored', $s);
my $origin = tree($s, 'origin');
my $subject = subject_of($origin);
my @heads = heads($n, $subject);

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
is((grep { index($mine, $_->{root}) < 0 } (heads($n, $subject))[-1])[0], undef, 'what is anchored last is of the one that goes on');
$twin->destroy;
unlink glob "$twin_key*";

# ---- an old backup: its tree is smaller than what is anchored ----
$s->stop('fast');
my $anchored_size = (sort { $b <=> $a } map { $_->{size} } heads($n, $subject))[0];
GoldenArch::Stack::command('rm', '-rf', "$s->{dir}/data");
GoldenArch::Stack::command('mv', "$s->{dir}/backup", "$s->{dir}/data");
# Who restored it puts an old head, which the backup extends, behind the last one.
$n->publish($subject, $heads[0]{data});
# Lost with the disk, say; the anchor alone must do.
unlink glob "$key.*.head";
my $before = scalar heads($n, $subject);
$s->start;
ok($s->poll("SELECT fork LIKE 'truncated: %$anchored_size%' FROM goldenarch.audit_trees"), 'a restored old backup is found to be cut');
write_rows($s, 1000);
sleep 2;
is(scalar heads($n, $subject), $before, 'and publishes nothing');
is($s->sql("SELECT count(*) FROM goldenarch.audit_heads WHERE signed_at > pg_postmaster_start_time()"), 0, 'it has not even signed anything');
my ($status, $text) = verdict($s, $s->nats_url);
is($status, 1, 'goldenarch-verify, too, finds it to be another one than was anchored');
like($text, qr/truncated/, 'because it is cut');
$s->sql("SELECT * FROM goldenarch.audit_accept_fork('restored on purpose')");
anchored('an accepted fork is anchored under an origin of its own', $s, 30);
isnt(tree($s, 'origin'), $origin, 'which is another one');

# ---- a stolen key: a head of ours that we never signed ----
$origin = tree($s, 'origin');
$subject = subject_of($origin);
write_rows($s, 5);
anchored('anchored', $s);
$n->publish($subject, stolen($key, $origin)->note($origin, 2, sha256('another past')));
write_rows($s, 5);
ok($s->poll("SELECT fork LIKE 'fork: message % of stream $STREAM is a signed head of size 2 %' FROM goldenarch.audit_trees ORDER BY incarnation DESC LIMIT 1"),
	'a head with another past, signed by the stolen key, is a fork');
$before = scalar heads($n, $subject);
write_rows($s, 5);
sleep 2;
is(scalar heads($n, $subject), $before, 'after which nothing more is published');
unlike($s->server_log, qr/terminated by signal|PANIC/, 'nothing crashed');
done_testing();
