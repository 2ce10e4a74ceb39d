# SPDX-License-Identifier: PostgreSQL
# An open circuit stays open over a restart and over kill -9; its settings reach our own workers.
# Without preload there are no limits and no breakers, and the error says how to get them; budgets
# work all the same.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;

my $s = GoldenArch::Stack->new(preload => 1, durable => 1, set => { 'goldenarch.max_breakers' => 8 });
$s->sql("SELECT goldenarch.set_breaker('llm', failure_threshold => 1, recovery_timeout => '1 hour'),
	goldenarch.set_breaker('other', failure_threshold => 1, recovery_timeout => '1 hour')");
is($s->sql("SELECT goldenarch.breaker_failure('llm')"), 'open', 'one failure opens it');
ok($s->poll("SELECT count(*) = 1 FROM goldenarch.breaker_states"), 'maintenance writes it down');
my $opened = $s->sql("SELECT opened_at FROM goldenarch.circuit_breakers WHERE name = 'llm'");
$s->restart;
is($s->sql("SELECT goldenarch.breaker_allow('llm')"), 'f', 'still open after a restart');
is($s->sql("SELECT opened_at FROM goldenarch.circuit_breakers WHERE name = 'llm'"), $opened, 'since when it opened');
like($s->fails("SELECT goldenarch.require_breaker('llm')"), qr/^ZG003/, 'and says so');
$s->crash;
$s->start;
ok($s->poll("SELECT state = 'open' FROM goldenarch.circuit_breakers WHERE name = 'llm'"),
	'taken up after kill -9, before anybody asks');
is($s->sql("SELECT goldenarch.breaker_allow('other')"), 't', 'what was closed is closed');
$s->sql("SELECT goldenarch.breaker_reset('llm')");
ok($s->poll("SELECT count(*) = 0 FROM goldenarch.breaker_states"), 'what is closed is no longer written down');
$s->restart;
is($s->sql("SELECT goldenarch.breaker_allow('llm')"), 't', 'closed after the next restart');
# The table is full of breakers of another database; it is dropped, and they make room.
$s->sql('CREATE DATABASE other');
$s->sql("CREATE EXTENSION goldenarch; SELECT goldenarch.breaker_allow('b' || i) FROM generate_series(1, 6) i",
	database => 'other');
like($s->fails("SELECT goldenarch.breaker_allow('c' || i) FROM generate_series(1, 6) i"), qr/^53400/, 'a full table refuses');
$s->sql('DROP DATABASE other WITH (FORCE)');
ok($s->poll("SELECT bool_and(goldenarch.breaker_allow('c' || i)) FROM generate_series(1, 6) i"),
	'breakers go with their database');
$s->destroy;

my $bare = GoldenArch::Stack->new(preload => 0);
for my $call (
	"rate_limit()", "require_rate()", "set_rate_limit('a', '1/s')", "breaker_allow('a')", "require_breaker('a')",
	"breaker_success('a')", "breaker_failure('a')", "set_breaker('a')", "breaker_reset('a')", "breaker_reset_all()")
{
	like($bare->fails("SELECT goldenarch.$call"), qr/^55000: .* need goldenarch in shared_preload_libraries/,
		"$call needs preload");
}
like($bare->fails('SELECT * FROM goldenarch.circuit_breakers'), qr/^55000/, 'so does the view');
$bare->sql("SELECT goldenarch.set_budget('acme', 100)");
is($bare->sql("SELECT approved, available FROM goldenarch.request_tokens('acme', 'r', 60)"), 't|40', 'budgets need none');
is($bare->sql("SELECT approved FROM goldenarch.request_tokens('acme', 's', 60)"), 'f', 'and refuse');
done_testing();
