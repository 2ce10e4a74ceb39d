# SPDX-License-Identifier: PostgreSQL
# Heads of the audit log in a JetStream stream that nobody can delete from: they arrive in order, a
# broker that is away, killed or set back costs time alone, rubbish and old heads do not mislead.
use strict;
use warnings;
use Test::More;
use Digest::SHA qw(sha256);
use JSON::PP ();
use Time::HiRes qw(sleep);
use GoldenArch::Anchor;
use GoldenArch::Head;
use GoldenArch::Nats;
use GoldenArch::Stack;

my $key = "/tmp/goldenarch-anchor-$$.key";
END { unlink glob "$key*" }
my $s = GoldenArch::Stack->new(preload => 1, nats => 1, durable => 1, set => { 'goldenarch.audit_key_file' => $key });
my $n = GoldenArch::Nats->new($s->nats_url);

# ---- heads arrive ----
write_rows($s, 3);
anchored('what is sealed is anchored', $s);
my $origin = tree($s, 'origin');
my $subject = subject_of($origin);
for (1 .. 3) { write_rows($s, 200); anchored("and what follows ($_)", $s); }
my @heads = heads($n, $subject);
cmp_ok(scalar @heads, '>=', 4, 'several heads are in the stream');
ok(increasing(@heads), 'in order');
is(join(',', map { $_->{headers}{'Nats-Expected-Last-Subject-Sequence'} } @heads), join(',', 0, map { $_->{seq} } @heads[ 0 .. $#heads - 1 ]),
	'each was stored on condition of the one before');
my $notes = join ', ', map { "convert_from('\\x" . unpack('H*', $_->{data}) . "', 'UTF8')" } @heads;
is($s->sql("SELECT count(*) FROM goldenarch.audit_heads WHERE note IN ($notes)"), scalar @heads, 'as signed notes that are rows of audit_heads');
is($s->sql("SELECT status FROM goldenarch.health() WHERE component = 'audit'"), 'ok', 'health() is content');

is(GoldenArch::Stack::command('tools/anchored-heads', $s->nats_url, $origin), join('', map { "$_->{data}\n" } heads($n, $subject)),
	'tools/anchored-heads fetches them for the verifier');

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
my $thief = stolen($key, $origin);
my $stranger = GoldenArch::Head->new($origin);
$n->publish($subject, $_) for 'rubbish', $stranger->note($origin, 3, sha256('x')), $heads[0]{data};
write_rows($s, 1);
anchored('rubbish, heads of strangers and old heads mislead nobody', $s);
like($s->server_log, qr/2 messages on \Q$subject\E are not heads that this log signed/, 'the log tells of them');
is(tree($s, 'fork'), '', 'they are no fork');
unlike(GoldenArch::Stack::command('tools/anchored-heads', $s->nats_url), qr/rubbish/, 'tools/anchored-heads leaves out what is no head');

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
@heads = grep { $_->{data} ne $heads[0]{data} } heads($n, $subject);
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

my ($status, $text) = verdict($s, $s->nats_url);
is($status, 0, 'after all that goldenarch-verify finds the log to be the one that was anchored') or diag $text;

# ---- nobody can wait for what is not written: the log ends at a page, behind it is that page's header ----
my $relay = $s->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'goldenarch relay'");
kill 'STOP', $relay;
$s->sql(q{SELECT goldenarch.publish('prc.anchor.a', '{}')});
$s->sql('SELECT pg_switch_wal()');
kill 'CONT', $relay;
ok($s->poll('SELECT pending FROM goldenarch.bridge_status', 0), 'a message at the end of a log file is published');
unlike($s->server_log, qr/terminated by signal|PANIC|not satisfied|past end/, 'nothing crashed');

done_testing();
