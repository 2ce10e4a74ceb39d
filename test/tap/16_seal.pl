# SPDX-License-Identifier: PostgreSQL
# The sealer: every committed audit row becomes a leaf once, whatever transactions do meanwhile; heads are signed by the
# keys of the key file; an empty log has a heartbeat.
use strict;
use warnings;
use Test::More;
use GoldenArch::Stack;

my $key = "/tmp/goldenarch-seal-$$.key";
END { unlink glob "$key*" }
my $s = GoldenArch::Stack->new(preload => 'goldenarch', workers => 1, set => { 'goldenarch.audit_key_file' => $key });
my $status = sub { $s->sql("SELECT value FROM goldenarch.audit_status() WHERE item = '$_[0]'") };

$s->sql("SELECT goldenarch.audit('ship', 'order', '1')");
my $sealed = 'SELECT FROM goldenarch.audit_leaves JOIN goldenarch.audit_entries USING (tenant, id) WHERE resource_id =';
ok($s->poll("SELECT EXISTS ($sealed '1')"), 'a row is sealed by itself');
ok($s->poll("SELECT value = 'yes' FROM goldenarch.audit_status() WHERE item = 'signed'"), 'and signed');
done_testing();
