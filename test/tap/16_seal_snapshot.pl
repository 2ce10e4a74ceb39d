# SPDX-License-Identifier: PostgreSQL
# Sealing by the difference of snapshots: writers that overlap, take their time, roll back, use savepoints and prepare
# transactions. None of their rows is missed, none becomes two leaves, and long transactions hold up nobody.
use strict;
use warnings;
use Test::More;
use Digest::SHA qw(sha256);
use File::Temp qw(tempdir);
use IPC::Run ();
use GoldenArch::Stack;

my $SECONDS = 12;
my $s = GoldenArch::Stack->new(preload => 'goldenarch', set => { max_prepared_transactions => 20 });
my $folder = tempdir(CLEANUP => 1);
my %script = (
	short => "\\set r random(1, 10)
BEGIN;
SELECT goldenarch.audit('short', 'order', 'kept');
SAVEPOINT a;
SELECT goldenarch.audit('short', 'order', 'undone');
ROLLBACK TO a;
SELECT count(goldenarch.audit('short', 'order', 'many')) FROM generate_series(1, 20);
\\if :r = 1
ROLLBACK;
\\else
COMMIT;
\\endif
",
	long => "\\set ms random(300, 2000)
BEGIN;
SELECT goldenarch.audit('long', 'order', 'begin');
\\sleep :ms ms
SAVEPOINT a;
SELECT goldenarch.audit('long', 'order', 'end');
RELEASE a;
COMMIT;
",
	prepared => "\\set n random(1, 1000000000)
\\set ms random(1, 700)
\\set r random(1, 4)
BEGIN;
SELECT count(goldenarch.audit('prepared', 'order', 'many')) FROM generate_series(1, 10);
PREPARE TRANSACTION 'p:n';
\\sleep :ms ms
\\if :r = 1
ROLLBACK PREPARED 'p:n';
\\else
COMMIT PREPARED 'p:n';
\\endif
");
my %clients = (short => 3, long => 6, prepared => 3);
my @runs;
for my $name (sort keys %script)
{
	open my $out, '>', "$folder/$name" or die $!;
	print $out $script{$name};
	close $out;
	my ($said, $err) = ('', '');
	push @runs, [ IPC::Run::start([ "$GoldenArch::Stack::BIN/pgbench", '-n', '-T', $SECONDS, '-c', $clients{$name}, '-f',
		"$folder/$name", '-h', $s->{host}, '-p', $s->{port}, '-U', $s->{user}, $s->{database} ], '<', '/dev/null',
		'>', \$said, '2>', \$err), $name, \$err ];
}

# From commit until it is a leaf, meanwhile.
$s->sql('CREATE TABLE lag (ms float8)');
$s->sql(<<'SQL', timeout => 60);
DO $$
DECLARE
	written bigint;
	began timestamptz;
BEGIN
	FOR i IN 1 .. 60 LOOP
		written := goldenarch.audit('lag', 'order', i::text);
		COMMIT;
		began := clock_timestamp();
		FOR j IN 1 .. 5000 LOOP
			EXIT WHEN EXISTS (SELECT FROM goldenarch.audit_leaves_rows WHERE id = written);
			PERFORM pg_sleep(0.002);
			COMMIT;
		END LOOP;
		INSERT INTO lag VALUES (1000 * extract(epoch FROM clock_timestamp() - began));
		COMMIT;
	END LOOP;
END $$
SQL
diag 'lag ms p50, p90, max: ' . $s->sql("SELECT round(percentile_disc(0.5) WITHIN GROUP (ORDER BY ms)::numeric),
	round(percentile_disc(0.9) WITHIN GROUP (ORDER BY ms)::numeric), round(max(ms)::numeric) FROM lag");
is($s->sql('SELECT percentile_disc(0.9) WITHIN GROUP (ORDER BY ms) < 1000 FROM lag'), 't', 'long transactions hold up nobody');
for my $run (@runs)
{
	my ($harness, $name, $err) = @$run;
	IPC::Run::finish($harness);
	is($harness->result(0), 0, "$name writers") or diag $$err;
}
$s->sql('SELECT goldenarch.audit_seal()');
is($s->sql("SELECT count(*) FROM pg_prepared_xacts"), '0', 'nothing is left prepared');
my $rows = $s->sql('SELECT count(*) FROM goldenarch.audit_entries');
diag "$rows rows";
cmp_ok($rows, '>', 3000, 'many rows');
is($s->sql('SELECT count(*) FROM goldenarch.audit_entries e WHERE NOT EXISTS
	(SELECT FROM goldenarch.audit_leaves l WHERE l.tenant = e.tenant AND l.id = e.id)'), '0', 'none was missed');
is($s->sql('SELECT count(*), count(DISTINCT id), count(DISTINCT leaf_index), min(leaf_index), max(leaf_index) + 1
	FROM goldenarch.audit_leaves'), "$rows|$rows|$rows|0|$rows", 'none is twice');
is($s->sql("SELECT count(*) FROM goldenarch.audit_log WHERE resource_id = 'undone'"), '0', 'what was undone is not there');

# The root, from the leaves alone, by RFC 6962.
sub root
{
	my @nodes = @_;
	while (@nodes > 1)
	{
		my @next;
		while (my ($left, $right) = splice @nodes, 0, 2)
		{
			push @next, defined $right ? sha256("\x01$left$right") : $left;
		}
		@nodes = @next;
	}
	return $nodes[0];
}
my @leaves = map { pack 'H*', $_ } split /\n/, $s->sql("SELECT encode(e.leaf, 'hex') FROM goldenarch.audit_leaves l
	JOIN goldenarch.audit_entries e USING (tenant, id) ORDER BY leaf_index");
is(unpack('H*', root(@leaves)), $s->sql("SELECT encode(root, 'hex') FROM goldenarch.audit_trees"), 'the root is theirs');
is(unpack('H*', root(@leaves)), $s->sql("SELECT encode(root_hash, 'hex') FROM goldenarch.audit_checkpoint()"), 'and the head');
is($s->sql("SELECT value FROM goldenarch.audit_status() WHERE item = 'unsealed_rows'"), '0', 'nothing waits');
$s->destroy;
done_testing();
