/* SPDX-License-Identifier: PostgreSQL */
/* A guard and its remedy: guard.c judges guards, autofix.c deals with those that failed. */
#ifndef GA_GUARD_H
#define GA_GUARD_H

#include "task.h"

typedef struct GaFailure
{
	const char *guard;
	const char *reason;  /* never null */
	const char *target;  /* the state that was to be entered */
	const char **checks; /* failed checks, sorted */
	int nchecks;
	const char *artifact; /* which state of the work failed; may be null */
} GaFailure;

/* From handle_guard_failure's argument; 22023 where it has another shape. */
extern GaFailure *ga_failure_read(const Jsonb *failure);
extern GaFailure *ga_failure_of_report(const GaGuardCheck *check, const char *target);

/* Makes remediation tasks, or escalates; the answer of handle_guard_failure. */
extern Jsonb *ga_autofix(GaTask *task, const GaFailure *failure);

#endif
