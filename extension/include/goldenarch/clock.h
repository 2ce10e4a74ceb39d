/* SPDX-License-Identifier: PostgreSQL */
/*
 * Time, from one place. ga_now() is the wall clock at the call (never the transaction's start);
 * debug builds add goldenarch.debug_clock_offset, so that tests move time instead of sleeping.
 * ga_monotonic_ns() never goes back and is what limits and breakers in shared memory count with.
 */
#ifndef GOLDENARCH_CLOCK_H
#define GOLDENARCH_CLOCK_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "goldenarch/compat.h"

extern GA_EXPORT TimestampTz ga_now(void);
extern GA_EXPORT int64 ga_monotonic_ns(void);

#endif
