/* SPDX-License-Identifier: PostgreSQL */
/* A peer review as stored: review.c opens, votes and settles, review_explain.c tells why. */
#ifndef GA_REVIEW_H
#define GA_REVIEW_H

#include "consensus.h"
#include "task.h"

typedef struct GaReview
{
	const char *tenant;
	const pg_uuid_t *id;
	const pg_uuid_t *task_id;
	int revision; /* of the task, when the review was opened */
	Numeric quorum;
	const Jsonb *roster; /* null: open to all who may vote */
	Numeric total;       /* what weights are shares of */
	const char *status;  /* open | passed | failed; past its deadline an open one reads as failed */
	const char *opened_by;
	TimestampTz deadline;
	bool stored_open; /* what the row says, whatever the clock says */
	GaVote *votes; /* seats of the roster in order of names; those that did not vote have no vote */
	const char **reasons; /* of each vote; may be null */
	int nvotes;
} GaReview;

/* 42704 where the caller sees no such review. */
extern GaReview *ga_review_find(const pg_uuid_t *id);
/* The answer of explain_review and cast_vote. */
extern Jsonb *ga_review_explain(const GaReview *review);
/* A seat of the roster: {"role": ..., "weight": ...}; false where there is none. */
extern bool ga_review_seat(const Jsonb *roster, const char *agent, GaVote *seat);

#endif
