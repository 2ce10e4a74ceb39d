# SPDX-License-Identifier: PostgreSQL
# The small form of make chaos-audit: 5 stops under load. test/chaos/audit says what it checks.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;

my ($rounds, $leaves) = (5, 100_000);
open my $chaos, '-|', "$GoldenArch::Stack::ROOT/test/chaos/audit", '--rounds', $rounds, '--leaves', $leaves or die "run: $!";
while (my $line = <$chaos>)
{
	chomp $line;
	if ($line =~ /^(ok|FAILED) +(.*)/) { ok($1 eq 'ok', $2); }
	else { diag($line); }
}
ok(close($chaos), 'it ran to its end');
done_testing();
