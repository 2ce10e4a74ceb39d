# SPDX-License-Identifier: PostgreSQL
# The owner of the tables puts nulls where none may be: what reads them answers or raises an error,
# and the server lives on.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;

my $s = GoldenArch::Stack->new(preload => 1, workers => 0);
$s->sql(<<'SQL');
CREATE ROLE app LOGIN;
SELECT goldenarch.grant_access('app', 'app'), goldenarch.map_role('app', 'alice', '{developer}', 'acme');
SELECT goldenarch.add_jwt_key('k', 'HS256', 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0', can_sign => true);
SELECT goldenarch.set_rate_limit('r', '30/minute'), goldenarch.set_breaker('b'), goldenarch.set_budget('acme', 100);
INSERT INTO goldenarch.dead_letters (tenant, id, source, subject, payload, headers, error, error_count, created_at, origin)
	VALUES ('acme', 1, 'publish', 'a.b', '', '{}', 'e', 1, now(), 'x');
SQL
my $token = $s->sql("SELECT goldenarch.issue_jwt('alice', 'developer', 'acme')");

# table, column, what it holds instead, key that must go, the call
my $app = 'SET LOCAL ROLE app;';
my @attacks = (
	['roles', 'permissions', "'{NULL}'", '', "$app SELECT goldenarch.has_permission('task.view')"],
	['roles', 'permissions', "'{NULL}'", '', "$app SELECT goldenarch.explain_permission('task.view')"],
	['roles', 'inherits', "'{NULL}'", '', "$app SELECT * FROM goldenarch.whoami()"],
	['role_mappings', 'subject', 'NULL', '', "$app SELECT * FROM goldenarch.whoami()"],
	['role_mappings', 'roles', "'{NULL}'", '', "$app SELECT goldenarch.has_permission('task.view')"],
	['role_mappings', 'roles', 'NULL', '', "$app SELECT goldenarch.has_permission('task.view')"],
	['access_grants', 'access', 'NULL', 'access_grants_pkey', 'SELECT goldenarch.repair_grants()'],
	['access_grants', 'pg_role', 'NULL', 'access_grants_pkey', 'SELECT goldenarch.repair_grants()'],
	['rate_limits', 'rate', 'NULL', '', "SELECT goldenarch.rate_limit('r')"],
	['breaker_settings', 'name', 'NULL', 'breaker_settings_pkey', 'SELECT * FROM goldenarch.circuit_breakers'],
	['breaker_settings', 'name', 'NULL', 'breaker_settings_pkey', 'SELECT * FROM goldenarch.run_maintenance()'],
	['jwt_keys', 'alg', 'NULL', '', "SELECT goldenarch.authenticate('$token')"],
	['jwt_keys', 'verify_key', 'NULL', '', "SELECT goldenarch.authenticate('$token')"],
	['jwt_keys', 'kid', 'NULL', 'jwt_keys_pkey', "SELECT goldenarch.issue_jwt('x', 'developer')"],
	['budgets', 'period', 'NULL', '', "SELECT goldenarch.request_tokens('acme', 'r1', 10)"],
	['dead_letters', 'subject', 'NULL', '', 'SELECT goldenarch.dlq_retry(1)'],
	['dead_letters', 'payload', 'NULL', '', 'SELECT goldenarch.dlq_retry(1)'],
	['dead_letters', 'source', 'NULL', '', 'SELECT goldenarch.dlq_retry(1)'],
	['dead_letters', 'origin', "NULL, source = 'task'", '', 'SELECT goldenarch.dlq_retry(1)'],
);
my $session = $s->session;
for my $attack (@attacks)
{
	my ($table, $column, $value, $key, $call) = @$attack;
	$session->query('BEGIN');
	$session->query("ALTER TABLE goldenarch.$table DROP CONSTRAINT $key CASCADE") if $key;
	$session->query("ALTER TABLE goldenarch.$table ALTER COLUMN $column DROP NOT NULL; UPDATE goldenarch.$table SET $column = $value");
	is($session->error, '', "$table.$column is now $value");
	my $lives = eval { $session->query($call); $session->query('ROLLBACK'); 1 };
	ok($lives, "and the server survives $call") or last;
}
unlike($s->server_log, qr/terminated by signal/, 'no process crashed');
done_testing;
