/* SPDX-License-Identifier: PostgreSQL */
/* Tokens refused by their id before they expire. */
#ifndef REVOCATION_H
#define REVOCATION_H

#include "postgres.h"

/* *perhaps_old is set where only the caller's snapshot could be read. Enters on its own. */
extern bool ga_token_revoked(const char *token_id, bool *perhaps_old);

/* Maintenance: a revocation is forgotten once its time has passed. Inside ga_enter. */
extern int64 ga_forget_revocations(void);

#endif
