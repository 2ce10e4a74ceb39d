# SPDX-License-Identifier: PostgreSQL
# Keys of another issuer come, overlap, go and are compromised, and tokens are revoked, while a
# second session has keys and tokens in its caches: each change binds there at the next call. What
# is wrong with a token is said to the audit log and to nobody else; verifying writes nothing.
use strict;
use warnings;
use MIME::Base64 qw(encode_base64 encode_base64url);
use Test::More;
use GoldenArch::Stack;

my $s = GoldenArch::Stack->new(preload => 1, workers => 0);
my %joe = (user => 'joe');

# RFC 8032 section 7.1, tests 1 and 2: the keys of an issuer, which signs in a database of its own.
my %key = (
	j1 => ['9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
		'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'],
	j2 => ['4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
		'3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c']);
$s->sql('CREATE DATABASE issuer', database => 'postgres');
$s->sql('CREATE EXTENSION goldenarch', database => 'issuer');

# A token of this subject, signed by that key.
sub token
{
	my ($kid, $subject) = @_;
	my $pem = "-----BEGIN PRIVATE KEY-----\n" . encode_base64(pack('H*', "302e020100300506032b657004220420$key{$kid}[0]"))
		. '-----END PRIVATE KEY-----';
	return $s->sql("SELECT goldenarch.add_jwt_key('$kid', 'EdDSA', '$pem', 'them', 'us', true) \\g /dev/null
		SELECT goldenarch.issue_jwt('$subject', 'observer')", database => 'issuer');
}
my %token = (j1 => token('j1', 'ann'), j2 => token('j2', 'ben'));

sub set
{
	return '{"keys":[' . join(',', map { sprintf '{"kty":"OKP","crv":"Ed25519","kid":"%s","x":"%s"}', $_,
		encode_base64url(pack 'H*', $key{$_}[1]) } @_) . ']}';
}
sub load { my ($set, @more) = @_; return $s->sql("SELECT goldenarch.load_jwks('$set', 'them', 'us'@more)"); }

$s->sql(q{CREATE ROLE joe LOGIN; SELECT goldenarch.grant_access('joe', 'app'), goldenarch.map_role('joe', 'joe', '{developer}')});
my $session = $s->session(%joe);

# Which of the tokens the other session accepts now, twice: the second time from its cache.
sub accepted
{
	my @accepted;
	for my $kid (sort keys %token)
	{
		my @subjects = map { $session->query("SELECT goldenarch.verify_jwt('$token{$kid}')->>'sub'") } 1 .. 2;
		is($subjects[0], $subjects[1], "$kid: the same answer again");
		push @accepted, $kid if $subjects[0];
	}
	return join ' ', @accepted;
}

is(accepted(), '', 'no key yet');
is(load(set('j1')), 1, 'a first set');
is(accepted(), 'j1', 'its key counts');
is(load(set('j1', 'j2')), 2, 'the set in which both overlap');
is(accepted(), 'j1 j2', 'both count');
is(load(set('j2'), ", '1 hour'"), 1, 'the first is gone from the set, which leaves it an hour');
is(accepted(), 'j1 j2', 'both count still');
$s->sql("UPDATE goldenarch.jwt_keys SET retired_at = now() + interval '1 second' WHERE kid = 'j1'");
is($session->query("SELECT goldenarch.verify_jwt('$token{j1}')->>'sub'"), 'ann', 'to its last second');
$s->poll('SELECT now() > retired_at FROM goldenarch.jwt_keys WHERE kid = \'j1\'', 't', 10);
is(accepted(), 'j2', 'then it does not, though nothing was written and both are cached');
load(set('j1', 'j2'));
is(accepted(), 'j1 j2', 'a set brings back what a set had taken');
load(set('j2'));
is(accepted(), 'j2', 'without an overlap at once');
load(set('j1', 'j2'), ", '1 day'");

# Compromise: by hand, at once, for good.
$session->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($session->query("SELECT goldenarch.verify_jwt('$token{j1}')->>'sub'"), 'ann', 'in a transaction with an old snapshot');
is($s->sql("SELECT goldenarch.retire_jwt_key('j1', 'them')"), 't', 'the key is compromised');
is(accepted(), '', 'refused there too');
like($session->error, qr/^25P02/, 'which ended that transaction');
$session->query('ROLLBACK');
is(accepted(), 'j2', 'and everywhere');
is(load(set('j1', 'j2')), 1, 'a set that still has it');
is(load(set('j2'), ", '1 day'"), 1, 'or once had');
is(accepted(), 'j2', 'does not bring it back');
like($s->fails("SELECT goldenarch.load_jwks('" . set('j1') =~ s/"j1"/"j9"/r . "', 'them', 'us')"), qr/^22023/, 'nor under another name');

# Revocation, and more revocations and keys than a session keeps.
my $jti = $session->query("SELECT goldenarch.verify_jwt('$token{j2}')->>'jti'");
$token{j3} = token('j2', 'carl');
is(accepted(), 'j2 j3', 'two tokens of one key');
$s->sql("SELECT goldenarch.revoke_token('$jti', now() + interval '1 day')");
is(accepted(), 'j3', 'one is revoked, in the other session too');
$s->sql("INSERT INTO goldenarch.revoked_tokens (token_id, until, revoked_by) SELECT 'r' || g, 'infinity', 'x' FROM generate_series(1, 1500) g");
is(accepted(), 'j3', 'the same among 1,500 revocations');
$s->sql("INSERT INTO goldenarch.jwt_keys (issuer, kid, alg, verify_key, can_sign, source)
	SELECT 'i' || g, 'k' || g, alg, verify_key, false, 'added' FROM goldenarch.jwt_keys, generate_series(1, 700) g WHERE kid = 'j2'");
is(accepted(), 'j3', 'and among 700 keys');
$s->sql("DELETE FROM goldenarch.revoked_tokens WHERE token_id LIKE 'r%' OR token_id = '$jti'; DELETE FROM goldenarch.jwt_keys WHERE kid LIKE 'k%'");
is(accepted(), 'j2 j3', 'a revocation whose time is over is forgotten everywhere');

# The caches are bounded, and verifying writes nothing.
$s->sql(<<'SQL', database => 'issuer');
CREATE TABLE many AS SELECT goldenarch.issue_jwt('s' || g, 'observer') AS token FROM generate_series(1, 300) g;
SQL
my @many = split /\n/, $s->sql('SELECT token FROM many', database => 'issuer');
$s->sql('CREATE TABLE public.many (token text); GRANT SELECT ON public.many TO joe; INSERT INTO public.many VALUES '
	. join ',', map { "('$_')" } @many);
$session->query('BEGIN READ ONLY');
is($session->query("SELECT count(goldenarch.verify_jwt(token)->>'sub') FROM public.many"), 300, 'three hundred tokens');
is($session->query('SELECT pg_current_xact_id_if_assigned() IS NULL'), 't', 'took no transaction id');
$session->query('COMMIT');
is($s->sql("SELECT count(goldenarch.verify_jwt(token)->>'sub') FROM public.many \\g /dev/null
	SELECT count(*) BETWEEN 1 AND 64 FROM pg_backend_memory_contexts WHERE name = 'goldenarch token'"), 't', 'at most 64 are remembered');

# One answer, whatever is wrong; the reasons are in the log, one each.
my ($header, $payload, $signature) = split /\./, $token{j3};
my %bad = (
	'three segments' => 'x', 'strict base64url' => "$header=.$payload.$signature",
	'wrong signature' => "$header.$payload." . ((scalar reverse $signature) =~ s/.$/A/r),
	'unknown key' => token('j1', 'x'), 'no signature' => "$header.$payload.", 'not signed' => encode_base64url('{"alg":"none"}') . ".$payload.$signature",
	'too long' => 'a' x 9000, 'refused' => encode_base64url('{"alg":"EdDSA","kid":"j2","crit":["b64"]}') . ".$payload.$signature",
	'another algorithm' => encode_base64url('{"alg":"HS256","kid":"j2"}') . ".$payload.$signature",
	'another type' => encode_base64url('{"alg":"EdDSA","kid":"j2","typ":"secevent+jwt"}') . ".$payload.$signature",
	'strict JSON object' => "$header." . encode_base64url('{"a":1,"a":2}') . ".$signature");
my %said;
for my $function (qw(verify_jwt authenticate))
{
	for my $reason (sort keys %bad)
	{
		my (undef, undef, $err) = $s->run_psql("SELECT goldenarch.$function('$bad{$reason}')", %joe);
		$err =~ s/^psql:[^:]*:\d+: //mg;
		$err =~ s/^LOCATION:.*\n?//mg;
		$said{$function}{$err}++;
	}
	is(scalar(keys %{ $said{$function} }), 1, "$function: one answer for every reason") or diag(explain($said{$function}));
	like((keys %{ $said{$function} })[0], qr/^ERROR:\s+28000: token rejected\nHINT:[^\n]*$/, 'which names none');
}
my $reasons = $s->sql("SELECT string_agg(details->>'message', E'\\n') FROM goldenarch.audit_log WHERE action = 'authenticate' AND outcome = 'denied'");
like($reasons, qr/\Q$_\E/, "the audit log has the reason: $_") for sort keys %bad;
like($s->server_log, qr/DETAIL:.*wrong signature/, 'the server\'s log has the reason of verify_jwt');
done_testing();
