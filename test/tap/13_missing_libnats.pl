# SPDX-License-Identifier: PostgreSQL
# A host whose libnats cannot be loaded: the server starts, serves, audits and keeps messages; only
# the bridge's workers complain. An empty file on the loader's path stands for the broken library.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;

my $bridge = "$GoldenArch::Stack::ROOT/$GoldenArch::Stack::BUILD/goldenarch_bridge.so";
die "the bridge is not part of this build: $bridge\n" unless -e $bridge;
my $s = GoldenArch::Stack->new(nats => 1, extension => 0);
my $broken = "$s->{dir}/broken";
mkdir $broken or die "mkdir: $!";
my ($soname) = `readelf -d $bridge` =~ /\[(libnats[^\]]*)\]/;
open my $file, '>', "$broken/$soname" or die "open: $!";
close $file;
@$s{qw(preload libraries)} = (1, 'goldenarch');
$s->stop;
{
	local $ENV{LD_LIBRARY_PATH} = $broken;
	$s->start;
}
my $postmaster = $s->postmaster_pid;
$s->sql('CREATE EXTENSION goldenarch');
is($s->sql("SELECT goldenarch.audit('ship', 'order', '42') > 0"), 't', 'the audit works');
is($s->sql("SELECT goldenarch.publish('prc.task.done', '{}') > 0"), 't', 'a message is kept');
my $complained = 0;
for (1 .. 200)
{
	last if $complained = $s->server_log =~ /could not load library .*goldenarch_bridge/;
	select undef, undef, undef, 0.1;
}
ok($complained, 'the log says which library is missing');
is($s->sql("SELECT status FROM goldenarch.health() WHERE component = 'nats'"), 'down',
	'health says that the bridge is down');
is($s->postmaster_pid, $postmaster, 'the server stayed up');
unlike($s->server_log, qr/terminated by signal|PANIC/, 'and nothing crashed');
done_testing();
