# SPDX-License-Identifier: PostgreSQL
# kill -9 of the server with its workers running: what was committed is there, what was not is gone,
# the workers come back, and a worker that is killed does not stay away.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;

my $s = GoldenArch::Stack->new(preload => 1, durable => 1, set => { 'goldenarch.audit_wait' => 2000 });
my $workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'goldenarch%' AND datname = 'app'";
$s->sql("SELECT goldenarch.audit('ship', 'order', 'committed')");
my $open = $s->session;
$open->query("BEGIN; SELECT goldenarch.audit('ship', 'order', 'open')");
ok($s->poll("SELECT ($workers) > 0"), 'workers run');
my $running = $s->sql($workers);

$s->crash;
$s->start;
is($s->sql("SELECT string_agg(resource_id, ',') FROM goldenarch.audit_log WHERE action = 'app.ship'"), 'committed',
	'what was committed is there, what was not is gone');
ok($s->poll("SELECT ($workers) >= $running"), 'the workers are back after the crash');
is($s->sql("SELECT goldenarch.audit('ship', 'order', 'after') > 0"), 't', 'and work goes on');

# A worker that ends is started again; the server stays up.
my $postmaster = $s->postmaster_pid;
$s->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'goldenarch%'");
ok($s->poll("SELECT ($workers) >= $running", 't', 30), 'terminated workers are started again');
is($s->postmaster_pid, $postmaster, 'the server did not restart');
done_testing();
