/* SPDX-License-Identifier: PostgreSQL */
/* What breaker.c and ratelimit.c show to the tables of shmem.c and maintenance.c. */
#ifndef LIMITERS_H
#define LIMITERS_H

#include "postgres.h"

extern Size ga_breaker_shmem_size(void);
extern void ga_breaker_shmem_init(void *part);
extern void *ga_breaker_shared;
extern Size ga_rate_shmem_size(void);
extern void ga_rate_shmem_init(void *part);
extern void *ga_rate_shared;

/* Saves open circuits, takes them up after a restart, brings settings to our own workers. */
extern int64 ga_breaker_maintain(void);

#endif
