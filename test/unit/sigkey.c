/* SPDX-License-Identifier: PostgreSQL */
/* sigkey.c: the vectors of RFC 7515 and 8037, a round trip of each algorithm, and weak keys. */
#include "sigkey.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "b64url.h"
#include "jws.h"
#include "unit.h"

#define PAYLOAD                                                                                    \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
	"fQ"
#define OCT                                                                                        \
	"{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4" \
	"hcgUuTwjAzZr1Z9CAow\"}"
#define EC                                                                                     \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"," \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define OKP \
	"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"

static char block[400000];

static const char *
make(GaKey *key, GaAlg alg, const char *json)
{
	GaArena arena;
	GaJsonFault fault;

	ga_arena_init(&arena, block, sizeof(block));
	return ga_key_from_jwk(
	    key, alg, ga_json_parse(&arena, json, strlen(json), &ga_jwt_json_limits, 0, &fault));
}

static bool
verifies(const char *jwk, GaAlg alg, const char *token)
{
	GaKey key;
	GaJws jws;
	GaArena arena;
	bool ok;

	if (make(&key, alg, jwk) != NULL)
		return false;
	ga_arena_init(&arena, block, sizeof(block));
	ok = ga_jws_split(&arena, token, strlen(token), GA_JWT_MAX_BYTES, &jws) == NULL &&
	     ga_key_verify(&key, jws.input, jws.input_bytes, jws.signature, jws.signature_bytes);
	ga_key_free(&key);
	return ok;
}

static void
test_vectors(void)
{
	CHECK(verifies(OCT, GA_ALG_HS256,
	               "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." PAYLOAD
	               ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
	CHECK(!verifies(OCT, GA_ALG_HS384,
	                "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." PAYLOAD
	                ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
	CHECK(verifies(EC, GA_ALG_ES256,
	               "eyJhbGciOiJFUzI1NiJ9." PAYLOAD
	               ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJ"
	               "qPP3-Kg6NU1Q"));
	CHECK(!verifies(EC, GA_ALG_ES256,
	                "eyJhbGciOiJFUzI1NiJ9." PAYLOAD
	                ".EtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJ"
	                "qPP3-Kg6NU1Q"));
	CHECK(verifies(OKP, GA_ALG_EDDSA,
	               "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
	               "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvp"
	               "Ar_MuM0KAg"));
}

/* r = s = 0, and r = n: what some verifiers took for any message (CVE-2022-21449) */
static void
test_degenerate_ecdsa(void)
{
	uint8_t zero[64] = {0};
	GaKey key;

	CHECK(make(&key, GA_ALG_ES256, EC) == NULL);
	CHECK(!ga_key_verify(&key, "x", 1, zero, 64));
	CHECK(!ga_key_verify(&key, "x", 1, zero, 63));
	unit_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", zero);
	memcpy(zero + 32, zero, 32);
	CHECK(!ga_key_verify(&key, "x", 1, zero, 64));
	ga_key_free(&key);
}

static void
test_bad_jwks(void)
{
	static const struct
	{
		GaAlg alg;
		const char *jwk;
	} bad[] = {
	    {GA_ALG_HS256, "{\"kty\":\"oct\",\"k\":\"AAAA\"}"},
	    {GA_ALG_HS256, "{\"kty\":\"oct\",\"k\":\"\"}"},
	    {GA_ALG_HS256, "{\"kty\":\"oct\"}"},
	    {GA_ALG_HS256, "[]"},
	    {GA_ALG_UNKNOWN, OCT},
	    {GA_ALG_RS256, OCT},
	    {GA_ALG_HS256, EC}, /* a public key is no secret */
	    {GA_ALG_ES384, EC},
	    {GA_ALG_EDDSA, EC},
	    {GA_ALG_ES256, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}"},
	    /* a point off the curve */
	    {GA_ALG_ES256,
	     "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	     "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}"},
	    {GA_ALG_EDDSA, "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":"
	                   "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"},
	    {GA_ALG_EDDSA, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"use\":\"enc\",\"x\":"
	                   "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"},
	    {GA_ALG_EDDSA, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"key_ops\":[\"encrypt\"],\"x\":"
	                   "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"},
	    {GA_ALG_EDDSA, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"alg\":\"ES256\",\"x\":"
	                   "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"},
	    {GA_ALG_RS256, "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}"},
	    {GA_ALG_RS256, "{\"kty\":\"RSA\"}"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		GaKey key;

		CHECK(make(&key, bad[i].alg, bad[i].jwk) != NULL);
		ga_key_free(&key);
	}
}

static EVP_PKEY *
generate(GaAlg alg)
{
	switch (alg)
	{
		case GA_ALG_ES256:
			return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
		case GA_ALG_ES384:
			return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
		case GA_ALG_ES512:
			return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521");
		case GA_ALG_EDDSA:
			return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		default:
			return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 2048);
	}
}

/* PEM in, DER out and in again; what one key signs the other verifies, and nothing else does */
static void
test_round_trip(GaAlg alg)
{
	EVP_PKEY *pkey = generate(alg);
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	long pem_bytes;
	uint8_t der[GA_JWK_MAX_BYTES];
	uint8_t signature[GA_SIGNATURE_MAX_BYTES];
	ssize_t length;
	GaKey signer;
	GaKey verifier;

	CHECK(PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) == 1);
	pem_bytes = BIO_get_mem_data(bio, &pem);
	CHECK(ga_key_from_pem(&signer, alg, pem, (size_t) pem_bytes) == NULL && signer.can_sign);
	length = ga_key_to_der(&signer, false, der, sizeof(der));
	CHECK(length > 0 && ga_key_from_der(&verifier, alg, der, (size_t) length, false) == NULL);
	CHECK(!verifier.can_sign && ga_key_to_der(&verifier, true, der, sizeof(der)) == -1);
	CHECK_INT(ga_key_sign(&verifier, "x", 1, signature, sizeof(signature)), -1);
	length = ga_key_sign(&signer, "hello", 5, signature, sizeof(signature));
	CHECK(length > 0);
	CHECK(ga_key_verify(&verifier, "hello", 5, signature, (size_t) length));
	CHECK(!ga_key_verify(&verifier, "hellO", 5, signature, (size_t) length));
	CHECK(!ga_key_verify(&verifier, "hello", 5, signature, (size_t) length - 1));
	signature[3] ^= 1;
	CHECK(!ga_key_verify(&verifier, "hello", 5, signature, (size_t) length));
	ga_key_free(&signer);
	length = ga_key_to_der(&verifier, false, der, sizeof(der));
	ga_key_free(&verifier);
	/* the same bytes for another family are refused */
	CHECK(ga_key_from_der(&verifier, alg == GA_ALG_EDDSA ? GA_ALG_ES256 : GA_ALG_EDDSA, der,
	                      (size_t) length, false) != NULL);
	BIO_free(bio);
	EVP_PKEY_free(pkey);
}

static void
test_pem(void)
{
	static const char encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAAwAA==\n"
	                                "-----END ENCRYPTED PRIVATE KEY-----\n";
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 1024);
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	long bytes;
	GaKey key;

	CHECK(ga_key_from_pem(&key, GA_ALG_RS256, encrypted, strlen(encrypted)) != NULL);
	CHECK(ga_key_from_pem(&key, GA_ALG_RS256, "", 0) != NULL);
	CHECK(ga_key_from_pem(&key, GA_ALG_RS256, "x", 1) != NULL);
	CHECK(ga_key_from_pem(&key, GA_ALG_HS256, "x", 1) != NULL);
	PEM_write_bio_PUBKEY(bio, pkey);
	bytes = BIO_get_mem_data(bio, &pem);
	CHECK(ga_key_from_pem(&key, GA_ALG_RS256, pem, (size_t) bytes) != NULL); /* 1024 bits */
	BIO_free(bio);
	EVP_PKEY_free(pkey);
}

int
main(void)
{
	static const GaAlg round[] = {GA_ALG_RS256, GA_ALG_PS384, GA_ALG_PS512, GA_ALG_ES256,
	                              GA_ALG_ES384, GA_ALG_ES512, GA_ALG_EDDSA};

	CHECK(ga_alg_by_name("EdDSA") == GA_ALG_EDDSA && ga_alg_by_name("eddsa") == GA_ALG_UNKNOWN);
	CHECK(ga_alg_by_name("none") == GA_ALG_UNKNOWN && ga_alg_by_name("") == GA_ALG_UNKNOWN);
	for (int alg = GA_ALG_UNKNOWN + 1; alg < GA_ALG_COUNT; alg++)
		CHECK(ga_alg_by_name(ga_alg_name((GaAlg) alg)) == (GaAlg) alg);
	CHECK(ga_alg_name(GA_ALG_COUNT) == NULL && !ga_alg_is_hmac(GA_ALG_UNKNOWN));
	test_vectors();
	test_degenerate_ecdsa();
	test_bad_jwks();
	test_pem();
	for (size_t i = 0; i < sizeof(round) / sizeof(round[0]); i++)
		test_round_trip(round[i]);
	return unit_done();
}
