/* SPDX-License-Identifier: PostgreSQL */
/*
 * weakkey.c: see weakkey.h. Keys are public here, so nothing need be constant in time.
 */
#include "weakkey.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>

#include "limits.h"

#define EDWARDS_KEY_MAX_BYTES 57

/* Does this power of 65537 modulo the prime give the residue? */
static bool
is_power_of_65537(unsigned residue, unsigned prime)
{
	unsigned power = 1;

	do
	{
		if (power == residue)
			return true;
		power = power * (65537 % prime) % prime;
	} while (power != 1);
	return false;
}

/*
 * A ROCA prime is k * M + (65537^a mod M), M the product of the first primes: modulo each of them
 * the modulus is a power of 65537. One key in 2^27 of any other kind is, too.
 */
static bool
is_roca(const BIGNUM *modulus)
{
	static const unsigned char primes[] = {
	    3,  5,  7,  11, 13, 17,  19,  23,  29,  31,  37,  41,  43,  47,  53,  59,  61,  67,  71,
	    73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167};

	for (size_t i = 0; i < sizeof(primes); i++)
	{
		if (!is_power_of_65537((unsigned) BN_mod_word(modulus, primes[i]), primes[i]))
			return false;
	}
	return true;
}

const char *
ga_weak_rsa(EVP_PKEY *pkey, bool pss)
{
	const char *problem = NULL;
	BIGNUM *exponent = NULL;
	BIGNUM *modulus = NULL;
	int bits;

	/* a key for PSS alone says so in its type; libcrypto holds it to the parameters it names */
	if (!EVP_PKEY_is_a(pkey, "RSA") && !(pss && EVP_PKEY_is_a(pkey, "RSA-PSS")))
		return "is not an RSA key for this algorithm";
	bits = EVP_PKEY_get_bits(pkey);
	if (bits < GA_RSA_MIN_BITS || bits > GA_RSA_MAX_BITS)
		return "is an RSA key of fewer than 2048 or more than 8192 bits";
	if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &exponent) != 1 ||
	    !BN_is_odd(exponent) || BN_is_one(exponent) || BN_num_bits(exponent) > 64)
		problem = "is an RSA key with a bad exponent";
	else if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &modulus) != 1 ||
	         !BN_is_odd(modulus))
		problem = "is an RSA key with an even modulus";
	else if (is_roca(modulus))
		problem = "is an RSA key of a broken generator (ROCA)";
	BN_free(exponent);
	BN_free(modulus);
	return problem;
}

const char *
ga_weak_ec(EVP_PKEY *pkey, const char *group)
{
	EVP_PKEY_CTX *context;
	char name[64] = "";
	int spelled_out = 0;
	bool ok;

	if (!EVP_PKEY_is_a(pkey, "EC") ||
	    EVP_PKEY_get_group_name(pkey, name, sizeof(name), NULL) != 1 || strcmp(name, group) != 0)
		return "is not on the algorithm's curve";
	if (EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
	                           &spelled_out) == 1 &&
	    spelled_out != 0)
		return "spells out the parameters of its curve";
	context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	ok = context != NULL && EVP_PKEY_public_check_quick(context) == 1;
	EVP_PKEY_CTX_free(context);
	return ok ? NULL : "is not a point of the algorithm's curve";
}

/* y of the points whose order divides the cofactor, little-endian, without the sign of x. */
static bool
is_low_order(const uint8_t *y, size_t bytes, const uint8_t *prime)
{
	static const uint8_t order_8[2][32] = {
	    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
	     0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
	     0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
	    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
	     0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
	     0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a}};
	uint8_t minus_one[EDWARDS_KEY_MAX_BYTES];
	uint8_t small[EDWARDS_KEY_MAX_BYTES] = {0};

	memcpy(minus_one, prime, bytes);
	minus_one[0]--;
	if (memcmp(y, small, bytes) == 0 || memcmp(y, minus_one, bytes) == 0)
		return true;
	small[0] = 1;
	if (memcmp(y, small, bytes) == 0)
		return true;
	return bytes == 32 && (memcmp(y, order_8[0], 32) == 0 || memcmp(y, order_8[1], 32) == 0);
}

static bool
is_below(const uint8_t *y, const uint8_t *prime, size_t bytes)
{
	for (size_t i = bytes; i-- > 0;)
	{
		if (y[i] != prime[i])
			return y[i] < prime[i];
	}
	return false;
}

const char *
ga_weak_edwards(EVP_PKEY *pkey)
{
	uint8_t prime[EDWARDS_KEY_MAX_BYTES];
	uint8_t y[EDWARDS_KEY_MAX_BYTES];
	size_t bytes = sizeof(y);
	bool ed448 = EVP_PKEY_is_a(pkey, "ED448");

	if (!ed448 && !EVP_PKEY_is_a(pkey, "ED25519"))
		return "is not for this algorithm";
	if (EVP_PKEY_get_raw_public_key(pkey, y, &bytes) != 1 || bytes != (ed448 ? 57 : 32))
		return "cannot be read";
	y[bytes - 1] &= 0x7f;
	memset(prime, 0xff, sizeof(prime));
	if (ed448) /* 2^448 - 2^224 - 1 */
	{
		prime[28] = 0xfe;
		prime[56] = 0;
	}
	else /* 2^255 - 19 */
	{
		prime[0] = 0xed;
		prime[31] = 0x7f;
	}
	if (!is_below(y, prime, bytes))
		return "is not encoded canonically";
	return is_low_order(y, bytes, prime) ? "is a point of low order" : NULL;
}
