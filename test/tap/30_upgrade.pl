# SPDX-License-Identifier: PostgreSQL
# ALTER EXTENSION UPDATE from each released version, and to a next version that only this test knows,
# ends in the same catalog as a fresh install; what the tables' owner plants gains nothing by it.
use strict;
use warnings;
use Test::More;
use File::Basename qw(basename);
use GoldenArch::Stack;

my $s = GoldenArch::Stack->new(extension => 0);
my ($root, $build) = ($GoldenArch::Stack::ROOT, $GoldenArch::Stack::BUILD);
my $config = $ENV{PG_CONFIG} // '/usr/lib/postgresql/15/bin/pg_config';
chomp(my $folder = `$config --sharedir`);
$folder .= '/extension';
my @as_root = -w $folder ? () : ('sudo');
my %installed = map { basename($_) => 1 } glob "$folder/goldenarch--*.sql";
my ($version) = GoldenArch::Stack::slurp("$root/goldenarch.control") =~ /^default_version = '(.*)'/m;

# Scripts that this test adds to the server's folder go again, whatever happens.
sub add_script
{
	my ($file) = @_;
	system(@as_root, 'install', '-m', '644', $file, $folder) == 0 or die "install $file";
	return;
}
END
{
	local $?;
	system(@as_root, 'rm', '-f', $_) for grep { !$installed{ basename($_) } } glob "$folder/goldenarch--*.sql";
}

sub write_file
{
	my ($file, $text) = @_;
	open my $out, '>', $file or die "$file: $!";
	print $out $text;
	close $out or die "$file: $!";
	return $file;
}

sub fingerprint
{
	my (%where) = @_;
	return $s->sql(<<'SQL', %where);
SELECT c.relname, c.relkind, c.relowner::regrole, c.relrowsecurity, c.relforcerowsecurity, c.reloptions, c.relacl,
	obj_description(c.oid, 'pg_class'), (SELECT string_agg(format('%s %s %s %s', attname, format_type(atttypid, atttypmod),
	attnotnull, pg_get_expr(adbin, adrelid)), ', ' ORDER BY attnum) FROM pg_attribute LEFT JOIN pg_attrdef
	ON adrelid = attrelid AND adnum = attnum WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)
FROM pg_class c WHERE relnamespace = 'goldenarch'::regnamespace ORDER BY relname COLLATE "C";
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'goldenarch'::regnamespace ORDER BY conrelid::regclass::text COLLATE "C", conname COLLATE "C";
SELECT oid::regprocedure, prolang, provolatile, proparallel, proisstrict, prosrc, prosqlbody IS NULL, proowner::regrole,
	proacl, obj_description(oid, 'pg_proc'), pg_get_function_arguments(oid), pg_get_function_result(oid)
FROM pg_proc WHERE pronamespace = 'goldenarch'::regnamespace ORDER BY oid::regprocedure::text COLLATE "C";
SELECT * FROM pg_policies WHERE schemaname = 'goldenarch' ORDER BY tablename COLLATE "C", policyname COLLATE "C";
SELECT viewname, definition FROM pg_views WHERE schemaname = 'goldenarch' ORDER BY viewname COLLATE "C";
SELECT tgrelid::regclass, pg_get_triggerdef(oid), tgenabled FROM pg_trigger
WHERE tgrelid::regclass::text LIKE 'goldenarch.%' AND NOT tgisinternal ORDER BY pg_get_triggerdef(oid) COLLATE "C";
SELECT c.oid::regclass FROM pg_extension, unnest(extconfig) AS o(oid) JOIN pg_class c ON c.oid = o.oid
WHERE extname = 'goldenarch' ORDER BY c.oid::regclass::text COLLATE "C";
SQL
}

# updated_as_fresh: install FROM, update to TO; the catalog is that of a fresh TO.
sub updated_as_fresh
{
	my ($from, $to) = @_;
	my $name = "v$from";
	$name =~ s/\W/_/g;
	$s->sql("CREATE DATABASE ${name}_updated; ", database => 'postgres');
	$s->sql("CREATE DATABASE ${name}_fresh", database => 'postgres');
	$s->sql("CREATE EXTENSION goldenarch VERSION '$from'; SELECT goldenarch.audit('ship', 'order', '42');
		ALTER EXTENSION goldenarch UPDATE TO '$to'", database => "${name}_updated");
	$s->sql("CREATE EXTENSION goldenarch VERSION '$to'", database => "${name}_fresh");
	is(fingerprint(database => "${name}_updated"), fingerprint(database => "${name}_fresh"),
		"$from updated to $to is as $to freshly installed");
	is($s->sql("SELECT count(*) FROM goldenarch.audit_log WHERE resource_id = '42'", database => "${name}_updated"), 1,
		'and kept its rows');
	return;
}

for my $script (glob "$root/test/upgrade/released/goldenarch--*.sql")
{
	my ($released) = $script =~ /goldenarch--(.*)\.sql$/;
	next if $released eq $version;
	add_script($script);
	updated_as_fresh($released, $version);
}

# The next version: its update script by the rule of the build, its install script with the delta at
# the end, where upgrade_step may stand as it does in an update.
my $next = GoldenArch::Stack::slurp("$root/test/upgrade/next.sql");
my $delta = "$s->{dir}/delta";
mkdir $delta or die "mkdir: $!";
write_file("$delta/$version--9.9.9.sql", $next);
GoldenArch::Stack::command('make', '-s', "DELTA=$delta", 'FLAVOUR=' . basename($build),
	"$build/goldenarch--$version--9.9.9.sql");
add_script("$root/$build/goldenarch--$version--9.9.9.sql");
unlink "$root/$build/goldenarch--$version--9.9.9.sql";
my $install = GoldenArch::Stack::slurp("$root/$build/goldenarch--$version.sql");
my $finish = GoldenArch::Stack::slurp("$root/sql/finish.sql");
(my $helper = GoldenArch::Stack::slurp("$root/sql/update_header.sql")) =~ s/^\\echo.*$//m;
$install =~ s/\Q$finish\E\z/$helper$next\nDROP FUNCTION goldenarch.upgrade_step(text);\n$finish/ or die 'no finish';
add_script(write_file("$s->{dir}/goldenarch--9.9.9.sql", $install));
updated_as_fresh($version, '9.9.9');

# What the owner of the tables can plant: triggers, immediate and deferred, and the helper's name.
$s->sql('CREATE ROLE dbowner LOGIN');
for my $attack (
	[ immediate => 'CREATE TRIGGER trap BEFORE UPDATE ON goldenarch.roles FOR EACH ROW EXECUTE FUNCTION public.trap()' ],
	[ deferred => 'CREATE CONSTRAINT TRIGGER trap AFTER UPDATE ON goldenarch.roles INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION public.trap()' ],
	[ check => 'ALTER TABLE goldenarch.roles ADD CONSTRAINT trap CHECK (public.trap(role)) NOT VALID' ],
	[ helper => 'CREATE FUNCTION goldenarch.upgrade_step(statement text) RETURNS void LANGUAGE plpgsql AS
		$$ BEGIN ALTER ROLE dbowner SUPERUSER; END $$' ])
{
	my ($name, $plant) = @$attack;
	my %owner = (user => 'dbowner', database => "attack_$name");
	$s->sql("CREATE DATABASE attack_$name OWNER dbowner", database => 'postgres');
	$s->sql(<<"SQL", %owner);
CREATE EXTENSION goldenarch VERSION '$version';
CREATE FUNCTION public.trap() RETURNS trigger LANGUAGE plpgsql AS
	\$\$ BEGIN ALTER ROLE dbowner SUPERUSER; RETURN new; EXCEPTION WHEN insufficient_privilege THEN RETURN new; END \$\$;
CREATE FUNCTION public.trap(text) RETURNS boolean LANGUAGE plpgsql AS
	\$\$ BEGIN ALTER ROLE dbowner SUPERUSER; RETURN true; EXCEPTION WHEN insufficient_privilege THEN RETURN true; END \$\$;
SQL
	# The schema is the owner's as well; where the server refuses to plant, there is nothing to gain.
	my ($refused) = $s->run_psql($plant, %owner);
	note("$name: the plant itself was refused") if $refused;
	my ($status, undef, $err) = $s->run_psql("ALTER EXTENSION goldenarch UPDATE TO '9.9.9'", database => "attack_$name");
	note("$name: the update ended with $status $err");
	is($s->sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'dbowner'"), 'f', "$name: the owner gains nothing");
}
unlike($s->server_log, qr/terminated by signal|PANIC/, 'the server did not crash');
done_testing();
