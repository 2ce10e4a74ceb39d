/* SPDX-License-Identifier: PostgreSQL */
/*
 * What breaker.c and ratelimit.c show to the tables of shmem.c and maintenance.c, and the use of a
 * breaker around a call, for with_breaker.c.
 */
#ifndef LIMITERS_H
#define LIMITERS_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "core/breaker.h"

extern Size ga_breaker_shmem_size(void);
extern void ga_breaker_shmem_init(void *part);
extern void *ga_breaker_shared;
extern Size ga_rate_shmem_size(void);
extern void ga_rate_shmem_init(void *part);
extern void *ga_rate_shared;

/* Saves open circuits, takes them up after a restart, brings settings to our own workers. */
extern int64 ga_breaker_maintain(void);

/* What a restart left behind: zero when there is nothing. */
typedef struct GaBreakerSaved
{
	TimestampTz opened_at;
	TimestampTz open_until;
} GaBreakerSaved;

typedef struct GaBreakerUse
{
	char *name;
	GaBreakerSettings settings;
	GaBreakerSaved saved;
	int64 generation; /* of the call that was let through; -1: not known */
	int64 retry_ns;   /* of the call that was not */
} GaBreakerUse;

/* Permission, preload, name (argument 0), settings. */
extern void ga_breaker_begin(FunctionCallInfo fcinfo, GaBreakerUse *use);
/* False when the circuit is open. */
extern bool ga_breaker_enter(GaBreakerUse *use);
/* ZG003 when it is. */
extern void ga_breaker_require(GaBreakerUse *use);
/* How the call went; took_ns -1: not known. */
extern GaBreakerState ga_breaker_finish(const GaBreakerUse *use, bool ok, int64 took_ns);

#endif
