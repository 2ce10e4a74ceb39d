/* SPDX-License-Identifier: PostgreSQL */
/*
 * Learning limits, for what changes prompts. All of it runs inside ga_enter.
 *
 * Lock order: the role's row of learning_state, then what approval.h locks; the role's row of
 * learning_governance, shared, at any point.
 */
#ifndef GOLDENARCH_LEARNING_H
#define GOLDENARCH_LEARNING_H

#include "postgres.h"

#include "utils/timestamp.h"

typedef struct GaLearningVerdict
{
	bool known; /* the role has a row in learning_governance */
	bool human; /* its changes need a human: by policy, as an unknown role, after two rollbacks */
	bool over_limit;    /* no slot is left in the 24 hours before "at" */
	bool cooling;       /* the cooldown since the last change is not over */
	int32 rollbacks;    /* of the 24 hours before "at" */
	int32 used;         /* prompts that went live in the 24 hours before "at" */
	int32 allowance;    /* how many may; only where known */
	bool has_last;      /* was there ever a change */
	TimestampTz last;   /* the last change, a rollback included */
	bool has_retry;     /* there is a time from which limit and cooldown allow the next */
	TimestampTz retry;  /* that time */
	TimestampTz at;     /* the moment judged; later than every change before it */
	const char *status; /* of can_auto_update, or the first that stands in the way */
} GaLearningVerdict;

/* Lock the role's state until the transaction ends, by an UPDATE. */
extern void ga_learning_lock(const char *tenant, const char *agent_role);
/* The decision: under that lock, by the clock at this moment. */
extern GaLearningVerdict ga_learning_decide(const char *tenant, const char *agent_role);
/* The same without locks, under the caller's snapshot: a hint. */
extern GaLearningVerdict ga_learning_look(const char *tenant, const char *agent_role);
/* "status: details"; the status alone where nothing stands in the way. */
extern char *ga_learning_reason(const GaLearningVerdict *verdict, const char *agent_role);

/* Argument reader: an agent's role, 22023. */
extern char *ga_learning_role(FunctionCallInfo fcinfo, int n);

#endif
