# SPDX-License-Identifier: PostgreSQL
# What must hold of every object in the catalog, and of every function that names a permission: who
# has none is refused, before anything is said about the arguments. Of what PUBLIC may call, nothing.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;

my $s = GoldenArch::Stack->new(preload => 1, workers => 0, set => { max_worker_processes => 64 });

sub none
{
	my ($query, $what) = @_;
	is($s->sql($query), '', $what);
	return;
}

my $ours = "pronamespace = 'goldenarch'::regnamespace";
my $relations = "relnamespace = 'goldenarch'::regnamespace";
none("SELECT oid::regprocedure FROM pg_proc WHERE $ours AND prosecdef", 'no SECURITY DEFINER');
none("SELECT oid::regprocedure FROM pg_proc WHERE $ours AND prolang NOT IN (SELECT oid FROM pg_language
	WHERE lanname IN ('c', 'sql'))", 'only C and SQL');
none("SELECT oid::regprocedure FROM pg_proc WHERE $ours AND obj_description(oid, 'pg_proc') IS NULL",
	'every function has a COMMENT');
none("SELECT oid::regprocedure FROM pg_proc WHERE $ours AND prorettype <> 'trigger'::regtype
	AND obj_description(oid, 'pg_proc') !~ 'Permission: (none|[a-z_]+\\.[a-z_]+)\\.\\s*\$'",
	'every COMMENT ends with the permission');
none("SELECT oid::regclass FROM pg_class WHERE $relations AND relkind IN ('r', 'p', 'v') AND NOT relispartition
	AND obj_description(oid, 'pg_class') IS NULL", 'every table and view has a COMMENT');
none("SELECT oid::regclass FROM pg_class WHERE $relations AND relkind = 'v' AND NOT (coalesce(reloptions, '{}')
	\@> '{security_invoker=true,security_barrier=true}')", 'every view is a security invoker and a barrier');
none("SELECT c.oid::regclass FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attname = 'tenant'
	WHERE $relations AND relkind IN ('r', 'p') AND NOT relispartition AND NOT (relkind = 'p' AND relrowsecurity AND
	relforcerowsecurity AND EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid))",
	'every tenant table has its policy, forced');
none("SELECT c.oid::regclass FROM pg_class c WHERE $relations AND relispartition
	AND relname LIKE '%\\_rows' AND relkind = 'r'
	AND c.oid <> ALL (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'goldenarch')
	AND pg_get_partition_constraintdef(c.oid) IS NULL", 'every partition that holds rows is dumped');
none("SELECT conrelid::regclass, conname FROM pg_constraint WHERE connamespace = 'goldenarch'::regnamespace
	AND condeferrable", 'no deferrable constraint');
none("SELECT oid::regprocedure FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) a WHERE $ours
	AND a.grantee = 0 AND provolatile = 'v' AND proname NOT IN ('authenticate', 'logout') AND prorettype <> 'trigger'::regtype
	AND coalesce(obj_description(oid, 'pg_proc'), '') ~ 'Permission: none\\.\\s*\$'",
	'PUBLIC calls nothing that changes state without a permission, but to say who it is');

# Every function that names a permission, called by nobody with nothing.
$s->sql('CREATE ROLE nobody LOGIN; GRANT USAGE ON SCHEMA goldenarch TO nobody;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA goldenarch TO nobody');
my $calls = $s->sql(<<"SQL");
SELECT format('SELECT * FROM goldenarch.%I(%s)', proname, (SELECT string_agg(
	CASE WHEN provariadic <> 0 AND i = pronargs THEN 'VARIADIC ' ELSE '' END
	|| format('NULL::%s', format_type(proargtypes[i - 1], NULL)), ', ' ORDER BY i) FROM generate_series(1, pronargs) i))
FROM pg_proc WHERE $ours AND prorettype <> 'trigger'::regtype
AND obj_description(oid, 'pg_proc') ~ 'Permission: [a-z_]+\\.[a-z_]+\\.\\s*\$'
ORDER BY proname COLLATE "C", oid
SQL
my $session = $s->session(user => 'nobody');
my $count = 0;
for my $call (split /\n/, $calls)
{
	$session->query($call);
	like($session->error, qr/^42501: /, $call);
	$count++;
}
cmp_ok($count, '>', 0, "functions were called: $count");
is($s->sql("SELECT count(*) > 0 FROM goldenarch.audit_log WHERE outcome = 'denied'
	AND details->>'pg_role' = 'nobody'"), 't',
	'and the denials are on disk');

# The same for every function: no argument at all must crash nobody's server, also as a superuser.
my $everything = $s->sql(<<"SQL");
SELECT format('SELECT * FROM goldenarch.%I(%s)', proname, (SELECT string_agg(
	CASE WHEN provariadic <> 0 AND i = pronargs THEN 'VARIADIC ' ELSE '' END
	|| format('NULL::%s', format_type(proargtypes[i - 1], NULL)), ', ' ORDER BY i) FROM generate_series(1, pronargs) i))
FROM pg_proc WHERE $ours AND prorettype <> 'trigger'::regtype ORDER BY proname COLLATE "C", oid
SQL
my $admin = $s->session;
for my $call (split /\n/, $everything)
{
	$admin->query("BEGIN; SET LOCAL statement_timeout = '3s'; $call; ROLLBACK");
	unlike($admin->error, qr/^XX/, "with NULLs: $call");
	$admin->query('ROLLBACK');
}
unlike($s->server_log, qr/terminated by signal|PANIC|TRAP/, 'the server did not crash');
done_testing();
