# SPDX-License-Identifier: PostgreSQL
# The bridge against a real JetStream: a committed message is in the stream and its handler's effects
# are there once, whatever dies in between; what cannot be handled or published is a dead letter.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep);
use GoldenArch::Stack;
use GoldenArch::Nats;

my $s = GoldenArch::Stack->new(preload => 1, nats => 1, durable => 1, set => { 'goldenarch.retention_messages' => 600 });
my $n = GoldenArch::Nats->new($s->nats_url);

sub pids { my ($kind) = @_; return split /\n/, $s->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'goldenarch $kind' AND datname = 'app'"); }
sub published_all { return $s->poll("SELECT pending FROM goldenarch.bridge_status", 0, 30); }

# ---- a role that subscribes and is no superuser ----
$s->sql(q{
	CREATE ROLE consumer LOGIN;
	CREATE SCHEMA consumer AUTHORIZATION consumer;
	INSERT INTO goldenarch.role_mappings (tenant, pg_role, subject, roles) VALUES ('', 'consumer', 'consumer', '{admin}');
	GRANT USAGE ON SCHEMA goldenarch TO consumer;
	GRANT EXECUTE ON FUNCTION goldenarch.subscribe, goldenarch.unsubscribe TO consumer;
	SET ROLE consumer;
	SET search_path = consumer;
	CREATE TABLE handled (i integer, who text, msg_id text, delivered integer);
	CREATE FUNCTION handle(m goldenarch.message) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO consumer.handled VALUES ((convert_from(m.payload, 'UTF8')::jsonb ->> 'i')::integer,
			current_user || '/' || session_user, m.msg_id, m.delivered);
	END $$;
	SELECT goldenarch.subscribe('work', 'PRC', 'prc.work.*', 'consumer.handle', backoff => '{100 ms}', ack_wait => '2 s');
});
is($s->sql("SELECT pg_role FROM goldenarch.subscriptions"), 'consumer', 'the subscribing role is recorded');

# ---- one message, with headers ----
$s->sql(q{SELECT goldenarch.publish('prc.work.a', '{"i": 0}', '{"Trace": "t-1", "Tags": ["a", "b"]}', 'first')});
ok($s->poll("SELECT who || ' ' || msg_id || ' ' || delivered FROM consumer.handled WHERE i = 0", 'consumer/consumer first 1'),
	'a handler runs as the role that subscribed');
my ($first) = $n->messages('PRC');
is($first->{headers}{'Nats-Msg-Id'}, 'first', 'the message id is on the wire');
is($first->{headers}{Trace}, 't-1', 'so are the headers');
is($first->{data}, '{"i": 0}', 'and the payload as published');

# ---- a transaction that commits late: ids are handed out before commits ----
my $late = $s->session;
$late->query(q{BEGIN; SELECT goldenarch.publish('prc.late.a', '{"i": 1}')});
$s->sql(q{SELECT goldenarch.publish('prc.late.b', '{"i": 2}')});
ok(published_all(), 'what committed first is published first');
$late->query('COMMIT');
$late->close;
ok(published_all(), 'the late one is published');
is(join(',', map { $_->{data} } grep { $_->{subject} =~ /^prc\.late/ } $n->messages('PRC')), '{"i": 2},{"i": 1}',
	'no transaction is passed over because another committed before it');

# ---- load with rollbacks and savepoints while everything dies now and then ----
my $load = q{
DO $$ BEGIN
	FOR i IN 1 .. 400 LOOP
		PERFORM goldenarch.publish('prc.work.load', jsonb_build_object('i', %1$d + i));
		IF i % 7 = 0 THEN
			BEGIN
				PERFORM goldenarch.publish('prc.work.load', jsonb_build_object('i', -1));
				RAISE EXCEPTION 'taken back';
			EXCEPTION WHEN raise_exception THEN NULL;
			END;
		END IF;
		IF i % 11 = 0 THEN COMMIT; END IF;
		IF i % 40 = 0 THEN PERFORM pg_sleep(0.05); END IF;
	END LOOP;
END $$;
BEGIN;
SELECT goldenarch.publish('prc.work.load', '{"i": -2}');
ROLLBACK;
};
$load =~ s/%(?!1)/%%/g;
my $expected = 0;

sub under_load
{
	my ($what, $disturb) = @_;
	my $session = $s->session;
	$session->send(sprintf $load, $expected * 1000);
	$expected++;
	sleep 0.2;
	$disturb->();
	eval { $session->await; 1 };
	$session->close;
	ok($s->poll("SELECT (SELECT count(*) FROM goldenarch.bridge_status WHERE state = 'connected' AND pending = 0)", 1, 40), "$what: everything is published");
	# What the outbox holds is what was committed: each exactly once in the handler's table.
	my $ids = "(convert_from(payload, 'UTF8')::jsonb ->> 'i')::integer";
	my $ok = $s->poll(qq{SELECT count(*) FROM (
		(SELECT $ids AS i FROM goldenarch.outbox WHERE subject LIKE 'prc.work.%' EXCEPT ALL SELECT i FROM consumer.handled)
		UNION ALL (SELECT i FROM consumer.handled EXCEPT ALL SELECT $ids FROM goldenarch.outbox WHERE subject LIKE 'prc.work.%')) AS d},
		0, 40);
	ok($ok, "$what: every effect is there once");
	return;
}
sub kill_workers { my ($signal, @kinds) = @_; kill $signal, map { pids($_) } @kinds; return; }

under_load('nothing dies', sub { });
under_load('relay and handler are terminated', sub { for (1 .. 3) { kill_workers('TERM', qw(relay handler ingest)); sleep 0.5; } });
# Stopped first, so that what the relay has sent by then is on its way and unanswered.
under_load('NATS is killed', sub {
	kill 'STOP', GoldenArch::Stack::slurp("$s->{dir}/nats.pid") + 0;
	$s->sql(q{SELECT goldenarch.publish('prc.work.load', jsonb_build_object('i', 2500 + i)) FROM generate_series(1, 50) i});
	sleep 1;
	$s->stop_service('nats', 'KILL');
	sleep 1;
	$s->start_service('nats');
});
under_load('the server is killed', sub { $s->crash; $s->start; });
is($s->sql("SELECT count(*) FROM consumer.handled WHERE i < 0"), 0, 'nothing that was rolled back was ever seen');
$n = GoldenArch::Nats->new($s->nats_url);
my @load = map { $_->{data} =~ /(\d+)/ } grep { $_->{subject} eq 'prc.work.load' } $n->messages('PRC');
# A broker that is killed may lose what it had acknowledged, and the order of what it is sent again
# is not chained: those of its run (2001 to 2999) are left out here.
my %seen;
my @order = grep { !$seen{$_}++ && ($_ < 2001 || $_ > 2999) } @load;
my @sorted = split /\n/, $s->sql(q{SELECT i FROM (SELECT id, convert_from(payload, 'UTF8')::jsonb ->> 'i' AS i
	FROM goldenarch.outbox WHERE subject = 'prc.work.load') o WHERE i::integer NOT BETWEEN 2001 AND 2999 ORDER BY id});
is_deeply(\@order, \@sorted, 'the stream has them in the order of their ids');
is(scalar(@load), scalar(keys %seen), 'and each once: repeats were recognised by their message id');

done_testing();
