/* SPDX-License-Identifier: PostgreSQL */
/*
 * What the ground's files tell each other and nobody else: initialisers, and entering without a
 * switch of user (the install script runs as the superuser that the server made it).
 */
#ifndef GROUND_H
#define GROUND_H

#include "goldenarch/query.h"

extern void ga_query_init(void);
extern void ga_wake_init(void);

/* Shared-memory parts of the ground (shmem.c lists them). */
extern Size ga_metrics_shmem_size(void);
extern void ga_metrics_shmem_init(void *part);
extern void *ga_metrics_shared;
extern Size ga_wake_shmem_size(void);
extern void ga_wake_shmem_init(void *part);
extern void *ga_wake_shared;

/* As ga_enter, but keeps the user: for install and upgrade scripts and trigger functions only. */
extern void ga_enter_unswitched(GaCall *call);

/* The principal every worker has. */
extern const GaPrincipal ga_system_principal;

/*
 * True while a dump is being loaded into this session; ask outside ga_enter, which pins the
 * path.
 */
extern bool ga_restoring(void);

/* Computes the principal of GetUserId() and the token shown; never the pinned one. */
extern const GaPrincipal *ga_compute_principal(void);

#endif
