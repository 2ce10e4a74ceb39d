/* SPDX-License-Identifier: PostgreSQL */
/* What identity.c, jwt.c and principal.c share: the token in force, and what a token says. */
#ifndef IDENTITY_H
#define IDENTITY_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "goldenarch/principal.h"

/* Registers the transaction callbacks and the DISCARD hook. */
extern void ga_identity_init(void);

/*
 * Null when no token decides: then the PostgreSQL role does. Otherwise the token's principal, or
 * anonymous once it expired, was rolled back or dropped in this transaction, or when the session
 * user is no longer the one it was shown by.
 */
extern const GaPrincipal *ga_token_principal(void);

/* Who a caller is that nothing vouches for. */
extern const GaPrincipal *ga_anonymous_principal(void);

/* What a verified token says. */
typedef struct GaClaims
{
	const Jsonb *json;    /* all of it */
	const char *kid;      /* of the header; null where absent */
	const char *subject;  /* null where absent */
	const char *tenant;   /* "" where absent */
	const char *token_id; /* null where absent */
	const char **roles;
	int nroles;
	TimestampTz expires_at;
	TimestampTz key_retires_at; /* DT_NOEND: not yet known */
	bool perhaps_old;           /* keys or revocations were read under the caller's snapshot */
} GaClaims;

/*
 * Null when the token is good, else what is wrong with it. Enters on its own; no side effect. The
 * strings and the jsonb of *claims last to the next call.
 */
extern const char *ga_jwt_verify(const char *token, GaClaims *claims);
/* The same, whatever was verified before. */
extern const char *ga_jwt_verify_afresh(const char *token, GaClaims *claims);

/*
 * A secret that came as a literal is taken out of what others may read: pg_stat_activity, and the
 * statement in the server's log.
 */
extern void ga_hide_secret(const char *secret);

#endif
