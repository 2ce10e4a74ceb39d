/* SPDX-License-Identifier: PostgreSQL */
/*
 * Shared memory, there only when preloaded. A part is a size, an initialiser and the pointer that
 * every process finds it by; the table in shmem.c lists the parts. Locks inside parts use the one
 * tranche "goldenarch".
 */
#ifndef GOLDENARCH_SHMEM_H
#define GOLDENARCH_SHMEM_H

#include "postgres.h"

#include "goldenarch/compat.h"

typedef struct GaShmemPart
{
	const char *name;
	Size (*size)(void);
	void (*init)(void *part); /* first start only, under AddinShmemInitLock, memory zeroed */
	void **where;             /* set in every process */
} GaShmemPart;

/* Called in _PG_init while shared_preload_libraries are loaded. */
extern void ga_shmem_setup(void);
extern GA_EXPORT bool ga_preloaded(void);
extern GA_EXPORT int ga_lwlock_tranche(void);

#endif
