# SPDX-License-Identifier: PostgreSQL
# A real pg_cron runs the maintenance that schedule_maintenance() registered, as who registered it.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;

my $s = GoldenArch::Stack->new(preload => 1, workers => 0, set => { 'cron.use_background_workers' => 'on' });
like($s->sql('SELECT * FROM goldenarch.schedule_maintenance()'), qr/^maintenance worker: pg_cron is not installed/,
	'without pg_cron it says who does the work');
$s->sql('CREATE EXTENSION pg_cron');
like($s->sql('SELECT * FROM goldenarch.schedule_maintenance()'), qr/^pg_cron job \d+: goldenarch maintenance, every minute$/,
	'with pg_cron it registers a job');
$s->sql('SELECT * FROM goldenarch.schedule_maintenance()');
is($s->sql("SELECT schedule || ' ' || username FROM cron.job WHERE jobname = 'goldenarch maintenance'"), '* * * * * postgres',
	'once, however often it is called');
$s->sql("SELECT goldenarch.request_approval('rename', 'x', '{}')");
$s->sql("UPDATE goldenarch.approvals SET expires_at = now() - interval '1 s'");
ok($s->poll("SELECT count(*) > 0 FROM cron.job_run_details WHERE status = 'succeeded'", 't', 80), 'it runs within its minute');
ok($s->poll("SELECT state FROM goldenarch.approvals", 'expired', 10), 'and expires what is due, where no worker does');
done_testing;
