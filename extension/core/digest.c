/* SPDX-License-Identifier: PostgreSQL */
/*
 * digest.c: see digest.h. The context is on the stack. libcrypto calls this interface deprecated
 * in favour of EVP, but EVP finds its implementation and allocates anew for each digest, which
 * costs several times what the hash of a tree node does, and the core can keep no context.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "digest.h"

#include <openssl/sha.h>

bool
ga_sha256(const GaBytes *pieces, int count, uint8_t out[GA_HASH_BYTES])
{
	SHA256_CTX context;
	bool ok = SHA256_Init(&context) == 1;

	for (int i = 0; ok && i < count; i++)
		ok = SHA256_Update(&context, pieces[i].data, pieces[i].bytes) == 1;
	return ok && SHA256_Final(out, &context) == 1;
}
