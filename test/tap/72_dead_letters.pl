# SPDX-License-Identifier: PostgreSQL
# What cannot be handled or published is in the dead-letter table, whole, with a copy on dlq.>, and
# goes through once the handler is mended.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;
use GoldenArch::Nats;

my $s = GoldenArch::Stack->new(preload => 1, nats => 1, set => { max_worker_processes => 48 });
my $n = GoldenArch::Nats->new($s->nats_url);

sub letters
{
	my ($where, $count) = @_;
	return $s->poll("SELECT count(*) FROM goldenarch.dlq_messages WHERE $where", $count // 1, 30);
}

sub letter { my ($what, $where) = @_; return $s->sql("SELECT $what FROM goldenarch.dlq_messages WHERE $where"); }

$s->sql(q{
	CREATE ROLE consumer LOGIN;
	CREATE SCHEMA consumer AUTHORIZATION consumer;
	INSERT INTO goldenarch.role_mappings (tenant, pg_role, subject, roles) VALUES ('', 'consumer', 'consumer', '{admin}');
	GRANT USAGE ON SCHEMA goldenarch TO consumer;
	GRANT EXECUTE ON FUNCTION goldenarch.subscribe, goldenarch.unsubscribe TO consumer;
	SET ROLE consumer;
	SET search_path = consumer;
	CREATE TABLE parent (id integer PRIMARY KEY);
	CREATE TABLE handled (i integer, note text, parent integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE tries (i integer);
	CREATE SEQUENCE outside;
	CREATE FUNCTION handle(m goldenarch.message) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE body jsonb = convert_from(m.payload, 'UTF8');
	BEGIN
		PERFORM nextval('consumer.outside');
		INSERT INTO consumer.handled (i, note) VALUES ((body ->> 'i')::integer, current_setting('search_path'));
		CASE body ->> 'do'
			WHEN 'fail' THEN RAISE EXCEPTION 'poison %', body ->> 'i' USING DETAIL = 'on purpose';
			WHEN 'refuse' THEN RAISE EXCEPTION 'never again' USING ERRCODE = 'ZG010';
			WHEN 'sleep' THEN PERFORM pg_sleep(60);
			WHEN 'die' THEN PERFORM pg_terminate_backend(pg_backend_pid());
			WHEN 'defer' THEN INSERT INTO consumer.handled (i, parent) VALUES ((body ->> 'i')::integer, 42);
			WHEN 'set' THEN PERFORM set_config('search_path', 'pg_temp', false);
			ELSE NULL;
		END CASE;
	END $$;
	SELECT goldenarch.subscribe('work', 'PRC', 'prc.work.*', 'consumer.handle', 3, '1 s', '{50 ms}');
	SELECT goldenarch.subscribe('escalations', 'ESCALATIONS', 'supervisor.escalation', 'consumer.handle', 1, '1 s');
});

# ---- a handler that fails ----
$s->sql(q{SELECT goldenarch.publish('prc.work.poison', '{"i": 1, "do": "fail"}', '{"Trace": "t-1"}')});
ok(letters("original_subject = 'prc.work.poison'"), 'a poison message is a dead letter');
is(letter("concat_ws('|', data, headers ->> 'Trace', error, error_count, source, origin, resolved)", "original_subject = 'prc.work.poison'"),
	'{"i": 1, "do": "fail"}|t-1|P0001: poison 1 DETAIL: on purpose|3|consume|work|f', 'whole, after its attempts');
is($s->sql("SELECT count(*) FROM consumer.handled"), 0, 'its effects were rolled back');
is($s->sql("SELECT last_value FROM consumer.outside"), 3, 'each of its attempts was made');
ok($s->poll("SELECT pending FROM goldenarch.bridge_status", 0), 'the copy is on its way');
my ($copy) = $n->messages('DLQ');
is("$copy->{subject} $copy->{data} $copy->{headers}{'Ga-Source'}", 'dlq.prc.work.poison {"i": 1, "do": "fail"} consume', 'a copy is on dlq.>');

# ---- retried while broken, then mended ----
my $id = letter('id', "original_subject = 'prc.work.poison'");
$s->sql("SELECT goldenarch.dlq_retry($id)");
ok(letters("id = $id AND error_count = 4 AND error LIKE 'P0001: poison 1%' AND retry_by IS NULL"), 'a retry that fails leaves the letter');
$s->sql(q{CREATE OR REPLACE FUNCTION consumer.handle(m goldenarch.message) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE body jsonb = convert_from(m.payload, 'UTF8');
	BEGIN
		IF body ->> 'do' = 'fail' THEN
			INSERT INTO consumer.handled (i, note) VALUES ((body ->> 'i')::integer, m.subject || ' ' || (m.headers ->> 'Trace'));
			RETURN;
		END IF;
		PERFORM nextval('consumer.outside');
		INSERT INTO consumer.handled (i, note) VALUES ((body ->> 'i')::integer, current_setting('search_path'));
		CASE body ->> 'do'
			WHEN 'refuse' THEN RAISE EXCEPTION 'never again' USING ERRCODE = 'ZG010';
			WHEN 'sleep' THEN PERFORM pg_sleep(60);
			WHEN 'die' THEN PERFORM pg_terminate_backend(pg_backend_pid());
			WHEN 'defer' THEN INSERT INTO consumer.handled (i, parent) VALUES ((body ->> 'i')::integer, 42);
			WHEN 'set' THEN PERFORM set_config('search_path', 'pg_temp', false);
			ELSE NULL;
		END CASE;
	END $$});
$s->sql("SELECT goldenarch.dlq_retry($id)");
ok(letters("id = $id AND resolved AND resolved_by = current_user AND resolution_notes = 'handled again'"), 'after the handler is mended a retry resolves it');
is($s->sql("SELECT string_agg(i || ' ' || note, ',') FROM consumer.handled"), '1 prc.work.poison t-1', 'with the effects of the handler, once');
like($s->fails("SELECT goldenarch.dlq_retry($id)"), qr/^55000/, 'a resolved letter cannot be retried');

# ---- SQLSTATE ZG010, the time limit, a deferred constraint, a message that kills its process ----
$s->sql(q{SELECT goldenarch.publish('prc.work.refuse', '{"i": 2, "do": "refuse"}')});
ok(letters("original_subject = 'prc.work.refuse' AND error = 'ZG010: never again' AND error_count = 1"), 'ZG010 is a dead letter at once');
$s->sql(q{SELECT goldenarch.publish('prc.work.sleep', '{"i": 3, "do": "sleep"}')});
ok(letters("original_subject = 'prc.work.sleep' AND error LIKE '57014: %' AND error_count = 3"), 'a handler is stopped at its time limit');
$s->sql(q{SELECT goldenarch.publish('prc.work.fine', jsonb_build_object('i', 100 + i,
	'do', CASE WHEN i = 5 THEN 'defer' ELSE 'nothing' END)) FROM generate_series(1, 10) i});
ok(letters("original_subject = 'prc.work.fine' AND data ->> 'i' = '105' AND error LIKE '23503: %'"), 'a commit that fails is put down to the message at fault');
ok($s->poll("SELECT count(*) FROM consumer.handled WHERE i BETWEEN 101 AND 110", 9), 'its neighbours are handled, once each');
$s->sql(q{SELECT goldenarch.publish('prc.work.die', '{"i": 4, "do": "die"}')});
ok(letters("original_subject = 'prc.work.die' AND error LIKE '%kill the process%' AND error_count = 3"), 'a message that kills its process is a dead letter');
$s->sql(q{SELECT goldenarch.publish('prc.work.after', '{"i": 200, "do": "set"}'), goldenarch.publish('prc.work.after', '{"i": 201}')});
ok($s->poll("SELECT count(*) FROM consumer.handled WHERE i IN (200, 201)", 2), 'work goes on after it');
is($s->sql("SELECT count(DISTINCT note) FROM consumer.handled WHERE i IN (200, 201)"), 1, 'what a handler SETs is not the next one\'s');

# ---- an escalation; bytes that are not JSON; a tenant; a second delivery ----
$s->sql(q{SELECT goldenarch.publish('supervisor.escalation', '{"i": 5, "do": "refuse"}')});
ok(letters("original_subject = 'supervisor.escalation'"), 'an escalation can be a dead letter');
ok($s->poll("SELECT count(*) FROM goldenarch.outbox WHERE subject = 'alerts.critical'", 1), 'and raises an alert');
my $seq = $n->publish('prc.work.raw', "\xff\x00\xfe", { 'Ga-Tenant' => 'acme' });
ok(letters("original_subject = 'prc.work.raw' AND tenant = 'acme' AND payload = '\\xff00fe' AND seq = $seq"),
	'bytes that are not JSON are kept as they are, in their tenant');
my $info = $n->request('$JS.API.STREAM.INFO.PRC');
$n->request('$JS.API.STREAM.UPDATE.PRC', JSON::PP::encode_json({ %{ $info->{config} }, duplicate_window => 100_000_000 }));
$n->publish('prc.work.twice', '{"i": 300}', { 'Nats-Msg-Id' => 'same' });
select undef, undef, undef, 0.5;
my $again = $n->publish('prc.work.twice', '{"i": 300}', { 'Nats-Msg-Id' => 'same' });
ok($again, 'a producer repeats a message beyond the window of the stream');
$s->sql(q{SELECT goldenarch.publish('prc.work.after', '{"i": 301}')});
ok($s->poll("SELECT count(*) FROM consumer.handled WHERE i = 301", 1), 'what follows it is handled');
is($s->sql("SELECT count(*) FROM consumer.handled WHERE i = 300"), 1, 'but the repeated one only once');

# ---- a handler of dead letters that fails itself ----
$s->sql("SET ROLE consumer; SELECT goldenarch.subscribe('letters', 'DLQ', 'dlq.prc.work.refuse', 'consumer.handle', 1, '1 s')");
ok(letters("original_subject = 'dlq.prc.work.refuse'"), 'a handler of dead letters that fails makes one letter');
is($s->sql("SELECT count(*) FROM goldenarch.outbox WHERE subject LIKE 'dlq.dlq.%'"), 0, 'and no copy that would come back to it');

# ---- what no stream takes ----
$s->sql(q{SELECT goldenarch.publish('nowhere.at.all', '{"i": 1}'), goldenarch.publish('nowhere.at.all', '{"i": 2}')});
ok($s->poll("SELECT parked FROM goldenarch.bridge_status", 2), 'a message that no stream takes is kept');
like($s->sql("SELECT last_error FROM goldenarch.bridge_status"), qr/nowhere\.at\.all: no stream/, 'and shown');
is($s->sql("SELECT status FROM goldenarch.health() WHERE component = 'nats'"), 'degraded', 'health is degraded');
$s->sql(q{SELECT goldenarch.publish('prc.work.after', '{"i": 302}')});
ok($s->poll("SELECT count(*) FROM consumer.handled WHERE i = 302", 1), 'others are not held up');
$n->request('$JS.API.STREAM.CREATE.NOWHERE', JSON::PP::encode_json({ name => 'NOWHERE', subjects => ['nowhere.>'], storage => 'file' }));
ok($s->poll("SELECT parked FROM goldenarch.bridge_status", 0, 30), 'once a stream takes it, it is published');
is(join(',', map { $_->{data} } $n->messages('NOWHERE')), '{"i": 1},{"i": 2}', 'in order');
$s->sql(q{SELECT goldenarch.publish('gone.for.good', '{"i": 1}', '{"H": "v"}')});
ok($s->poll("SELECT count(*) FROM goldenarch.dlq_messages WHERE source = 'publish'
	AND original_subject = 'gone.for.good' AND headers = '{\"H\": \"v\"}'", 1, 60),
	'past its attempts it is a dead letter');
$n->request('$JS.API.STREAM.CREATE.GONE', JSON::PP::encode_json({ name => 'GONE', subjects => ['gone.>'], storage => 'file' }));
is($s->sql("SELECT goldenarch.dlq_retry_all('gone.%')"), 1, 'retried');
ok($s->poll("SELECT pending FROM goldenarch.bridge_status", 0), 'it is published again');
is(join(',', map { "$_->{data} $_->{headers}{H}" } $n->messages('GONE')), '{"i": 1} v', 'whole');

# ---- the end of a subscription ----
$s->sql("SET ROLE consumer; SELECT goldenarch.unsubscribe('work'); SELECT goldenarch.unsubscribe('escalations'); SELECT goldenarch.unsubscribe('letters')");
my $names = '';
for (1 .. 50)
{
	$names = join ',', @{ $n->request('$JS.API.CONSUMER.NAMES.PRC')->{consumers} // [] };
	last if $names eq '';
	select undef, undef, undef, 0.1;
}
is($names, '', 'its consumer is deleted');
ok($s->poll("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'goldenarch handler'", 0), 'and its process ends');
unlike($s->server_log, qr/terminated by signal|PANIC/, 'nothing crashed');
done_testing();
