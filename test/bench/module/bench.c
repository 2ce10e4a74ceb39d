/* SPDX-License-Identifier: PostgreSQL */
/*
 * Floors of the benchmark: a function that does nothing, and bare signature checks by libcrypto in
 * the same backend. Built and loaded by test/bench/run alone; no part of the product.
 */
#include "postgres.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "fmgr.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"

#define MESSAGE_BYTES 600
#define SIGNATURE_BYTES 512

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(bench_noop);
PG_FUNCTION_INFO_V1(bench_evp_verify);

Datum
bench_noop(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!PG_ARGISNULL(0));
}

typedef struct Signer
{
	const char *alg;
	EVP_PKEY *key;
	const EVP_MD *digest; /* fetched once, null for EdDSA */
	unsigned char signature[SIGNATURE_BYTES];
	size_t signature_bytes;
} Signer;

static Signer signers[] = {{.alg = "RS256"}, {.alg = "ES256"}, {.alg = "EdDSA"}};
static unsigned char message[MESSAGE_BYTES];

static void
check(bool ok, const char *what)
{
	if (!ok)
		elog(ERROR, "libcrypto failed: %s", what);
}

/* The key and the one signed message, made at the first call in this backend. */
static void
prepare(Signer *signer)
{
	EVP_MD_CTX *context;

	if (signer->key)
		return;
	memset(message, 'm', sizeof(message));
	if (strcmp(signer->alg, "RS256") == 0)
		signer->key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 2048);
	else if (strcmp(signer->alg, "ES256") == 0)
		signer->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	else
		signer->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	check(signer->key != NULL, "key");
	if (strcmp(signer->alg, "EdDSA") != 0)
		signer->digest = EVP_MD_fetch(NULL, "SHA256", NULL);
	context = EVP_MD_CTX_new();
	signer->signature_bytes = sizeof(signer->signature);
	check(EVP_DigestSignInit(context, NULL, signer->digest, NULL, signer->key) == 1, "sign init");
	check(EVP_DigestSign(context, signer->signature, &signer->signature_bytes, message,
	                     sizeof(message)) == 1,
	      "sign");
	EVP_MD_CTX_free(context);
}

/* Seconds of n checks, nothing else: key parsed, digest fetched, context reused. */
Datum
bench_evp_verify(PG_FUNCTION_ARGS)
{
	char *alg = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int32 n = PG_GETARG_INT32(1);
	Signer *signer = NULL;
	EVP_MD_CTX *context;
	instr_time start;
	instr_time end;

	for (int i = 0; i < (int) lengthof(signers); i++)
		if (strcmp(signers[i].alg, alg) == 0)
			signer = &signers[i];
	if (!signer)
		elog(ERROR, "unknown algorithm: %s", alg);
	prepare(signer);
	context = EVP_MD_CTX_new();
	INSTR_TIME_SET_CURRENT(start);
	for (int32 i = 0; i < n; i++)
	{
		check(EVP_DigestVerifyInit(context, NULL, signer->digest, NULL, signer->key) == 1, "init");
		check(EVP_DigestVerify(context, signer->signature, signer->signature_bytes, message,
		                       sizeof(message)) == 1,
		      "verify");
		EVP_MD_CTX_reset(context);
	}
	INSTR_TIME_SET_CURRENT(end);
	EVP_MD_CTX_free(context);
	INSTR_TIME_SUBTRACT(end, start);
	PG_RETURN_FLOAT8(INSTR_TIME_GET_DOUBLE(end));
}
