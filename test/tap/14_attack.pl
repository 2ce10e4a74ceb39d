# SPDX-License-Identifier: PostgreSQL
# An owner of the extension who wants to be superuser: whatever he plants on his tables runs as
# himself, in functions that a superuser calls as in workers that connect as one. And whatever a
# table or an argument holds, the server does not crash.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;

my $s = GoldenArch::Stack->new(extension => 0, preload => 1, database => 'managed');
$s->sql('CREATE ROLE dbowner LOGIN; CREATE ROLE joe LOGIN; CREATE ROLE nobody_special LOGIN;
	ALTER DATABASE managed OWNER TO dbowner; GRANT CREATE ON SCHEMA public TO dbowner');
my %owner = (user => 'dbowner');
$s->sql('CREATE EXTENSION goldenarch', %owner);

# The trap: takes the chance, swallows the refusal, leaves a mark of whom it ran as.
$s->sql(<<'SQL', %owner);
CREATE TABLE public.ran_as (who text, what text);
GRANT INSERT ON public.ran_as TO PUBLIC;
CREATE FUNCTION public.spring(what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		EXECUTE 'ALTER ROLE dbowner SUPERUSER';
	EXCEPTION WHEN OTHERS THEN
		NULL;
	END;
	INSERT INTO public.ran_as VALUES (current_user, what);
	RETURN true;
END $$;
CREATE FUNCTION public.spring_trigger() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN PERFORM public.spring('trigger ' || TG_ARGV[0]); RETURN COALESCE(NEW, OLD); END $$;
SQL

sub powerless
{
	my ($name) = @_;
	is($s->sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'dbowner'"), 'f', "$name: no superuser");
	is($s->sql("SELECT count(*) FROM public.ran_as WHERE who NOT IN ('dbowner')"), 0, "$name: ran as the owner alone");
	return;
}

# Immediate triggers, CHECK, default, policy, on the tables that a superuser's call touches.
$s->sql(<<'SQL', %owner);
CREATE TRIGGER a_trap BEFORE INSERT ON goldenarch.audit_entries_rows FOR EACH ROW
	EXECUTE FUNCTION public.spring_trigger('audit');
ALTER TABLE goldenarch.audit_entries ADD CHECK (public.spring('check'));
ALTER TABLE goldenarch.audit_entries ALTER COLUMN details SET DEFAULT to_jsonb(public.spring('default'));
CREATE POLICY evil ON goldenarch.roles USING (public.spring('policy'));
ALTER TABLE goldenarch.roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.roles FORCE ROW LEVEL SECURITY;
SQL
$s->sql("SELECT goldenarch.audit('ship', 'order', '42')");
$s->sql("SELECT goldenarch.tenant_floor('task.view')");
cmp_ok($s->sql("SELECT count(*) FROM public.ran_as"), '>', 0, 'the traps were sprung');
powerless('immediate triggers, CHECK, policy');

# A denial is written by a worker that connects as superuser.
$s->sql('GRANT EXECUTE ON FUNCTION goldenarch.audit_entry(bigint) TO joe');
like($s->fails('SELECT goldenarch.audit_entry(1)', user => 'joe'), qr/^(42501|ZG009)/, 'a denial with traps about');
powerless('denial worker, immediate trigger');

# Deferred: it would run at commit, after a careless worker has switched back.
$s->sql(<<'SQL', %owner);
DROP TRIGGER a_trap ON goldenarch.audit_entries_rows;
CREATE CONSTRAINT TRIGGER z_trap AFTER INSERT ON goldenarch.audit_entries_rows DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION public.spring_trigger('deferred');
SQL
$s->run_psql("SELECT goldenarch.audit('ship', 'order', '43')");
powerless('deferred trigger, superuser calls');
like($s->fails('SELECT goldenarch.audit_entry(1)', user => 'joe'), qr/^(42501|ZG009)/, 'a denial with a deferred trap');
powerless('denial worker, deferred trigger');
$s->sql(<<'SQL', %owner);
DROP TRIGGER z_trap ON goldenarch.audit_entries_rows;
DROP POLICY evil ON goldenarch.roles;
ALTER TABLE goldenarch.roles NO FORCE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.roles DISABLE ROW LEVEL SECURITY;
SQL

# A relation swapped for a view, whose body would run with the reader's rights.
$s->sql(<<'SQL', %owner);
ALTER TABLE goldenarch.roles RENAME TO roles_kept;
CREATE VIEW goldenarch.roles AS SELECT * FROM goldenarch.roles_kept WHERE public.spring('view');
SQL
$s->run_psql("SELECT goldenarch.tenant_floor('task.view')");
powerless('swapped view');
$s->sql('DROP VIEW goldenarch.roles; ALTER TABLE goldenarch.roles_kept RENAME TO roles', %owner);

# Decoys first in the caller's path.
$s->sql(<<'SQL', %owner);
CREATE SCHEMA decoy;
CREATE FUNCTION decoy.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS
	$$ BEGIN RETURN public.spring('operator'); END $$;
CREATE OPERATOR decoy.= (LEFTARG = text, RIGHTARG = text, FUNCTION = decoy.eq);
CREATE FUNCTION decoy.unnest(text[]) RETURNS SETOF text LANGUAGE sql AS
	$$ SELECT 'system.admin' WHERE public.spring('unnest') $$;
CREATE FUNCTION decoy.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT 'epoch'::timestamptz WHERE public.spring('now') $$;
GRANT USAGE ON SCHEMA decoy TO PUBLIC;
DELETE FROM public.ran_as;
SQL
$s->sql("SET search_path = decoy, pg_catalog; SELECT goldenarch.tenant_floor('task.view')", user => 'nobody_special');
$s->sql("SET search_path = decoy, pg_catalog; SELECT goldenarch.audit('ship', 'order', '44')");
is($s->sql("SELECT count(*) FROM public.ran_as WHERE what IN ('operator', 'unnest', 'now')"), 0,
	'decoys in search_path are not called');
powerless('search_path');

# Nulls everywhere: each function, every argument null, as superuser and as nobody.
my $functions = $s->sql(<<'SQL');
SELECT p.proname || '(' || COALESCE((SELECT string_agg('NULL::' || t::regtype, ', ' ORDER BY o)
	FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY u(t, o)), '') || ')'
FROM pg_proc p WHERE p.pronamespace = 'goldenarch'::regnamespace AND p.prorettype <> 'trigger'::regtype
	AND p.proname NOT IN ('breaker_reset_all', 'repair_grants', 'logout') ORDER BY 1
SQL
my $start = $s->sql('SELECT pg_postmaster_start_time()');
$s->sql('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA goldenarch TO nobody_special', %owner);
for my $user ('postgres', 'nobody_special')
{
	my $session = $s->session(user => $user);
	my @unsafe;
	$session->query("SET statement_timeout = '20s'");
	for my $call (split /\n/, $functions)
	{
		$session->query("BEGIN; SELECT * FROM goldenarch.$call");
		my $error = $session->error;
		$session->query('ROLLBACK');
		push @unsafe, "$call: $error" if $error =~ /^(XX|57)/;
	}
	is("@unsafe", '', "nulls everywhere, as $user: an answer or an error of ours");
}

# A column of each table with another type under the C code's feet: refused, never misread.
my $columns = $s->sql(<<'SQL');
SELECT format('%I %I', c.relname, a.attname) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'goldenarch'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0
	AND NOT a.attisdropped AND a.attname <> 'tenant'
	AND a.atttypid IN ('text'::regtype, 'bigint'::regtype, 'bytea'::regtype, 'jsonb'::regtype)
ORDER BY 1
SQL
my @calls = (
	"SELECT goldenarch.audit('a', 'b', 'c')", "SELECT goldenarch.audit_entry(1)",
	"SELECT goldenarch.tenant_floor('x.y')", "SELECT * FROM goldenarch.health()",
	"SELECT * FROM goldenarch.run_maintenance()", "SELECT * FROM goldenarch.metrics",
);
my $altered = 0;
my $session = $s->session(%owner);
for my $column (split /\n/, $columns)
{
	my ($table, $name) = split / /, $column;
	$session->query('BEGIN');
	$session->query("ALTER TABLE goldenarch.$table ALTER COLUMN $name DROP DEFAULT,
		ALTER COLUMN $name TYPE point USING point(1, 2)");
	next if $session->error;
	$altered++;
	$session->query("SAVEPOINT a; $_; ROLLBACK TO a") for @calls;
}
continue
{
	$session->query('ROLLBACK');
}
cmp_ok($altered, '>', 5, 'columns were altered under the code');
is($s->sql('SELECT pg_postmaster_start_time()'), $start, 'the server never went down');
unlike($s->server_log, qr/terminated by signal/, 'no process of it crashed');

done_testing;
