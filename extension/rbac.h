/* SPDX-License-Identifier: PostgreSQL */
/* What principal.c and rbac.c share: watching the tables that identity is read from. */
#ifndef RBAC_H
#define RBAC_H

#include "goldenarch/principal.h"

/* Registers the invalidation callbacks, once. */
extern void ga_rbac_watch(void);
extern void ga_principal_forget(void);
/* The principal of the PostgreSQL role, whatever token is shown. */
extern const GaPrincipal *ga_role_principal(void);

#endif
