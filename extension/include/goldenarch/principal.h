/* SPDX-License-Identifier: PostgreSQL */
/*
 * Who is calling. A principal is C state, never a setting that SQL can write. It is the token that
 * authenticate() verified, else what map_role says of the PostgreSQL role at our entry, else admin
 * for a superuser or one that has the owner's privileges, else anonymous. While a function of ours
 * runs as the extension's owner, the principal stays the one pinned at entry.
 */
#ifndef GOLDENARCH_PRINCIPAL_H
#define GOLDENARCH_PRINCIPAL_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "goldenarch/compat.h"

typedef enum GaPrincipalKind
{
	GA_ANONYMOUS,
	GA_MAPPED, /* map_role */
	GA_TOKEN,  /* authenticate() */
	GA_ADMIN,  /* superuser, or a role with the owner's privileges, without a token */
	GA_SYSTEM  /* our own workers: every tenant, every permission */
} GaPrincipalKind;

typedef struct GaPrincipal
{
	GaPrincipalKind kind;
	const char *subject; /* never null */
	const char *tenant;  /* "" where there is none */
	int nroles;          /* roles that the token or the mapping names */
	const char **roles;
	const char *token_id;   /* null without a token */
	TimestampTz expires_at; /* DT_NOEND without a token */
	Oid pg_role;            /* GetUserId() at our entry */
	uint64 id; /* of this backend, never given twice; 0: what it may do is not remembered */
} GaPrincipal;

/*
 * The principal of the running call: the pinned one inside ga_enter(), else computed now.
 * Owned by the identity module; valid until the end of the statement.
 */
extern GA_EXPORT const GaPrincipal *ga_principal(void);

/* A worker that runs another's code: the token it showed, if any, ends with it. */
extern GA_EXPORT void ga_identity_forget(void);

/* True when the principal holds the permission (deny wins; system.admin implies all). */
extern GA_EXPORT bool ga_has_permission(const GaPrincipal *who, const char *permission);
extern bool ga_has_permission_n(const GaPrincipal *who, const char *permission, size_t bytes);

/* Durable denial (42501), counted, when it does not. */
extern GA_EXPORT void ga_require_permission(const GaPrincipal *who, const char *permission);

/* As that, and also where the principal has a tenant: for what concerns every tenant. */
extern void ga_require_global(const GaPrincipal *who, const char *permission);

/* The tenant range this principal sees: floor = ceiling = tenant; admin: "" to "\x7f". */
extern const char *ga_tenant_floor(const GaPrincipal *who);
extern const char *ga_tenant_ceiling(const GaPrincipal *who);
/* True when the principal may act on rows of this tenant. */
extern bool ga_tenant_visible(const GaPrincipal *who, const char *tenant);
/* The tenant of a new row when the caller names one (null: its own); 22023, 42501. */
extern const char *ga_tenant_for_new_row(const GaPrincipal *who, const char *named);

#endif
