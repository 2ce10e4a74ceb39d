/* SPDX-License-Identifier: PostgreSQL */
/*
 * Circuit breakers for our own outbound calls (NATS, Redis) as for SQL callers. In shared memory,
 * immediate, never rolled back. Without preload ga_breaker_try() always answers true.
 */
#ifndef GOLDENARCH_BREAKER_H
#define GOLDENARCH_BREAKER_H

#include "postgres.h"

#include "goldenarch/compat.h"

/* True when a call may be made now; in half-open state this takes one of the permits. */
extern GA_EXPORT bool ga_breaker_try(const char *name);
/* Report how it went. error may be null. */
extern GA_EXPORT void ga_breaker_report(const char *name, bool ok, const char *error);

#endif
