/* SPDX-License-Identifier: PostgreSQL */
/*
 * What health() says: one row a component, in the order of the table in health.c. A check runs
 * inside ga_enter as GA_SYSTEM, reads shared state or a table, and never waits for anything else.
 */
#ifndef GOLDENARCH_HEALTH_H
#define GOLDENARCH_HEALTH_H

#include "postgres.h"

#include "goldenarch/compat.h"

typedef enum GaHealthStatus
{
	GA_HEALTH_OK,
	GA_HEALTH_DEGRADED, /* works, with a loss that detail names */
	GA_HEALTH_DOWN,
	GA_HEALTH_OFF /* not configured */
} GaHealthStatus;

typedef struct GaHealth
{
	GaHealthStatus status;
	const char *detail; /* palloc'd or constant, never null */
} GaHealth;

typedef struct GaHealthComponent
{
	const char *name;
	GaHealth (*check)(void);
} GaHealthComponent;

#endif
