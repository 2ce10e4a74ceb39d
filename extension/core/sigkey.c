/* SPDX-License-Identifier: PostgreSQL */
/*
 * sigkey.c: see sigkey.h. Keys are judged when they are made (weakkey.h; a secret by its length).
 * ECDSA signatures are raw r||s of exact length, RSA signatures as long as the modulus; PSS salts
 * are as long as the hash; HMACs are compared in constant time. What a signature scheme costs to
 * set up (libcrypto 3 looks its algorithms up by name) is paid once a key.
 */
#include "sigkey.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "b64url.h"
#include "weakkey.h"

typedef enum Family
{
	HMAC_SECRET,
	RSA_PKCS1,
	RSA_PSS,
	ECDSA,
	EDDSA
} Family;

typedef struct Algorithm
{
	const char *name;
	Family family;
	const EVP_MD *(*digest)(void);
	int hash_bytes;
	const char *group; /* ECDSA: OpenSSL's name */
	const char *curve; /* ECDSA: JWK's name */
	int coordinate_bytes;
} Algorithm;

static const Algorithm algorithms[GA_ALG_COUNT] = {
    [GA_ALG_HS256] = {"HS256", HMAC_SECRET, EVP_sha256, 32, NULL, NULL, 0},
    [GA_ALG_HS384] = {"HS384", HMAC_SECRET, EVP_sha384, 48, NULL, NULL, 0},
    [GA_ALG_HS512] = {"HS512", HMAC_SECRET, EVP_sha512, 64, NULL, NULL, 0},
    [GA_ALG_RS256] = {"RS256", RSA_PKCS1, EVP_sha256, 32, NULL, NULL, 0},
    [GA_ALG_RS384] = {"RS384", RSA_PKCS1, EVP_sha384, 48, NULL, NULL, 0},
    [GA_ALG_RS512] = {"RS512", RSA_PKCS1, EVP_sha512, 64, NULL, NULL, 0},
    [GA_ALG_PS256] = {"PS256", RSA_PSS, EVP_sha256, 32, NULL, NULL, 0},
    [GA_ALG_PS384] = {"PS384", RSA_PSS, EVP_sha384, 48, NULL, NULL, 0},
    [GA_ALG_PS512] = {"PS512", RSA_PSS, EVP_sha512, 64, NULL, NULL, 0},
    [GA_ALG_ES256] = {"ES256", ECDSA, EVP_sha256, 32, "prime256v1", "P-256", 32},
    [GA_ALG_ES384] = {"ES384", ECDSA, EVP_sha384, 48, "secp384r1", "P-384", 48},
    [GA_ALG_ES512] = {"ES512", ECDSA, EVP_sha512, 64, "secp521r1", "P-521", 66},
    [GA_ALG_EDDSA] = {"EdDSA", EDDSA, NULL, 0, NULL, NULL, 0},
};

GaAlg
ga_alg_by_name(const char *name)
{
	for (int i = GA_ALG_UNKNOWN + 1; i < GA_ALG_COUNT; i++)
	{
		if (strcmp(algorithms[i].name, name) == 0)
			return (GaAlg) i;
	}
	return GA_ALG_UNKNOWN;
}

const char *
ga_alg_name(GaAlg alg)
{
	return alg > GA_ALG_UNKNOWN && alg < GA_ALG_COUNT ? algorithms[alg].name : NULL;
}

bool
ga_alg_is_hmac(GaAlg alg)
{
	return ga_alg_name(alg) != NULL && algorithms[alg].family == HMAC_SECRET;
}

const char *
ga_key_from_secret(GaKey *key, GaAlg alg, const uint8_t *secret, size_t bytes)
{
	memset(key, 0, sizeof(*key));
	if (!ga_alg_is_hmac(alg))
		return "is a secret, and the algorithm takes none";
	if (bytes < (size_t) algorithms[alg].hash_bytes)
		return "is a secret that is shorter than the algorithm's hash";
	if (bytes > GA_HMAC_KEY_MAX_BYTES)
		return "is a secret of more than 512 bytes";
	key->alg = alg;
	key->can_sign = true;
	memcpy(key->secret, secret, bytes);
	key->secret_bytes = bytes;
	return NULL;
}

static bool
set_pss(const Algorithm *algorithm, EVP_PKEY_CTX *context)
{
	return algorithm->family != RSA_PSS ||
	       (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
	        EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0);
}

/* What verifying takes, looked up once. EdDSA hashes on its own and has no context to keep. */
static bool
prepare_verifier(GaKey *key)
{
	const Algorithm *algorithm = &algorithms[key->alg];

	key->hasher = EVP_MD_CTX_new();
	if (key->hasher == NULL || algorithm->family == EDDSA)
		return key->hasher != NULL;
	key->digest = EVP_MD_fetch(NULL, EVP_MD_get0_name(algorithm->digest()), NULL);
	key->verifier = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
	return key->digest != NULL && key->verifier != NULL &&
	       EVP_PKEY_verify_init(key->verifier) == 1 && set_pss(algorithm, key->verifier) &&
	       EVP_PKEY_CTX_set_signature_md(key->verifier, key->digest) == 1;
}

/* Takes the EVP_PKEY over, also when it is refused. */
static const char *
adopt(GaKey *key, GaAlg alg, EVP_PKEY *pkey, bool can_sign)
{
	const char *problem = "is not for this algorithm";

	memset(key, 0, sizeof(*key));
	if (pkey == NULL)
		problem = "cannot be read";
	else
	{
		switch (algorithms[alg].family)
		{
			case HMAC_SECRET:
				break;
			case RSA_PKCS1:
			case RSA_PSS:
				problem = ga_weak_rsa(pkey, algorithms[alg].family == RSA_PSS);
				break;
			case ECDSA:
				problem = ga_weak_ec(pkey, algorithms[alg].group);
				break;
			case EDDSA:
				problem = ga_weak_edwards(pkey);
				break;
		}
	}
	key->pkey = pkey;
	key->alg = alg;
	key->can_sign = can_sign;
	if (problem == NULL && !prepare_verifier(key))
		problem = "cannot be used by this libcrypto";
	ERR_clear_error();
	if (problem != NULL)
		ga_key_free(key);
	return problem;
}

/* Without this, an encrypted PEM would ask the server's terminal for a password. */
static int
no_password(char *buffer, int size, int writing, void *context)
{
	(void) buffer;
	(void) size;
	(void) writing;
	(void) context;
	return -1;
}

const char *
ga_key_from_pem(GaKey *key, GaAlg alg, const char *pem, size_t bytes)
{
	EVP_PKEY *pkey = NULL;
	bool can_sign = false;
	BIO *bio;

	memset(key, 0, sizeof(*key));
	if (ga_alg_name(alg) == NULL || ga_alg_is_hmac(alg))
		return "is a PEM key, and the algorithm takes a secret";
	if (bytes > GA_JWK_MAX_BYTES)
		return "is too long";
	bio = BIO_new_mem_buf(pem, (int) bytes);
	if (bio != NULL)
		pkey = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
	if (bio != NULL && pkey == NULL)
	{
		(void) BIO_reset(bio);
		pkey = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
		can_sign = pkey != NULL;
	}
	BIO_free(bio);
	return adopt(key, alg, pkey, can_sign);
}

const char *
ga_key_from_der(GaKey *key, GaAlg alg, const uint8_t *der, size_t bytes, bool private_key)
{
	const unsigned char *at = der;
	EVP_PKEY *pkey = NULL;

	memset(key, 0, sizeof(*key));
	if (ga_alg_name(alg) == NULL)
		return "has an unknown algorithm";
	if (ga_alg_is_hmac(alg))
		return ga_key_from_secret(key, alg, der, bytes);
	if (bytes > GA_JWK_MAX_BYTES)
		return "is too long";
	if (private_key)
	{
		PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long) bytes);

		if (info != NULL)
			pkey = EVP_PKCS82PKEY(info);
		PKCS8_PRIV_KEY_INFO_free(info);
	}
	else
		pkey = d2i_PUBKEY(NULL, &at, (long) bytes);
	return adopt(key, alg, pkey, private_key);
}

ssize_t
ga_key_to_der(const GaKey *key, bool private_key, uint8_t *out, size_t capacity)
{
	unsigned char *der = NULL;
	ssize_t length = -1;

	if (ga_alg_is_hmac(key->alg))
	{
		if (key->secret_bytes > capacity)
			return -1;
		memcpy(out, key->secret, key->secret_bytes);
		return (ssize_t) key->secret_bytes;
	}
	if (private_key && key->can_sign)
	{
		PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->pkey);

		if (info != NULL)
			length = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
		PKCS8_PRIV_KEY_INFO_free(info);
	}
	else if (!private_key)
		length = i2d_PUBKEY(key->pkey, &der);
	if (length > 0 && (size_t) length <= capacity)
		memcpy(out, der, (size_t) length);
	else
		length = -1;
	if (der != NULL)
		OPENSSL_clear_free(der, length > 0 ? (size_t) length : 0);
	ERR_clear_error();
	return length;
}

/* A base64url member; exact 0: any length. The number of bytes, or -1. */
static ssize_t
jwk_bytes(const GaJsonNode *jwk, const char *name, uint8_t *out, size_t capacity, int exact)
{
	const char *text = ga_json_string(ga_json_member(jwk, name));
	ssize_t length;

	if (text == NULL)
		return -1;
	length = ga_b64url_decode(text, strlen(text), out, capacity);
	return length > 0 && (exact == 0 || length == exact) ? length : -1;
}

static bool
jwk_is(const GaJsonNode *jwk, const char *name, const char *value)
{
	const char *text = ga_json_string(ga_json_member(jwk, name));

	return text != NULL && strcmp(text, value) == 0;
}

static EVP_PKEY *
pkey_from_params(const char *type, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;

	if (context == NULL || params == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(context);
	return pkey;
}

static EVP_PKEY *
rsa_from_jwk(const GaJsonNode *jwk)
{
	uint8_t n_bytes[GA_RSA_MAX_BITS / 8 + 2];
	uint8_t e_bytes[8];
	ssize_t n_length = jwk_bytes(jwk, "n", n_bytes, sizeof(n_bytes), 0);
	ssize_t e_length = jwk_bytes(jwk, "e", e_bytes, sizeof(e_bytes), 0);
	BIGNUM *n = NULL;
	BIGNUM *e = NULL;
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *pkey = NULL;

	if (n_length > 0 && e_length > 0 && builder != NULL)
	{
		n = BN_bin2bn(n_bytes, (int) n_length, NULL);
		e = BN_bin2bn(e_bytes, (int) e_length, NULL);
		if (n != NULL && e != NULL &&
		    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
		    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
			params = OSSL_PARAM_BLD_to_param(builder);
		pkey = pkey_from_params("RSA", params);
	}
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	BN_free(n);
	BN_free(e);
	return pkey;
}

static EVP_PKEY *
ec_from_jwk(const GaJsonNode *jwk, const Algorithm *algorithm)
{
	int size = algorithm->coordinate_bytes;
	uint8_t point[1 + 2 * 66];
	OSSL_PARAM params[3];

	if (!jwk_is(jwk, "crv", algorithm->curve) ||
	    jwk_bytes(jwk, "x", point + 1, (size_t) size, size) < 0 ||
	    jwk_bytes(jwk, "y", point + 1 + size, (size_t) size, size) < 0)
		return NULL;
	point[0] = 4; /* uncompressed */
	params[0] =
	    OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *) algorithm->group, 0);
	params[1] =
	    OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, (size_t) (1 + 2 * size));
	params[2] = OSSL_PARAM_construct_end();
	return pkey_from_params("EC", params);
}

static EVP_PKEY *
okp_from_jwk(const GaJsonNode *jwk)
{
	uint8_t x[57];

	if (jwk_is(jwk, "crv", "Ed25519") && jwk_bytes(jwk, "x", x, sizeof(x), 32) == 32)
		return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, x, 32);
	if (jwk_is(jwk, "crv", "Ed448") && jwk_bytes(jwk, "x", x, sizeof(x), 57) == 57)
		return EVP_PKEY_new_raw_public_key_ex(NULL, "ED448", NULL, x, 57);
	return NULL;
}

/*
 * RFC 7517 section 4.3: an array of strings, none twice; a key for signatures is for nothing else.
 */
static const char *
judge_key_ops(const GaJsonNode *ops)
{
	static const char *const others[] = {"encrypt",   "decrypt",   "wrapKey",
	                                     "unwrapKey", "deriveKey", "deriveBits"};
	bool verify = false;

	if (ops->type != GA_JSON_ARRAY)
		return "has key_ops that are not an array";
	for (const GaJsonNode *op = ops->child; op != NULL; op = op->next)
	{
		const char *name = ga_json_string(op);

		if (name == NULL)
			return "has key_ops that are not strings";
		for (const GaJsonNode *other = ops->child; other != op; other = other->next)
		{
			if (strcmp(ga_json_string(other), name) == 0)
				return "names an operation twice (key_ops)";
		}
		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		{
			if (strcmp(name, others[i]) == 0)
				return "is for more than signatures (key_ops)";
		}
		verify = verify || strcmp(name, "verify") == 0;
	}
	return verify ? NULL : "is not for verifying (key_ops)";
}

/* use, key_ops and alg of the key itself must allow verifying with this algorithm. */
static const char *
judge_jwk_purpose(GaAlg alg, const GaJsonNode *jwk)
{
	const GaJsonNode *ops = ga_json_member(jwk, "key_ops");

	if (ga_json_member(jwk, "use") != NULL && !jwk_is(jwk, "use", "sig"))
		return "is not for signatures (use)";
	if (ga_json_member(jwk, "alg") != NULL && !jwk_is(jwk, "alg", ga_alg_name(alg)))
		return "is bound to another algorithm (alg)";
	return ops != NULL ? judge_key_ops(ops) : NULL;
}

bool
ga_jwk_holds_secret(const GaJsonNode *jwk)
{
	static const char *const private_parts[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};

	for (size_t i = 0; i < sizeof(private_parts) / sizeof(private_parts[0]); i++)
	{
		if (ga_json_member(jwk, private_parts[i]) != NULL)
			return true;
	}
	return false;
}

const char *
ga_key_from_jwk(GaKey *key, GaAlg alg, const GaJsonNode *jwk)
{
	static const char *const types[] = {[HMAC_SECRET] = "oct",
	                                    [RSA_PKCS1] = "RSA",
	                                    [RSA_PSS] = "RSA",
	                                    [ECDSA] = "EC",
	                                    [EDDSA] = "OKP"};
	uint8_t secret[GA_HMAC_KEY_MAX_BYTES];
	const Algorithm *algorithm = &algorithms[alg];
	const char *problem;
	ssize_t bytes;

	memset(key, 0, sizeof(*key));
	if (ga_alg_name(alg) == NULL)
		return "has an unknown algorithm";
	if (jwk == NULL || jwk->type != GA_JSON_OBJECT || !jwk_is(jwk, "kty", types[algorithm->family]))
		return "is not of the type (kty) that the algorithm takes";
	if ((problem = judge_jwk_purpose(alg, jwk)) != NULL)
		return problem;
	switch (algorithm->family)
	{
		case HMAC_SECRET:
			bytes = jwk_bytes(jwk, "k", secret, sizeof(secret), 0);
			problem = bytes < 0 ? "has no usable secret (k)"
			                    : ga_key_from_secret(key, alg, secret, (size_t) bytes);
			OPENSSL_cleanse(secret, sizeof(secret));
			return problem;
		case RSA_PKCS1:
		case RSA_PSS:
			return adopt(key, alg, rsa_from_jwk(jwk), false);
		case ECDSA:
			return adopt(key, alg, ec_from_jwk(jwk, algorithm), false);
		case EDDSA:
			return adopt(key, alg, okp_from_jwk(jwk), false);
	}
	return "has an unknown algorithm";
}

GaAlg
ga_jwk_only_alg(const GaJsonNode *jwk)
{
	if (jwk_is(jwk, "kty", "OKP"))
		return GA_ALG_EDDSA;
	if (!jwk_is(jwk, "kty", "EC"))
		return GA_ALG_UNKNOWN;
	for (int alg = GA_ALG_ES256; alg <= GA_ALG_ES512; alg++)
	{
		if (jwk_is(jwk, "crv", algorithms[alg].curve))
			return (GaAlg) alg;
	}
	return GA_ALG_UNKNOWN;
}

static bool
hmac(const GaKey *key, const void *data, size_t bytes, uint8_t out[64])
{
	unsigned length = 0;

	return HMAC(algorithms[key->alg].digest(), key->secret, (int) key->secret_bytes, data, bytes,
	            out, &length) != NULL &&
	       (int) length == algorithms[key->alg].hash_bytes;
}

/* Raw r||s to the DER that libcrypto takes; -1 when the length is not exact. */
static int
ecdsa_to_der(const Algorithm *algorithm, const uint8_t *raw, size_t bytes, uint8_t **der)
{
	int size = algorithm->coordinate_bytes;
	ECDSA_SIG *pair;
	BIGNUM *r;
	BIGNUM *s;
	int length = -1;

	if (bytes != (size_t) (2 * size) || (pair = ECDSA_SIG_new()) == NULL)
		return -1;
	r = BN_bin2bn(raw, size, NULL);
	s = BN_bin2bn(raw + size, size, NULL);
	if (r != NULL && s != NULL && ECDSA_SIG_set0(pair, r, s) == 1)
		length = i2d_ECDSA_SIG(pair, der);
	else
	{
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(pair);
	return length;
}

static bool
verify_digest(const GaKey *key, const void *data, size_t bytes, const uint8_t *signature,
              size_t signature_bytes)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned hash_bytes = 0;

	return EVP_DigestInit_ex2(key->hasher, key->digest, NULL) == 1 &&
	       EVP_DigestUpdate(key->hasher, data, bytes) == 1 &&
	       EVP_DigestFinal_ex(key->hasher, hash, &hash_bytes) == 1 &&
	       EVP_PKEY_verify(key->verifier, signature, signature_bytes, hash, hash_bytes) == 1;
}

static bool
verify_ecdsa(const GaKey *key, const void *data, size_t bytes, const uint8_t *signature,
             size_t signature_bytes)
{
	uint8_t *der = NULL;
	int length = ecdsa_to_der(&algorithms[key->alg], signature, signature_bytes, &der);
	bool ok = length > 0 && verify_digest(key, data, bytes, der, (size_t) length);

	OPENSSL_free(der);
	return ok;
}

static bool
verify_eddsa(const GaKey *key, const void *data, size_t bytes, const uint8_t *signature,
             size_t signature_bytes)
{
	bool ok = EVP_DigestVerifyInit(key->hasher, NULL, NULL, NULL, key->pkey) == 1 &&
	          EVP_DigestVerify(key->hasher, signature, signature_bytes, data, bytes) == 1;

	EVP_MD_CTX_reset(key->hasher);
	return ok;
}

bool
ga_key_verify(const GaKey *key, const void *data, size_t bytes, const uint8_t *signature,
              size_t signature_bytes)
{
	uint8_t mac[64];
	bool ok = false;

	if (ga_alg_name(key->alg) == NULL || (key->pkey == NULL && !ga_alg_is_hmac(key->alg)))
		return false;
	switch (algorithms[key->alg].family)
	{
		case HMAC_SECRET:
			return hmac(key, data, bytes, mac) &&
			       signature_bytes == (size_t) algorithms[key->alg].hash_bytes &&
			       CRYPTO_memcmp(mac, signature, signature_bytes) == 0;
		case RSA_PKCS1:
		case RSA_PSS:
			/* libcrypto takes a PSS signature without its leading zeros: two for one token */
			ok = signature_bytes == (size_t) EVP_PKEY_get_size(key->pkey) &&
			     verify_digest(key, data, bytes, signature, signature_bytes);
			break;
		case ECDSA:
			ok = verify_ecdsa(key, data, bytes, signature, signature_bytes);
			break;
		case EDDSA:
			ok = verify_eddsa(key, data, bytes, signature, signature_bytes);
			break;
	}
	ERR_clear_error();
	return ok;
}

/* DER to raw r||s. */
static ssize_t
ecdsa_to_raw(const Algorithm *algorithm, const uint8_t *der, size_t bytes, uint8_t *raw)
{
	const unsigned char *at = der;
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long) bytes);
	int size = algorithm->coordinate_bytes;
	bool ok = pair != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, size) == size &&
	          BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + size, size) == size;

	ECDSA_SIG_free(pair);
	return ok ? 2 * size : -1;
}

ssize_t
ga_key_sign(const GaKey *key, const void *data, size_t bytes, uint8_t *signature, size_t capacity)
{
	const Algorithm *algorithm = &algorithms[key->alg];
	EVP_MD_CTX *context;
	EVP_PKEY_CTX *key_context = NULL;
	uint8_t buffer[GA_SIGNATURE_MAX_BYTES];
	size_t length = sizeof(buffer);
	bool ok;

	if (!key->can_sign || capacity < GA_SIGNATURE_MAX_BYTES)
		return -1;
	if (algorithm->family == HMAC_SECRET)
		return hmac(key, data, bytes, signature) ? algorithm->hash_bytes : -1;
	context = EVP_MD_CTX_new();
	ok = context != NULL &&
	     EVP_DigestSignInit(context, &key_context,
	                        algorithm->digest != NULL ? algorithm->digest() : NULL, NULL,
	                        key->pkey) == 1 &&
	     set_pss(algorithm, key_context) &&
	     EVP_DigestSign(context, buffer, &length, data, bytes) == 1;
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	if (!ok)
		return -1;
	if (algorithm->family == ECDSA)
		return ecdsa_to_raw(algorithm, buffer, length, signature);
	memcpy(signature, buffer, length);
	return (ssize_t) length;
}

void
ga_key_free(GaKey *key)
{
	EVP_PKEY_CTX_free(key->verifier);
	EVP_MD_CTX_free(key->hasher);
	EVP_MD_free(key->digest);
	EVP_PKEY_free(key->pkey);
	OPENSSL_cleanse(key, sizeof(*key));
}
