/* SPDX-License-Identifier: PostgreSQL */
/*
 * digest.c: see digest.h. The context is libcrypto's own memory and lives only within the call.
 */
#include "digest.h"

#include <openssl/evp.h>

bool
ga_sha256(const GaBytes *pieces, int count, uint8_t out[GA_HASH_BYTES])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool ok = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;

	for (int i = 0; ok && i < count; i++)
		ok = EVP_DigestUpdate(context, pieces[i].data, pieces[i].bytes) == 1;
	ok = ok && EVP_DigestFinal_ex(context, out, NULL) == 1;
	EVP_MD_CTX_free(context);
	return ok;
}
