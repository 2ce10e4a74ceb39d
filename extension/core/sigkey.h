/* SPDX-License-Identifier: PostgreSQL */
/*
 * sigkey.h: signature keys, each bound to one algorithm for life, and what they sign and verify.
 *
 * A GaKey holds either an HMAC secret (in the struct) or an EVP_PKEY and what verifying with it
 * takes, which is libcrypto's memory: ga_key_free gives it back. One thread at a time. No function
 * prints, prompts, or reads a file. Where a function gives text, null means that all went well,
 * else it is what is wrong, as part of a sentence.
 */
#ifndef GA_SIGKEY_H
#define GA_SIGKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "json.h"
#include "limits.h"

typedef enum GaAlg
{
	GA_ALG_UNKNOWN,
	GA_ALG_HS256,
	GA_ALG_HS384,
	GA_ALG_HS512,
	GA_ALG_RS256,
	GA_ALG_RS384,
	GA_ALG_RS512,
	GA_ALG_PS256,
	GA_ALG_PS384,
	GA_ALG_PS512,
	GA_ALG_ES256,
	GA_ALG_ES384,
	GA_ALG_ES512,
	GA_ALG_EDDSA,
	GA_ALG_COUNT
} GaAlg;

#define GA_SIGNATURE_MAX_BYTES (GA_RSA_MAX_BITS / 8)

typedef struct GaKey
{
	GaAlg alg;
	bool can_sign;
	struct evp_pkey_st *pkey;
	struct evp_pkey_ctx_st *verifier; /* RSA and EC: set up for this algorithm */
	struct evp_md_ctx_st *hasher;
	struct evp_md_st *digest;
	uint8_t secret[GA_HMAC_KEY_MAX_BYTES];
	size_t secret_bytes;
} GaKey;

extern GaAlg ga_alg_by_name(const char *name); /* exact */
extern const char *ga_alg_name(GaAlg alg);
extern bool ga_alg_is_hmac(GaAlg alg);

extern const char *ga_key_from_secret(GaKey *key, GaAlg alg, const uint8_t *secret, size_t bytes);
/* A public key, or a private one (then can_sign). */
extern const char *ga_key_from_pem(GaKey *key, GaAlg alg, const char *pem, size_t bytes);
/* The public part, or the secret of kty oct. The key's own use, key_ops and alg must allow it. */
extern const char *ga_key_from_jwk(GaKey *key, GaAlg alg, const GaJsonNode *jwk);
/* SubjectPublicKeyInfo, or PKCS#8 when private; what ga_key_to_der made. */
extern const char *ga_key_from_der(GaKey *key, GaAlg alg, const uint8_t *der, size_t bytes,
                                   bool private_key);
/* The algorithm a JWK without alg can only mean; GA_ALG_UNKNOWN where several could be. */
extern GaAlg ga_jwk_only_alg(const GaJsonNode *jwk);

/* True when the JWK has a member that nobody but the signer may know. */
extern bool ga_jwk_holds_secret(const GaJsonNode *jwk);

/* The stored form: HMAC the secret itself, else DER. The length, or -1 when it does not fit. */
extern ssize_t ga_key_to_der(const GaKey *key, bool private_key, uint8_t *out, size_t capacity);

extern bool ga_key_verify(const GaKey *key, const void *data, size_t bytes,
                          const uint8_t *signature, size_t signature_bytes);
/* The length, or -1. */
extern ssize_t ga_key_sign(const GaKey *key, const void *data, size_t bytes, uint8_t *signature,
                           size_t capacity);
extern void ga_key_free(GaKey *key); /* wipes the secret; a zeroed key may be freed */

#endif /* GA_SIGKEY_H */
