# SPDX-License-Identifier: PostgreSQL
# The stream of heads: one that does not keep what it is given is refused; heads that nobody signed are
# not published; two databases share it.
use strict;
use warnings;
use Test::More;
use JSON::PP ();
use GoldenArch::Anchor;
use GoldenArch::Nats;
use GoldenArch::Stack;

my $key = "/tmp/goldenarch-anchor-$$.key";
END { unlink glob "$key*" }

# ---- a stream that does not keep what it is given; heads that nobody signed; two databases ----
my $s = GoldenArch::Stack->new(preload => 1, nats => 1, extension => 0, set => { 'goldenarch.databases' => 'app,second' });
my $n = GoldenArch::Nats->new($s->nats_url);
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
