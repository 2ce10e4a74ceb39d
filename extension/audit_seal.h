/* SPDX-License-Identifier: PostgreSQL */
/* audit_seal.h: sealing as other parts call it, and what they show of it. Inside ga_enter. */
#ifndef AUDIT_SEAL_H
#define AUDIT_SEAL_H

#include "goldenarch/health.h"

/* run_maintenance() without preloading: one pass in a process of its own. */
extern int64 ga_seal_job(void);
/* Verifier keys of the last tree, one a line, those of the last head first; null: none. */
extern char *ga_seal_public_keys(void);
/* What health() says of sealing; status ok when nothing is wrong. */
extern GaHealth ga_seal_health(void);

#endif /* AUDIT_SEAL_H */
