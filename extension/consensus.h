/* SPDX-License-Identifier: PostgreSQL */
/*
 * The arithmetic of a peer review, without tables: what votes come to and why. Exact (numeric), so
 * that a score equal to the quorum is equal, and the same votes always answer the same.
 */
#ifndef GA_CONSENSUS_H
#define GA_CONSENSUS_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "goldenarch/jsonbuild.h"

typedef struct GaVote
{
	const char *agent;
	const char *role;
	Numeric weight;
	const char *vote; /* approve | conditional | reject; null: none was cast */
} GaVote;

typedef struct GaTally
{
	Numeric score;   /* the weight won over the total, to six digits */
	Numeric missing; /* up to the quorum, 0 when passed */
	bool passed;     /* decided on the unrounded weights */
	int approve;
	int conditional;
	int reject;
	int silent;
} GaTally;

/* total: what the weights are shares of. votes may be null when n is 0. */
extern GaTally ga_consensus_tally(const GaVote *votes, int n, Numeric quorum, Numeric total);

/* The members of explain_consensus()'s answer, into an object that is being built. */
extern void ga_consensus_write(GaJson *json, const GaVote *votes, int n, Numeric quorum,
                               Numeric total);

/* Could the votes not yet cast still reach the quorum? */
extern bool ga_consensus_reachable(const GaVote *votes, int n, Numeric quorum, Numeric total);

/* "reviewer" for "reviewer-1"; a name without a trailing number is its own role. */
extern char *ga_consensus_role(const char *agent);

extern bool ga_consensus_is_vote(const char *vote);
extern Numeric ga_consensus_number(const char *literal);
extern char *ga_consensus_show(Numeric number);
extern void ga_consensus_put(GaJson *json, const char *key, Numeric number);
/* Argument n of the SQL function: a quorum above 0 and up to 1, else 22023. */
extern Numeric ga_consensus_quorum_arg(FunctionCallInfo fcinfo, int n);

#define GA_UNKNOWN_ROLE_WEIGHT "0.05"

#endif
