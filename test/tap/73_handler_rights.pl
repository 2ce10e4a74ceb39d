# SPDX-License-Identifier: PostgreSQL
# Handlers run in processes connected as other roles, superusers among them, on the word of tables
# that the database's owner can write. He gains nothing by that.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;

my $s = GoldenArch::Stack->new(preload => 1, nats => 1, extension => 0, set => { 'goldenarch.databases' => 'app,owned' });
my %in = (database => 'owned');
my %dbo = (%in, user => 'dbo');
$s->sql('CREATE ROLE dbo LOGIN CREATEDB');
$s->sql('CREATE DATABASE owned OWNER dbo');
$s->sql('CREATE EXTENSION goldenarch', %dbo);
$s->sql(q{
	CREATE SCHEMA app;
	CREATE TABLE app.ran (who text, what text);
	CREATE FUNCTION app.steal() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		BEGIN
			ALTER ROLE dbo SUPERUSER;
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
		INSERT INTO app.ran VALUES (current_user, 'trigger');
		RETURN NULL;
	END $$;
	CREATE FUNCTION app.evil(m goldenarch.message) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO app.ran VALUES (current_user, 'evil');
		ALTER ROLE dbo SUPERUSER;
	END $$;
}, %dbo);

# A forged row: the superuser never subscribed.
$s->sql(q{
	INSERT INTO goldenarch.subscriptions (name, stream, subject, handler, pg_role, max_deliver, ack_wait, batch, durable, ack_floor, created_by, created_at)
	VALUES ('forged', 'PRC', 'prc.forged.*', 'app.evil', 'postgres', 1, '5 s', 10, 'forged_1', 0, 'postgres', now());
	SELECT goldenarch.publish('prc.forged.x', '{}');
}, %dbo);
ok($s->poll("SELECT count(*) FROM goldenarch.dlq_messages WHERE origin = 'forged' AND error LIKE '42501: handler app.evil does not belong%'", 1, 30, %dbo),
	'a forged subscription does not run as the role it names');
is($s->sql('SELECT count(*) FROM app.ran', %dbo), 0, 'not even once');
like($s->fails(q{SELECT goldenarch.subscribe('evil', 'PRC', 'prc.evil.*', 'app.evil')}, %in), qr/^55000: .*does not belong/,
	'a superuser is told so when he subscribes another\'s function');

# A true subscription of the superuser; the owner's triggers on our tables, deferred ones included.
$s->sql(q{
	CREATE FUNCTION app.fine(m goldenarch.message) RETURNS void LANGUAGE sql AS $$ INSERT INTO app.ran VALUES (current_user, 'fine') $$;
	SELECT goldenarch.subscribe('fine', 'PRC', 'prc.fine.*', 'app.fine', 50, '1 s');
}, %in);
$s->sql("SELECT goldenarch.publish('prc.fine.a', '{}')", %dbo);
ok($s->poll("SELECT string_agg(who, ',') FROM app.ran WHERE what = 'fine'", 'postgres', 30, %dbo), 'a superuser\'s own handler runs as he');
$s->sql(q{
	CREATE TRIGGER steal AFTER INSERT OR UPDATE OR DELETE ON goldenarch.inbox FOR EACH ROW EXECUTE FUNCTION app.steal();
	CREATE TRIGGER steal AFTER INSERT OR UPDATE OR DELETE ON goldenarch.delivery_attempts FOR EACH ROW EXECUTE FUNCTION app.steal();
	CREATE TRIGGER steal AFTER INSERT OR UPDATE OR DELETE ON goldenarch.outbox_batches FOR EACH ROW EXECUTE FUNCTION app.steal();
	SELECT goldenarch.publish('prc.fine.b', '{}');
}, %dbo);
ok($s->poll("SELECT count(*) FROM app.ran WHERE what = 'fine'", 2, 30, %dbo), 'work goes on under the owner\'s triggers');
ok($s->poll("SELECT count(*) > 0 FROM app.ran WHERE what = 'trigger'", 't', 30, %dbo), 'which do fire');
is($s->sql("SELECT string_agg(DISTINCT who, ',') FROM app.ran WHERE what = 'trigger'", %dbo), 'dbo', 'as their owner');
$s->sql(q{
	DROP TRIGGER steal ON goldenarch.inbox;
	CREATE CONSTRAINT TRIGGER steal AFTER INSERT ON goldenarch.inbox DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.steal();
	SELECT goldenarch.publish('prc.fine.c', '{}');
}, %dbo);
ok($s->poll("SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'goldenarch handler'", 't', 30, %in), 'a deferred trigger');
select undef, undef, undef, 3;
is($s->sql("SELECT string_agg(DISTINCT who, ',') FROM app.ran WHERE what = 'trigger'", %dbo), 'dbo', 'runs as nobody else either');
$s->sql('DROP TRIGGER steal ON goldenarch.inbox', %dbo);
ok($s->poll("SELECT count(*) FROM app.ran WHERE what = 'fine'", 3, 30, %dbo), 'and once it is gone the message is handled');
is($s->sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'dbo'", %dbo), 'f', 'the owner gained nothing');
unlike($s->server_log, qr/terminated by signal|PANIC/, 'nothing crashed');
done_testing();
