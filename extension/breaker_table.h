/* SPDX-License-Identifier: PostgreSQL */
/*
 * The shared table of circuit breakers, for the files of the capability: what lies in shared memory
 * and is reached without SQL. Every function takes the table's lock by itself.
 */
#ifndef BREAKER_TABLE_H
#define BREAKER_TABLE_H

#include "postgres.h"

#include "core/limits.h"
#include "goldenarch/query.h"
#include "limiters.h"

/* No interval of a breaker is longer, whatever a table holds: in ns it must fit an int64. */
#define GA_BREAKER_LONGEST_US (INT64CONST(36500) * USECS_PER_DAY)

typedef struct GaBreakerEntry
{
	Oid database; /* InvalidOid: free, and so are all behind it */
	uint32 hash;
	char name[GA_BREAKER_NAME_MAX_BYTES + 1];
	GaBreakerSettings settings;
	GaBreaker breaker;
} GaBreakerEntry;

/* The last call that this backend was admitted to, by name; -1 when it knows of none. */
extern void ga_breaker_remember(const char *name, int64 generation);
extern int64 ga_breaker_recall(const char *name);

/* Of this database. */
extern bool ga_breaker_known(const char *name);
extern GaBreakerEntry *ga_breaker_copy(int *count);
/* Close one, or all (name null); returns how many were not closed. */
extern int32 ga_breaker_close_named(const char *name);
/* Where it exists. */
extern void ga_breaker_set(const char *name, const GaBreakerSettings *settings);
/* Made anew and open, as a restart left it. */
extern void ga_breaker_restore(const char *name, const GaBreakerSaved *saved);

/* Of every database. */
extern int ga_breaker_count(void);
extern int64 ga_breaker_keep(const Oid *databases, int n);

/* Columns of goldenarch.breaker_settings s, and their reader; nonsense is read as the default. */
#define GA_BREAKER_SETTINGS_COLUMNS                                                  \
	"s.failure_threshold::pg_catalog.int4, s.half_open_max_calls::pg_catalog.int4, " \
	"s.recovery_us::pg_catalog.int8, s.window_us::pg_catalog.int8, "                 \
	"COALESCE(s.failure_rate, 0)::pg_catalog.float8, COALESCE(s.slow_us, 0)::pg_catalog.int8"
extern GaBreakerSettings ga_breaker_settings_of_row(const GaRows *rows, uint64 row, int first);

#endif
