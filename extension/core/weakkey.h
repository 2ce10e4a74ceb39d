/* SPDX-License-Identifier: PostgreSQL */
/*
 * weakkey.h: public keys that must not verify anything, whatever their signatures say.
 *
 * RSA: size, exponent (1 makes everything its own signature), an even modulus, and moduli of the
 * ROCA generator (CVE-2017-15361), whose factors can be computed. EC: another curve, parameters
 * spelled out (CVE-2020-0601), a point that is not on the curve. Edwards: an encoding that is not
 * canonical, a point of low order, under which one signature fits any message.
 *
 * Null when the key will do, else what is wrong with it, as part of a sentence.
 */
#ifndef GA_WEAKKEY_H
#define GA_WEAKKEY_H

#include <stdbool.h>

#include <openssl/evp.h>

extern const char *ga_weak_rsa(EVP_PKEY *pkey, bool pss);
extern const char *ga_weak_ec(EVP_PKEY *pkey, const char *group);
extern const char *ga_weak_edwards(EVP_PKEY *pkey);

#endif /* GA_WEAKKEY_H */
