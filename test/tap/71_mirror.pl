# SPDX-License-Identifier: PostgreSQL
# The mirror of budget states in a real Redis: committed states only, with a time to live; Redis may
# go and come back, and no answer in SQL depends on it.
use strict;
use warnings;
use Test::More;
use JSON::PP qw(decode_json);
use Time::HiRes qw(sleep time);
use GoldenArch::Stack;

my $s = GoldenArch::Stack->new(preload => 1, redis => 1);

sub state_of
{
	my ($budget) = @_;
	my $json = eval { $s->redis('GET', "budget:state:$budget") } // '';
	return $json eq '' ? undef : decode_json($json);
}

# Until the mirrored member is that.
sub mirrored
{
	my ($budget, $member, $value) = @_;
	my $state;
	for (1 .. 200)
	{
		$state = state_of($budget);
		return 1 if defined $state && $state->{$member} == $value;
		sleep 0.05;
	}
	return 0;
}

sub health { return $s->poll("SELECT status FROM goldenarch.health() WHERE component = 'redis'", $_[0], 10); }

$s->sql("SELECT goldenarch.set_budget('acme', 1000), goldenarch.set_budget('acme/chat', 400, 'day')");
ok(mirrored('acme:acme', 'available', 1000), 'a budget is mirrored');
my $state = state_of('acme:acme/chat');
is(join(',', map { "$_=" . ($state->{$_} // 'null') } qw(budget tenant period total_limit current_usage reserved available)),
	'budget=acme/chat,tenant=acme,period=day,total_limit=400,current_usage=0,reserved=0,available=400', 'with its whole state');
like($state->{as_of}, qr/^\d{4}-/, 'and the time of the reading');
my $ttl = $s->redis('PTTL', 'budget:state:acme:acme');
ok($ttl > 0 && $ttl <= 60_000, 'and a time to live');
ok(health('ok'), 'health is ok');
is($s->sql('SELECT mirror_state FROM goldenarch.bridge_status'), 'connected', 'bridge_status says so too');

# Only what committed.
my $open = $s->session;
$open->query("BEGIN; SELECT * FROM goldenarch.request_tokens('acme/chat', 'r1', 100)");
sleep 1;
is(state_of('acme:acme/chat')->{available}, 400, 'an open transaction is not seen');
my $before = time;
$open->query('COMMIT');
ok(mirrored('acme:acme/chat', 'available', 300), 'its commit is');
cmp_ok(time - $before, '<', 3, 'soon');
ok(mirrored('acme:acme', 'reserved', 100), 'at every level of the path');
$open->query("BEGIN; SELECT * FROM goldenarch.request_tokens('acme/chat', 'r2', 100); ROLLBACK");
$open->query("SELECT * FROM goldenarch.commit_usage('r1', 60)");
ok(mirrored('acme:acme/chat', 'current_usage', 60), 'a settlement is seen');
is(state_of('acme:acme/chat')->{available}, 340, 'a rollback never was');

# Redis goes: SQL goes on; Redis comes back empty: everything is there again.
$s->stop_service('redis', 'KILL');
ok(health('down'), 'health says that Redis is down');
is($open->query("SELECT approved FROM goldenarch.request_tokens('acme/chat', 'r3', 40)"), 't', 'budgets are granted without Redis');
$s->start_service('redis');
ok(mirrored('acme:acme/chat', 'available', 300), 'what happened meanwhile is mirrored');
ok(mirrored('acme:acme', 'available', 900), 'and what did not change, too');
ok(health('ok'), 'health is ok again');

# The worker ends and comes back.
$s->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'goldenarch mirror'");
$s->sql("SELECT goldenarch.set_budget('acme', 2000)");
ok(mirrored('acme:acme', 'total_limit', 2000), 'after the worker is terminated, another goes on');

# A wrong address: said so, retried when the setting changes.
$s->sql("ALTER SYSTEM SET goldenarch.redis_url = 'http://nowhere'");
$s->sql('SELECT pg_reload_conf()');
ok(health('down'), 'an address that makes no sense is an error');
like($s->sql('SELECT mirror_error FROM goldenarch.bridge_status'), qr/redis_url is not redis:/, 'that says what is expected');
$s->sql('ALTER SYSTEM RESET goldenarch.redis_url');
$s->sql('SELECT pg_reload_conf()');
ok(health('ok'), 'and mends with the setting');
unlike($s->server_log, qr/terminated by signal|PANIC/, 'nothing crashed');
done_testing();
