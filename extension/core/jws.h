/* SPDX-License-Identifier: PostgreSQL */
/*
 * jws.h: takes a compact JWS (RFC 7515) apart and judges its header by RFC 8725. Nothing here
 * verifies: the caller finds the key by kid, compares alg with the key's own, and asks sigkey.h.
 */
#ifndef GA_JWS_H
#define GA_JWS_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "json.h"

typedef struct GaJws
{
	const char *alg;   /* never null, never none */
	const char *kid;   /* null where absent */
	const char *typ;   /* null where absent */
	const char *input; /* what is signed, within the token */
	size_t input_bytes;
	const uint8_t *payload; /* decoded, NUL-terminated */
	size_t payload_bytes;
	const uint8_t *signature;
	size_t signature_bytes;
} GaJws;

/* The limits of a header or a claims set: depth, members, numbers. */
extern const GaJsonLimits ga_jwt_json_limits;

/*
 * Null when the token is well formed, else what is wrong with it, as part of a sentence. Exactly
 * three segments of strict base64url; the header is one strict JSON object (no duplicate member);
 * crit, b64, zip and enc, and every way to bring a key along (jwk, jku, x5c, x5u), are refused.
 */
extern const char *ga_jws_split(GaArena *arena, const char *token, size_t bytes, size_t bytes_max,
                                GaJws *jws);

#endif /* GA_JWS_H */
