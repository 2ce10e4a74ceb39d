# SPDX-License-Identifier: PostgreSQL
# Row capture where one session is not the whole story: many writers with rollbacks, a crash, a dump and its restore,
# another owner, code that runs as another, logical replication, and the extension dropped. A committed change has its
# row, a change that was taken back has none.
use strict;
use warnings;
use Test::More;
use IPC::Run ();
use GoldenArch::Stack;

my $bin = $GoldenArch::Stack::BIN;
my $s = GoldenArch::Stack->new(preload => 'goldenarch', durable => 1, workers => 0,
	set => { wal_level => 'logical', max_logical_replication_workers => 4 });

sub run
{
	my (@command) = @_;
	my $err = '';
	IPC::Run::run([ "$bin/$command[0]", @command[1 .. $#command] ], '>', \my $out, '2>', \$err);
	return ($? >> 8, $err);
}

# rebuilt: the table's rows as the log has them, each key's last row.
sub rebuilt
{
	my ($table, %where) = @_;
	return $s->sql(<<"SQL", %where);
WITH changes AS (SELECT id, action, (details #>> '{key,id}')::int AS key, (details #>> '{new,v}')::int AS v
	FROM goldenarch.audit_log WHERE resource_type = '$table' AND action LIKE 'row.%'),
last AS (SELECT DISTINCT ON (key) key, action FROM changes ORDER BY key, id DESC),
value AS (SELECT DISTINCT ON (key) key, v FROM changes WHERE v IS NOT NULL ORDER BY key, id DESC),
log AS (SELECT l.key AS id, value.v FROM last l JOIN value USING (key) WHERE l.action <> 'row.delete')
SELECT (SELECT count(*) FROM $table) || ' rows, ' ||
	(SELECT count(*) FROM (SELECT id, v FROM $table EXCEPT SELECT id, v FROM log) x) || ' not in the log, ' ||
	(SELECT count(*) FROM (SELECT id, v FROM log EXCEPT SELECT id, v FROM $table) x) || ' in the log alone'
SQL
}

# Many writers: inserts, updates, deletes, savepoints and rollbacks; the server dies under them.
$s->sql('CREATE TABLE public.work (id int PRIMARY KEY, v int, note text); SELECT goldenarch.attach_audit(\'work\')');
my $script = "$s->{dir}/work.sql";
open my $out, '>', $script or die;
print $out <<'SQL';
\set id random(1, 300)
\set v random(1, 1000000)
\set kind random(1, 8)
\set end random(1, 4)
BEGIN;
SAVEPOINT a;
INSERT INTO work VALUES (:id, :v) ON CONFLICT (id) DO UPDATE SET v = excluded.v;
\if :kind < 3
ROLLBACK TO a;
\elif :kind < 5
DELETE FROM work WHERE id = :id;
\else
UPDATE work SET v = v + 1, note = repeat('n', :kind * 500) WHERE id = :id;
\endif
\if :end = 1
ROLLBACK;
\else
COMMIT;
\endif
SQL
close $out;
my @pgbench = ("$bin/pgbench", '-n', '-c', 6, '-T', 3, '-f', $script, $s->dsn);
IPC::Run::run(\@pgbench, '>', \my $told, '2>', \my $errors);
like($told, qr/actually processed: [1-9]\d\d/, 'hundreds of transactions ran') or diag($errors);
like(rebuilt('public.work'), qr/^[1-9]\d* rows, 0 not in the log, 0 in the log alone$/,
	'what committed is in the log, what did not is not');
my $load = IPC::Run::start(\@pgbench, '>', \my $told_less, '2>', \my $lost);
sleep 2;
$s->crash;
$load->finish;
$s->start;
like(rebuilt('public.work'), qr/^[1-9]\d* rows, 0 not in the log, 0 in the log alone$/, 'nor after a crash is there a difference');
is($s->sql('SELECT count(*) FROM (SELECT xid, ordinal FROM goldenarch.audit_entries GROUP BY 1, 2 HAVING count(*) > 1) x'), '0',
	'each entry has its own ordinal within its transaction');
is($s->sql(q{SELECT count(*) FROM goldenarch.audit_entries WHERE leaf <> sha256('\x00'::bytea || entry)}), '0', 'and its leaf');

# A hundred thousand rows in one statement: the backend keeps nothing of them.
is($s->sql(<<'SQL'), 't', 'memory does not grow with the rows');
CREATE TABLE public.bulk (id int PRIMARY KEY, v int, t text);
SELECT goldenarch.attach_audit('bulk') \g /dev/null
INSERT INTO bulk SELECT i, i, repeat('x', 100) FROM generate_series(1, 20000) i;
CREATE FUNCTION used() RETURNS bigint LANGUAGE sql AS 'SELECT sum(used_bytes)::bigint FROM pg_backend_memory_contexts';
UPDATE bulk SET v = v + 1;
SELECT used() AS before \gset
UPDATE bulk SET v = v + 1;
UPDATE bulk SET v = v + 1;
SELECT used() - :before < 200000;
SQL
is($s->sql("SELECT count(*) FROM goldenarch.audit_log WHERE resource_type = 'public.bulk' AND action LIKE 'row.%'"), '80000',
	'and each has its row');

# The widest table there is.
$s->sql('DO $$ BEGIN EXECUTE \'CREATE TABLE public.wide (id int PRIMARY KEY, \' || (SELECT string_agg(format(\'c%s int\', i), \', \')
	FROM generate_series(1, 1590) i) || \')\'; END $$; SELECT goldenarch.attach_audit(\'wide\');
	INSERT INTO public.wide (id, c7) VALUES (1, 7); UPDATE public.wide SET c1590 = 3, c7 = NULL');
is($s->sql("SELECT details FROM goldenarch.audit_log WHERE resource_type = 'public.wide' AND action = 'row.update'"),
	'{"key": {"id": 1}, "new": {"c7": null, "c1590": 3}, "old": {"c7": 7, "c1590": null}}', '1591 columns, two changed');

# Who is recorded: the role at our entry, the token if one is shown; a foreign restricted operation does not hide a change.
$s->sql(<<'SQL');
CREATE ROLE keeper; CREATE ROLE clerk;
GRANT CREATE ON SCHEMA public TO keeper, clerk;
SELECT goldenarch.map_role('clerk', 'clara', '{}', 'acme') \g /dev/null
CREATE TABLE public.till (id int PRIMARY KEY, v int);
SELECT goldenarch.attach_audit('till') \g /dev/null
ALTER TABLE till OWNER TO keeper;
GRANT INSERT, UPDATE, SELECT ON till TO clerk;
SET ROLE keeper;
CREATE FUNCTION ring(i int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'INSERT INTO public.till VALUES (i, 0) RETURNING id';
CREATE FUNCTION hidden(i int) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.till VALUES (i, 0); RETURN i; END';
CREATE FUNCTION sneak(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM goldenarch.detach_audit('public.till'); RETURN i; END $$;
CREATE MATERIALIZED VIEW seen AS SELECT hidden(3) WITH NO DATA;
CREATE MATERIALIZED VIEW quiet AS SELECT sneak(3) WITH NO DATA;
RESET ROLE;
SET ROLE clerk;
INSERT INTO till VALUES (1, 0);
SELECT ring(2) \g /dev/null
RESET ROLE;
REFRESH MATERIALIZED VIEW seen;
SQL
is($s->sql("SELECT string_agg(resource_id || ' ' || tenant || ' ' || subject, ', ' ORDER BY id) FROM goldenarch.audit_log
	WHERE resource_type = 'public.till' AND action = 'row.insert'"), '1 acme clara, 2  anonymous, 3  anonymous',
	'the mapped caller, the owner of a SECURITY DEFINER function, and nobody in a superuser\'s REFRESH');
is($s->sql(<<'SQL'), '1:clerk,2:keeper,3:keeper', 'the entry names the PostgreSQL role in each case');
SELECT string_agg(resource_id || ':' || CASE WHEN position('clerk'::bytea IN entry) > 0 THEN 'clerk'
	WHEN position('keeper'::bytea IN entry) > 0 THEN 'keeper' END, ',' ORDER BY id)
FROM goldenarch.audit_entries WHERE resource_type = 'public.till' AND action = 'row.insert'
SQL
like($s->fails('REFRESH MATERIALIZED VIEW quiet'), qr/^42501/, 'another\'s view does not detach with a superuser\'s rights');

# A dump carries the triggers; what a restore loads is no change, and what comes after it is.
for my $user (qw(postgres dbowner))
{
	my %from = (user => $user, database => "from_$user");
	my %to = (user => $user, database => "to_$user");
	$s->sql('CREATE ROLE dbowner LOGIN', database => 'postgres') if $user eq 'dbowner';
	$s->sql("CREATE DATABASE $_ OWNER $user", database => 'postgres') for $from{database}, $to{database};
	$s->sql("CREATE EXTENSION goldenarch; CREATE TABLE public.kept (id int PRIMARY KEY, v int, secret text);
		CREATE TABLE public.parts (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
		CREATE TABLE public.parts_1 PARTITION OF public.parts FOR VALUES FROM (1) TO (100);
		SELECT goldenarch.attach_audit('public.kept', '{secret}'); SELECT goldenarch.attach_audit('public.parts');
		INSERT INTO public.kept VALUES (1, 1, 's'); INSERT INTO public.parts VALUES (1, 1)", %from);
	my ($status, $err) = run('pg_dump', '-Fc', '-d', $s->dsn(%from), '-f', "$s->{dir}/$user.dump");
	is($status, 0, "$user dumps") or diag($err);
	($status, $err) = run('pg_restore', '-d', $s->dsn(%to), "$s->{dir}/$user.dump");
	my @complaints = grep { /^pg_restore: error/ && !/permission denied to set session authorization/ } split /\n/, $err;
	is_deeply(\@complaints, [], "$user restores");
	my $triggers = "SELECT string_agg(format('%s %s %s', tgrelid::regclass, tgname, tgenabled), ', ' ORDER BY tgrelid::regclass::text, tgname)
		FROM pg_trigger WHERE tgname LIKE 'goldenarch_audit%'";
	is($s->sql($triggers, %to), $s->sql($triggers, %from), "$user: the triggers are there, and fire always");
	my $log = "SELECT count(*) FROM goldenarch.audit_log WHERE action LIKE 'row.%'";
	is($s->sql($log, %to), '2', "$user: the restore added nothing to the log");
	$s->sql("UPDATE public.kept SET v = 2, secret = 't'; UPDATE public.parts SET v = 2; TRUNCATE public.parts_1", %to);
	is($s->sql("SELECT string_agg(action || ' ' || resource_type || ' ' || details, E'\n' ORDER BY id) FROM goldenarch.audit_log
		WHERE id > (SELECT max(id) FROM goldenarch.audit_log WHERE action = 'row.insert') AND action LIKE 'row.%'", %to),
		qq(row.update public.kept {"key": {"id": 1}, "new": {"v": 2}, "old": {"v": 1}, "withheld": ["secret"]}\n)
		. qq(row.update public.parts {"key": {"id": 1}, "new": {"v": 2}, "old": {"v": 1}, "partition": "public.parts_1"}\n)
		. qq(row.truncate public.parts {"partition": "public.parts_1"}), "$user: changes after it are recorded");
}

# A subscriber's apply worker changes rows as a replica; they are recorded all the same.
$s->sql('CREATE DATABASE mirror', database => 'postgres');
my %mirror = (database => 'mirror');
$s->sql('CREATE TABLE public.fed (id int PRIMARY KEY, v int); CREATE PUBLICATION feed FOR TABLE public.fed');
$s->sql("SELECT pg_create_logical_replication_slot('feed', 'pgoutput')");
$s->sql("CREATE EXTENSION goldenarch; CREATE TABLE public.fed (id int PRIMARY KEY, v int); SELECT goldenarch.attach_audit('fed')", %mirror);
my $dsn = $s->dsn;
$s->sql("CREATE SUBSCRIPTION feed CONNECTION '$dsn' PUBLICATION feed WITH (create_slot = false, slot_name = feed, copy_data = false)",
	%mirror);
$s->sql('INSERT INTO fed VALUES (1, 1), (2, 2); UPDATE fed SET v = 9 WHERE id = 1; DELETE FROM fed WHERE id = 2; TRUNCATE fed');
ok($s->poll("SELECT string_agg(action || ' ' || resource_id, ', ' ORDER BY id) FROM goldenarch.audit_log WHERE resource_type = 'public.fed'",
	'row.insert 1, row.insert 2, row.update 1, row.delete 2, row.truncate *', 30, %mirror), 'replicated changes are recorded');
$s->sql('ALTER SUBSCRIPTION feed DISABLE; ALTER SUBSCRIPTION feed SET (slot_name = NONE)', %mirror);
$s->sql('DROP SUBSCRIPTION feed', %mirror);
ok($s->poll("SELECT count(*) FROM pg_replication_slots WHERE active", '0'), 'the apply worker ended');
$s->sql("SELECT pg_drop_replication_slot('feed')");

# The extension does not go unnoticed from under an attached table; with CASCADE the table stays.
like($s->fails('DROP EXTENSION goldenarch', %mirror), qr/^2BP01/, 'DROP EXTENSION needs CASCADE');
$s->sql('DROP EXTENSION goldenarch CASCADE; INSERT INTO public.fed VALUES (5, 5)', %mirror);
is($s->sql('SELECT count(*) FROM public.fed', %mirror), '1', 'and takes the triggers with it');
unlike($s->server_log, qr/terminated by signal|PANIC|TRAP/, 'the server did not crash of itself');
done_testing();
