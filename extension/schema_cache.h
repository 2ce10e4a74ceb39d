/* SPDX-License-Identifier: PostgreSQL */
/*
 * schema_cache.h: what schema.c needs of the cache beyond schema.h.
 */
#ifndef GA_SCHEMA_CACHE_H
#define GA_SCHEMA_CACHE_H

#include "postgres.h"

#include "goldenarch/compat.h"

#include "schema.h"

#include "goldenarch/jsonbuild.h"

/* Raises 22023, or 0A000 where the schema is right but not supported. */
extern void ga_schema_refused(const GaSchemaFault *fault) GA_NORETURN;

#endif /* GA_SCHEMA_CACHE_H */
