/* SPDX-License-Identifier: PostgreSQL */
/*
 * sigkey.c: the vectors of RFC 7515, 7520 and 8037, a round trip of each algorithm, and signatures
 * that say the same in another way, or something else. Weak keys are in weakkey.c.
 */
#include "sigkey.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

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

/* RFC 7520 sections 3 and 4 */
#define PAYLOAD_7520                                                                               \
	"SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250" \
	"byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hl" \
	"cmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4"
#define SECRET_7520                                                                               \
	"{\"kty\":\"oct\",\"use\":\"sig\",\"alg\":\"HS256\",\"k\":\"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-" \
	"Onbc6mxCcYg\"}"
#define RSA_7520                                                                                   \
	"{\"kty\":\"RSA\",\"kid\":\"bilbo.baggins@hobbiton.example\",\"use\":\"sig\",\"e\":\"AQAB\","  \
	"\"n\":"                                                                                       \
	"\"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJ" \
	"mSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-" \
	"OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFA" \
	"KwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw\"}"
#define P521_7520                                                                              \
	"{\"kty\":\"EC\",\"kid\":\"bilbo.baggins@hobbiton.example\",\"use\":\"sig\",\"crv\":\"P-"  \
	"521\",\"x\":"                                                                             \
	"\"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-"                \
	"7ytDyRXYgCF5cj0Kt\",\""                                                                   \
	"y\":\"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-" \
	"HqHZR"                                                                                    \
	"1\"}"

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
	CHECK(verifies(SECRET_7520, GA_ALG_HS256,
	               "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ"
	               "9." PAYLOAD_7520 ".s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"));
	CHECK(verifies(
	    RSA_7520, GA_ALG_RS256,
	    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." PAYLOAD_7520
	    ".MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJd"
	    "Qx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_q"
	    "HRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyI"
	    "rDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ip"
	    "H84ogoree7vjbU5y18kDquDg"));
	CHECK(verifies(
	    RSA_7520, GA_ALG_PS384,
	    "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." PAYLOAD_7520
	    ".cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkq"
	    "sGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf"
	    "8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp"
	    "8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAf"
	    "mWjwZ6oD4ifKo8DYM-X72Eaw"));
	CHECK(verifies(
	    P521_7520, GA_ALG_ES512,
	    "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." PAYLOAD_7520
	    ".AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT"
	    "4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sF"
	    "Y8OcGDqoRuBomu9xQ2"));
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

/* Signs as no JOSE library would: padding, salt, hash as told. */
static size_t
sign_oddly(EVP_PKEY *pkey, const char *digest, int padding, int salt, const char *mask,
           uint8_t *signature)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *key_context;
	size_t bytes = GA_SIGNATURE_MAX_BYTES;

	CHECK(EVP_DigestSignInit_ex(context, &key_context, digest, NULL, NULL, pkey, NULL) == 1);
	CHECK(EVP_PKEY_CTX_set_rsa_padding(key_context, padding) == 1);
	if (padding == RSA_PKCS1_PSS_PADDING)
	{
		CHECK(EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, salt) == 1);
		CHECK(EVP_PKEY_CTX_set_rsa_mgf1_md_name(key_context, mask, NULL) == 1);
	}
	CHECK(EVP_DigestSign(context, signature, &bytes, (const uint8_t *) "x", 1) == 1);
	EVP_MD_CTX_free(context);
	return bytes;
}

/* One RSA key; what it signs as one algorithm is no signature of another, nor with another salt. */
static void
test_rsa_signatures(void)
{
	static const struct
	{
		const char *digest;
		int padding;
		int salt;
		const char *mask;
		GaAlg fits; /* what it is a signature of, if of any */
	} signatures[] = {
	    {"SHA256", RSA_PKCS1_PADDING, 0, NULL, GA_ALG_RS256},
	    {"SHA384", RSA_PKCS1_PADDING, 0, NULL, GA_ALG_RS384},
	    {"SHA512", RSA_PKCS1_PADDING, 0, NULL, GA_ALG_RS512},
	    {"SHA1", RSA_PKCS1_PADDING, 0, NULL, GA_ALG_UNKNOWN},
	    {"SHA256", RSA_PKCS1_PSS_PADDING, 32, "SHA256", GA_ALG_PS256},
	    {"SHA384", RSA_PKCS1_PSS_PADDING, 48, "SHA384", GA_ALG_PS384},
	    {"SHA512", RSA_PKCS1_PSS_PADDING, 64, "SHA512", GA_ALG_PS512},
	    {"SHA256", RSA_PKCS1_PSS_PADDING, 0, "SHA256", GA_ALG_UNKNOWN},
	    {"SHA256", RSA_PKCS1_PSS_PADDING, 31, "SHA256", GA_ALG_UNKNOWN},
	    {"SHA256", RSA_PKCS1_PSS_PADDING, 33, "SHA256", GA_ALG_UNKNOWN},
	    {"SHA256", RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_MAX, "SHA256", GA_ALG_UNKNOWN},
	    {"SHA256", RSA_PKCS1_PSS_PADDING, 32, "SHA1", GA_ALG_UNKNOWN},
	    {"SHA512", RSA_PKCS1_PSS_PADDING, 32, "SHA256", GA_ALG_UNKNOWN},
	};
	EVP_PKEY *pkey = generate(GA_ALG_RS256);
	uint8_t der[GA_JWK_MAX_BYTES];
	uint8_t signature[GA_SIGNATURE_MAX_BYTES];
	unsigned char *at = der;
	int der_bytes = i2d_PUBKEY(pkey, &at);
	GaKey key;

	for (GaAlg alg = GA_ALG_RS256; alg <= GA_ALG_PS512; alg++)
	{
		CHECK(ga_key_from_der(&key, alg, der, (size_t) der_bytes, false) == NULL);
		for (size_t i = 0; i < sizeof(signatures) / sizeof(signatures[0]); i++)
		{
			size_t bytes = sign_oddly(pkey, signatures[i].digest, signatures[i].padding,
			                          signatures[i].salt, signatures[i].mask, signature);

			CHECK(ga_key_verify(&key, "x", 1, signature, bytes) == (signatures[i].fits == alg));
			CHECK(!ga_key_verify(&key, "y", 1, signature, bytes));
		}
		ga_key_free(&key);
	}
	EVP_PKEY_free(pkey);
}

/* A key whose type says PSS is one for PSS alone, and for the hash that it names alone. */
static void
test_pss_keys(void)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	EVP_PKEY *pkey = NULL;
	uint8_t der[GA_JWK_MAX_BYTES];
	uint8_t signature[GA_SIGNATURE_MAX_BYTES];
	unsigned char *at = der;
	int der_bytes;
	size_t bytes;
	GaKey key;

	CHECK(EVP_PKEY_keygen_init(context) == 1 &&
	      EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048) == 1);
	CHECK(EVP_PKEY_CTX_set_rsa_pss_keygen_md(context, EVP_sha256()) == 1 &&
	      EVP_PKEY_CTX_set_rsa_pss_keygen_mgf1_md(context, EVP_sha256()) == 1 &&
	      EVP_PKEY_CTX_set_rsa_pss_keygen_saltlen(context, 32) == 1 &&
	      EVP_PKEY_keygen(context, &pkey) == 1);
	der_bytes = i2d_PUBKEY(pkey, &at);
	CHECK(ga_key_from_der(&key, GA_ALG_PS256, der, (size_t) der_bytes, false) == NULL);
	bytes = sign_oddly(pkey, "SHA256", RSA_PKCS1_PSS_PADDING, 32, "SHA256", signature);
	CHECK(ga_key_verify(&key, "x", 1, signature, bytes));
	CHECK(!ga_key_verify(&key, "y", 1, signature, bytes));
	ga_key_free(&key);
	CHECK(ga_key_from_der(&key, GA_ALG_PS512, der, (size_t) der_bytes, false) != NULL);
	CHECK(ga_key_from_der(&key, GA_ALG_RS256, der, (size_t) der_bytes, false) != NULL);
	EVP_PKEY_CTX_free(context);
	EVP_PKEY_free(pkey);
}

/* A leading zero left out, or added, is another signature for the same token. */
static void
test_rsa_lengths(GaAlg alg)
{
	EVP_PKEY *pkey = generate(alg);
	uint8_t der[GA_JWK_MAX_BYTES];
	uint8_t signature[GA_SIGNATURE_MAX_BYTES + 1] = {0};
	unsigned char *at = der;
	int der_bytes = i2d_PUBKEY(pkey, &at);
	bool pss = alg >= GA_ALG_PS256;
	bool seen = false;
	GaKey key;

	CHECK(ga_key_from_der(&key, alg, der, (size_t) der_bytes, false) == NULL);
	for (int i = 0; i < 4000 && !seen; i++)
	{
		size_t bytes = sign_oddly(pkey, "SHA256", pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING,
		                          32, "SHA256", signature + 1);

		CHECK(ga_key_verify(&key, "x", 1, signature + 1, bytes));
		CHECK(!ga_key_verify(&key, "x", 1, signature, bytes + 1));
		CHECK(!ga_key_verify(&key, "x", 1, signature + 1, bytes - 1));
		seen = signature[1] == 0 || !pss;
		if (signature[1] == 0)
			CHECK(!ga_key_verify(&key, "x", 1, signature + 2, bytes - 1));
	}
	CHECK(seen);
	memset(signature, 0xff, sizeof(signature)); /* above the modulus */
	CHECK(!ga_key_verify(&key, "x", 1, signature, 256));
	memset(signature, 0, sizeof(signature));
	CHECK(!ga_key_verify(&key, "x", 1, signature, 256));
	signature[255] = 1; /* its own cube, square, and any power */
	CHECK(!ga_key_verify(&key, "x", 1, signature, 256));
	CHECK(!ga_key_verify(&key, "x", 1, signature, 0));
	ga_key_free(&key);
	EVP_PKEY_free(pkey);
}

/* The number at one half of an ECDSA signature, with n added or taken from. */
static void
change_half(uint8_t *half, int size, const BIGNUM *order, bool subtract)
{
	BIGNUM *number = BN_bin2bn(half, size, NULL);

	if (subtract)
		BN_sub(number, order, number);
	else
		BN_add(number, order, number);
	if (BN_bn2binpad(number, half, size) != size)
		memset(half, 0xff, (size_t) size); /* does not fit: as large as can be */
	BN_free(number);
}

static void
test_ecdsa_signatures(GaAlg alg, int size)
{
	EVP_PKEY *pkey = generate(alg);
	BIGNUM *order = NULL;
	uint8_t der[GA_JWK_MAX_BYTES];
	uint8_t good[2 * 66 + 2] = {0};
	uint8_t bad[2 * 66 + 2];
	unsigned char *at = der;
	int der_bytes;
	GaKey signer = {.alg = alg, .can_sign = true, .pkey = pkey};
	GaKey key;
	uint8_t buffer[GA_SIGNATURE_MAX_BYTES];

	EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_EC_ORDER, &order);
	der_bytes = i2d_PUBKEY(pkey, &at);
	CHECK(ga_key_from_der(&key, alg, der, (size_t) der_bytes, false) == NULL);
	CHECK_INT(ga_key_sign(&signer, "x", 1, buffer, sizeof(buffer)), 2 * size);
	memcpy(good, buffer, (size_t) (2 * size));
	CHECK(ga_key_verify(&key, "x", 1, good, (size_t) (2 * size)));
	CHECK(!ga_key_verify(&key, "x", 1, good, (size_t) (2 * size - 1)));
	CHECK(!ga_key_verify(&key, "x", 1, good, (size_t) (2 * size + 1)));
	CHECK(!ga_key_verify(&key, "x", 1, good, 0));
	memcpy(bad, good, sizeof(bad)); /* r + n, s + n: the same residues */
	change_half(bad, size, order, false);
	CHECK(!ga_key_verify(&key, "x", 1, bad, (size_t) (2 * size)));
	memcpy(bad, good, sizeof(bad));
	change_half(bad + size, size, order, false);
	CHECK(!ga_key_verify(&key, "x", 1, bad, (size_t) (2 * size)));
	memcpy(bad, good, sizeof(bad)); /* -s is a signature too, by the standard: RFC 7518 allows it */
	change_half(bad + size, size, order, true);
	CHECK(ga_key_verify(&key, "x", 1, bad, (size_t) (2 * size)));
	memcpy(bad, good, sizeof(bad)); /* swapped, zeroed */
	memcpy(bad, good + size, (size_t) size);
	memcpy(bad + size, good, (size_t) size);
	CHECK(!ga_key_verify(&key, "x", 1, bad, (size_t) (2 * size)));
	for (int half = 0; half < 2; half++)
	{
		memcpy(bad, good, sizeof(bad));
		memset(bad + half * size, 0, (size_t) size);
		CHECK(!ga_key_verify(&key, "x", 1, bad, (size_t) (2 * size)));
		BN_bn2binpad(order, bad + half * size, size);
		CHECK(!ga_key_verify(&key, "x", 1, bad, (size_t) (2 * size)));
	}
	ga_key_free(&key);
	BN_free(order);
	EVP_PKEY_free(pkey);
}

/* DER is what libcrypto makes, and not what a JWS holds. */
static void
test_ecdsa_der(void)
{
	EVP_PKEY *pkey = generate(GA_ALG_ES256);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t der[GA_JWK_MAX_BYTES];
	uint8_t signature[GA_SIGNATURE_MAX_BYTES];
	size_t bytes = sizeof(signature);
	unsigned char *at = der;
	int der_bytes = i2d_PUBKEY(pkey, &at);
	GaKey key;

	CHECK(ga_key_from_der(&key, GA_ALG_ES256, der, (size_t) der_bytes, false) == NULL);
	CHECK(EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, pkey, NULL) == 1);
	CHECK(EVP_DigestSign(context, signature, &bytes, (const uint8_t *) "x", 1) == 1);
	CHECK(!ga_key_verify(&key, "x", 1, signature, bytes));
	EVP_MD_CTX_free(context);
	ga_key_free(&key);
	EVP_PKEY_free(pkey);
}

/* S + L, and an R that is not canonical: another signature that a lax verifier takes. */
static void
test_eddsa_signatures(void)
{
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
	                                  0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
	                                  0,    0,    0,    0,    0,    0,    0,    0,
	                                  0,    0,    0,    0,    0,    0,    0,    0x10};
	EVP_PKEY *pkey = generate(GA_ALG_EDDSA);
	GaKey key = {.alg = GA_ALG_EDDSA, .can_sign = true, .pkey = pkey, .hasher = EVP_MD_CTX_new()};
	uint8_t good[GA_SIGNATURE_MAX_BYTES] = {0};
	uint8_t bad[GA_SIGNATURE_MAX_BYTES];
	unsigned carry = 0;

	CHECK_INT(ga_key_sign(&key, "x", 1, good, sizeof(good)), 64);
	CHECK(ga_key_verify(&key, "x", 1, good, 64));
	CHECK(ga_key_verify(&key, "x", 1, good, 64)); /* again, with what the first left behind */
	CHECK(!ga_key_verify(&key, "x", 1, good, 63));
	CHECK(!ga_key_verify(&key, "x", 1, good, 65));
	CHECK(!ga_key_verify(&key, "x", 1, good, 0));
	memcpy(bad, good, sizeof(bad));
	for (int i = 0; i < 32; i++)
	{
		carry += (unsigned) bad[32 + i] + order[i];
		bad[32 + i] = (uint8_t) carry;
		carry >>= 8;
	}
	CHECK(!ga_key_verify(&key, "x", 1, bad, 64));
	memcpy(bad, good, sizeof(bad));
	bad[31] ^= 0x80;
	CHECK(!ga_key_verify(&key, "x", 1, bad, 64));
	memset(bad, 0, 64);
	CHECK(!ga_key_verify(&key, "x", 1, bad, 64));
	bad[0] = 1;
	CHECK(!ga_key_verify(&key, "x", 1, bad, 64));
	ga_key_free(&key);
}

static void
test_hmac_lengths(void)
{
	GaKey key;
	uint8_t mac[GA_SIGNATURE_MAX_BYTES];

	CHECK(make(&key, GA_ALG_HS256, OCT) == NULL);
	CHECK_INT(ga_key_sign(&key, "x", 1, mac, sizeof(mac)), 32);
	CHECK(ga_key_verify(&key, "x", 1, mac, 32));
	for (size_t bytes = 0; bytes < 40; bytes++)
		CHECK(ga_key_verify(&key, "x", 1, mac, bytes) == (bytes == 32));
	mac[31] ^= 1;
	CHECK(!ga_key_verify(&key, "x", 1, mac, 32));
	ga_key_free(&key);
	CHECK(!ga_key_verify(&key, "x", 1, mac, 0)); /* no key at all */
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
	test_rsa_signatures();
	test_pss_keys();
	test_rsa_lengths(GA_ALG_RS256);
	test_rsa_lengths(GA_ALG_PS256);
	test_ecdsa_signatures(GA_ALG_ES256, 32);
	test_ecdsa_signatures(GA_ALG_ES384, 48);
	test_ecdsa_signatures(GA_ALG_ES512, 66);
	test_ecdsa_der();
	test_eddsa_signatures();
	test_hmac_lengths();
	test_pem();
	for (size_t i = 0; i < sizeof(round) / sizeof(round[0]); i++)
		test_round_trip(round[i]);
	return unit_done();
}
