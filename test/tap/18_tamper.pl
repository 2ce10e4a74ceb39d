# SPDX-License-Identifier: PostgreSQL
# Every tampering that the design names, and some more, done by a superuser with the triggers off or by somebody with a
# stolen key: each row of the table names the act, what audit_verify() must say, and what goldenarch-verify says of an
# export of it, with the first bad leaf. Nothing else may be said: the untouched log, also after redaction, restart, key
# rotation, a copy and a restore, is found whole.
#
# A verdict is written CHECK@LEAF, or CHECK alone where no leaf can be named; all bad ones of a judge, by name. The
# clock of the judges stands still at the last head, so that only the rows that stop the sealer find a stale log.
use strict;
use warnings;
use JSON::PP qw(decode_json);
use Test::More;
use GoldenArch::Stack;

my $key = "/tmp/goldenarch-tamper-$$.key";
my $work = "/tmp/goldenarch-tamper-$$";
my $verifier = "$GoldenArch::Stack::ROOT/$GoldenArch::Stack::BUILD/goldenarch-verify";
END { local $?; unlink glob "$key*"; system('rm', '-rf', $work) }
mkdir $work;
my $s = GoldenArch::Stack->new(preload => ['goldenarch'], set => { 'goldenarch.audit_key_file' => $key,
	autovacuum => 'off' });

# ---- the log that is tampered with: 700 leaves in "young", 1100 in "app" ----

$s->sql(<<'SQL');
CREATE ROLE joe LOGIN;
SELECT goldenarch.grant_access('joe', 'app');
SELECT goldenarch.map_role('joe', 'joe', '{developer}', 'acme');
SELECT goldenarch.grant_role('jim', 'operator'), goldenarch.grant_role('ann', 'observer', 'acme');
UPDATE goldenarch.learning_governance SET max_updates_per_day = 4 WHERE agent_role = 'tester';
SELECT goldenarch.propose_prompt('developer', 'Write tests.'), goldenarch.request_approval('deploy', 's', '{}');
SQL
$s->sql("SELECT goldenarch.audit('ship', 'order', i::text, jsonb_build_object('to', 'Berlin', 'n', i)) FROM generate_series(1, 600) i");
$s->fails('SELECT goldenarch.audit_tile(0, 0)', user => 'joe');
$s->sql("SELECT goldenarch.redact_audit(100, 'before the seal')");
$s->sql('SELECT goldenarch.audit_seal()');

# stand_still: no worker holds a database, so that it can be copied; the other way: all work.
sub workers
{
	my ($on) = @_;
	$s->{workers} = $on;
	$s->{set}{'goldenarch.databases'} = $on ? 'app' : '';
	$s->restart;
	$s->poll("SELECT coalesce(string_agg(backend_type, ' '), '') FROM pg_stat_activity WHERE datname = 'app'", '', 5, database => 'postgres')
		unless $on;
	return;
}

workers(0);
$s->sql('CREATE DATABASE young STRATEGY file_copy TEMPLATE app', database => 'postgres');
workers(1);
my $later = "SELECT goldenarch.audit('ship', 'order', i::text, jsonb_build_object('to', 'Bonn', 'n', i)) FROM generate_series(601, 900) i";
$s->sql($later);
# A second key, in front of the first: both sign from now on.
system("openssl genpkey -algorithm ed25519 -out $key.second 2>/dev/null && cat $key.second $key >$key.both"
	. " && chown --reference=$key $key.both && chmod 600 $key.both && mv $key.both $key") == 0 or die 'no second key';
$s->sql("SELECT goldenarch.redact_audit(200, 'after the seal')");
$s->sql($later =~ s/601, 900/901, 1100/r);
ok($s->poll("SELECT count(*) = 2 FROM goldenarch.audit_keys"), 'the second key is known');
$s->sql('SELECT goldenarch.audit_seal()');
workers(0);

# What the tests need in every copy: the leaves as they were, the tools of the attacker.
my $tools = <<'SQL';
CREATE TABLE public.leaf AS SELECT leaf_index AS leaf, id FROM goldenarch.audit_leaves;
ALTER TABLE public.leaf ADD PRIMARY KEY (leaf);
CREATE FUNCTION public.id(leaf bigint) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT id FROM public.leaf l WHERE l.leaf = $1';
CREATE FUNCTION public.guards(how text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT t.tgrelid::regclass AS relation, t.tgname FROM pg_trigger t WHERE t.tgfoid = 'goldenarch.append_only'::regproc LOOP
		EXECUTE format('ALTER TABLE %s %s TRIGGER %I', r.relation, how, r.tgname);
	END LOOP;
END $$;
-- RFC 6962 of leaf hashes.
CREATE FUNCTION public.mth(h bytea[]) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	n int := cardinality(h);
	k int := 1;
BEGIN
	IF n = 0 THEN RETURN sha256(''); END IF;
	IF n = 1 THEN RETURN h[1]; END IF;
	WHILE k * 2 < n LOOP k := k * 2; END LOOP;
	RETURN sha256('\x01'::bytea || public.mth(h[1:k]) || public.mth(h[k + 1:n]));
END $$;
-- The tree made anew from whatever entries there are now, under the same name.
CREATE FUNCTION public.rebuild() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	h bytea[];
	up bytea[] := '{}';
	n int;
BEGIN
	UPDATE goldenarch.audit_entries SET leaf = sha256('\x00'::bytea || entry) WHERE leaf <> sha256('\x00'::bytea || entry);
	UPDATE goldenarch.audit_leaves l SET leaf_index = x.n + 1000000 FROM (SELECT id, row_number() OVER (ORDER BY leaf_index) - 1 AS n
		FROM goldenarch.audit_leaves) x WHERE l.id = x.id;
	UPDATE goldenarch.audit_leaves SET leaf_index = leaf_index - 1000000;
	SELECT array_agg(leaf ORDER BY leaf_index), count(*) INTO h, n FROM goldenarch.audit_leaves JOIN goldenarch.audit_entries USING (tenant, id);
	DELETE FROM goldenarch.audit_tiles;
	FOR i IN 0 .. n / 256 - 1 LOOP
		INSERT INTO goldenarch.audit_tiles SELECT 1, 0, i, string_agg(x, '' ORDER BY o) FROM unnest(h[i * 256 + 1:i * 256 + 256]) WITH ORDINALITY u(x, o);
		up := up || public.mth(h[i * 256 + 1:i * 256 + 256]);
	END LOOP;
	UPDATE goldenarch.audit_trees SET size = n, root = public.mth(h), edge = coalesce((SELECT string_agg(x, '' ORDER BY o)
		FROM unnest(h[n / 256 * 256 + 1:n] || up) WITH ORDINALITY u(x, o)), '');
END $$;
-- This copy passes for the server that the tree grew on.
CREATE FUNCTION public.impersonate() RETURNS void LANGUAGE sql AS $$
	UPDATE goldenarch.audit_trees SET database = (SELECT oid FROM pg_database WHERE datname = current_database()) $$;
CREATE FUNCTION public.head(OUT note text) LANGUAGE sql AS 'SELECT note FROM goldenarch.audit_heads ORDER BY id DESC LIMIT 1';
SQL
$s->sql($tools, database => $_) for qw(app young);
is($s->sql('SELECT count(*) > 1100 AND count(*) = max(leaf) + 1 FROM public.leaf'), 't', 'there is a log to tamper with');
my $size = $s->sql('SELECT count(*) FROM public.leaf');
my $last = $size - 1;
my $stands = $s->sql("SELECT extract(epoch FROM max(signed_at) - now())::int FROM goldenarch.audit_heads");
my $now = time;

# What an auditor keeps elsewhere: the keys, and the last head.
sub put { my ($file, $text) = @_; open my $out, '>', $file or die "$file: $!"; print $out $text; close $out; return $file; }
my $keys = put("$work/keys", $s->sql('SELECT string_agg(vkey, E\'\n\') FROM goldenarch.audit_keys') . "\n");
our $anchor = put("$work/anchor", $s->sql('SELECT public.head()') . "\n");
# Where leaves of some acts are; the head before a leaf, which is where a wrong head is said to begin.
my %leaf = map { /(\S+)\|(\d+)/ ? ($1 => $2) : () } split /\n/, $s->sql('SELECT e.action, max(l.leaf_index)
	FROM goldenarch.audit_leaves l JOIN goldenarch.audit_entries e USING (tenant, id) GROUP BY 1');
sub head_before { return $s->sql("SELECT coalesce(max(size), 0) FROM goldenarch.audit_heads WHERE size <= $_[0]"); }
my $head = head_before($size - 1);
# An export of the younger one seals the row of the second key.
my $young = 1 + $s->sql('SELECT count(*) FROM goldenarch.audit_leaves', database => 'young');
my $first = $s->sql('SELECT min(size) FROM goldenarch.audit_heads');

# ---- the judges ----

# The bad checks of audit_verify(), with their leaves.
sub inside
{
	my ($db, $clock) = @_;
	my $offset = int($stands - (time - $now) + ($clock // 0));
	my ($status, $out, $err) = $s->run_psql(<<"SQL", database => $db);
SET goldenarch.debug_clock_offset = $offset;
SELECT string_agg(check_name || CASE WHEN first_bad_id IS NULL THEN ''
	ELSE '\@' || coalesce((SELECT leaf::text FROM public.leaf WHERE id = first_bad_id), 'new') END, ' ' ORDER BY check_name)
FROM goldenarch.audit_verify() WHERE NOT ok
SQL
	return $status ? "error " . (($err =~ /ERROR:\s+(\w{5})/)[0] // $err) : $out;
}

# The same of goldenarch-verify on an export; with details, the saved head as anchor.
sub outside
{
	my ($db, $name, $trusted) = @_;
	my $dir = "$work/$name";
	my ($out, $err) = ('', '');
	local $ENV{PGOPTIONS} = '';
	# The first export of a copy opens its own incarnation, and asks to be tried again.
	my $done = 0;
	$done ||= IPC::Run::run([$verifier, 'export', $s->dsn(database => $db), $dir, '--details'], '<', \undef, '>', \$out, '2>', \$err) for 1, 2;
	return 'no export' unless $done;
	return checked($dir, $trusted);
}

sub checked
{
	my ($dir, $trusted, @more) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([$verifier, 'check', $dir, '--key', $trusted, $anchor ? ('--anchor', $anchor) : (), '--max-age', 3600, '--json', @more],
		'<', \undef, '>', \$out, '2>', \$err);
	my $report = eval { decode_json($out) } or return "no verdict: $err";
	note(map { "$_->{check}: $_->{detail}\n" } grep { $_->{verdict} eq 'bad' } @{ $report->{findings} });
	return join ' ', sort map { $_->{check} . (defined $_->{first_bad_leaf} ? "\@$_->{first_bad_leaf}" : '') }
		grep { $_->{verdict} eq 'bad' } @{ $report->{findings} };
}

my $copies = 0;
my $exports = 0;
sub copy
{
	my ($from) = @_;
	my $db = 'copy' . ++$copies;
	# Of the last heads that databases of this server signed, those who pass for one of them leave none.
	unlink glob "$key.*.head";
	$s->sql("CREATE DATABASE $db STRATEGY file_copy TEMPLATE " . ($from // 'app'), database => 'postgres');
	return $db;
}

# judge: an act in a copy that passes for the server itself, and what both say of it; the export seals once more, as the
# sealer would. guards => 0: the act is about the triggers themselves; stranger => 1: the copy does not pass for the server.
sub judge
{
	my ($name, $act, $inside, $outside, %how) = @_;
	my $db = $how{database} // copy($how{from});
	my $guarded = $how{guards} // 1;
	$s->sql('SELECT public.impersonate()', database => $db) unless $how{stranger};
	$s->sql(($guarded ? "SELECT public.guards('DISABLE');\n" : '') . "$act;\n"
		. ($guarded ? "SELECT public.guards('ENABLE ALWAYS');\n" : '') . ($how{then} // ''), database => $db);
	is(inside($db, $how{clock}), $inside, $name);
	local $anchor = $how{anchor} // $anchor;
	my $said = outside($db, "dir" . ++$exports, $how{stranger} ? put("$work/keys.$db", $s->sql('SELECT goldenarch.audit_public_key()', database => $db) . "\n")
		: $keys);
	is($said, $outside, "$name: offline");
	$s->sql("DROP DATABASE $db", database => 'postgres');
	return;
}

# ---- nothing is wrong ----

judge('an untouched copy', 'SELECT 1', '', '');
judge('a younger copy', 'SELECT 1', '', "anchors\@$young", from => 'young', guards => 0);
judge('a redacted row', 'SELECT 1', '', '', then => "SELECT goldenarch.redact_audit(public.id(300), 'why not')");
judge('a copy that goes on under a name of its own', 'SELECT 1', '', '', then => 'SELECT goldenarch.audit_seal()', stranger => 1);

judge('a pruned log', 'SELECT 1', '', '', guards => 0, then => "SELECT goldenarch.audit_prune(600, 'old')");
judge('a log pruned twice, with a new incarnation between', 'SELECT 1', '', '', guards => 0, stranger => 1, anchor => 0, then => <<'SQL');
SELECT goldenarch.audit_seal();
SELECT goldenarch.audit('ship', 'order', 'x') FROM generate_series(1, 300);
SELECT goldenarch.audit_seal();
SELECT goldenarch.audit_prune(10, 'all that was before');
SELECT goldenarch.audit_prune(256, 'more');
SELECT goldenarch.audit_seal();
SQL
sub restored
{
	$s->sql('CREATE DATABASE restored', database => 'postgres');
	IPC::Run::run(["$GoldenArch::Stack::BIN/pg_dump", '-Fc', '-d', $s->dsn], '|',
		["$GoldenArch::Stack::BIN/pg_restore", '-d', $s->dsn(database => 'restored')]) or die 'restore';
	return (guards => 0, stranger => 1, database => 'restored');
}
# The key of its incarnation is not known yet, when nothing was sealed in it.
judge('a restored dump', "SELECT goldenarch.audit('ship', 'order', 'x')", '', 'signature', restored());
judge('a restored dump that goes on', 'SELECT 1', '', '', restored(), then => "SELECT goldenarch.audit('ship', 'order', 'y');
	SELECT goldenarch.audit_seal()");

# ---- the table ----

my $of = sub { "WHERE id = public.id($_[0])" };
my $entries = 'UPDATE goldenarch.audit_entries SET';
my $forge = "entry = overlay(entry PLACING 'shop'::bytea FROM position('ship'::bytea IN entry)), action = 'app.shop'";
my $rehash = "$entries leaf = sha256('\\x00'::bytea || entry)";
my $copy_entries = 'INSERT INTO goldenarch.audit_entries SELECT';
my $no_tail = join '; ', map { "DELETE FROM goldenarch.$_ t USING public.leaf x WHERE x.id = t.id AND x.leaf >= 1050" } qw(audit_leaves audit_entries);
my $twin = 'at, subject, role, action, resource_type, resource_id, outcome, details, details_text, salt, xid, ordinal';
# The anchor as a relay would learn it, of a head that somebody else has.
sub anchored
{
	my ($db) = @_;
	return $s->sql("SELECT format('INSERT INTO goldenarch.audit_anchors VALUES (%L, %s, %L, 1, %L, %L)', t.origin, h.size, h.root, h.signed_at,
		h.signed_at) FROM goldenarch.audit_heads h, goldenarch.audit_trees t ORDER BY h.id DESC LIMIT 1", database => $db);
}
my $anchored = anchored('app');
my $primary = copy();
$s->sql("SELECT public.impersonate(); SELECT goldenarch.audit('ship', 'order', 'there'); SELECT goldenarch.audit_seal()", database => $primary);
my $twin_anchored = anchored($primary);
my $twin_anchor = put("$work/twin", $s->sql('SELECT public.head()', database => $primary) . "\n");
my @acts = (
	# a payload
	['details', "$entries details = '{\"to\": \"Rome\"}' " . $of->(300), 'integrity.details@300', ''],
	['details and their text', "$entries details = '{\"to\": \"Rome\"}', details_text = '{\"to\": \"Rome\"}' " . $of->(300),
		'integrity.details@300', 'commitments@300'],
	['the salt', "$entries salt = sha256(salt) " . $of->(300), 'integrity.details@300', 'commitments@300'],
	['details erased without a record', "$entries details = NULL, details_text = NULL, salt = NULL " . $of->(300),
		'integrity.details@300', ''],
	['details erased by half', "$entries salt = NULL " . $of->(300), 'integrity.details@300', ''],
	# an entry, and what is derived from it
	['the bytes of an entry', "$entries entry = set_byte(entry, 30, get_byte(entry, 30) # 1) " . $of->(300),
		'integrity.columns@300 integrity.entries@300 integrity.leaves@300', 'entries@300'],
	['an entry, its column and its leaf hash', "$entries $forge " . $of->(300) . "; $rehash " . $of->(300),
		'integrity.leaves@300', 'entries@300'],
	['a column: action', "$entries action = 'app.shop' " . $of->(300), 'integrity.columns@300', ''],
	['a column: subject', "$entries subject = 'nobody' " . $of->(300), 'integrity.columns@300', ''],
	['a column: at', "$entries at = at - interval '1 day' " . $of->(300), 'integrity.columns@300', ''],
	['a column: outcome', "$entries outcome = 'failed' " . $of->(300), 'integrity.columns@300', ''],
	['a column: xid', "$entries xid = '3' " . $of->(300), 'integrity.columns@300', ''],
	['a column: tenant', "$entries tenant = 'acme' " . $of->(300),
		'completeness.leaves@300 completeness.sealed@300 integrity.columns@300', 'leaves@300'],
	['the stored leaf hash', "$entries leaf = sha256('x') " . $of->(300), 'integrity.entries@300', ''],
	# the tree
	['a tile', "UPDATE goldenarch.audit_tiles SET hashes = set_byte(hashes, 44 * 32, get_byte(hashes, 44 * 32) # 1) WHERE index = 1",
		"integrity.leaves\@300 integrity.tiles\@256", 'tiles@300'],
	['a tile deleted', 'DELETE FROM goldenarch.audit_tiles WHERE index = 1', 'integrity.leaves@256 integrity.tiles@256', 'tiles@256'],
	['a tile added', "INSERT INTO goldenarch.audit_tiles SELECT incarnation, level, 77, hashes FROM goldenarch.audit_tiles WHERE index = 1",
		'integrity.tiles', ''],
	['the edge, a leaf', "UPDATE goldenarch.audit_trees SET edge = set_byte(edge, 0, get_byte(edge, 0) # 1)",
		"integrity.heads\@$head integrity.leaves\@1024 integrity.root\@1024", 'tiles@1024'],
	['the edge, a node', "UPDATE goldenarch.audit_trees SET edge = set_byte(edge, octet_length(edge) - 1, 0)",
		"integrity.heads\@$head integrity.root\@1024 integrity.tiles\@768", 'tiles@768'],
	['the edge, cut short', "UPDATE goldenarch.audit_trees SET edge = substr(edge, 33)", 'integrity.heads integrity.leaves@1024 integrity.root', 'tiles@0'],
	['the root', "UPDATE goldenarch.audit_trees SET root = sha256('x')", 'integrity.root@1024', ''],
	['a leaf index', "UPDATE goldenarch.audit_leaves SET leaf_index = 99999 " . $of->(300),
		'completeness.leaves@301 integrity.leaves@300', 'leaves@300'],
	['two leaf indexes', join('; ', map { "UPDATE goldenarch.audit_leaves SET leaf_index = $_->[1] " . $of->($_->[0]) }
		[300, 99999], [310, 300], [300, 310]), 'integrity.leaves@300', 'entries@300 rules@301'],
	['a leaf doubled', 'DROP INDEX goldenarch.audit_leaves_index; ALTER TABLE goldenarch.audit_leaves DROP CONSTRAINT audit_leaves_pkey CASCADE;
		INSERT INTO goldenarch.audit_leaves SELECT * FROM goldenarch.audit_leaves ' . $of->(300), 'completeness.leaves@300', ''],
	# rows
	['a row deleted', 'DELETE FROM goldenarch.audit_entries ' . $of->(300), 'completeness.leaves@300', 'leaves@300'],
	['a row deleted with its leaf', "DELETE FROM goldenarch.audit_entries " . $of->(300) . '; DELETE FROM goldenarch.audit_leaves ' . $of->(300),
		'completeness.leaves@301', 'leaves@300'],
	['the tail deleted', $no_tail, 'completeness.leaves', 'leaves@1050'],
	['the tail deleted, the tree made anew', "$no_tail; SELECT public.rebuild()", 'integrity.heads', 'anchors@1050'],
	['a partition detached', 'ALTER TABLE goldenarch.audit_entries DETACH PARTITION goldenarch.audit_entries_rows',
		'completeness.leaves@0 completeness.state integrity.guards integrity.incarnations@0', 'leaves@0 link@0'],
	['a partition dropped', 'ALTER EXTENSION goldenarch DROP TABLE goldenarch.audit_entries_rows; DROP TABLE goldenarch.audit_entries_rows CASCADE',
		'completeness.leaves@0 completeness.state integrity.guards integrity.incarnations@0', 'leaves@0 link@0'],
	['two rows swapped', "UPDATE goldenarch.audit_entries e SET entry = o.entry, leaf = o.leaf, salt = o.salt, details = o.details,
		details_text = o.details_text, resource_id = o.resource_id, at = o.at, ordinal = o.ordinal FROM goldenarch.audit_entries o
		WHERE e.id = ANY (ARRAY[public.id(300), public.id(310)]) AND o.id = public.id(300) + public.id(310) - e.id",
		'integrity.columns@300 integrity.leaves@300', 'entries@300 rules@301'],
	['a row doubled under another id', "$copy_entries tenant, 999999, $twin, entry, leaf FROM goldenarch.audit_entries " . $of->(300),
		'completeness.sealed@new integrity.columns@new', ''],
	['a row doubled in another tenant', "DROP INDEX goldenarch.audit_entries_id; $copy_entries 'acme', id, $twin, entry, leaf
		FROM goldenarch.audit_entries " . $of->(300), 'completeness.sealed@300 integrity.columns@300', ''],
	['a row of yesterday inserted', "$copy_entries tenant, 999999, $twin, overlay(entry PLACING '\\x00000000000f423f'::bytea FROM 26), leaf
		FROM goldenarch.audit_entries " . $of->(300) . "; $rehash WHERE id = 999999",
		'completeness.sealed@new', ''],
	# state that the log does not tell of
	['a limit raised', "ALTER TABLE goldenarch.learning_governance DISABLE TRIGGER USER; UPDATE goldenarch.learning_governance
		SET max_updates_per_day = 99 WHERE agent_role = 'tester'; ALTER TABLE goldenarch.learning_governance ENABLE TRIGGER USER",
		"completeness.state\@$leaf{'configuration.change'}", ''],
	['a role granted', "INSERT INTO goldenarch.role_grants VALUES ('', 'eve', 'admin', 'x')", 'completeness.state', ''],
	['a mapping changed', "UPDATE goldenarch.role_mappings SET roles = '{admin}'", "completeness.state\@$leaf{map_role}", ''],
	['a prompt put live', "UPDATE goldenarch.prompt_history SET prompt_id = prompt_id + 1", "completeness.state\@$leaf{'learning.live'}", ''],
	['an approval approved', "UPDATE goldenarch.approvals SET state = 'approved'", 'completeness.state', ''],
	# the guards of the tables
	['triggers disabled', "SELECT public.guards('DISABLE')", 'integrity.guards', '', guards => 0],
	['triggers for replicas only', "SELECT public.guards('ENABLE REPLICA')", 'integrity.guards', '', guards => 0],
	['a trigger dropped', 'DROP TRIGGER append_only ON goldenarch.audit_heads', 'integrity.guards', '', guards => 0],
	['row security lifted', 'ALTER TABLE goldenarch.audit_entries NO FORCE ROW LEVEL SECURITY', 'integrity.guards', '', guards => 0],
	['a rule that swallows rows', 'CREATE RULE swallow AS ON INSERT TO goldenarch.audit_heads DO INSTEAD NOTHING', 'integrity.guards', '', guards => 0],
	# heads and keys
	['the root of a head', "UPDATE goldenarch.audit_heads SET root = sha256('x') WHERE id = (SELECT max(id) FROM goldenarch.audit_heads)",
		'integrity.heads', ''],
	['the note of a head', "UPDATE goldenarch.audit_heads SET note = replace(note, E'\n' || size || E'\n', E'\n' || size - 1 || E'\n')",
		'integrity.heads', 'heads'],
	['the time of a head', "UPDATE goldenarch.audit_heads SET signed_at = signed_at - interval '1 hour'", 'freshness.head integrity.signatures', ''],
	['the signatures of the heads', "UPDATE goldenarch.audit_heads SET note = split_part(note, E'\n\n', 1) || E'\n\n'", 'integrity.signatures', ''],
	['keys that nobody knows', "UPDATE goldenarch.audit_keys SET vkey = 'x'", 'integrity.signatures', 'keys'],
	['an old checkpoint replayed', "INSERT INTO goldenarch.audit_heads SELECT 999999, incarnation, size, root, signed_at, note FROM goldenarch.audit_heads "
		. "ORDER BY id LIMIT 1", 'integrity.heads@' . $first, "anchors\@$first"],
	['history rewritten, old heads kept', "$entries $forge " . $of->(300) . '; SELECT public.rebuild()',
		'integrity.heads@' . head_before(300), 'anchors@0 heads@' . head_before(300)],
	['history rewritten and signed with a stolen key', "$entries $forge " . $of->(300) . '; SELECT public.rebuild();
		DELETE FROM goldenarch.audit_heads', '', 'anchors@0', then => 'SELECT goldenarch.audit_seal()'],
	['minimum index raised', "UPDATE goldenarch.audit_trees SET minimum_index = 512; DELETE FROM goldenarch.audit_entries e USING public.leaf x
		WHERE x.id = e.id AND x.leaf BETWEEN 1 AND 511; DELETE FROM goldenarch.audit_leaves e USING public.leaf x WHERE x.id = e.id
		AND x.leaf BETWEEN 1 AND 511; DELETE FROM goldenarch.audit_tiles WHERE level = 0 AND index < 2",
		'completeness.leaves', 'leaves@0'],
	['data and heads rewound, the anchor known', $anchored, 'integrity.anchors', 'anchors@' . ($young - 1), from => 'young'],
	['two primaries', 'SELECT 1', 'integrity.anchors', 'anchors@0', then => "SELECT goldenarch.audit('ship', 'order', 'here');
		SELECT goldenarch.audit_seal(); $twin_anchored", anchor => $twin_anchor],
	['the sealer stopped', 'SELECT 1', 'freshness.head', '', clock => 600],
	['the extension dropped', 'DROP EXTENSION goldenarch CASCADE', 'error 3F000', 'no export', guards => 0],
);
# ---- acts on an export ----

my $export = "$work/export";
my $whole = copy();
$s->sql('SELECT public.impersonate()', database => $whole);
is(outside($whole, 'export', $keys), '', 'an export');
my $old = "$work/old";
{
	my $db = copy('young');
	$s->sql('SELECT public.impersonate()', database => $db);
	local $anchor = 0;
	is(outside($db, 'old', $keys), '', 'an old export');
}
sub slurp { my ($file) = @_; local (@ARGV, $/) = $file; return scalar <>; }
sub flip { my ($file, $at) = @_; my $text = slurp($file); substr($text, $at, 1) ^= "\1"; put($file, $text); return; }
my @files = (
	['a tile', sub { flip("$_[0]/tile/0/001", 44 * 32) }, 'tiles@300'],
	['an entry', sub { flip("$_[0]/tile/entries/001", 500) }, 'commitments@259 entries@258 rules@258'],
	['a tile above', sub { my ($file) = glob "$_[0]/tile/1/000.p/*"; flip($file, 40) }, 'tiles@256'],
	['the checkpoint: size', sub { my $t = slurp("$_[0]/checkpoint"); $t =~ s/^(\d+)$/$1 - 1/me; put("$_[0]/checkpoint", $t) },
		"anchors\@$last heads\@$last leaves\@1024 root\@1024 signature tiles\@1024"],
	['the checkpoint: signatures gone', sub { my $t = slurp("$_[0]/checkpoint"); $t =~ s/\n\n.*/\n\n/s; put("$_[0]/checkpoint", $t) }, 'signature'],
	['an old checkpoint', sub { system('cp', "$old/checkpoint", "$_[0]/checkpoint") },
		"anchors\@$young heads\@$young leaves\@512 root\@512 tiles\@512"],
	['an old export', sub { system('rm', '-rf', $_[0]); system('cp', '-r', $old, $_[0]) }, "anchors\@$young"],
	['a tile gone', sub { unlink "$_[0]/tile/0/002" }, 'tiles@512'],
	['an opening', sub { my $t = slurp("$_[0]/openings"); $t =~ s/Berlin/Dublin/; put("$_[0]/openings", $t) }, 'commitments@9'],
	['a key of somebody else', sub { put("$_[0]/mine", "goldenarch/x+00000000+AAAA\n") }, ''],
);
for my $act (@files)
{
	my ($name, $do, $expected) = @$act;
	my $dir = "$work/acted";
	system('rm', '-rf', $dir);
	system('cp', '-r', $export, $dir);
	$do->($dir);
	is(checked($dir, $keys), $expected, "an export: $name");
}
sleep 2;
is(checked($export, $keys, '--max-age', 1), 'age anchor lag', 'an export that is too old');

judge(@$_) for @acts;
done_testing();
