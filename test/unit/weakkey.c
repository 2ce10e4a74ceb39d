/* SPDX-License-Identifier: PostgreSQL */
/*
 * weakkey.c, and what sigkey.c refuses of a JWK: keys that must verify nothing, beside the honest
 * key that each of them differs from by one thing.
 */
#include "weakkey.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>

#include "b64url.h"
#include "jws.h"
#include "sigkey.h"
#include "unit.h"

/* RFC 7515 A.1 and A.3, RFC 8037 A.2 */
#define K "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define OKP_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define P256_P "_____wAAAAEAAAAAAAAAAAAAAAD_______________8"
#define ZERO_32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define OCT(more) "{\"kty\":\"oct\",\"k\":\"" K "\"" more "}"
#define EC(x, y, more) "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" x "\",\"y\":\"" y "\"" more "}"
#define OKP(x, more) "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" x "\"" more "}"

static char block[400000];

static const char *
make(GaAlg alg, const char *json)
{
	GaArena arena;
	GaJsonFault fault;
	GaKey key;
	const char *problem;

	ga_arena_init(&arena, block, sizeof(block));
	problem = ga_key_from_jwk(
	    &key, alg, ga_json_parse(&arena, json, strlen(json), &ga_jwt_json_limits, 0, &fault));
	ga_key_free(&key);
	return problem;
}

static const struct
{
	GaAlg alg;
	const char *jwk;
	const char *problem; /* a part of it; null: good */
} table[] = {
    {GA_ALG_HS256, OCT(""), NULL},
    {GA_ALG_HS512, OCT(",\"alg\":\"HS512\",\"use\":\"sig\""), NULL},
    {GA_ALG_HS256, OCT(",\"key_ops\":[\"sign\",\"verify\"],\"kid\":\"\",\"x\":[{}]"), NULL},
    {GA_ALG_ES256, EC(EC_X, EC_Y, ""), NULL},
    {GA_ALG_ES256, EC(EC_X, EC_Y, ",\"d\":\"AA\",\"key_ops\":[\"verify\"],\"use\":\"sig\""), NULL},
    {GA_ALG_EDDSA, OKP(OKP_X, ",\"key_ops\":[\"x-mine\",\"verify\"]"), NULL},
    /* what the key says of itself */
    {GA_ALG_HS256, OCT(",\"use\":\"enc\""), "use"},
    {GA_ALG_HS256, OCT(",\"use\":\"\""), "use"},
    {GA_ALG_HS256, OCT(",\"use\":[\"sig\"]"), "use"},
    {GA_ALG_HS256, OCT(",\"use\":null"), "use"},
    {GA_ALG_HS256, OCT(",\"alg\":\"HS384\""), "(alg)"},
    {GA_ALG_HS256, OCT(",\"alg\":\"hs256\""), "(alg)"},
    {GA_ALG_HS256, OCT(",\"alg\":\"A256GCM\""), "(alg)"},
    {GA_ALG_HS256, OCT(",\"alg\":null"), "(alg)"},
    {GA_ALG_HS256, OCT(",\"key_ops\":[]"), "not for verifying"},
    {GA_ALG_HS256, OCT(",\"key_ops\":[\"sign\"]"), "not for verifying"},
    {GA_ALG_HS256, OCT(",\"key_ops\":\"verify\""), "not an array"},
    {GA_ALG_HS256, OCT(",\"key_ops\":[\"verify\",7]"), "not strings"},
    {GA_ALG_HS256, OCT(",\"key_ops\":[\"verify\",\"verify\"]"), "twice"},
    {GA_ALG_HS256, OCT(",\"key_ops\":[\"verify\",\"encrypt\"]"), "more than signatures"},
    {GA_ALG_HS256, OCT(",\"key_ops\":[\"deriveBits\",\"verify\"]"), "more than signatures"},
    {GA_ALG_ES256, EC(EC_X, EC_Y, ",\"alg\":\"ES384\""), "(alg)"},
    {GA_ALG_ES256, EC(EC_X, EC_Y, ",\"alg\":\"ES256K\""), "(alg)"},
    /* kty and curve */
    {GA_ALG_UNKNOWN, OCT(""), "unknown algorithm"},
    {GA_ALG_RS256, OCT(""), "kty"},
    {GA_ALG_HS256, EC(EC_X, EC_Y, ""), "kty"},
    {GA_ALG_HS256, EC(EC_X, EC_Y, ",\"k\":\"" K "\""), "kty"},
    {GA_ALG_EDDSA, EC(EC_X, EC_Y, ""), "kty"},
    {GA_ALG_ES384, EC(EC_X, EC_Y, ""), "cannot be read"},
    {GA_ALG_ES256, "{\"kty\":\"ec\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}",
     "kty"},
    {GA_ALG_ES256, "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}",
     "cannot be read"},
    {GA_ALG_ES256, "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}",
     "cannot be read"},
    {GA_ALG_ES256, "{\"kty\":\"EC\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}", "cannot be read"},
    {GA_ALG_EDDSA, "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" OKP_X "\"}", "cannot be read"},
    {GA_ALG_EDDSA, "{\"kty\":\"OKP\",\"crv\":\"Ed448\",\"x\":\"" OKP_X "\"}", "cannot be read"},
    {GA_ALG_EDDSA, "{\"kty\":\"OKP\",\"crv\":\"ed25519\",\"x\":\"" OKP_X "\"}", "cannot be read"},
    {GA_ALG_HS256, "[]", "kty"},
    {GA_ALG_HS256, "{}", "kty"},
    {GA_ALG_HS256, "{\"kty\":7}", "kty"},
    /* secrets shorter than the hash */
    {GA_ALG_HS256, "{\"kty\":\"oct\"}", "no usable secret"},
    {GA_ALG_HS256, "{\"kty\":\"oct\",\"k\":\"\"}", "no usable secret"},
    {GA_ALG_HS256, "{\"kty\":\"oct\",\"k\":\"" ZERO_32 "\"}", NULL},
    {GA_ALG_HS256, "{\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg\"}",
     "shorter"},
    {GA_ALG_HS384, "{\"kty\":\"oct\",\"k\":\"" ZERO_32 "\"}", "shorter"},
    {GA_ALG_HS512, "{\"kty\":\"oct\",\"k\":\"" ZERO_32 "\"}", "shorter"},
    {GA_ALG_HS256, "{\"kty\":\"oct\",\"k\":\"" K "=\"}", "no usable secret"},
    {GA_ALG_HS256, "{\"kty\":\"oct\",\"k\":\" " K "\"}", "no usable secret"},
    /* points */
    {GA_ALG_ES256, EC(EC_X, EC_X, ""), "cannot be read"},
    {GA_ALG_ES256, EC(EC_Y, EC_X, ""), "cannot be read"},
    {GA_ALG_ES256, EC(ZERO_32, ZERO_32, ""), "cannot be read"},
    {GA_ALG_ES256, EC(P256_P, EC_Y, ""), "cannot be read"},
    {GA_ALG_ES256, EC("AH_NzidwDsRdQYPL7m_bS3tYBzM1e-nvE7rPbjx70VRF", EC_Y, ""), "cannot be read"},
    {GA_ALG_ES256, EC("", EC_Y, ""), "cannot be read"},
    {GA_ALG_ES256, EC(EC_X, "AAAA", ""), "cannot be read"},
    {GA_ALG_ES256, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\"}", "cannot be read"},
    {GA_ALG_EDDSA, OKP(ZERO_32, ""), "low order"},
    {GA_ALG_EDDSA, OKP("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ""), "low order"},
    {GA_ALG_EDDSA, OKP("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA", ""), "low order"},
    {GA_ALG_EDDSA, OKP("7P_______________________________________38", ""), "low order"},
    {GA_ALG_EDDSA, OKP("7f_______________________________________38", ""), "canonically"},
    {GA_ALG_EDDSA, OKP("7v_______________________________________38", ""), "canonically"},
    {GA_ALG_EDDSA, OKP("_____________________________________________38", ""), "cannot be read"},
    {GA_ALG_EDDSA, OKP("JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU", ""), "low order"},
    {GA_ALG_EDDSA, OKP("JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_IU", ""), "low order"},
    {GA_ALG_EDDSA, OKP("xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o", ""), "low order"},
    {GA_ALG_EDDSA, OKP("xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA_o", ""), "low order"},
    {GA_ALG_EDDSA, OKP("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUQ", ""), "cannot be read"},
    {GA_ALG_RS256, "{\"kty\":\"RSA\"}", "cannot be read"},
    {GA_ALG_RS256, "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "fewer than 2048"},
};

/* The verdict on an RSA JWK with this modulus and exponent. */
static const char *
make_rsa(const BIGNUM *n, const char *e)
{
	static uint8_t bytes[2100];
	static char text[3000];
	static char jwk[4000];
	ssize_t length = ga_b64url_encode(bytes, (size_t) BN_bn2bin(n, bytes), text, sizeof(text) - 1);

	text[length] = '\0';
	snprintf(jwk, sizeof(jwk), "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", text, e);
	return make(GA_ALG_RS256, jwk);
}

static void
check_rsa(const BIGNUM *n, const char *e, const char *part)
{
	const char *problem = make_rsa(n, e);

	if (part == NULL ? problem != NULL : problem == NULL || strstr(problem, part) == NULL)
		printf("e %s: %s, wanted %s\n", e, problem != NULL ? problem : "accepted", part);
	CHECK(part == NULL ? problem == NULL : problem != NULL && strstr(problem, part) != NULL);
}

/* A modulus of that many bits that is 1 modulo each odd prime to 167, as a ROCA one may be. */
static BIGNUM *
roca_modulus(int bits)
{
	BIGNUM *product = BN_new();
	BIGNUM *result = BN_new();

	BN_one(product);
	for (unsigned n = 2; n <= 167; n++)
	{
		unsigned divisor = 2;

		while (n % divisor != 0)
			divisor++;
		if (divisor == n)
			BN_mul_word(product, n);
	}
	BN_copy(result, product);
	BN_lshift(result, result, bits - BN_num_bits(product));
	BN_add_word(result, 1);
	BN_free(product);
	return result;
}

static void
test_rsa(void)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 2048);
	BIGNUM *n = NULL;
	BIGNUM *bad;

	CHECK(EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1);
	check_rsa(n, "AQAB", NULL);
	check_rsa(n, "Aw", NULL);
	check_rsa(n, "AAEAAQ", NULL); /* a leading zero changes nothing */
	check_rsa(n, "AQ", "exponent");
	check_rsa(n, "AAE", "exponent");
	check_rsa(n, "Ag", "exponent");
	check_rsa(n, "AQAA", "exponent");
	check_rsa(n, "AA", "exponent");
	check_rsa(n, "", "cannot be read");
	check_rsa(n, "AQAB=", "cannot be read");
	check_rsa(n, "AQAAAAAAAAAB", "cannot be read"); /* nine bytes */
	bad = BN_dup(n);
	BN_clear_bit(bad, 0);
	check_rsa(bad, "AQAB", "even modulus");
	BN_rshift(bad, n, 1);
	BN_set_bit(bad, 0);
	check_rsa(bad, "AQAB", "fewer than 2048");
	BN_lshift(bad, n, 8192 - 2048 + 1);
	BN_set_bit(bad, 0);
	check_rsa(bad, "AQAB", "more than 8192");
	BN_free(bad);
	bad = roca_modulus(2048);
	check_rsa(bad, "AQAB", "ROCA");
	BN_free(bad);
	BN_free(n);
	EVP_PKEY_free(pkey);
}

/* A curve by name, and the same curve with its parameters spelled out. */
static void
test_spelled_out_curve(void)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

	for (int spelled_out = 0; spelled_out < 2; spelled_out++)
	{
		BIO *bio = BIO_new(BIO_s_mem());
		GaKey key;
		char *pem;
		long bytes;
		const char *problem;

		if (spelled_out)
			CHECK(EVP_PKEY_set_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_ENCODING,
			                                     OSSL_PKEY_EC_ENCODING_EXPLICIT) == 1);
		PEM_write_bio_PUBKEY(bio, pkey);
		bytes = BIO_get_mem_data(bio, &pem);
		problem = ga_key_from_pem(&key, GA_ALG_ES256, pem, (size_t) bytes);
		CHECK(spelled_out ? problem != NULL : problem == NULL);
		ga_key_free(&key);
		BIO_free(bio);
	}
	EVP_PKEY_free(pkey);
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
	{
		const char *problem = make(table[i].alg, table[i].jwk);
		bool expected = table[i].problem == NULL
		                    ? problem == NULL
		                    : problem != NULL && strstr(problem, table[i].problem) != NULL;

		if (!expected)
			printf("%s: %s\n", table[i].jwk, problem != NULL ? problem : "accepted");
		CHECK(expected);
	}
	test_rsa();
	test_spelled_out_curve();
	return unit_done();
}
