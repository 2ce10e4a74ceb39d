-- SPDX-License-Identifier: PostgreSQL
-- Tokens: published vectors, keys bound to one algorithm, claims, rotation, and forgeries.
\set SHOW_CONTEXT never
\set oct '{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}'

-- Vectors of RFC 7515 (A.1, A.3) and RFC 8037 (A.4).
\set hs 'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
\set es 'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q'
\set es_key '{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}'
\set ed 'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'
\set ed_key '{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"o1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'
SELECT convert_from(goldenarch.jws_verify(:'hs', :'oct', 'HS256'), 'UTF8');
SELECT convert_from(goldenarch.jws_verify(:'es', :'es_key', 'ES256'), 'UTF8') LIKE '%joe%' AS es256;
SELECT convert_from(goldenarch.jws_verify(:'ed', :'ed_key', NULL), 'UTF8');
SELECT goldenarch.jws_verify(:'hs', :'oct', NULL);
SELECT goldenarch.jws_verify(:'hs', :'oct', 'HS512');
SELECT goldenarch.jws_verify(:'hs', :'oct', 'none');
SELECT goldenarch.jws_verify(:'hs', :'oct', 'ES256');
SELECT goldenarch.jws_verify(:'es', :'es_key', 'HS256');
SELECT goldenarch.jws_verify(:'ed', :'ed_key', 'ES256');
SELECT goldenarch.jws_verify(:'ed' || 'A', :'ed_key', NULL);
SELECT goldenarch.jws_verify(replace(:'ed', 'RXh', 'RXi'), :'ed_key', NULL);
SELECT goldenarch.jws_verify(:'ed', '{"kty":"OKP","alg":"EdDSA","use":"enc"}', NULL);
SELECT goldenarch.jws_verify(:'ed', '[]', NULL);
SELECT goldenarch.jws_verify(:'ed', '{"alg":"XX"}', NULL);
SELECT goldenarch.jws_verify(NULL, :'ed_key', NULL);
SELECT goldenarch.jws_verify('', :'ed_key', NULL);
SELECT goldenarch.jws_verify(:'ed', NULL, NULL);
SELECT goldenarch.jws_verify(:'ed', :'ed_key', '');

-- Keys: what is added, what is refused.
SELECT goldenarch.issue_jwt('a', 'admin');
SELECT goldenarch.add_jwt_key('hs', 'HS256', 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow', 'iss', 'aud');
SELECT goldenarch.issue_jwt('a', 'admin');
SELECT goldenarch.add_jwt_key('ed', 'EdDSA', '-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIMhEAHVooEaEsDK2+oduEkNWgXIIGZ27hhfCupEVNNf5
-----END PRIVATE KEY-----', can_sign => true);
SELECT goldenarch.add_jwt_key('ed', 'EdDSA', '-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIMhEAHVooEaEsDK2+oduEkNWgXIIGZ27hhfCupEVNNf5
-----END PRIVATE KEY-----', can_sign => true);
SELECT goldenarch.add_jwt_key('ed', 'EdDSA', '-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAy0HfVrFthVWsWeATdzrfm3kHEJB7W5QbLmbKCX22TFg=
-----END PUBLIC KEY-----', can_sign => true);
SELECT goldenarch.add_jwt_key('ed', 'ES256', '-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAy0HfVrFthVWsWeATdzrfm3kHEJB7W5QbLmbKCX22TFg=
-----END PUBLIC KEY-----');
SELECT goldenarch.add_jwt_key('ed', 'HS256', '-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAy0HfVrFthVWsWeATdzrfm3kHEJB7W5QbLmbKCX22TFg=
-----END PUBLIC KEY-----');
SELECT goldenarch.add_jwt_key('hs', 'HS256', 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0', 'iss', 'aud');
SELECT goldenarch.add_jwt_key('rs', 'RS256', '-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA4rKXk7B+/qesiytnWYX4
d0xsPhzSBOpb72m1Gh45H9OOhgazaBRPIQIl5HcoxBibkLEEYWkk6CfEnOw1B5Dw
leyQJnlEVN+r30pO2250TaJmQij5faWR9LoXc4WfoLjXjMbIHe6DQJuXvF9MSucD
mCYfSpnLJut90Fj2KPoGzOe7rAmvpejceI3h+Ayoptq+7eL7pcDRcQt94alPe4o3
+BWBtppZj3hacYkJpW99FOXRukuRtOMKhWjWzJQnOuYyzZEwdc+8nmvROrxSsF4q
DD4UM4GkO8WCiVs7WJ0lKeUutknIDVSwWsmjAh4Gd5zdHFE7gQGUUzniiLmBuBia
mwIDAQAB
-----END PUBLIC KEY-----', 'iss', 'aud');
SELECT goldenarch.add_jwt_key('rs', 'PS256', '-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA4rKXk7B+/qesiytnWYX4
d0xsPhzSBOpb72m1Gh45H9OOhgazaBRPIQIl5HcoxBibkLEEYWkk6CfEnOw1B5Dw
leyQJnlEVN+r30pO2250TaJmQij5faWR9LoXc4WfoLjXjMbIHe6DQJuXvF9MSucD
mCYfSpnLJut90Fj2KPoGzOe7rAmvpejceI3h+Ayoptq+7eL7pcDRcQt94alPe4o3
+BWBtppZj3hacYkJpW99FOXRukuRtOMKhWjWzJQnOuYyzZEwdc+8nmvROrxSsF4q
DD4UM4GkO8WCiVs7WJ0lKeUutknIDVSwWsmjAh4Gd5zdHFE7gQGUUzniiLmBuBia
mwIDAQAB
-----END PUBLIC KEY-----', 'iss', 'aud');
SELECT goldenarch.add_jwt_key('x', 'HS256', 'c2hvcnQ', 'iss', 'aud');
SELECT goldenarch.add_jwt_key('x', 'HS256', 'not base64url!', 'iss', 'aud');
SELECT goldenarch.add_jwt_key('x', 'none', 'x', 'iss', 'aud');
SELECT goldenarch.add_jwt_key('x', 'hs256', 'x', 'iss', 'aud');
SELECT goldenarch.add_jwt_key('x', 'RS256', 'no PEM', 'iss', 'aud');
SELECT goldenarch.add_jwt_key(NULL, 'HS256', 'x');
SELECT goldenarch.add_jwt_key('', 'HS256', 'x');
SELECT goldenarch.add_jwt_key('x', NULL, 'x');
SELECT goldenarch.add_jwt_key('x', 'HS256', NULL);
SELECT goldenarch.add_jwt_key('x', 'HS256', 'x', '');
SELECT goldenarch.add_jwt_key('x', 'HS256', 'x', 'i', 'a', NULL);
SELECT goldenarch.add_jwt_key(repeat('k', 200), 'HS256', 'x');
SELECT kid, alg, issuer, audience, can_sign, sign_key IS NOT NULL AS private FROM goldenarch.jwt_keys ORDER BY kid;

-- Issue and verify with EdDSA and ES256: the newest key that signs.
SELECT goldenarch.issue_jwt('alice', 'developer', 'acme', '1 hour', '{"team": ["x", 1]}') AS token \gset
SELECT goldenarch.verify_jwt(:'token') - '{exp,iat,jti}'::text[] AS claims;
SELECT (c->>'exp')::numeric - (c->>'iat')::numeric AS ttl, length(c->>'jti') FROM goldenarch.verify_jwt(:'token') c;
SELECT goldenarch.add_jwt_key('ec', 'ES256', '-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgUmrHLeXOI1a7nDu5
sNz8Z6nf7tVJTS8nW/5piquXbNWhRANCAAQlSeukaOe2Q/sxBaaoK6UP194N+o+5
zNxFzj7NvzS1gtCp5EgcQ8cVGoqL+4nXmQS/GQBQ+W7uo05rOiHZz+uu
-----END PRIVATE KEY-----', 'https://us', 'us', true);
SELECT goldenarch.issue_jwt('bob', 'observer') AS bob \gset
SELECT goldenarch.verify_jwt(:'bob') - '{exp,iat,jti}'::text[] AS claims;
SELECT goldenarch.issue_jwt(NULL, 'developer');
SELECT goldenarch.issue_jwt('', 'developer');
SELECT goldenarch.issue_jwt(repeat('a', 300), 'developer');
SELECT goldenarch.issue_jwt('a', NULL);
SELECT goldenarch.issue_jwt('a', 'emperor');
SELECT goldenarch.issue_jwt('a', 'developer', '');
SELECT goldenarch.issue_jwt('a', 'developer', NULL, NULL);
SELECT goldenarch.issue_jwt('a', 'developer', NULL, '0 s');
SELECT goldenarch.issue_jwt('a', 'developer', NULL, '1000 days');
SELECT goldenarch.issue_jwt('a', 'developer', NULL, '1 day', NULL);
SELECT goldenarch.issue_jwt('a', 'developer', NULL, '1 day', '[1]');
SELECT goldenarch.issue_jwt('a', 'developer', NULL, '1 day', '{"sub": "root"}');
SELECT goldenarch.issue_jwt('a', 'developer', NULL, '1 day', '{"roles": ["admin"]}');
SELECT goldenarch.issue_jwt('a', 'developer', NULL, '1 day', jsonb_build_object('x', repeat('y', 9000)));

-- Tokens made by hand, signed with the key "hs": header and claims as they come.
CREATE FUNCTION public.b64u(data bytea) RETURNS text LANGUAGE sql AS $$
  SELECT rtrim(translate(encode(data, 'base64'), E'+/\n', '-_'), '=') $$;
CREATE FUNCTION public.hmac256(message bytea, key bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
  inner_pad bytea := ''; outer_pad bytea := '';
  padded bytea := key || decode(repeat('00', 64 - length(key)), 'hex');
BEGIN
  FOR i IN 0..63 LOOP
    inner_pad := inner_pad || set_byte('\x00', 0, get_byte(padded, i) # 54);
    outer_pad := outer_pad || set_byte('\x00', 0, get_byte(padded, i) # 92);
  END LOOP;
  RETURN sha256(outer_pad || sha256(inner_pad || message));
END $$;
CREATE FUNCTION public.mint(header text, claims text) RETURNS text LANGUAGE sql AS $$
  SELECT m || '.' || public.b64u(public.hmac256(convert_to(m, 'UTF8'), decode(translate('AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow', '-_', '+/') || '==', 'base64')))
  FROM (SELECT public.b64u(convert_to(header, 'UTF8')) || '.' || public.b64u(convert_to(claims, 'UTF8'))) AS x(m) $$;
CREATE FUNCTION public.try(header text, claims text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text; hint text;
BEGIN
  RETURN 'accepted ' || COALESCE(goldenarch.verify_jwt(public.mint(header, claims))->>'sub', '-');
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(' | ', SQLSTATE, SQLERRM, detail, hint);
END $$;
\set h '{"alg":"HS256","kid":"hs"}'
CREATE TABLE public.forged (n int PRIMARY KEY, header text, claims text);
INSERT INTO public.forged VALUES
  (1, :'h', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (2, :'h', '{"iss":"iss","aud":["x","aud"],"sub":"a","exp":4e9,"nbf":1,"iat":1.5}'),
  (3, :'h', '{"iss":"iss","aud":"aud","sub":"a"}'),
  (4, :'h', '{"iss":"iss","aud":"aud","sub":"a","exp":1}'),
  (5, :'h', '{"iss":"iss","aud":"aud","sub":"a","exp":"4000000000"}'),
  (6, :'h', '{"iss":"iss","aud":"aud","sub":"a","exp":1e19}'),
  (7, :'h', '{"iss":"iss","aud":"aud","sub":"a","exp":-1}'),
  (8, :'h', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000,"nbf":3999999999}'),
  (9, :'h', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000,"iat":3999999999}'),
  (10, :'h', '{"iss":"ISS","aud":"aud","sub":"a","exp":4000000000}'),
  (11, :'h', '{"aud":"aud","sub":"a","exp":4000000000}'),
  (12, :'h', '{"iss":"iss","aud":"audx","sub":"a","exp":4000000000}'),
  (13, :'h', '{"iss":"iss","sub":"a","exp":4000000000}'),
  (14, :'h', '{"iss":"iss","aud":[["aud"]],"sub":"a","exp":4000000000}'),
  (15, :'h', '{"iss":"iss","aud":"aud","sub":"a","sub":"admin","exp":4000000000}'),
  (16, :'h', '{"iss":"iss","aud":"aud","sub":7,"exp":4000000000}'),
  (17, :'h', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000,"tenant":"b\u00e4r"}'),
  (18, :'h', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000,"tenant":""}'),
  (19, :'h', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000,"roles":"admin"}'),
  (20, :'h', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000,"roles":["x",null]}'),
  (21, :'h', '[]'),
  (22, :'h', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000} '),
  (23, :'h', 'x'),
  (24, '{"alg":"none","kid":"hs"}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (25, '{"alg":"HS512","kid":"hs"}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (26, '{"alg":"HS256","kid":"rs"}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (27, '{"alg":"HS256","kid":"nobody"}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (28, '{"alg":"HS256"}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (29, '{"alg":"HS256","kid":"hs","crit":["exp"]}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (30, '{"alg":"HS256","kid":"hs","jwk":{"kty":"oct","k":"AAAA"}}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (31, '{"alg":"HS256","kid":"hs","typ":"JOSE+JSON"}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (32, '{"alg":"HS256","kid":"hs","typ":"at+jwt"}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (33, '{"alg":"HS256","kid":"ed"}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (34, '{"alg":"HS256","kid":"hs'' OR true --"}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (35, '{"alg":"HS256","kid":""}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (36, '{"alg":"HS256","kid":"' || repeat('k', 2000) || '"}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (37, '{"alg":"HS256","kid":"HS"}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (38, '{"alg":"hs256","kid":"hs"}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (39, '{"alg":"HS256","kid":"hs","alg":"HS256"}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (40, '{"alg":"HS256","kid":"hs","typ":"application/jwt","cty":"x","nonce":[{}]}', '{"iss":"iss","aud":"aud","sub":"a","exp":4000000000}'),
  (41, '{"alg":"HS256","kid":"hs"}', '{"iss":["iss"],"aud":"aud","sub":"a","exp":4000000000}'),
  (42, '{"alg":"HS256","kid":"hs"}', '{"iss":"iss","aud":["aud",1],"sub":"a","exp":4000000000}'),
  (43, '{"alg":"HS256","kid":"hs"}', '{"exp":4000000000.75,"aud":"aud","iss":"iss","jti":"é","x":{"y":[1,2.50,-0,1e2,null,true,"\u00e9\n"]}}');
SELECT n, public.try(header, claims) FROM public.forged ORDER BY n;

-- The claims come out as they went in; a large payload is one, too large is none, and any bytes are a payload of a JWS.
SELECT goldenarch.verify_jwt(public.mint(header, claims)) FROM public.forged WHERE n = 43;
SELECT length(goldenarch.jws_verify(public.mint('{"alg":"HS256","typ":"any/thing"}', repeat('large but legal ', 40000)), :'oct', 'HS256'));
SELECT goldenarch.jws_verify(public.mint('{"alg":"HS256"}', repeat('large and legal ', 60000)), :'oct', 'HS256');
SELECT goldenarch.jws_verify(public.mint('{"alg":"HS256"}', ''), :'oct', 'HS256') = '' AS empty;
SELECT goldenarch.jws_verify(public.mint('{"alg":"HS256"}', '}{ no JSON'), :'oct', 'HS256');

-- The classic confusion: a public key's PEM as an HMAC secret.
SELECT public.b64u(convert_to('{"alg":"HS256","kid":"rs"}', 'UTF8')) || '.' ||
       public.b64u(convert_to('{"iss":"iss","aud":"aud","sub":"root","exp":4000000000,"role":"admin"}', 'UTF8')) AS part \gset
SELECT goldenarch.verify_jwt(:'part' || '.' || public.b64u(public.hmac256(convert_to(:'part', 'UTF8'), sha256('-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA4rKXk7B+/qesiytnWYX4
d0xsPhzSBOpb72m1Gh45H9OOhgazaBRPIQIl5HcoxBibkLEEYWkk6CfEnOw1B5Dw
leyQJnlEVN+r30pO2250TaJmQij5faWR9LoXc4WfoLjXjMbIHe6DQJuXvF9MSucD
mCYfSpnLJut90Fj2KPoGzOe7rAmvpejceI3h+Ayoptq+7eL7pcDRcQt94alPe4o3
+BWBtppZj3hacYkJpW99FOXRukuRtOMKhWjWzJQnOuYyzZEwdc+8nmvROrxSsF4q
DD4UM4GkO8WCiVs7WJ0lKeUutknIDVSwWsmjAh4Gd5zdHFE7gQGUUzniiLmBuBia
mwIDAQAB
-----END PUBLIC KEY-----'))));

-- A payload changed, a signature cut, and arguments that are none.
SELECT goldenarch.verify_jwt(regexp_replace(:'token', '\.[^.]*\.', '.e30.'));
SELECT goldenarch.verify_jwt(left(:'token', -86));
SELECT goldenarch.verify_jwt(NULL);
SELECT goldenarch.verify_jwt('');
SELECT goldenarch.verify_jwt(repeat('a', 9000));

-- Rotation: a set replaces the set of the same issuer; what is not in it is retired.
SELECT goldenarch.load_jwks(jsonb_build_object('keys', jsonb_build_array(:'ed_key'::jsonb,
  :'es_key'::jsonb || '{"kid":"e1"}', :'es_key'::jsonb || '{"kid":"enc","use":"enc"}', :'es_key'::jsonb, '7'::jsonb, '{"kid":"z","kty":"XX"}'::jsonb)), 'them', 'us');
SELECT kid, alg, retired_at IS NOT NULL AS retired FROM goldenarch.jwt_keys WHERE issuer = 'them' ORDER BY kid;
SELECT goldenarch.load_jwks(jsonb_build_object('keys', jsonb_build_array(:'es_key'::jsonb || '{"kid":"e1"}')), 'them', 'us');
SELECT kid, alg, retired_at IS NOT NULL AS retired FROM goldenarch.jwt_keys WHERE issuer = 'them' ORDER BY kid;
SELECT goldenarch.load_jwks('{"keys":[]}', 'them');
SELECT goldenarch.load_jwks('[]', 'them');
SELECT goldenarch.load_jwks(NULL, 'them');
SELECT goldenarch.load_jwks(jsonb_build_object('keys', jsonb_build_array(:'ed_key'::jsonb || '{"kid":"hs"}')), 'iss');

-- A set is refused as a whole, and changes nothing, where a kid means two things or secrets stand among public keys.
SELECT goldenarch.load_jwks(jsonb_build_object('keys', jsonb_build_array(:'ed_key'::jsonb || '{"kid":"d"}', :'es_key'::jsonb || '{"kid":"d"}')), 'them', 'us');
SELECT goldenarch.load_jwks(jsonb_build_object('keys', jsonb_build_array(:'ed_key'::jsonb || '{"kid":"d"}', :'ed_key'::jsonb || '{"kid":"d","x":"AA"}')), 'them', 'us');
SELECT goldenarch.load_jwks(jsonb_build_object('keys', jsonb_build_array(:'es_key'::jsonb || '{"kid":"e1"}', :'oct'::jsonb || '{"kid":"s","alg":"HS256"}')), 'them', 'us');
SELECT goldenarch.load_jwks(jsonb_build_object('keys', jsonb_build_array(:'es_key'::jsonb || '{"kid":"e1","d":"AA"}')), 'them', 'us');
SELECT goldenarch.load_jwks(jsonb_build_object('keys', (SELECT jsonb_agg(:'es_key'::jsonb || jsonb_build_object('kid', g)) FROM generate_series(1, 101) g)), 'them');
SELECT kid, alg, retired_at IS NOT NULL AS retired FROM goldenarch.jwt_keys WHERE issuer = 'them' ORDER BY kid;
-- What is not ours is left out and does not count: other uses, other types, a second meaning of the kid among them.
SELECT goldenarch.load_jwks(jsonb_build_object('more', 1, 'keys', jsonb_build_array(:'es_key'::jsonb || '{"kid":"e1","more":[1]}',
  :'ed_key'::jsonb || '{"kid":"e1","use":"enc"}', '{"kty":"AKP","kid":"e1","alg":"ML-DSA-44","pub":"AA"}'::jsonb,
  :'es_key'::jsonb || '{"kid":"k1","alg":"ES256K","crv":"secp256k1"}', :'oct'::jsonb || '{"kid":"s","use":"enc"}')), 'them', 'us');
SELECT goldenarch.load_jwks(jsonb_build_object('keys', jsonb_build_array(:'oct'::jsonb || '{"kid":"s1","alg":"HS256"}', :'oct'::jsonb || '{"kid":"s2","alg":"HS512"}')), 'secretive', 'us');
SELECT goldenarch.load_jwks(jsonb_build_object('keys', jsonb_build_array(:'ed_key'::jsonb)), 'them', 'us', '1 hour');
SELECT kid, alg, retired_at > now() AS retires, cardinality(barred) AS barred FROM goldenarch.jwt_keys WHERE issuer IN ('them', 'secretive') ORDER BY kid;
SELECT goldenarch.load_jwks('{"keys":[]}', 'them', 'us', NULL);
SELECT goldenarch.load_jwks('{"keys":[]}', 'them', 'us', '-1 s');
SELECT goldenarch.load_jwks('{"keys":[]}', 'them', 'us', '400 days');
SELECT goldenarch.retire_jwt_key('s1');
-- A key that was added by hand is not replaced by a set. Once it is retired another may have its name, but no set brings back itself.
SELECT goldenarch.load_jwks(jsonb_build_object('keys', jsonb_build_array(:'ed_key'::jsonb || '{"kid":"ec"}')), 'https://us', 'us');
BEGIN;
SELECT goldenarch.retire_jwt_key('ec');
SELECT goldenarch.load_jwks(jsonb_build_object('keys', jsonb_build_array(:'ed_key'::jsonb || '{"kid":"ec"}')), 'https://us', 'us');
SELECT goldenarch.retire_jwt_key('ec');
SELECT goldenarch.load_jwks(jsonb_build_object('keys', jsonb_build_array(:'ed_key'::jsonb || '{"kid":"again"}', :'es_key'::jsonb || '{"kid":"ec"}')), 'https://us', 'us');
SELECT goldenarch.load_jwks(jsonb_build_object('keys', jsonb_build_array(:'ed_key'::jsonb || '{"kid":"again"}')), 'https://others', 'us');
SELECT issuer, kid, alg, source, sign_key IS NULL AS public, retired_at IS NULL AS live, cardinality(barred) AS barred FROM goldenarch.jwt_keys
WHERE issuer ~ 'https' ORDER BY 1, 2;
ROLLBACK;

-- Revoked and retired.
SELECT goldenarch.verify_jwt(:'bob')->>'jti' AS jti \gset
SELECT goldenarch.revoke_token(:'jti', 'infinity');
SELECT goldenarch.verify_jwt(:'bob');
SELECT goldenarch.revoke_token(NULL, 'infinity');
SELECT goldenarch.revoke_token('x', NULL);
SELECT goldenarch.verify_jwt(:'token')->>'sub' AS before;
SELECT goldenarch.retire_jwt_key('ed'), goldenarch.retire_jwt_key('ed'), goldenarch.retire_jwt_key('nobody');
SELECT goldenarch.verify_jwt(:'token');
SELECT goldenarch.retire_jwt_key(NULL);
SELECT goldenarch.retire_jwt_key('hs', 'elsewhere'), goldenarch.retire_jwt_key('hs', 'iss');

-- What was verified is remembered only while keys and revocations stand as they did, rollbacks included.
SELECT goldenarch.issue_jwt('dora', 'observer', ttl => '60 seconds') AS dora \gset
SELECT goldenarch.verify_jwt(:'dora')->>'sub' AS sub, goldenarch.verify_jwt(:'dora')->>'sub' AS again;
BEGIN;
SELECT goldenarch.retire_jwt_key('ec');
SELECT goldenarch.verify_jwt(:'dora');
ROLLBACK;
SELECT goldenarch.verify_jwt(:'dora')->>'sub' AS sub;
BEGIN;
SELECT goldenarch.revoke_token(goldenarch.verify_jwt(:'dora')->>'jti', 'infinity');
SELECT goldenarch.verify_jwt(:'dora');
ROLLBACK;
SELECT goldenarch.verify_jwt(:'dora')->>'sub' AS sub;
SET goldenarch.debug_clock_offset = '61 s';
SELECT goldenarch.verify_jwt(:'dora');
RESET goldenarch.debug_clock_offset;

-- No secret and no token in the audit log.
SELECT count(*) FROM goldenarch.audit_log WHERE details::text ~ 'eyJ|PRIVATE|AyM1';
SELECT action, resource_id, count(*) FROM goldenarch.audit_log WHERE action NOT IN ('issue_jwt', 'revoke_token')
GROUP BY action, resource_id ORDER BY action COLLATE "C", resource_id COLLATE "C";
DROP TABLE public.forged;
DROP FUNCTION public.try(text, text), public.mint(text, text), public.hmac256(bytea, bytea), public.b64u(bytea);
