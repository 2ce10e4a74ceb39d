# SPDX-License-Identifier: PostgreSQL
# How the bridge's workers end and begin: under a NATS that hangs, without preload, without NATS,
# with the extension dropped under them.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);
use GoldenArch::Stack;
use GoldenArch::Nats;

my $s = GoldenArch::Stack->new(preload => 1, nats => 1);
my $handlers = q{
	CREATE TABLE handled (i integer);
	CREATE FUNCTION handle(m goldenarch.message) RETURNS void LANGUAGE sql AS
	$$ INSERT INTO handled VALUES ((convert_from(m.payload, 'UTF8')::jsonb ->> 'i')::integer) $$;
	SELECT goldenarch.subscribe('work', 'PRC', 'prc.work.*', 'handle', ack_wait => '1 s');
};
$s->sql($handlers);
$s->sql("SELECT goldenarch.publish('prc.work.a', '{\"i\": 1}')");
ok($s->poll('SELECT count(*) FROM handled', 1), 'the bridge works');

# A NATS that hangs holds nobody: not the publisher, not the server's fast stop.
open my $file, '<', "$s->{dir}/nats.pid" or die "nats.pid: $!";
my $nats = <$file> + 0;
close $file;
kill 'STOP', $nats;
$s->sql("SELECT goldenarch.publish('prc.work.a', jsonb_build_object('i', 2, 'x', repeat('x', 200000))) FROM generate_series(1, 30)");
sleep 1;
my $begun = time;
$s->stop('fast');
cmp_ok(time - $begun, '<', 15, 'a fast stop is not held up by a NATS that hangs');
kill 'CONT', $nats;
$s->start;
ok($s->poll('SELECT count(*) FROM handled WHERE i = 2', 30, 30), 'what was waiting is published and handled');
$s->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE backend_type IN ('goldenarch relay', 'goldenarch ingest', 'goldenarch handler', 'goldenarch mirror')");
$s->sql("SELECT goldenarch.publish('prc.work.a', '{\"i\": 3}')");
ok($s->poll('SELECT count(*) FROM handled WHERE i = 3', 1, 30), 'terminated workers come back');

# A stream that is deleted, with its consumers: made again, filled again, handled again.
my $n = GoldenArch::Nats->new($s->nats_url);
$n->request('$JS.API.STREAM.DELETE.PRC');
$s->sql("SELECT goldenarch.publish('prc.work.a', '{\"i\": 4}')");
ok($s->poll('SELECT count(*) FROM handled WHERE i = 4', 1, 40), 'a stream of ours that is deleted is made again, and what comes is handled');

# DROP EXTENSION under running workers, and again.
$s->sql('DROP EXTENSION goldenarch CASCADE');
sleep 2;
$s->sql('CREATE EXTENSION goldenarch');
$s->sql("DROP TABLE handled; $handlers");
$s->sql("SELECT goldenarch.publish('prc.work.b', '{\"i\": 5}')");
ok($s->poll('SELECT count(*) FROM handled WHERE i = 5', 1, 40), 'after DROP and CREATE EXTENSION the bridge works again');
unlike($s->server_log, qr/terminated by signal|PANIC/, 'nothing crashed');
$s->destroy;

# Without preload: the workers are dynamic.
my $d = GoldenArch::Stack->new(nats => 1, set => {});
$d->{set} = { 'goldenarch.nats_url' => $d->nats_url };
$d->stop;
$d->start;
$d->sql($handlers);
$d->sql("SELECT goldenarch.publish('prc.work.a', '{\"i\": 1}')");
is($d->sql('SELECT pending FROM goldenarch.bridge_status'), 1, 'without workers a message waits in the outbox');
like($d->sql('SELECT * FROM goldenarch.start_workers()'), qr/relay: started/, 'start_workers() starts them');
ok($d->poll('SELECT count(*) FROM handled', 1, 30), 'and it is published and handled');
ok($d->poll('SELECT pending FROM goldenarch.bridge_status', 0), 'bridge_status counts without preload, too');
$d->destroy;

# A dump that is restored into another cluster: transaction ids begin anew there, and what the old
# relay had not published is published, what it had is not.
my $old = GoldenArch::Stack->new(preload => 1, nats => 1);
$old->sql("SELECT goldenarch.publish('prc.moved.a', '{\"i\": 1}')");
ok($old->poll('SELECT pending FROM goldenarch.bridge_status', 0), 'one message is published');
$old->stop_service('nats');
$old->sql("SELECT goldenarch.publish('prc.moved.a', jsonb_build_object('i', i)) FROM generate_series(2, 4) i");
GoldenArch::Stack::command("$GoldenArch::Stack::BIN/pg_dump", '-f', "$old->{dir}/dump.sql", '-d', $old->dsn);
my $new = GoldenArch::Stack->new(preload => 1, nats => 1, extension => 0);
{
	# The name keeps the sealer from opening a tree of its own between the extension and its rows.
	local $ENV{PGAPPNAME} = 'pg_restore';
	GoldenArch::Stack::command("$GoldenArch::Stack::BIN/psql", '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$old->{dir}/dump.sql", '-d', $new->dsn);
}
$new->sql("SELECT goldenarch.publish('prc.moved.a', '{\"i\": 5}')");
my @moved;
for (1 .. 150)
{
	@moved = sort map { $_->{data} } GoldenArch::Nats->new($new->nats_url)->messages('PRC');
	last if @moved == 4;
	sleep 0.1;
}
is(join(',', @moved), '{"i": 2},{"i": 3},{"i": 4},{"i": 5}', 'after a restore elsewhere what was pending is published there, and nothing twice');
done_testing();
