# SPDX-License-Identifier: PostgreSQL
# A real Prometheus scrapes goldenarch.metrics_port and knows what SQL says.
use strict;
use warnings;
use Test::More;
use HTTP::Tiny;
use IO::Socket::INET;
use IPC::Run ();
use Time::HiRes qw(sleep time);
use GoldenArch::Stack;

sub free_port
{
	return IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')->sockport;
}

my $port = free_port();
my $s = GoldenArch::Stack->new(preload => 1, set => { 'goldenarch.metrics_port' => $port });
$s->sql("SELECT goldenarch.audit('ship', 'order', '1') FROM generate_series(1, 7)");
ok($s->poll('SELECT count(*) = 8 FROM goldenarch.audit_entries'), 'the eighth row is the first leaf of the tree');
my $http = HTTP::Tiny->new(timeout => 10);
my $answer;
for (1 .. 100)
{
	$answer = $http->get("http://127.0.0.1:$port/metrics");
	last if $answer->{success};
	sleep 0.1;
}
is($answer->{status}, 200, 'the worker answers');
like($answer->{headers}{'content-type'}, qr{^application/openmetrics-text}, 'as OpenMetrics');
like($answer->{content}, qr/^goldenarch_audit_rows_total 8$/m, 'with what happened');
like($answer->{content}, qr/# EOF\n\z/, 'to the end');
is($http->get("http://127.0.0.1:$port/secret")->{status}, 404, 'and with nothing else');

# A silent client holds nobody up for long, a long one is cut.
my $silent = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") or die $!;
my $flood = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") or die $!;
print $flood 'GET /' . 'x' x 20000;
my $from = time;
is($http->get("http://127.0.0.1:$port/metrics")->{status}, 200, 'behind a silent and a flooding client');
cmp_ok(time - $from, '<', 8, 'within their time limits');

my $web = free_port();
my $dir = "$s->{dir}/prometheus";
mkdir $dir or die $!;
open my $config, '>', "$dir/prometheus.yml" or die $!;
print $config <<"YAML";
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: goldenarch
    static_configs: [ { targets: [ "127.0.0.1:$port" ] } ]
YAML
close $config;
my ($out, $err) = ('', '');
my $prometheus = IPC::Run::start([ 'prometheus', "--config.file=$dir/prometheus.yml",
	"--storage.tsdb.path=$dir/data", "--web.listen-address=127.0.0.1:$web" ], '>', \$out, '2>', \$err);
my $found = '';
for (1 .. 150)
{
	my $query = $http->get("http://127.0.0.1:$web/api/v1/query?query=goldenarch_audit_rows_total");
	$found = $query->{content} // '';
	last if $query->{success} && $found =~ /"8"/;
	sleep 0.2;
}
like($found, qr/"job":"goldenarch".*"8"/, 'Prometheus scraped it') or diag(substr $err, -2000);
$prometheus->signal('TERM');
$prometheus->finish;
done_testing;
