# SPDX-License-Identifier: PostgreSQL
# Attackers with a SQL prompt, with the database, with a connection to NATS: none gets the rights of
# another, a message lost, or a process that cannot be stopped.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use GoldenArch::Stack;
use GoldenArch::Nats;

my $s = GoldenArch::Stack->new(preload => 1, nats => 1, database => 'app', extension => 0);
$s->sql('CREATE ROLE dbowner LOGIN; CREATE ROLE joe LOGIN; CREATE ROLE app LOGIN; ALTER DATABASE app OWNER TO dbowner');
my %owner = (user => 'dbowner');
my %app = (user => 'app');
$s->sql('CREATE EXTENSION goldenarch', %owner);
$s->sql("SELECT goldenarch.grant_access('app', 'app');
	SELECT goldenarch.add_jwt_key('k', 'HS256', 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0', can_sign => true)", %owner);
my $n = GoldenArch::Nats->new($s->nats_url);
ok($s->poll("SELECT count(*) FROM goldenarch.bridge_status WHERE state = 'connected'", 1, 30), 'the bridge is up');

# ---- a "token" of stars: the text that hides a token must end ----
{
	my $started = time;
	like($s->fails("SET statement_timeout = '5s'; SELECT goldenarch.authenticate('************')", %app, timeout => 20),
		qr/^28000/, 'a token of stars is refused');
	cmp_ok(time - $started, '<', 5, 'at once');
}

# ---- the owner of the table of subscriptions names another's role ----
$s->sql(<<'SQL', %owner);
CREATE TABLE public.ran_as (who text, subject text, m text);
GRANT SELECT, INSERT ON public.ran_as TO PUBLIC;
CREATE FUNCTION public.spring(m goldenarch.message) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.ran_as VALUES (current_user, (goldenarch.whoami()).subject, convert_from(m.payload, 'UTF8'));
END $$;
SELECT goldenarch.subscribe('own', 'PRC', 'prc.own.*', 'public.spring', backoff => '{100 ms}');
INSERT INTO goldenarch.subscriptions (name, stream, subject, handler, pg_role, max_deliver, ack_wait, batch, durable, ack_floor, created_by, created_at)
SELECT 'evil_' || r, 'PRC', 'prc.evil.*', 'public.spring', r, 1, '5 s', 10, 'evil_' || r, 0, 'x', now()
FROM unnest(ARRAY['postgres', 'joe']) r;
SQL
$s->sql(q{SELECT goldenarch.publish('prc.own.a', '1'), goldenarch.publish('prc.evil.a', '2')}, %owner);
ok($s->poll("SELECT count(*) FROM public.ran_as WHERE who = 'dbowner'", 1, 30), 'a handler of his own runs');
ok($s->poll("SELECT count(*) FROM goldenarch.dead_letters_rows WHERE subject = 'prc.evil.a'", 2, 30), 'the others are dead letters');
is($s->sql("SELECT string_agg(DISTINCT who, ' ') FROM public.ran_as"), 'dbowner', 'nobody else is made to run it');

# ---- an empty message that calls itself a status ----
$n->publish('prc.own.b', '', { Status => '503' });
ok($s->poll("SELECT count(*) FROM public.ran_as WHERE m = ''", 1, 15), 'a message with a header Status is handled');

# ---- one handler's token is not the next one's, in one transaction as in two ----
$s->sql(<<'SQL', %owner);
CREATE FUNCTION public.act(m goldenarch.message) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	body jsonb := convert_from(m.payload, 'UTF8');
BEGIN
	IF body ? 'token' THEN
		PERFORM goldenarch.authenticate(body ->> 'token');
	END IF;
	IF body ? 'fail' AND m.delivered = 1 THEN
		RAISE EXCEPTION 'not yet';
	END IF;
	INSERT INTO public.ran_as VALUES (txid_current()::text, (goldenarch.whoami()).subject, body ->> 'm');
END $$;
SQL
my $token = $s->sql("SELECT goldenarch.issue_jwt('alice', 'developer', 'acme')", %owner);
$s->sql("SELECT goldenarch.publish('prc.act.a', jsonb_build_object('m', 't' || i) ||
	CASE WHEN i % 2 = 0 THEN '{}'::jsonb ELSE jsonb_build_object('token', '$token') END || CASE i WHEN 21 THEN '{\"fail\": 1}'::jsonb ELSE '{}' END)
	FROM generate_series(1, 40) i", %owner);
ok($s->poll('SELECT pending FROM goldenarch.bridge_status', 0, 20), 'forty messages wait in the stream');
$s->sql("SELECT goldenarch.subscribe('act', 'PRC', 'prc.act.*', 'public.act', backoff => '{100 ms}', ack_wait => '20 s')", %owner);
ok($s->poll("SELECT count(*) FROM public.ran_as WHERE m LIKE 't%'", 40, 30), 'and are handled');
is($s->sql("SELECT bool_or(mixed) FROM (SELECT count(DISTINCT subject) = 2 AS mixed FROM public.ran_as WHERE m LIKE 't%' GROUP BY who) t"),
	't', 'those with a token and those without in one transaction');
is($s->sql("SELECT string_agg(DISTINCT substr(m, 2)::int % 2 || ' ' || subject, ',') FROM public.ran_as WHERE m LIKE 't%'"),
	'0 dbowner,1 alice', 'each acts as its own token says, or as its role');

# ---- what is acknowledged is on disk ----
sub acked
{
	my $info = $n->request('$JS.API.CONSUMER.INFO.PRC.' . $s->sql("SELECT durable FROM goldenarch.subscriptions WHERE name = 'own'"));
	return $info->{num_pending} == 0 && $info->{num_ack_pending} == 0;
}
$s->sql('ALTER SYSTEM SET synchronous_commit = off');
$s->sql("ALTER SYSTEM SET wal_writer_delay = '10s'");
$s->sql('SELECT pg_reload_conf()');
sleep 1;
$n->publish('prc.own.c', 'kept');
ok($s->poll("SELECT count(*) FROM public.ran_as WHERE m = 'kept'", 1, 20), 'handled with synchronous_commit off');
for (1 .. 50) { last if acked(); select undef, undef, undef, 0.1; }
ok(acked(), 'and acknowledged');
$s->crash;
$s->start;
is($s->sql("SELECT count(*) FROM public.ran_as WHERE m = 'kept'"), 1, 'so its effects outlive a crash');

# ---- an approval that another released is none, however old the snapshot ----
$s->sql("SELECT goldenarch.set_budget('acme', 100)", %owner);
my $old = $s->session(%owner);
$s->sql("SELECT goldenarch.request_tokens('acme', 'r1', 100)", %owner);
$old->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class');
$s->sql("SELECT goldenarch.release_reservation('r1', 'acme')", %owner);
is($s->sql("SELECT approved FROM goldenarch.request_tokens('acme', 'r2', 100)", %owner), 't', 'the tokens go to another');
is($old->query("SELECT approved FROM goldenarch.request_tokens('acme', 'r1', 100)") . $old->error, 'f',
	'and the old snapshot does not approve them a second time');
$old->query('ROLLBACK');
$old->close;

# ---- a dead letter that breaks the view of all ----
for my $body ('1e99999', '"\u0000"', '"\ud800"', "\xff\xfe", '[' x 10000, '1' x 2000)
{
	my $hex = unpack 'H*', $body;
	is($s->fails("SELECT goldenarch.payload_json('\\x$hex')"), '', 'any payload can be shown: ' . substr($hex, 0, 20));
}
diag grep { /terminated by signal|PANIC|TRAP/ } split /\n/, $s->server_log;
done_testing;
