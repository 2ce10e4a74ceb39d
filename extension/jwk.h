/* SPDX-License-Identifier: PostgreSQL */
/* What jwk.c keeps for jwt.c: the keys of the table, and their parsed forms. */
#ifndef JWK_H
#define JWK_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "sigkey.h"

typedef struct GaJwkRow
{
	const char *kid;
	GaAlg alg;
	const char *issuer;   /* "": not checked */
	const char *audience; /* null: not checked */
	const bytea *key;     /* what verifies, or what signs */
	TimestampTz retires_at;
} GaJwkRow;

/*
 * Keys that a token with this kid (null: any) and issuer (null: none) may be signed with, now.
 * *perhaps_old is set where only the caller's snapshot could be read. Enters on its own. What the
 * rows point to is valid until the next query.
 */
extern int ga_jwk_candidates(const char *kid, const char *issuer, GaJwkRow **rows,
                             bool *perhaps_old);

/* Parsed once a backend; null when the bytes are no key. Valid to the end of the statement. */
extern const GaKey *ga_jwk_parsed(const GaJwkRow *row);

/* The newest key that signs, or 55000. Inside ga_enter. */
extern void ga_jwk_signer(GaJwkRow *row);

#endif
