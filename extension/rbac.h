/* SPDX-License-Identifier: PostgreSQL */
/* What principal.c and rbac.c share: watching the tables that identity is read from. */
#ifndef RBAC_H
#define RBAC_H

#include "goldenarch/health.h"
#include "goldenarch/principal.h"

/* Hears of what changed; registers the invalidation callbacks, once. */
extern void ga_rbac_watch(void);
extern void ga_principal_forget(void);
/* Changes whenever a table that identity is read from does. */
extern uint64 ga_identity_generation(void);
/* For GaPrincipal.id. */
extern uint64 ga_new_principal_id(void);
/* At the end of a transaction nobody holds a principal any more: what is out of date is freed. */
extern void ga_principal_end_transaction(void);
/*
 * Identity is read as it stands now, whatever snapshot the caller's statement has: a revocation
 * binds repeatable-read transactions too. False, and nothing pushed, in parallel mode; what is read
 * then must not be cached.
 */
extern bool ga_push_latest_snapshot(void);
/*
 * In parallel mode, of the snapshot that is read then: what was read under it counts while it is in
 * use, since to read again would give the same. Elsewhere 0.
 */
extern uint64 ga_snapshot_mark(void);
/* The principal of the PostgreSQL role, whatever token is shown. */
extern const GaPrincipal *ga_role_principal(void);

/* 'part.verb', of lower-case words */
extern bool ga_is_permission(const char *permission);

/* health(): roles that are mapped and gone. Inside ga_enter. */
extern GaHealth ga_identity_health(void);

#endif
