/* SPDX-License-Identifier: PostgreSQL */
/* What jwk.c keeps for jwt.c: the keys of the table, and their parsed forms. */
#ifndef JWK_H
#define JWK_H

#include "postgres.h"

#include "sigkey.h"

typedef struct GaJwkRow
{
	const char *kid;
	GaAlg alg;
	const char *issuer;   /* "": not checked */
	const char *audience; /* null: not checked */
	const bytea *key;     /* what verifies, or what signs */
} GaJwkRow;

/* Keys that a token with this kid (null: any) and issuer (null: none) may be signed with. */
extern int ga_jwk_candidates(const char *kid, const char *issuer, GaJwkRow **rows);

/* Parsed once a backend; null when the bytes are no key. Valid to the end of the statement. */
extern const GaKey *ga_jwk_parsed(GaAlg alg, const bytea *verify_key);

/* The newest key that signs, or 55000. Inside ga_enter. */
extern void ga_jwk_signer(GaJwkRow *row);

extern int64 ga_forget_revocations(void);

#endif
