/* SPDX-License-Identifier: PostgreSQL */
/*
 * claims.h: judges the claims set of a token whose signature is in order (RFC 7519, RFC 8725).
 *
 * exp is required and has no leeway, since an identity ends with it; nbf and iat have 30 seconds.
 * aud must name the audience where the key has one. Times are microseconds since 1970 UTC; the
 * caller brings the clock. Strings stand in the caller's arena.
 */
#ifndef GA_CLAIMS_H
#define GA_CLAIMS_H

#include <stdint.h>

#include "arena.h"
#include "json.h"
#include "limits.h"

typedef struct GaTokenClaims
{
	const char *subject;  /* null where absent */
	const char *tenant;   /* "" where absent */
	const char *token_id; /* null where absent */
	const char *roles[GA_ROLES_PER_SUBJECT_MAX];
	int nroles;
	int64_t expires_us;
} GaTokenClaims;

/* The issuer that the claims name, unjudged: it only finds the key. Null where absent. */
extern const char *ga_claims_issuer(const GaJsonNode *root, const char **issuer);

/* Null when the claims are good, else what is wrong with them, as part of a sentence. */
extern const char *ga_claims_judge(const GaJsonNode *root, const char *audience, int64_t now_us,
                                   GaTokenClaims *claims);

#endif /* GA_CLAIMS_H */
