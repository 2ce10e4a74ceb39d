# SPDX-License-Identifier: PostgreSQL
# The bridge to a NATS that demands TLS, certificates, names and passwords, tokens or the credentials
# of a decentralised account: it works with the right ones, tells why with the wrong ones, publishes
# nothing to a server that is not the one meant, shows no secret, and its workers end cleanly.
use strict;
use warnings;
use Test::More;
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);
use GoldenArch::Head;
use GoldenArch::Stack;

my $key = "/tmp/goldenarch-tls-$$.key";
END { unlink glob "$key*" }
my $s = GoldenArch::Stack->new(preload => 1, set => { 'goldenarch.audit_key_file' => $key });
my $port;

sub file
{
	my ($name, $text) = @_;
	my $path = "$s->{dir}/$name";
	open my $out, '>', $path or die "$path: $!";
	print {$out} $text;
	close $out;
	chmod 0644, $path;
	return $path;
}

# ---- certificates: two authorities, a server of each, one for another name, two clients ----
sub openssl { return GoldenArch::Stack::command('openssl', @_); }
sub authority
{
	my ($name) = @_;
	openssl(qw(req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj), "/CN=$name",
		'-keyout', "$s->{dir}/$name.key", '-out', "$s->{dir}/$name.pem");
	return;
}
sub certificate
{
	my ($ca, $name, $san) = @_;
	openssl(qw(req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj), "/CN=$name",
		'-keyout', "$s->{dir}/$name.key", '-out', "$s->{dir}/$name.csr");
	my $extensions = file("$name.ext", "subjectAltName=$san\n");
	openssl(qw(x509 -req -days 2 -in), "$s->{dir}/$name.csr", '-CA', "$s->{dir}/$ca.pem", '-CAkey', "$s->{dir}/$ca.key",
		'-CAcreateserial', '-extfile', $extensions, '-out', "$s->{dir}/$name.pem");
	# Read by the servers' user, which owns the folder.
	GoldenArch::Stack::command('chmod', '644', "$s->{dir}/$name.key");
	return;
}
authority($_) for qw(ca other);
certificate('ca', 'server', 'DNS:localhost,IP:127.0.0.1');
certificate('ca', 'elsewhere', 'DNS:elsewhere.example');
certificate('ca', 'client', 'DNS:client');
certificate('other', 'stranger', 'DNS:stranger');

# ---- one broker, again and again with another configuration ----
sub broker
{
	my ($extra) = @_;
	$s->stop_service('nats') if -e "$s->{dir}/nats.pid";
	file('nats.extra', $extra);
	$s->start_service('nats');
	$port = $s->port_of('nats');
	return;
}
sub tls
{
	my ($certificate, $more) = @_;
	return "tls { cert_file: \"$s->{dir}/$certificate.pem\", key_file: \"$s->{dir}/$certificate.key\", timeout: 3" . ($more // '') . " }\n";
}

# settings: of the bridge, those not named here empty; by reload, after which the workers begin anew.
sub settings
{
	my (%set) = @_;
	my %name = (url => 'nats_url', ca => 'nats_tls_ca_file', cert => 'nats_tls_cert_file', key => 'nats_tls_key_file',
		creds => 'nats_credentials_file');
	$set{$_} //= '' for keys %name;
	$s->sql(join "\n", map { "ALTER SYSTEM SET goldenarch.$name{$_} = '$set{$_}';" } sort keys %name);
	$s->sql('SELECT pg_reload_conf()');
	return;
}

my $sent = 0;
sub works
{
	my ($what, %set) = @_;
	settings(%set);
	$s->sql(q{SELECT goldenarch.publish('prc.tls.a', '{}')});
	$sent++;
	return ok($s->poll("SELECT state || pending FROM goldenarch.bridge_status", 'connected0', 40), "$what: a message is stored");
}
sub refused
{
	my ($what, $why, %set) = @_;
	settings(%set);
	$s->poll(q{SELECT (SELECT status = 'down' FROM goldenarch.health() WHERE component = 'nats')
		AND state = 'down' AND last_error ~* '} . $why . q{' FROM goldenarch.bridge_status}, 't', 20);
	like($s->sql('SELECT state || $$: $$ || coalesce(last_error, $$$$) FROM goldenarch.bridge_status'), qr/^down: .*$why/i, "$what: refused, and why");
	return;
}

my $ca = "$s->{dir}/ca.pem";
broker(tls('server'));
works('TLS', url => "tls://localhost:$port", ca => $ca);
works('TLS by address', url => "tls://127.0.0.1:$port", ca => $ca);
# The server asks for TLS, and the machine's authorities do not know it.
refused('no certificate authority is set', 'issuer certificate', url => "nats://localhost:$port");
refused('tls:// with the machine\'s authorities', 'issuer certificate', url => "tls://localhost:$port");
refused('another authority', 'issuer certificate', url => "tls://localhost:$port", ca => "$s->{dir}/other.pem");
broker(tls('elsewhere'));
refused('a certificate for another host', 'hostname mismatch', url => "tls://localhost:$port", ca => $ca);
broker('');
refused('a server without TLS', 'secure connection not available', url => "nats://localhost:$port", ca => $ca);

# ---- mutual TLS ----
my @client = (cert => "$s->{dir}/client.pem", key => "$s->{dir}/client.key");
broker(tls('server', ", ca_file: \"$ca\", verify: true"));
works('a client certificate', url => "tls://localhost:$port", ca => $ca, @client);
refused('no client certificate', '.', url => "tls://localhost:$port", ca => $ca);
refused('a client certificate of another authority', '.', url => "tls://localhost:$port", ca => $ca,
	cert => "$s->{dir}/stranger.pem", key => "$s->{dir}/stranger.key");
refused('a client certificate without its key', 'key values mismatch', url => "tls://localhost:$port", ca => $ca, cert => "$s->{dir}/client.pem",
	key => "$s->{dir}/stranger.key");

# ---- name and password, token ----
broker(tls('server') . "authorization { users: [ { user: bridge, password: opensesame } ] }\n");
works('name and password', url => "tls://bridge:opensesame\@localhost:$port", ca => $ca);
ok($s->poll("SELECT EXISTS (SELECT FROM goldenarch.audit_anchors WHERE size > 0)"), 'heads are anchored over TLS');
{
	local $ENV{SSL_CERT_FILE} = $ca;
	like(GoldenArch::Stack::command('tools/anchored-heads', "tls://bridge:opensesame\@localhost:$port"), qr/^goldenarch\/\S+\n\d+\n/, 'and fetched over TLS');
	ok(!eval { GoldenArch::Stack::command('tools/anchored-heads', "tls://bridge:shutsesame\@localhost:$port") }, 'not with a wrong password');
	$ENV{SSL_CERT_FILE} = "$s->{dir}/other.pem";
	ok(!eval { GoldenArch::Stack::command('tools/anchored-heads', "tls://bridge:opensesame\@localhost:$port") }, 'not from a server of another authority');
}
unlike($s->sql('SELECT server FROM goldenarch.bridge_status'), qr/opensesame|bridge/, 'bridge_status shows neither');
refused('a wrong password', 'authorization violation', url => "tls://bridge:shutsesame\@localhost:$port", ca => $ca);
# Refused twice, cnats closes a connection for good: another process must take over when the server's users are corrected.
broker(tls('server') . "authorization { users: [ { user: bridge, password: shutsesame } ] }\n");
ok($s->poll("SELECT state FROM goldenarch.bridge_status", 'connected', 40), 'once the server takes that password the bridge is back by itself');
broker(tls('server') . "authorization { token: opentoken }\n");
works('a token', url => "tls://opentoken\@localhost:$port", ca => $ca);
refused('a wrong token', 'authorization', url => "tls://shuttoken\@localhost:$port", ca => $ca);

# ---- credentials file: operator, account and user of nkeys and JWTs, made from their specification ----
sub base32
{
	my ($bits) = unpack 'B*', $_[0];
	$bits .= '0' while length($bits) % 5;
	return join '', map { substr 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', oct("0b$_"), 1 } $bits =~ /(.{5})/g;
}
sub checked
{
	my ($bytes) = @_;
	my $crc = 0;
	for my $byte (unpack 'C*', $bytes)
	{
		$crc ^= $byte << 8;
		$crc = $crc & 0x8000 ? ($crc << 1 ^ 0x1021) & 0xffff : $crc << 1 & 0xffff for 1 .. 8;
	}
	return base32($bytes . pack 'v', $crc);
}
my %prefix = (operator => 14 << 3, account => 0, user => 20 << 3);
sub nkey
{
	my ($type) = @_;
	my $key = GoldenArch::Head->new($type);
	my $p = $prefix{$type};
	return { key => $key, public => checked(chr($p) . $key->{public}),
		seed => checked(pack('CC', 18 << 3 | $p >> 5, ($p & 31) << 3) . $key->{seed}) };
}
sub jwt
{
	my ($issuer, $subject, $name, $nats) = @_;
	my $json = JSON::PP->new->canonical;
	my $claims = { iss => $issuer->{public}, sub => $subject->{public}, name => $name, iat => time, jti => $name, nats => { version => 2, %$nats } };
	my $signed = join '.', map { encode_base64url($json->encode($_)) } { typ => 'JWT', alg => 'ed25519-nkey' }, $claims;
	return "$signed." . encode_base64url($issuer->{key}->sign($signed));
}
my ($operator, $system, $account, $user, $intruder) = map { nkey($_) } qw(operator account account user user);
my %all = map { $_ => -1 } qw(subs data payload imports exports conn leaf mem_storage disk_storage streams consumer);
my %limits = (type => 'account', limits => { %all, wildcards => JSON::PP::true });
my ($system_jwt, $account_jwt) = (jwt($operator, $system, 'sys', { type => 'account' }), jwt($operator, $account, 'app', \%limits));
my $user_jwt = jwt($account, $user, 'bridge', { type => 'user', subs => -1, data => -1, payload => -1 });
sub credentials
{
	my ($name, $jwt, $seed) = @_;
	return file($name, "-----BEGIN NATS USER JWT-----\n$jwt\n------END NATS USER JWT------\n\n"
		. "-----BEGIN USER NKEY SEED-----\n$seed\n------END USER NKEY SEED------\n");
}
broker(tls('server') . 'operator: "' . jwt($operator, $operator, 'op', { type => 'operator' }) . "\"\nresolver: MEMORY\n"
	. "system_account: $system->{public}\n"
	. "resolver_preload { $system->{public}: \"$system_jwt\", $account->{public}: \"$account_jwt\" }\n");
works('a credentials file', url => "tls://localhost:$port", ca => $ca, creds => credentials('right.creds', $user_jwt, $user->{seed}));
refused('a credentials file with the seed of another', 'authorization', url => "tls://localhost:$port", ca => $ca,
	creds => credentials('wrong.creds', $user_jwt, $intruder->{seed}));
refused('a credentials file that is not there', 'no.creds', url => "tls://localhost:$port", ca => $ca, creds => "$s->{dir}/no.creds");
credentials('no.creds', $user_jwt, $user->{seed});
ok($s->poll("SELECT state || pending FROM goldenarch.bridge_status", 'connected0', 40), 'once it is there the bridge is back by itself');

# ---- endings under TLS ----
$s->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'goldenarch relay'");
$s->sql(q{SELECT goldenarch.publish('prc.tls.a', '{}')});
ok($s->poll("SELECT state || pending FROM goldenarch.bridge_status", 'connected0', 30), 'a relay that is terminated under TLS comes back');
$s->stop('fast');
# PostgreSQL itself writes down how a setting changed: a password in nats_url is no secret to readers of the log.
my $log = join "\n", grep { !/parameter "goldenarch\.nats_url" changed/ } split /\n/, $s->server_log;
unlike($log, qr/terminated by signal|PANIC/, 'no worker crashed at its end');
unlike($log, qr/opensesame|shutsesame|opentoken|shuttoken|$user->{seed}/, 'no secret is in the log');
done_testing();
