# SPDX-License-Identifier: PostgreSQL
# A database owner without superuser rights, on a server that preloads nothing, installs, uses and
# drops the extension; what others planted beforehand gains nothing.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;

my $s = GoldenArch::Stack->new(extension => 0);
$s->sql('CREATE ROLE dbowner LOGIN; CREATE ROLE joe LOGIN; CREATE ROLE evil LOGIN');
$s->sql('CREATE DATABASE managed OWNER dbowner', database => 'postgres');
my %owner = (user => 'dbowner', database => 'managed');
my %super = (database => 'managed');

# What is planted before: a schema of our name, operators that shadow, default privileges.
$s->sql('CREATE SCHEMA goldenarch', %owner);
like($s->fails('CREATE EXTENSION goldenarch', %owner), qr/^42P06: schema "goldenarch" already exists/,
	'a planted schema is not adopted');
$s->sql('DROP SCHEMA goldenarch', %owner);
$s->sql(<<'SQL', %owner);
GRANT CREATE ON SCHEMA public TO PUBLIC;
CREATE FUNCTION public.trap(text, text) RETURNS boolean LANGUAGE plpgsql AS
	$$ BEGIN ALTER ROLE dbowner SUPERUSER; RETURN true; END $$;
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.trap);
ALTER DATABASE managed SET search_path = public, pg_catalog;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO evil;
SQL
$s->sql('ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO evil;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO evil;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO evil', %super);
$s->sql('CREATE EXTENSION goldenarch', %owner);
is($s->sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'dbowner'"), 'f', 'planted operators did not run as superuser');
$s->sql('ALTER DATABASE managed RESET search_path', %owner);
is($s->sql("SELECT count(*) FROM pg_class c, aclexplode(c.relacl) a WHERE relnamespace = 'goldenarch'::regnamespace
	AND a.grantee = 'evil'::regrole", %super), 0, 'default privileges on tables and sequences are stripped');
is($s->sql("SELECT count(*) FROM pg_proc p, aclexplode(p.proacl) a WHERE pronamespace = 'goldenarch'::regnamespace
	AND a.grantee = 'evil'::regrole", %super), 0, 'default privileges on functions are stripped');

# Who owns what.
is($s->sql("SELECT string_agg(DISTINCT relowner::regrole::text, ',') FROM pg_class
	WHERE relnamespace = 'goldenarch'::regnamespace AND relkind IN ('r', 'p', 'S')", %super), 'dbowner',
	'tables and sequences belong to the owner');
is($s->sql("SELECT string_agg(DISTINCT proowner::regrole::text, ',') FROM pg_proc
	WHERE pronamespace = 'goldenarch'::regnamespace", %super), 'postgres', 'functions stay with the bootstrap superuser');
is($s->sql("SELECT count(*) FROM pg_proc WHERE pronamespace = 'goldenarch'::regnamespace AND prosecdef", %super), 0,
	'no SECURITY DEFINER');
is($s->sql("SELECT string_agg(relname, ',') FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attname = 'tenant'
	WHERE relnamespace = 'goldenarch'::regnamespace AND relkind = 'p' AND NOT (relrowsecurity AND relforcerowsecurity)",
	%super), '', 'every partitioned tenant table has forced row security');
like($s->fails("ALTER FUNCTION goldenarch.audit(text, text, text, jsonb) SECURITY DEFINER", %owner), qr/^42501/,
	'the owner cannot alter a C function');

# It works: the owner is admin, anybody else is anonymous; a denial outlives its transaction.
is($s->sql("SELECT goldenarch.audit('ship', 'order', '42') > 0", %owner), 't', 'the owner writes an audit row');
$s->sql('GRANT USAGE ON SCHEMA goldenarch TO joe; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA goldenarch TO joe', %owner);
like($s->fails('BEGIN; SELECT goldenarch.audit_entry(1); COMMIT', user => 'joe', database => 'managed'),
	qr/^42501/, 'an unmapped role is anonymous');
is($s->sql("SELECT subject || ' ' || (details->>'pg_role') FROM goldenarch.audit_log WHERE outcome = 'denied'", %owner),
	'anonymous joe',
	'the denial is on disk without preload');

$s->sql('DROP EXTENSION goldenarch', %owner);
is($s->sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'goldenarch'", %super), 0, 'the owner drops it');
unlike($s->server_log, qr/terminated by signal|PANIC/, 'the server did not crash');
done_testing();
